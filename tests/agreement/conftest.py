from importlib.util import find_spec

INSTALLED = all(find_spec(package) for package in ("torch", "zennit"))

# These two files import torch and zennit; without both libraries pytest must not collect doctests from them.
collect_ignore = [] if INSTALLED else ["zennit_side.py", "make_fixtures.py"]
