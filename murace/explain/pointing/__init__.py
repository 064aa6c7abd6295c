"""Whether maps point at findings: nets, pictures and boxes come in, a table goes out; no workspace is known here."""

from murace.explain.pointing.boxed import BoxedImage, boxed_images
from murace.explain.pointing.engine import Checked, check
from murace.explain.pointing.table import CENTRE, CHANCE, COLUMNS, RANDOM

__all__ = ["CENTRE", "CHANCE", "COLUMNS", "RANDOM", "BoxedImage", "Checked", "boxed_images", "check"]
