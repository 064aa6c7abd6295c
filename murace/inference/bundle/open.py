"""How the one file is opened: every byte is checked before anything in it is believed."""

import hashlib
import os
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from murace.errors import WorkspaceError
from murace.inference.bundle.layout import (
    MANIFEST,
    MAX_ALL,
    MAX_MANIFEST,
    TAIL,
    Entry,
    directory,
    header_size,
    length,
    recorded_digest,
    recorded_size,
)
from murace.inference.bundle.manifest import File, Manifest, parse
from murace.inference.bundle.write import CHUNK

NOT_OURS = "it is no file of murace export, or its end is missing or changed"


@dataclass(frozen=True)
class Bundle:
    """An opened file: what it says of itself, and its content where asked for.

    `identity` is the SHA-256 of the manifest, which names every other file by its own: who has the same has the same
    ensemble.
    """

    path: Path
    identity: str
    manifest: Manifest
    places: Mapping[str, int]  # where each file's bytes begin

    def read(self, name: str) -> bytes:
        """A file's bytes, checked anew: what was opened may have been exchanged since.

        Raises:
            WorkspaceError: they are no longer those that were opened.
        """
        file = next(file for file in self.manifest.files if file.name == name)
        try:
            with self.path.open("rb") as stream:
                stream.seek(self.places[name])
                data = stream.read(file.size)
        except OSError as error:
            raise WorkspaceError(f"{self.path} cannot be read any more: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise WorkspaceError(f"{self.path} has changed since it was opened ({name}): run the same command again")
        return data


def is_bundle(path: Path) -> bool:
    """Whether a file is one of ours by its end, be it damaged or not."""
    try:
        with _open(path) as stream:
            return recorded_digest(_last(stream)) is not None
    except (WorkspaceError, OSError):
        return False


def open_bundle(path: Path) -> Bundle:
    """Check every byte of a file of ours and tell what it holds; nothing of it is loaded.

    The bytes between the files follow from the manifest, so they are not interpreted but compared: whatever else a
    zip can say (further entries, other names, compression, links) is a difference. Neither memory nor time goes beyond
    what the file's own length allows.

    Raises:
        WorkspaceError: it is missing, damaged, or was not written by murace; the message says why.
    """
    try:
        with _open(path) as stream:
            return _checked(path, stream)
    except ValueError as error:
        raise WorkspaceError(f"{path} is refused: {error}. Nothing was loaded; get the file anew") from error
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be read: {error.strerror}") from error


def _open(path: Path) -> IO[bytes]:
    """A pipe or a device is never opened: it might never answer."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise WorkspaceError(f"{path} is not a file")
        return path.open("rb")
    except FileNotFoundError:
        raise WorkspaceError(f"{path} is missing: murace export writes such a file") from None
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be read: {error.strerror}") from None


def _last(stream: IO[bytes]) -> bytes:
    size = os.fstat(stream.fileno()).st_size
    stream.seek(max(0, size - TAIL))
    return stream.read(TAIL)


def _checked(path: Path, stream: IO[bytes]) -> Bundle:
    actual = os.fstat(stream.fileno()).st_size
    identity = recorded_digest(_last(stream))
    if identity is None:
        _refuse(NOT_OURS)
    text, manifest = _manifest(stream, identity)
    sizes = [(MANIFEST, len(text)), *((file.name, file.size) for file in manifest.files)]
    if actual != length(sizes) or actual > MAX_ALL:
        _refuse(f"it has {actual:,} bytes instead of {length(sizes):,}: something is missing or was added")
    entries, places = [_entry(stream, File(name=MANIFEST, size=len(text), sha256=identity), 0)], {}
    for file in manifest.files:
        start = stream.tell()
        places[file.name] = start + header_size(file.name)
        entries.append(_entry(stream, file, start))
    rest = directory(entries, identity)
    if stream.read(len(rest) + 1) != rest:
        _refuse("its directory is not the one that murace writes: it was changed or packed anew")
    return Bundle(path, identity, manifest, places)


def _manifest(stream: IO[bytes], identity: str) -> tuple[bytes, Manifest]:
    """The manifest, once its digest agrees with the one at the end."""
    stream.seek(0)
    header = stream.read(header_size(MANIFEST))
    is_whole = len(header) == header_size(MANIFEST) and header.endswith(MANIFEST.encode())
    if not is_whole or not header.startswith(b"PK\3\4") or recorded_size(header) > MAX_MANIFEST:
        _refuse("it does not begin with its manifest")
    text = stream.read(recorded_size(header))
    if hashlib.sha256(text).hexdigest() != identity:
        _refuse("its manifest is damaged (its SHA-256 is not the recorded one)")
    try:
        return text, parse(text)
    except ValueError as error:
        raise ValueError(f"its manifest is not valid: {error}") from error


def _entry(stream: IO[bytes], file: File, start: int) -> Entry:
    """Read an entry through, in small pieces, and compare its bytes and its header; the stream is left behind it."""
    stream.seek(start)
    header = stream.read(header_size(file.name))
    digest, crc, left = hashlib.sha256(), 0, file.size
    while left and (chunk := stream.read(min(CHUNK, left))):
        digest.update(chunk)
        crc, left = zlib.crc32(chunk, crc), left - len(chunk)
    if digest.hexdigest() != file.sha256:
        _refuse(f"{file.name} in it is damaged (its SHA-256 is not the recorded one)")
    entry = Entry(file.name, file.size, crc)
    if header != entry.local:
        _refuse(f"the header of {file.name} is not the one that murace writes")
    return entry


def _refuse(why: str) -> NoReturn:
    raise ValueError(why)
