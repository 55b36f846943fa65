from importlib.util import find_spec

INSTALLED = all(find_spec(package) for package in ("torch", "zennit"))

# These two import torch and zennit; without them pytest must not try to collect doctests there.
collect_ignore = [] if INSTALLED else ["zennit_side.py", "make_fixtures.py"]
