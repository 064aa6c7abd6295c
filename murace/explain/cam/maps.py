"""What a net is asked with and answers in."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from torch import Tensor

from murace.nets import Learner

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Maps = Floats
Method = Callable[[Learner, Tensor], tuple[Maps, Floats]]
