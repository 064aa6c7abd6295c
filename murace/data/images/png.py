"""Check a PNG file chunk by chunk, and strip it to the chunks that hold the image.

Format: W3C, Portable Network Graphics Specification (Third Edition), sections 5 and 11. Own code: decoders let damaged
files pass, and a file has to be taken apart anyway to strip it.
"""

import struct
import zlib
from collections.abc import Iterator

from murace.data.images.header import UPRIGHT, Header, ImageError, check_size, orientation_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # colour type -> samples per decoded pixel
_GREY, _GREY_ALPHA, _RGB_ALPHA = 0, 4, 6
# Only these reach the decoder: what it might make of text, colour profiles or frames cannot matter then.
_ESSENTIAL = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}


def inspect(data: bytes) -> Header:
    """Walk over all chunks up to IEND and verify their checksums; bytes after IEND are left out.

    Raises:
        ImageError: truncated, corrupt, animated or too large.
    """
    essential, orientation = [SIGNATURE], UPRIGHT
    kinds: set[bytes] = set()
    for kind, start, end in _chunks(data):
        if not kinds:
            width, height = _size(kind, data[start + 8 : end - 4])
        kinds.add(kind)
        if kind == b"acTL":
            raise ImageError("animated PNG")
        if kind == b"eXIf":
            orientation = orientation_of(data[start + 8 : end - 4])
        if kind in _ESSENTIAL:
            essential.append(data[start:end])
    if b"IDAT" not in kinds:
        raise ImageError("corrupt PNG: no image data")
    if b"tRNS" in kinds and data[25] == _GREY:
        raise ImageError("grey PNG with a transparent shade: save it without transparency")
    return Header(width, height, orientation, b"".join(essential))


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The kind, start and end of every chunk."""
    start, view = len(SIGNATURE), memoryview(data)
    while True:
        if start + 12 > len(data):
            raise ImageError("truncated PNG")
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        if end > len(data):
            raise ImageError("truncated PNG")
        if zlib.crc32(view[start + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            # Four letters, as the format has it; any other bytes could steer a terminal.
            raise ImageError(f"corrupt PNG: wrong checksum in a chunk{f' {kind.decode()}' if kind.isalpha() else ''}")
        yield kind, start, end
        if kind == b"IEND":
            return
        start = end


def _size(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind != b"IHDR" or len(body) != 13:
        raise ImageError("corrupt PNG: no header chunk")
    width, height, depth, colour = struct.unpack_from(">IIBB", body)
    if colour not in _SAMPLES or depth not in (1, 2, 4, 8, 16):
        raise ImageError(f"corrupt PNG: colour type {colour} with {depth} bits")
    if depth == 1:
        raise ImageError("1 bit per pixel: black and white is no radiograph; save it with its shades")
    samples = _SAMPLES[colour] if colour != _GREY_ALPHA else _SAMPLES[_RGB_ALPHA]  # OpenCV widens grey with alpha
    check_size(width, height, samples * max(1, depth // 8))
    return width, height
