"""`python -m lrpref` is `lrpref`."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
