"""The records of a step: `begun.json` while a run is unfinished, and `step.json`, written last, when it is complete."""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from murace import __version__
from murace.errors import DamagedError, WorkspaceError
from murace.system.files import digest_of, discard, sha256, sweep
from murace.system.sealed import read_sealed, write_sealed
from murace.workspace.paths import BEGUN, HISTORY, RECORD

SCHEMA = 2  # 1 had no seal
FACTS = f"{RECORD}:facts"  # a record's settings and results, as a part that a later step may consume
EPOCHS = f"{HISTORY}:epochs"  # the history without its clock, as a part that a later step may consume
# In `info`: how a run went, not what came out.
OPERATIONAL = ("seconds", "images_per_second", "compiled", "processes", "graph", "graph_reason")
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "opencv-python", "safetensors")


@dataclass(frozen=True, kw_only=True)
class Record:
    """The content of `step.json`.

    `step` is its place in the workspace (`train/resnet`). `produced` maps a file in the folder to its size, time and
    SHA-256; `parts` maps a part of such a file that a later step may consume alone (`roster.json:elbow`) to a digest,
    so that a change elsewhere in the file leaves that step current.
    """

    step: str
    params: dict[str, Any]
    consumed: dict[str, str]
    produced: dict[str, dict[str, Any]] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    seed: int | None = None
    device: str = "cpu"
    versions: dict[str, str] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    started: str = ""
    ended: str = ""
    schema: int = SCHEMA

    def digests(self, prefix: str) -> dict[str, str]:
        """What later steps may consume: name in the workspace -> SHA-256."""
        files = {name: entry["sha256"] for name, entry in self.produced.items()}
        digests = {**files, **self.parts, FACTS: self.facts}
        return {f"{prefix}/{name}": digest for name, digest in digests.items()}

    @property
    def facts(self) -> str:
        """A digest of the settings and the results, without clock and machine: two equal runs have the same."""
        info = {key: value for key, value in self.info.items() if key not in OPERATIONAL}
        return digest_of([self.params, info])


def read(folder: Path) -> Record | None:
    """The step's record, or None where the step has not been completed."""
    return _load(folder / RECORD)


def begun(folder: Path) -> Record | None:
    """The record of a run that has begun and not ended, or None."""
    return _load(folder / BEGUN)


def read_sound(folder: Path, record: Callable[[Path], Record | None] = read) -> Record | None:
    """The record (`read` or `begun`), or None also where it cannot be read, for a caller that need not say so."""
    try:
        return record(folder)
    except WorkspaceError:
        return None


def _load(path: Path) -> Record | None:
    if not path.is_file():
        return None
    try:
        values = read_sealed(path)
    except DamagedError as error:
        raise DamagedError(f"{error}; run its step again") from error
    if values.get("schema") != SCHEMA:
        raise WorkspaceError(f"{path} was not written by this version of murace; run its step again")
    try:
        record = Record(**values)
    except TypeError as error:
        raise DamagedError(f"{path} is damaged ({error}); run its step again") from error
    tables = (record.params, record.consumed, record.produced, record.parts, record.versions, record.info)
    if not all(isinstance(table, dict) for table in tables):
        raise DamagedError(f"{path} is damaged; run its step again")
    return record


def begin(folder: Path, step: str, params: Mapping[str, Any], consumed: Mapping[str, str]) -> str:
    """Write `begun.json` for a run of `step`; returns the start time, which a resumed run keeps."""
    sweep(folder, deep=True)
    try:
        unfinished = begun(folder)
    except DamagedError:  # `decide` has said so
        unfinished = None
    started = unfinished.started if unfinished else _now()
    record = Record(step=step, params=dict(params), consumed=dict(consumed), started=started)
    write_sealed(folder / BEGUN, asdict(record))
    return started


def complete(folder: Path, unfinished: Record, names: list[str], **results: Any) -> Record:
    """Write `step.json`, last, and take `begun.json` away: the `unfinished` run has produced `names`.

    `results` are the record's device, info and parts.
    """
    record = replace(
        unfinished,
        produced={name: _state(folder / name) for name in names},
        seed=unfinished.params.get("seed"),
        versions=_versions(),
        ended=_now(),
        **results,
    )
    write_sealed(folder / RECORD, asdict(record))
    (folder / BEGUN).unlink()
    return record


def forget(folder: Path, *scratch: Path) -> None:
    """Before a run from scratch: remove the unfinished run's `scratch` folders and `begun.json`. Finished files stay.

    `begun.json` goes last: until then a kill leaves an unfinished run, with or without its states, and never states
    alone.
    """
    for path in scratch:
        discard(path)
    (folder / BEGUN).unlink(missing_ok=True)


def _state(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {"size": status.st_size, "modified": status.st_mtime_ns, "sha256": sha256(path)}


def damaged(
    folder: Path, record: Record, names: tuple[str, ...] | None = None, *, trusts_from: int | None = None
) -> list[str]:
    """In words, which produced files are missing or not the bytes that were committed.

    `trusts_from`: a file of so many bytes or more whose size and time of change are the committed ones is not read.
    That is enough to say that there is nothing to do; whoever uses a file reads it.
    """
    found = []
    for name in names or tuple(record.produced):
        entry, path = record.produced.get(name), folder / name
        if entry is None or not path.is_file():
            found.append(f"{name} is missing")
            continue
        status = path.stat()
        is_trusted = trusts_from is not None and status.st_size >= trusts_from
        if is_trusted and (status.st_size, status.st_mtime_ns) == (entry["size"], entry["modified"]):
            continue
        if status.st_size != entry["size"] or sha256(path) != entry["sha256"]:
            found.append(f"{name} is damaged (its SHA-256 is not the recorded one)")
    return found


def _versions() -> dict[str, str]:
    """The versions of murace, Python and packages; one that another build provides (headless OpenCV) is left out."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow to load; a Tab press needs none

    found = {"murace": __version__, "python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
