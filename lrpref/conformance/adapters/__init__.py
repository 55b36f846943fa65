"""One module a library: `adapter()` makes its adapter, `INSTALL` says what pip should be asked for."""
