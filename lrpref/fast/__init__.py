"""The fast engine: the same relevance as `lrpref.trace`, computed in another order.

    algebra.py   what is left out of a rule, and what is computed once
    store.py     memory that is reused from call to call
    workers.py   threads, and their buffers
    kernels.py   products cut into blocks, and the direct form of a convolution
    winograd.py  the forms for 3x3 kernels
    steps/       one layer forward, and its relevance back
    build.py     which step computes which layer
    prepared.py  a network made of steps

You do not need it to understand LRP: `lrpref.layers`, `lrpref.engine` and `lrpref.walk` contain the whole method, and
tests compare the two.
"""

from .prepared import FORMS, FastTrace, ForwardPass, Prepared, can_prepare, prepare

__all__ = ["FORMS", "FastTrace", "ForwardPass", "Prepared", "can_prepare", "prepare"]
