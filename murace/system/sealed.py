"""Sealed records: small JSON objects that carry the SHA-256 of their own bytes, so that damage is always detected.

What a record says of other files protects them; nothing above it protects the record. The seal is the object's last
key, over every byte before it: any flipped bit, even one that JSON would not mind, is found.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from murace.errors import DamagedError
from murace.system.files import PUBLIC, parse_json, write_bytes

SEAL = "seal"
LARGEST = 64 * 2**20  # bytes; the largest of ours, the note of a chunk of images, has some 20 KiB


def write_sealed(path: Path, values: Mapping[str, Any], *, mode: int = PUBLIC) -> None:
    """Write a JSON object with its seal, atomically; NaN is refused (use None)."""
    assert values, "nothing to seal"
    text = json.dumps({**values}, indent=1, ensure_ascii=False, allow_nan=False)
    head = text.removesuffix("\n}").encode()
    write_bytes(path, head + _seal_line(head), mode=mode)


def read_sealed(path: Path) -> dict[str, Any]:
    """Read a sealed object, without its seal.

    Raises:
        DamagedError: the file is not, to the byte, what `write_sealed` wrote.
    """
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    head = data[: -len(_seal_line(b""))]
    if len(data) > LARGEST or data != head + _seal_line(head):
        raise DamagedError(f"{path} is damaged, or of an older murace (its seal does not fit)")
    try:
        values: dict[str, Any] = parse_json(data)
    except ValueError as error:  # sealed, and yet not by us
        raise DamagedError(f"{path} is damaged ({error})") from error
    return {key: value for key, value in values.items() if key != SEAL}


def _seal_line(head: bytes) -> bytes:
    import hashlib  # noqa: PLC0415 - see `sha256` in `system.files`

    return f',\n "{SEAL}": "{hashlib.sha256(head).hexdigest()}"\n}}\n'.encode()
