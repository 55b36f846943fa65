"""One call for any number of samples: `explain`, its blocks for data sets larger than memory, and Dask."""

from . import distributed
from .explanation import explain, signature

__all__ = ["distributed", "explain", "signature"]
