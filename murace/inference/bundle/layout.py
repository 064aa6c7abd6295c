"""The container, byte for byte: a zip whose entries are stored, and in which nothing is left to choose.

PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.16 (its end), without
zip64, extra fields, comments of entries, encryption and compression. The comment of the whole holds the manifest's
digest.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

MANIFEST = "manifest.json"
MARK = b"murace-bundle-1 sha256="
COMMENT = len(MARK) + 64
MAX_MANIFEST = 2**20
MAX_FILE = 2**30
MAX_ALL = 2**32 - 2  # from 2^32 - 1 on a zip needs other fields

_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")
_VERSION = 20  # 2.0: what stored entries need
_UNIX = 3 << 8
_MIDNIGHT, _NEW_YEAR_1980 = 0, 1 << 5 | 1  # the first time that the format can tell
_REGULAR_FILE = 0o100644 << 16
TAIL = _END.size + COMMENT


@dataclass(frozen=True)
class Entry:
    """A file in the container: its size in bytes and the CRC-32 of its bytes."""

    name: str
    size: int
    crc: int

    @property
    def local(self) -> bytes:
        """What stands before its bytes."""
        fields = (_VERSION, 0, 0, _MIDNIGHT, _NEW_YEAR_1980, self.crc, self.size, self.size, len(self.name), 0)
        return _LOCAL.pack(b"PK\3\4", *fields) + self.name.encode("ascii")

    def central(self, offset: int) -> bytes:
        """Its line in the directory; `offset` is where its local header begins."""
        times = (_MIDNIGHT, _NEW_YEAR_1980)
        fields = (_UNIX | _VERSION, _VERSION, 0, 0, *times, self.crc, self.size, self.size, len(self.name))
        return _CENTRAL.pack(b"PK\1\2", *fields, 0, 0, 0, 0, _REGULAR_FILE, offset) + self.name.encode("ascii")


def header_size(name: str) -> int:
    """The bytes of a local header."""
    return _LOCAL.size + len(name)


def length(sizes: Sequence[tuple[str, int]]) -> int:
    """The bytes of a container with files of these names and sizes."""
    return sum(_LOCAL.size + _CENTRAL.size + 2 * len(name) + size for name, size in sizes) + TAIL


def directory(entries: Sequence[Entry], manifest_sha256: str) -> bytes:
    """Everything after the last file's bytes."""
    lines, offset = [], 0
    for entry in entries:
        lines.append(entry.central(offset))
        offset += len(entry.local) + entry.size
    text, count = b"".join(lines), len(entries)
    end = _END.pack(b"PK\5\6", 0, 0, count, count, len(text), offset, COMMENT)
    return text + end + MARK + manifest_sha256.encode("ascii")


def recorded_size(local: bytes) -> int:
    """The size that a local header tells."""
    size: int = _LOCAL.unpack_from(local)[8]
    return size


def recorded_digest(tail: bytes) -> str | None:
    """The manifest's digest in the last `TAIL` bytes of a container; None where they are something else."""
    is_ours = tail.startswith(b"PK\5\6") and tail[_END.size :].startswith(MARK)
    return tail[-64:].decode("ascii", errors="replace") if is_ours else None
