"""Check a JPEG file marker by marker: size, precision, orientation, and whether its end is there; strip what follows.

Format: ITU-T T.81, annex B. Own code: decoders let truncated files pass, and the end has to be found to strip what
follows it. JPEG has no checksum: a bit that flips inside the entropy-coded data without making a marker cannot be
detected.
"""

import re
import struct
from collections.abc import Iterator

from murace.data.images.header import UPRIGHT, Header, ImageError, check_size, orientation_of

SIGNATURE = b"\xff\xd8\xff"
_END, _SCAN, _APP1 = 0xD9, 0xDA, 0xE1
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_EXIF = b"Exif\0\0"
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # inside a scan, FF 00 is data and D0-D7 are restarts


def inspect(data: bytes) -> Header:
    """Walk over all segments up to the end marker; bytes after it are left out.

    Raises:
        ImageError: truncated, corrupt, not 8 bits deep or too large.
    """
    size, orientation, scans, end = None, UPRIGHT, 0, len(data)
    for marker, start, end in _segments(data):
        body = data[start:end]
        if marker in _FRAMES:
            size = _size(body)
        elif marker == _APP1 and body.startswith(_EXIF):
            orientation = orientation_of(body[len(_EXIF) :])
        scans += marker == _SCAN
    if size is None or not scans:
        raise ImageError("corrupt JPEG: no image data")
    return Header(*size, orientation, data[:end])


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Each marker with the start and end of its body; a scan's data belong to no body."""
    position = 2
    while True:
        while data[position : position + 2] == b"\xff\xff":  # fill bytes
            position += 1
        if position + 2 > len(data):
            raise ImageError("truncated JPEG")
        if data[position] != 0xFF:
            raise ImageError(f"corrupt JPEG: no marker at byte {position}")
        marker, start = data[position + 1], position + 4
        if marker == _END:
            yield marker, position + 2, position + 2
            return
        if start > len(data):
            raise ImageError("truncated JPEG")
        position = position + 2 + struct.unpack_from(">H", data, position + 2)[0]
        if position < start or position > len(data):
            raise ImageError("truncated JPEG" if position > len(data) else "corrupt JPEG: a segment without length")
        yield marker, start, position
        if marker == _SCAN:
            found = _MARKER.search(data, position)
            if found is None:
                raise ImageError("truncated JPEG")
            position = found.start()


def _size(body: bytes) -> tuple[int, int]:
    if len(body) < 6:
        raise ImageError("corrupt JPEG: no frame header")
    depth, height, width, components = struct.unpack_from(">BHHB", body)
    if depth != 8:
        raise ImageError(f"JPEG of {depth} bits: only 8 can be read; save it as a 16-bit PNG")
    check_size(width, height, max(components, 1))
    return width, height
