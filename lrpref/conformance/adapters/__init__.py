"""One module a library: `adapter()` makes its adapter, `INSTALL` or `HOW` says how the library can be had."""
