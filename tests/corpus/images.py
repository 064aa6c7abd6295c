"""Cases 1 to 22: files that claim to be radiographs. Each lies as `odd.png` beside the carrier's, in its manifest."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from murace.system.opencv import cv2
from tests.corpus.case import SIDE
from tests.data.files import SIGNATURE, chunk, exif, jpeg, picture, png, raw_png

Pixels = npt.NDArray[np.uint8]
HERE = picture(77, SIDE, SIDE)
DEEP = np.linspace(0, 65535, SIDE * SIDE).round().astype(np.uint16).reshape(SIDE, SIDE)
COLOUR = np.dstack([HERE, np.full_like(HERE, 40), HERE[::-1]])  # blue, green, red
CALM = "nothing is said of it"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A file and what comes of it: `reason` is what `rejected.csv` says (a regular expression), else it is accepted.

    An accepted one has `pixels` in `pixels.npy`, to within `off`, and `note` among the remarks.
    """

    number: str
    name: str
    data: Callable[[], bytes]
    reason: str = ""
    pixels: Callable[[], Pixels] | None = None
    off: int = 0
    note: str = CALM
    size: tuple[int, int] = (SIDE, SIDE)

    def __str__(self) -> str:
        return f"{self.number}-{self.name}".replace(" ", "-")


def whole() -> bytes:
    """The picture that most of the damaged ones were."""
    return png(HERE)


def flipped(place: int) -> bytes:
    """`whole` with one bit changed."""
    data = bytearray(whole())
    data[place] ^= 8
    return bytes(data)


def steering() -> bytes:
    """A chunk whose name a terminal would obey, with a wrong checksum."""
    return png(HERE, chunk(b"\x1b[3m", b"")[:-1] + b"?")


def rows_of(image: npt.NDArray[np.generic]) -> bytes:
    """The scan lines of a PNG, unfiltered."""
    return b"".join(b"\0" + row.tobytes() for row in image)


def palette(bits: int = 8) -> bytes:
    """Indexed colours whose shades are the indices, backwards."""
    shades = 1 << bits
    colours = chunk(b"PLTE", bytes(255 - i * 255 // (shades - 1) for i in range(shades) for _ in range(3)))
    rows = rows_of(HERE) if bits == 8 else b"".join(b"\0" + bytes(np.packbits(row > 128)) for row in HERE)
    return raw_png(SIDE, SIDE, bits, 3, colours, chunk(b"IDAT", zlib.compress(rows)))


def one_bit() -> bytes:
    """Black and white."""
    rows = b"".join(b"\0" + bytes(np.packbits(row > 128)) for row in HERE)
    return raw_png(SIDE, SIDE, 1, 0, chunk(b"IDAT", zlib.compress(rows)))


def with_alpha(alpha: int, *, grey: bool = False) -> bytes:
    """Every pixel with the same opacity."""
    if grey:
        rows = rows_of(np.dstack([HERE, np.full_like(HERE, alpha)]))
        return raw_png(SIDE, SIDE, 8, 4, chunk(b"IDAT", zlib.compress(rows)))
    return png(np.dstack([HERE, HERE, HERE, np.full_like(HERE, alpha)]))


def turned() -> bytes:
    """Stored as the camera held it, with the note that it must be turned to the right."""
    return png(np.ascontiguousarray(np.rot90(HERE)), chunk(b"eXIf", exif(6)))


def bomb(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    """A header that asks for far more memory than the file has bytes, and a little data after it."""
    line = zlib.compressobj(9)
    data = b"".join([*(line.compress(bytes(1 << 20)) for _ in range(16)), line.flush()])
    return raw_png(width, height, depth, colour, chunk(b"IDAT", data))


def inflated(kind: bytes, start: bytes) -> bytes:
    """A compressed chunk that the decoder could inflate to 100 MB."""
    return png(HERE, chunk(kind, start + zlib.compress(bytes(100 * 2**20), 1)))


def too_much_data() -> bytes:
    """A small picture whose pixel data go on for 100 MB after its last line."""
    data = zlib.compress(rows_of(HERE) + bytes(100 * 2**20), 1)
    return raw_png(SIDE, SIDE, 8, 0, chunk(b"IDAT", data))


def animated() -> bytes:
    """Two frames."""
    frame = struct.pack(">IIIIIHHBB", 0, SIDE, SIDE, 0, 0, 1, 10, 0, 0)
    return png(HERE, chunk(b"acTL", struct.pack(">II", 2, 0)), chunk(b"fcTL", frame))


def constant(shade: int) -> Callable[[], bytes]:
    """A picture of one shade."""
    return lambda: png(np.full((SIDE, SIDE), shade, np.uint8))


def sized(height: int, width: int) -> Callable[[], bytes]:
    """A smooth picture of that size."""
    return lambda: png(picture(5, height, width))


def as_format(ending: str) -> Callable[[], bytes]:
    """The picture in another format, under a PNG's name."""
    return lambda: cv2.imencode(ending, HERE)[1].tobytes()


def gif() -> bytes:
    """A GIF."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(HERE).save(file, "GIF")
    return file.getvalue()


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n(touched) (w) file closefile\nshowpage\n%%EOF\n"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
NO_PICTURE = "^not a PNG, JPEG or DICOM"


def beyond_twelve() -> Pixels:
    """What 16 bits come to: divided by 65535, rounded."""
    return (DEEP / 257).round().astype(np.uint8)


def shades() -> Pixels:
    """The colours' grey (ITU-R BT.601), as OpenCV has it."""
    blue, green, red = (COLOUR[:, :, place].astype(float) for place in range(3))
    return (0.299 * red + 0.587 * green + 0.114 * blue).round().astype(np.uint8)


PICTURES = [
    Picture(number="1d", name="a sidecar's bytes", data=lambda: b"\0\5\x16\7" + bytes(78), reason="a macOS sidecar"),
    Picture(number="2", name="no byte", data=lambda: b"", reason="^empty file$"),
    Picture(number="3", name="cut in half", data=lambda: whole()[: len(whole()) // 2], reason="^truncated PNG$"),
    Picture(number="4", name="without IEND", data=lambda: whole()[:-12], reason="^truncated PNG$"),
    Picture(number="5", name="a bit of IDAT", data=lambda: flipped(80), reason="wrong checksum in a chunk IDAT"),
    Picture(number="6", name="IHDR's checksum", data=lambda: flipped(30), reason="wrong checksum in a chunk IHDR"),
    Picture(number="6b", name="a chunk called ESC", data=steering, reason="^corrupt PNG: wrong checksum in a chunk$"),
    Picture(number="7a", name="HTML", data=lambda: b"<!DOCTYPE html><p>CANARY 404", reason=f"{NO_PICTURE}$"),
    Picture(number="7b", name="JSON", data=lambda: b'{"error": "CANARY"}', reason=f"{NO_PICTURE}$"),
    Picture(number="8", name="a JPEG", data=lambda: jpeg(HERE), pixels=lambda: HERE, off=16),
    Picture(number="9a", name="a TIFF", data=as_format(".tiff"), reason=f"{NO_PICTURE}: a TIFF$"),
    Picture(number="9b", name="a GIF", data=gif, reason=f"{NO_PICTURE}: a GIF$"),
    Picture(number="9c", name="a BMP", data=as_format(".bmp"), reason=f"{NO_PICTURE}: a BMP$"),
    Picture(number="9d", name="an EPS", data=lambda: EPS, reason=f"{NO_PICTURE}: PostScript$"),
    Picture(number="9e", name="a PDF", data=lambda: PDF, reason=f"{NO_PICTURE}: a PDF$"),
    Picture(number="9f", name="a WebP", data=as_format(".webp"), reason=f"{NO_PICTURE}: a RIFF file"),
    Picture(number="9g", name="a PGM", data=as_format(".pgm"), reason=f"{NO_PICTURE}$"),
    Picture(number="10", name="16 bits", data=lambda: png(DEEP), pixels=beyond_twelve),
    Picture(
        number="11", name="12 bits in 16", data=lambda: png(DEEP >> 4),
        pixels=lambda: ((DEEP >> 4) / 257).round().astype(np.uint8), note="^1 16-bit images use 12 bits at most",
    ),
    Picture(number="12", name="RGB of equal channels", data=lambda: png(np.dstack([HERE] * 3)), pixels=lambda: HERE),
    Picture(number="13", name="true colours", data=lambda: png(COLOUR), pixels=shades, off=1),
    Picture(
        number="14a", name="RGBA that shows nothing", data=lambda: with_alpha(0),
        pixels=lambda: np.zeros_like(HERE), note="^1 images have a single shade$",
    ),
    Picture(
        number="14b", name="LA that shows nothing", data=lambda: with_alpha(0, grey=True),
        pixels=lambda: np.zeros_like(HERE), note="^1 images have a single shade$",
    ),
    Picture(number="14c", name="RGBA in full", data=lambda: with_alpha(255), pixels=lambda: HERE),
    Picture(number="15a", name="a palette", data=palette, pixels=lambda: 255 - HERE),
    Picture(number="15b", name="one bit", data=one_bit, reason="^1 bit per pixel"),
    Picture(number="15c", name="a palette of two", data=lambda: palette(1), reason="^1 bit per pixel"),
    Picture(number="16", name="turned by EXIF", data=turned, pixels=lambda: HERE),
    Picture(
        number="16b", name="turned and not square", size=(8, 16),
        data=lambda: png(np.ascontiguousarray(np.rot90(HERE[:, :8])), chunk(b"eXIf", exif(6))),
    ),
    Picture(number="17", name="animated", data=animated, reason="^animated PNG$"),
    Picture(
        number="18a", name="a bomb of 12000", data=lambda: bomb(12_000, 12_000), reason="^too large: 12000 x 12000",
    ),
    Picture(
        number="18b", name="a bomb of 100000", data=lambda: bomb(100_000, 100_000),
        reason="100000 pixels, a side may",
    ),
    Picture(number="18c", name="deep and wide", data=lambda: bomb(7000, 7000, 16, 6), reason="^too large: 7000 x 7000"),
    Picture(
        number="19a", name="zTXt", data=lambda: inflated(b"zTXt", b"Comment\0\0"), pixels=lambda: HERE
    ),
    Picture(number="19b", name="iCCP", data=lambda: inflated(b"iCCP", b"icc\0\0"), pixels=lambda: HERE),
    Picture(number="19c", name="endless IDAT", data=too_much_data, pixels=lambda: HERE),
    Picture(number="20a", name="one pixel", data=sized(1, 1), reason="^too small: 1 x 1 pixels"),
    Picture(number="20b", name="a strip", data=sized(4000, 10), reason="^too narrow: 10 x 4000 pixels"),
    Picture(number="20c", name="no width", data=lambda: bomb(0, 5), reason="^empty: 0 x 5 pixels"),
    Picture(number="20d", name="a speck", data=sized(7, 7), reason="^too small: 7 x 7 pixels"),
    Picture(number="20e", name="the smallest", data=sized(8, 80), size=(80, 8)),
    Picture(number="21a", name="black", data=constant(0), pixels=lambda: np.zeros_like(HERE), note="single shade"),
    Picture(
        number="21b", name="white", data=constant(255), pixels=lambda: np.full_like(HERE, 255), note="single shade",
    ),
    Picture(number="21c", name="seven", data=constant(7), pixels=lambda: np.full_like(HERE, 7), note="single shade"),
    Picture(number="22", name="a zip behind it", data=lambda: whole() + b"PK\3\4" + bytes(64), pixels=lambda: HERE),
    Picture(number="22b", name="only a signature", data=lambda: SIGNATURE, reason="^truncated PNG$"),
]  # fmt: skip
