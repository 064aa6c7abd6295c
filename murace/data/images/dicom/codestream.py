"""Compressed DICOM pixel data: the size in the header of a JPEG, JPEG-LS or JPEG 2000 stream, and RLE decoding.

The size is read before a decoder runs, which would take as much memory as the stream asks for.

Formats: ITU-T T.81 annex B (JPEG), T.87 annex C (JPEG-LS), T.800 annex A (JPEG 2000), DICOM PS3.5 annex G (RLE).
"""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from murace.data.images.header import ImageError

_JPEG, _JPEG_2000 = b"\xff\xd8\xff", b"\xff\x4f\xff\x51"
_END = b"\xff\xd9"
_SCAN, _LS_PARAMETERS, _LS_OVERSIZE = 0xDA, 0xF8, 4
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_LONGEST = 64 * 2  # decoded bytes per two bytes of RLE


@dataclass(frozen=True)
class Size:
    """Pixels across and down, samples per pixel, and bits per sample."""

    width: int
    height: int
    samples: int
    bits: int


def size_of(stream: bytes) -> Size:
    """Read the size from the header of a JPEG, JPEG-LS or JPEG 2000 codestream, and check that its end is there.

    Raises:
        ImageError: it is none of these, corrupt or truncated.
    """
    if stream.startswith(_JPEG):
        size = _jpeg(stream)
    elif stream.startswith(_JPEG_2000):
        size = _jpeg_2000(stream)
    else:
        raise ImageError("corrupt DICOM: the compressed picture is none of the announced format")
    if not stream.rstrip(b"\0\xff").endswith(_END):  # both are used to fill up to an even length
        raise ImageError("truncated DICOM: the compressed picture has no end")
    return size


def unpack_rle(stream: bytes, *, pixels: int, planes: int) -> npt.NDArray[np.uint8]:
    """Decode RLE Lossless to one row of bytes per plane, uint8 [planes, pixels]; never more than was declared.

    Raises:
        ImageError: the data are corrupt, or hold more or less than `planes` times `pixels` bytes.
    """
    if len(stream) < 64:
        raise ImageError("truncated DICOM: RLE without a header")
    count, *offsets = struct.unpack("<16I", stream[:64])
    ends = [*offsets[1:count], len(stream)]
    if count != planes or any(not 64 <= low <= high <= len(stream) for low, high in zip(offsets, ends, strict=False)):
        raise ImageError("corrupt DICOM: RLE with wrong segments")
    parts = [_unpacked(stream[low:high], pixels) for low, high in zip(offsets, ends, strict=False)]
    return np.frombuffer(b"".join(parts), np.uint8).reshape(planes, pixels)


def _jpeg(stream: bytes) -> Size:
    """The frame header's size, found before the first scan."""
    sizes: set[Size] = set()
    position = 2
    while position + 4 <= len(stream):
        if stream[position] != 0xFF:
            break
        marker = stream[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker == _SCAN and len(sizes) == 1:
            return sizes.pop()
        (length,) = struct.unpack_from(">H", stream, position + 2)
        body = stream[position + 4 : position + 2 + length]
        if marker in _FRAMES:
            sizes.add(_frame(body))
        if marker == _LS_PARAMETERS and body[:1] == bytes([_LS_OVERSIZE]):
            break
        position += 2 + max(length, 2)
    raise ImageError("corrupt DICOM: a JPEG without a header that can be read")


def _frame(body: bytes) -> Size:
    if len(body) < 6:
        raise ImageError("corrupt DICOM: a JPEG without a header that can be read")
    bits, height, width, samples = struct.unpack_from(">BHHB", body)
    return Size(width, height, samples, bits)


def _jpeg_2000(stream: bytes) -> Size:
    """The SIZ segment, which comes first."""
    try:
        right, below, left, top, *_, samples = struct.unpack_from(">8IH", stream, 8)
        kinds = struct.unpack_from(f">{3 * samples}B", stream, 42)
    except struct.error:
        raise ImageError("truncated DICOM: JPEG 2000 without a header") from None
    bits = {(kind & 0x7F) + 1 for kind in kinds[::3]}
    steps = {*kinds[1::3], *kinds[2::3]}
    if len(bits) != 1 or steps != {1}:
        raise ImageError("corrupt DICOM: JPEG 2000 with samples of different kinds")
    return Size(right - left, below - top, samples, bits.pop())


def _unpacked(packed: bytes, length: int) -> bytes:
    """PackBits, to `length` bytes; one more packed byte may fill up to an even length."""
    if len(packed) * _LONGEST < length:
        raise ImageError("truncated DICOM: RLE data end early")
    found, position = bytearray(), 0
    while len(found) < length and position + 1 < len(packed):
        head = packed[position]
        if head < 128:
            found += packed[position + 1 : position + 2 + head]
            position += 2 + head
        else:
            if head > 128:
                found += packed[position + 1 : position + 2] * (257 - head)
            position += 1 if head == 128 else 2
    if len(found) != length or position + 1 < len(packed):
        raise ImageError("corrupt DICOM: RLE data of another length than declared")
    return bytes(found)
