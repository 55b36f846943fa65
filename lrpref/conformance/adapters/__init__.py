"""One module per library: `adapter()` makes the adapter, `INSTALL` or `HOW` gives the installation.

The version named there is the recorded one (recorded/).
"""
