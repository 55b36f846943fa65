"""The interactive page: LRP in the browser, offline, in one HTML file that contains the networks.

`lrp.js` is the engine, in plain JavaScript with the notation of the papers. The tests run the conformance cases on it
and compare it with this library. The other files are the page around it.
"""

from .document import STANDARD, page
from .embedding import FIELDS, HEADS, check_offered, embedded, embedded_samples

__all__ = ["FIELDS", "HEADS", "STANDARD", "check_offered", "embedded", "embedded_samples", "page"]
