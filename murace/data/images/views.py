"""The views of a study, read whole: each at its own resolution, and as the nets see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from murace.data.images.decode import read
from murace.data.images.header import ImageError
from murace.data.images.resize import resize, to_eight_bits

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Views:
    """A study's views in their order.

    `originals`: uint8 [H, W] each, upright; `prepared`: uint8 [V, size, size]; `sha256`: of each file.
    """

    originals: tuple[Bytes, ...]
    prepared: Bytes
    sha256: tuple[str, ...]

    @property
    def weight(self) -> int:
        """Bytes of memory."""
        return self.prepared.nbytes + sum(original.nbytes for original in self.originals)


def read_views(paths: Sequence[Path], *, size: int, fit: str) -> Views:
    """Read all views, or say of each that cannot be read why.

    Raises:
        ImageError: a file is no usable radiograph; all such files are named.
    """
    originals, prepared, digests, bad = list[Bytes](), list[Bytes](), list[str](), []
    for path in paths:
        try:
            picture = read(path)
        except ImageError as error:
            bad.append(f"{path}: {error}")
            continue
        originals.append(to_eight_bits(picture.grey))
        prepared.append(resize(picture.grey, size=size, fit=fit))  # from all its bits, not from eight
        digests.append(picture.sha256)
    if bad:
        raise ImageError("; ".join(bad))
    return Views(tuple(originals), np.stack(prepared), tuple(digests))
