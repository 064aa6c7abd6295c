"""Fingerprints of images: a SHA-256 of the pixels, and a perceptual hash that survives resizing, recompression, turns.

Perceptual hash: the signs of the 8 x 8 lowest coefficients, without the first row and column, of the discrete cosine
transform of the picture at 32 x 32. The coefficients are those of pHash (C. Zauner, "Implementation and Benchmarking of
Perceptual Image Hash Functions", 2010), which compares them with their median, as the package imagehash does. With
signs alone, a mirrored picture has every second bit turned, a transposed one has the bits transposed, an inverted one
has all of them turned: the hash of each of these pictures follows from the hash alone.
"""

import hashlib

import numpy as np
import numpy.typing as npt

from murace.data.images.dicom.display import Grey
from murace.data.images.resize import scaled
from murace.system.opencv import cv2

BITS = 64
_SIDE, _KEPT = 32, 8
Hashes = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]
Turn = tuple[bool, bool, bool]  # exchange rows and columns, then reverse the rows, then the columns
TURN_NAMES: dict[Turn, str] = {  # the eight of the dihedral group
    (False, False, False): "as it is",
    (False, False, True): "mirrored",
    (False, True, False): "upside down and mirrored",
    (False, True, True): "upside down",
    (True, False, False): "turned a quarter and mirrored",
    (True, False, True): "turned a quarter",
    (True, True, False): "turned a quarter",
    (True, True, True): "turned a quarter and mirrored",
}
TURNS = tuple(TURN_NAMES)


def pixel_digest(grey: Grey) -> str:
    """The SHA-256 of a picture itself, whatever file held it: depth, height, width, then its values row by row.

    Args:
        grey: uint8 or uint16 [H, W], upright.
    """
    height, width = grey.shape
    digest = hashlib.sha256(f"{8 * grey.itemsize} {height} {width}\n".encode())
    digest.update(np.ascontiguousarray(grey, dtype=grey.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def perceptual_hash(picture: npt.NDArray[np.uint8]) -> int:
    """The 64 bits of a picture, uint8 [H, W]; the first bit is that of the lowest coefficient."""
    low = cv2.dct(scaled(picture.astype(np.float32), _SIDE, _SIDE))[1 : _KEPT + 1, 1 : _KEPT + 1]
    return int.from_bytes(np.packbits(low > 0).tobytes(), "big")


def turned_hashes(hashes: Hashes, turn: Turn) -> Hashes:
    """The hashes that the same pictures have when each is turned by `turn`, up to rounding."""
    transposed, rows, columns = turn
    bits = np.unpackbits(hashes.astype(">u8").view(np.uint8)).reshape(-1, _KEPT, _KEPT).astype(bool)
    if transposed:
        bits = bits.transpose(0, 2, 1)
    odd = np.arange(1, _KEPT + 1) % 2 == 1  # cosines of odd frequency change their sign in a mirror
    bits = bits ^ (rows & odd)[:, None] ^ (columns & odd)[None, :]
    return np.packbits(bits).view(">u8").astype(np.uint64)


def turned(pictures: Floats, turn: Turn) -> Floats:
    """Pictures [..., S, S] turned by `turn`."""
    transposed, rows, columns = turn
    if transposed:
        pictures = pictures.swapaxes(-1, -2)
    return pictures[..., :: -1 if rows else 1, :: -1 if columns else 1]
