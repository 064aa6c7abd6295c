"""The views of a study, each file decoded once: as the nets take them, larger, and at their own resolution."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from murace.data.images.decode import read
from murace.data.images.header import ImageError
from murace.data.images.resize import resize, to_eight_bits

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Views:
    """A study's views; R of its files could be read, the others have a fault.

    Attributes:
        prepared: uint8 [R, size, size].
        sha256: of each file; empty for one that could not be read.
        faults: why a file could not be read; empty for each of the R.
        shapes: height and width [R] in pixels, upright.
        originals: uint8 [H, W] each, upright; [R] where they were asked for, else none.
        larger: multiple of the size -> uint8 [R, multiple * size, multiple * size].
        remarks: of each file, as of `decode.Radiograph`.
    """

    prepared: Bytes
    sha256: tuple[str, ...]
    faults: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...]
    originals: tuple[Bytes, ...] = ()
    larger: Mapping[int, Bytes] = field(default_factory=dict)
    remarks: tuple[tuple[str, ...], ...] = ()

    @property
    def warnings(self) -> list[str]:
        """Each remark, with the numbers of its views from 1: their names may tell whose pictures they are."""
        about: dict[str, list[str]] = {}
        for number, remarks in enumerate(self.remarks, start=1):
            for remark in remarks:
                about.setdefault(remark, []).append(str(number))
        return [f"has {remark} (view {', '.join(numbers)})" for remark, numbers in about.items()]

    @property
    def weight(self) -> int:
        """Bytes of memory."""
        return self.prepared.nbytes + sum(part.nbytes for part in (*self.originals, *self.larger.values()))


def read_views(
    paths: Sequence[Path], *, size: int, fit: str, scales: Sequence[int] = (), keep_originals: bool = False
) -> Views:
    """Read all views; of each that cannot be read it is said why.

    Args:
        paths: the files.
        size: side of the prepared pictures, in pixels.
        fit: `squash` or `pad`.
        scales: further multiples of `size`, made from the originals: enlarging what is prepared adds no detail.
        keep_originals: whether the pictures at their own resolution are wanted, too.
    """
    prepared, digests, faults, shapes = list[Bytes](), [], [], []
    remarks = list[tuple[str, ...]]()
    originals, larger = list[Bytes](), {scale: list[Bytes]() for scale in scales}
    for path in paths:
        try:
            picture = read(path)
            prepared.append(resize(picture.grey, size=size, fit=fit))  # from all its bits, not from eight
        except ImageError as error:
            digests.append("")
            faults.append(str(error))
            remarks.append(())
            continue
        digests.append(picture.sha256)
        faults.append("")
        remarks.append(picture.remarks)
        height, width = picture.grey.shape
        shapes.append((height, width))
        if scales or keep_originals:
            original = to_eight_bits(picture.grey)
            for scale, pictures in larger.items():
                pictures.append(resize(original, size=scale * size, fit=fit))
            originals += [original] if keep_originals else []
    return Views(
        _stacked(prepared, size),
        tuple(digests),
        tuple(faults),
        tuple(shapes),
        tuple(originals),
        {scale: _stacked(pictures, scale * size) for scale, pictures in larger.items()},
        tuple(remarks),
    )


def _stacked(pictures: Sequence[Bytes], side: int) -> Bytes:
    return np.stack(pictures) if pictures else np.empty((0, side, side), np.uint8)
