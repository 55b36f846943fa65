"""The fast engine: the same relevance as `lrpref.trace`, in another order.

    algebra.py   what may be left out of a rule, and what may be computed once
    store.py     memory that is used again
    workers.py   threads, and their buffers
    kernels.py   how a product is cut and computed, and the plainest form of a convolution
    winograd.py  the forms for 3x3 kernels
    steps/       one layer forward, and its relevance back
    build.py     which step computes which layer
    prepared.py  a network made of them

Nobody needs it to understand LRP: everything is said plainly in `lrpref.layers`, `lrpref.engine` and
`lrpref.explain`, and the tests hold the two together.
"""

from .prepared import FORMS, FastTrace, Pass, Prepared, can_prepare, prepare

__all__ = ["FORMS", "FastTrace", "Pass", "Prepared", "can_prepare", "prepare"]
