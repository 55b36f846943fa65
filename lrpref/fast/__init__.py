"""The fast engine: the same relevance as `lrpref.trace`, computed in another order.

    algebra.py   which terms of a rule can be left out, and which are computed once
    memory.py    the arrays of a plan, which share memory
    program.py   a pass as a list of calls, recorded once and run as often as wanted
    threads.py   the threads of a call
    blocks.py    how the work on images is cut
    kernels.py   convolutions as matrix products
    winograd.py  the form for 3x3 kernels with fewer multiplications
    steps/       one layer forward, and its relevance back
    build.py     which step computes which layer
    plan.py      the pass through inputs of one shape
    prepared.py  a network made of steps

You do not need it to understand LRP: `lrpref.layers`, `lrpref.engine` and `lrpref.walk` contain the whole method, and
tests compare the two.
"""

from .prepared import FORMS, FastTrace, ForwardPass, Prepared, can_prepare, prepare

__all__ = ["FORMS", "FastTrace", "ForwardPass", "Prepared", "can_prepare", "prepare"]
