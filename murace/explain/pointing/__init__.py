"""Whether maps point at what is abnormal: nets, pictures and boxes in, a table out; no workspace is known here."""

from murace.explain.pointing.boxed import BoxedImage, boxed_images
from murace.explain.pointing.engine import Checked, check
from murace.explain.pointing.table import CENTRE, CHANCE, COLUMNS, RANDOM

__all__ = ["CENTRE", "CHANCE", "COLUMNS", "RANDOM", "BoxedImage", "Checked", "boxed_images", "check"]
