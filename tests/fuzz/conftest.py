"""The fuzzers are run by `python -m tests.fuzz`, and tested by tests/test_fuzz.py; pytest collects nothing here."""

collect_ignore_glob = ["*.py"]
