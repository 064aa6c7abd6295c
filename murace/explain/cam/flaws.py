"""Maps that mean nothing and must not be drawn as if they did."""

import numpy as np

from murace.explain.cam.maps import Maps

FLAT = 1e-3  # logits, or shares of the maximum: an eight-thousandth of the scale that maps are drawn on


def flaw(heat: Maps) -> str | None:
    """Why a map [h, w] points nowhere: `not finite`, or `flat` (its extremes are at most `FLAT` apart); else None."""
    if not np.isfinite(heat).all():
        return "not finite"
    return "flat" if float(np.ptp(heat)) <= FLAT else None
