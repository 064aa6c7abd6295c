"""One file to hand an ensemble over in: a plain zip of weights, roster, temperatures, thresholds and model card.

Its bytes follow from its content alone, so that whoever opens it can say of every byte what it must be. A digest finds
damage; it does not say who made the file. Whoever wants to know that compares the whole file's SHA-256 with the one
that its maker tells by other means.

Own code: zipfile leaves bytes to choose and reads past them; here a file is compared with the bytes that the same
content gives.
"""

from murace.inference.bundle.manifest import (
    CARD,
    OPERATING,
    RECOGNISER,
    ROSTER,
    Data,
    File,
    Manifest,
    Net,
    names_of,
    weights_of,
    weights_of_learner,
)
from murace.inference.bundle.open import Bundle, is_bundle, open_bundle
from murace.inference.bundle.write import write_bundle

__all__ = [
    "CARD",
    "OPERATING",
    "RECOGNISER",
    "ROSTER",
    "Bundle",
    "Data",
    "File",
    "Manifest",
    "Net",
    "is_bundle",
    "names_of",
    "open_bundle",
    "weights_of",
    "weights_of_learner",
    "write_bundle",
]
