"""Words that nobody else writes, one for each place an identifier may come from, and every way to find them again."""

import base64
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

FOLDER = "CANARY_SMITH_19700101"  # a folder in the source
PLACE = "CANARY_WARD_7"  # a folder above the workspace and the source
VIEW = "CANARY_VIEW_NAME"  # a file's own name
BROKEN = "CANARY_BROKEN_FILE"  # the name of a file that cannot be read
PATIENT = "CANARY_PATIENT_42"
STUDY = "CANARY_STUDY_9"
NOTE = "CANARY_NOTE_EXTRA"  # a value in a column of the user's
SLICED = "CANARY_SCANNER_X"  # a value in a column that the user asks to slice by
TEXT = "CANARY_TEXT_CHUNK"  # PNG's tEXt, JPEG's comment
EXIF = "CANARY_EXIF_OWNER"
TAG = "CANARY_DICOM_TAG"
HOME = "CANARY_HOME_DIR"
USER = "CANARY_USER_NAME"
HOST = "CANARY_HOST_NAME"
UID = "1.2.826.0.1.56473829"  # a StudyInstanceUID; it may have digits alone
BORN = "19561231"
ALL = (FOLDER, PLACE, VIEW, BROKEN, PATIENT, STUDY, NOTE, SLICED, TEXT, EXIF, TAG, UID, BORN, HOME, USER, HOST)

LEAST = 8  # letters of base64
_DATA = re.compile(rb"data:[a-z/+]+;base64,([A-Za-z0-9+/=]+)")
_PNG, _ZIP = b"\x89PNG\r\n\x1a\n", b"PK\3\4"
_DEFLATED = {b"zTXt": 2, b"iCCP": 2, b"iTXt": 5}  # the least number of bytes before what is deflated


def found(data: bytes) -> set[str]:
    """The canaries in some bytes: as text in any case, in UTF-16, in base64, and inside pictures and pages."""
    return {name for name in ALL for part in _parts(data) if _holds(part.lower(), name)}


def found_in(folder: Path) -> dict[str, set[str]]:
    """File in `folder` -> the canaries in its name or its bytes, for all files that hold any."""
    seen = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    hits = {
        name: found(name.encode()) | (found(path.read_bytes()) if path.is_file() else set())
        for name, path in seen.items()
    }
    return {name: words for name, words in hits.items() if words}


def _holds(data: bytes, name: str) -> bool:
    word = name.lower()
    plain = any(word.encode(code) in data for code in ("ascii", "utf-16-le", "utf-16-be"))
    return plain or any(piece in data for piece in _in_base64(name))


def _in_base64(name: str) -> Iterator[bytes]:
    """What is left of a word in base64 whatever stands before and after it; a short rest may be there by chance."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + name.encode())
        rest = text[4 * (before > 0) : -4].lower()
        if len(rest) >= LEAST:
            yield rest


def _parts(data: bytes) -> Iterator[bytes]:
    yield data
    for match in _DATA.finditer(data):
        yield from _parts(base64.b64decode(match[1]))
    if data.startswith(_PNG):
        yield from _deflated(data)


def _deflated(data: bytes) -> Iterator[bytes]:
    """The texts of a PNG that are compressed."""
    place = len(_PNG)
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        for start in range(_DEFLATED.get(kind, len(body)), len(body)):
            try:
                yield zlib.decompress(body[start:])
                break
            except zlib.error:
                continue
        place += length + 12
