"""What a radiograph's file says about itself, read before any pixel is decoded."""

import struct
from dataclasses import dataclass

MAX_SIDE = 20_000  # pixels; the largest digital radiographs have about 5,000
MAX_DECODED = 256 * 2**20  # bytes of memory that one decoded file may take
UPRIGHT = 1
_ORIENTATION = 0x0112
_SHORT = 3


class ImageError(Exception):
    """The file is no usable radiograph; the text is the reason, fit for `rejected.csv`."""


@dataclass(frozen=True)
class Header:
    """The stored (not yet upright) size, the EXIF orientation, and the bytes to hand to the decoder."""

    width: int
    height: int
    orientation: int
    data: bytes


def check_size(width: int, height: int, bytes_per_pixel: int) -> None:
    """Refuse what would not fit before memory is asked for.

    Raises:
        ImageError: no pixels at all, a side too long, or too many bytes.
    """
    if width < 1 or height < 1:
        raise ImageError(f"empty: {width} x {height} pixels")
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"too large: {width} x {height} pixels, a side may have {MAX_SIDE}")
    if width * height * bytes_per_pixel > MAX_DECODED:
        raise ImageError(f"too large: {width} x {height} pixels take more than {MAX_DECODED >> 20} MiB decoded")


def orientation_of(exif: bytes) -> int:
    """The orientation, 1 to 8, in a TIFF block as EXIF stores it; 1 (upright) where it has none that is valid."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return UPRIGHT
    try:
        (first,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, first)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, first + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and 1 <= value <= 8 else UPRIGHT
    except struct.error:  # a damaged EXIF block says nothing; the pixels are checked on their own
        return UPRIGHT
    return UPRIGHT
