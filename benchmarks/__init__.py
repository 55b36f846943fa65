"""Speed, memory and growth of lrpref, side by side with other libraries: `python -m benchmarks`.

    subjects.py     the networks, and the batches they are timed on
    ours.py         the forms of lrpref; add a line for a new one
    peers.py        zennit, captum and torch on the same weights
    contestants.py  all of these as functions without arguments, ready to be timed
    limit.py        the products that a composite needs, and how fast this machine multiplies matrices
    counting.py     the convolutions that the peers compute: `python -m benchmarks.counting`
    timing.py       paired, interleaved rounds, and ratios with their spread
    equality.py     distances between heatmaps
    memory.py       peak memory, each contestant in a process of its own
    growth.py       how time and memory grow with batch, image size, depth, width and targets
    flipping.py     pixel flipping of 100 images in 32 steps
    machine.py      description of the machine and the libraries
    report.py       the results as tables
    profile.py      time per layer of a prepared network: `python -m benchmarks.profile`
    gpu.py          everything that is to be known of a GPU: `python -m benchmarks.gpu`
    device.py       the GPU, and when it is done
    gpu_costs.py, gpu_agreement.py, gpu_report.py    its sections and tables
    modelled.py     how fast a GPU would be: `python -m benchmarks.modelled`

Results are written as data (JSON), from which tables are made. No test judges a time.
"""
