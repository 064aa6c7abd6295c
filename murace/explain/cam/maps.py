"""What a net is asked with and answers in."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from torch import Tensor

from murace.nets import Learner

FLAT = 1e-3  # logits, or shares of the maximum: an eight-thousandth of the scale that maps are drawn on

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Maps = Floats
Method = Callable[[Learner, Tensor], tuple[Maps, Floats]]


def flaw(heat: Maps) -> str | None:
    """Why a map [h, w] points nowhere: `not finite`, or `flat` (its extremes are at most `FLAT` apart); else None."""
    if not np.isfinite(heat).all():
        return "not finite"
    return "flat" if float(np.ptp(heat)) <= FLAT else None
