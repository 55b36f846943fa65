"""The fast engine: the same relevance as `lrpref.trace`, in another order.

    algebra.py   what may be left out of a rule, and what may be computed once
    kernels.py   the fast forms of a convolution
    workers.py   threads, and their buffers
    steps.py     one layer forward, and its relevance back
    build.py     which step computes which layer
    prepared.py  a network made of them

Nobody needs it to understand LRP: everything is said plainly in `lrpref.layers`, `lrpref.engine` and
`lrpref.explain`, and the tests hold the two together.
"""

from .prepared import FORMS, Pass, Prepared, can_prepare, prepare

__all__ = ["FORMS", "Pass", "Prepared", "can_prepare", "prepare"]
