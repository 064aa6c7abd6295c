"""A tiny file to hand over: the true form, with payloads of a few bytes."""

import hashlib
import zlib
from pathlib import Path

from murace.inference.bundle.layout import MANIFEST, Entry, directory
from murace.inference.bundle.manifest import Data, File, Manifest, Net, names_of
from murace.inference.bundle.write import write_bundle

NET = Net(learner="resnet", width=0.1, head="gap", size=64, precision="fp32")


def sources(groups: tuple[str, ...] = ("elbow",)) -> dict[str, bytes]:
    net = NET if len(groups) > 1 else None
    return {name: f"<{name}>".encode() for name in names_of(dict.fromkeys(groups, NET), net)}


def manifest(groups: tuple[str, ...] = ("elbow",), parts: dict[str, bytes] | None = None) -> Manifest:
    parts = parts or sources(groups)
    return Manifest(
        murace="0.1.0",
        fit="squash",
        data=Data(synthetic=True, patient_level_split=True),
        groups=dict.fromkeys(groups, NET),
        recogniser=NET if len(groups) > 1 else None,
        files=tuple(
            File(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest()) for name, data in parts.items()
        ),
    )


def write(path: Path, groups: tuple[str, ...] = ("elbow",)) -> bytes:
    """Write it; returns its bytes."""
    write_bundle(path, manifest(groups), sources(groups))
    return path.read_bytes()


def pack(text: bytes, payloads: dict[str, bytes]) -> bytes:
    """The container around any manifest and files, consistent in itself: what whoever knows the format can write."""
    entries = {Entry(name, len(data), zlib.crc32(data)): data for name, data in {MANIFEST: text, **payloads}.items()}
    head = b"".join(entry.local + data for entry, data in entries.items())
    return head + directory(list(entries), hashlib.sha256(text).hexdigest())
