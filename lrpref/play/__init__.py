"""A page to play with: LRP in the browser, offline, in one HTML file with the networks in it.

`lrp.js` is the engine: plain JavaScript in the papers' letters, judged by the conformance cases and compared with this
library by the tests. The other files are the page around it.
"""

from .document import STANDARD, page
from .embedding import FIELDS, HEADS, check_offered, embedded, embedded_samples

__all__ = ["FIELDS", "HEADS", "STANDARD", "check_offered", "embedded", "embedded_samples", "page"]
