"""Image headers: the limits on a radiograph's size, its EXIF orientation, and the error for an unusable file."""

import struct
from dataclasses import dataclass

MIN_SIDE = 8  # pixels, as of the smallest `prepare --size`: no radiograph has fewer
MAX_SIDE = 20_000  # the largest digital radiographs have about 5,000; those of a spine or a leg, put together, 15,000
MAX_ASPECT = 10
MAX_PIXELS = 64_000_000  # twice what the largest of those have
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
    """Refuse what no radiograph has, and what would not fit, before memory is asked for.

    Raises:
        ImageError: no pixels at all, a side too short or too long, a strip, or too many pixels or bytes.
    """
    size, (short, long) = f"{width} x {height} pixels", sorted((width, height))
    if short < 1:
        raise ImageError(f"empty: {size}")
    if long > MAX_SIDE:
        raise ImageError(f"too large: {size}, a side may have {MAX_SIDE}")
    if width * height > MAX_PIXELS:
        raise ImageError(f"too large: {size}, together they may be {MAX_PIXELS // 10**6} million")
    if width * height * bytes_per_pixel > MAX_DECODED:
        raise ImageError(f"too large: {size} take more than {MAX_DECODED >> 20} MiB decoded")
    if short < MIN_SIDE:
        raise ImageError(f"too small: {size}, a side must have {MIN_SIDE}")
    if long > MAX_ASPECT * short:
        raise ImageError(f"too narrow: {size}, a side may be {MAX_ASPECT} times as long as the other")


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
