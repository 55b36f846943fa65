"""Fuzzers: random inputs in large numbers, and the outcomes that are documented. See docs/trust.md.

python -m tests.fuzz                                    # every fuzzer, for ten seconds each
python -m tests.fuzz files graphs --seconds 600         # these two, for ten minutes each
python -m tests.fuzz files --seed 123                   # one case, with its traceback: how a failure is repeated
python -m tests.fuzz --deep --record                    # hours: the run whose figures docs/trust.md states

A fuzzer is a function of a seed and an empty folder. It makes a case from the seed, tries it, and returns the outcomes
that it counted. Anything that it raises is a failure, and so is every warning.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests/graphs.py is imported as the tests import it
