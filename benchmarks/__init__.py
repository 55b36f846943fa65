"""Speed, memory and growth of lrpref, side by side with other libraries: `python -m benchmarks`.

    subjects.py     the networks, and the batches they are timed on
    ours.py         the forms of lrpref; a line adds one
    peers.py        zennit, captum and torch on the same weights
    contestants.py  all of these as functions of one case that are ready to be timed
    limit.py        the products that a composite needs, and how fast this machine multiplies matrices
    counting.py     the products that the peers compute: `python -m benchmarks.counting`
    timing.py       paired, interleaved rounds, and ratios with their spread
    equality.py     how far the heatmaps are from each other
    memory.py       peak memory, each contestant in a process of its own
    growth.py       how time and memory grow with batch, image size, depth, width and targets
    flipping.py     pixel flipping of 100 images in 32 steps
    machine.py      what all of it ran on
    report.py       the results as tables
    gpu.py          the same on a GPU: `python -m benchmarks.gpu`

Results are data (JSON) first; tables are made from them. Nothing here is timed by a test.
"""
