"""How the one file is written: in one pass, whole or not at all."""

import hashlib
import io
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from murace.errors import WorkspaceError
from murace.inference.bundle.layout import MANIFEST, MAX_ALL, Entry, directory, length
from murace.inference.bundle.manifest import File, Manifest
from murace.system.files import DigestWriter, atomic

CHUNK = 2**20
Sources = Mapping[str, bytes | Path]  # name in the container -> what stands in it, or the file that holds it


def write_bundle(path: Path, manifest: Manifest, sources: Sources) -> None:
    """Write the container; the same content gives the same bytes.

    Raises:
        WorkspaceError: a source is not what the manifest says of it, or all together are too large.
        MachineError: the disk is full or the folder cannot be written to.
    """
    text = manifest.dump()
    sha256 = hashlib.sha256(text).hexdigest()
    if length([(MANIFEST, len(text)), *((file.name, file.size) for file in manifest.files)]) > MAX_ALL:
        raise WorkspaceError(f"the ensemble is too large for one file: {path} would have 4 GiB or more")
    own = File(name=MANIFEST, size=len(text), sha256=sha256)
    with atomic(path) as target:
        entries = [_put(target, own, text), *(_put(target, file, sources[file.name]) for file in manifest.files)]
        target.write(directory(entries, sha256))


def _put(target: DigestWriter, file: File, source: bytes | Path) -> Entry:
    """Write an entry; its bytes are read twice, since their checksum stands before them."""
    crc = 0
    for chunk in _chunks(source):
        crc = zlib.crc32(chunk, crc)
    entry = Entry(file.name, file.size, crc)
    target.write(entry.local)
    digest, size, again = hashlib.sha256(), 0, 0
    for chunk in _chunks(source):
        digest.update(chunk)
        again, size = zlib.crc32(chunk, again), size + len(chunk)
        target.write(chunk)
    if (size, digest.hexdigest(), again) != (file.size, file.sha256, crc):
        raise WorkspaceError(f"{file.name} changed while it was written: run the same command again")
    return entry


def _chunks(source: bytes | Path) -> Iterator[bytes]:
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
