"""Compressed DICOM pixel data: the size and the end of a JPEG, JPEG-LS or JPEG 2000 stream, and RLE decoding.

The size is read before a decoder runs, which would take as much memory as the stream asks for.

Formats: ITU-T T.81 annex B (JPEG), T.87 annex C (JPEG-LS), T.800 annexes A and I (JPEG 2000, its file format JP2),
DICOM PS3.5 annex G (RLE).
"""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from murace.data.images.header import ImageError

_JPEG, _JPEG_2000 = b"\xff\xd8\xff", b"\xff\x4f\xff\x51"
_END, _DATA_2000 = b"\xff\xd9", b"\xff\x93"
_BOXES = b"\0\0\0\x0cjP  \r\n\x87\n"
_FILL = b"\0 \xff"
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


def inspect(stream: bytes) -> tuple[Size, bytes]:
    """Read the size from the header of a JPEG, JPEG-LS or JPEG 2000 codestream, and find its end.

    Returns the size, and the codestream alone: without JP2 boxes around it, and without what comes after its end.

    Raises:
        ImageError: it is none of these, corrupt or truncated.
    """
    if stream.startswith(_BOXES):
        stream = _unboxed(stream)
    if stream.startswith(_JPEG):
        size, data = _jpeg(stream)
    elif stream.startswith(_JPEG_2000):
        size, data = _jpeg_2000(stream), stream.find(_DATA_2000)
    else:
        raise ImageError("corrupt DICOM: the compressed picture is none of the announced format")
    end = stream.rfind(_END, data) if data >= 0 else -1  # a header may hold the same two bytes
    if end < 0:
        raise ImageError("truncated DICOM: the compressed picture has no end")
    return size, stream[: end + len(_END)]


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


def _unboxed(stream: bytes) -> bytes:
    """The codestream in the boxes of a JP2 file, which DICOM does not allow (PS3.5 A.4.4) and some write."""
    position = 0
    while position + 8 <= len(stream):
        length, kind = struct.unpack_from(">I4s", stream, position)
        start = position + 8
        if length == 1 and start + 8 <= len(stream):
            (length,) = struct.unpack_from(">Q", stream, start)
            start += 8
        end = position + length if length else len(stream)
        if kind == b"jp2c":
            return stream[start:end]
        if end < start:
            break
        position = end
    raise ImageError("corrupt DICOM: JPEG 2000 boxes without a picture")


def _jpeg(stream: bytes) -> tuple[Size, int]:
    """The frame header's size, and where the first scan begins."""
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
            return sizes.pop(), position
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
    """PackBits, to `length` bytes; what fills up the segment after them does not count."""
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
    if len(found) != length or packed[position + 1 :].strip(_FILL):
        raise ImageError("corrupt DICOM: RLE data of another length than declared")
    return bytes(found)
