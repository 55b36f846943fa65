"""Networks stored as `.npz` files, and parameters loaded by name (state dicts)."""

from .._support.untrusted import MAX_BYTES, UNREADABLE
from .npz import FOLDERS, FORMAT, check_path, find, load, metadata, names, read_arrays, save
from .state_dict import from_state_dict

__all__ = [
    "FOLDERS",
    "FORMAT",
    "MAX_BYTES",
    "UNREADABLE",
    "check_path",
    "find",
    "from_state_dict",
    "load",
    "metadata",
    "names",
    "read_arrays",
    "save",
]
