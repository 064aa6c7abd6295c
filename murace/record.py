"""Is a step current, why not, and the commit that makes it so.

A step's folder holds two small records. `begun.json` is written when work starts and says what the run is about;
`step.json` is written last and means "complete". Both name the semantic parameters and the digests of what was
consumed, so the next invocation can tell done from unfinished from changed, and say why.
"""

import fcntl
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from murace import __version__
from murace.errors import WorkspaceError
from murace.files import disk_error, read_json, sha256, sweep, write_json
from murace.watch import Watch
from murace.workspace import BEGUN, RECORD

SCHEMA = 1
EXTENDABLE = "epochs"  # more of these continues a finished run instead of starting over
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "opencv-python", "safetensors")


class State(StrEnum):
    """What a step's folder amounts to."""

    MISSING = "missing"
    PARTIAL = "partial"
    STALE = "stale"
    DAMAGED = "damaged"
    DONE = "done"


class Action(StrEnum):
    """What a step has to do now."""

    SKIP = "skip"
    RESUME = "resume"
    RUN = "run"


@dataclass(frozen=True, kw_only=True)
class Record:
    """The content of `step.json`.

    `produced` maps a file in the folder to its size and SHA-256; `parts` maps what a child may consume of such a file
    alone (`roster.json:elbow`) to a digest, so that a change elsewhere in it leaves the child current.
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
        """What there is to consume: name in the workspace -> SHA-256."""
        files = {name: entry["sha256"] for name, entry in self.produced.items()}
        return {f"{prefix}/{name}": digest for name, digest in {**files, **self.parts}.items()}


@dataclass(frozen=True)
class Wish:
    """What the user said about running again: `resume` None is "as fits", True "must resume", False "start over"."""

    resume: bool | None = None
    force: bool = False


@dataclass(frozen=True)
class Plan:
    """The decision, and the reasons in words."""

    action: Action
    reasons: tuple[str, ...] = ()


def read(folder: Path) -> Record | None:
    """The step's record, or None where the step has not been completed."""
    return _load(folder / RECORD)


def begun(folder: Path) -> Record | None:
    """The record of a run that has begun and not ended, or None."""
    return _load(folder / BEGUN)


def _load(path: Path) -> Record | None:
    if not path.is_file():
        return None
    values = read_json(path)
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise WorkspaceError(f"{path} was not written by this version of murace; run its step again with --fresh")
    try:
        return Record(**values)
    except TypeError as error:
        raise WorkspaceError(f"{path} is damaged ({error}); run its step again with --fresh") from error


def differences(old: Record, params: Mapping[str, Any], consumed: Mapping[str, str]) -> list[str]:
    """In words, how what is asked for now differs from `old`."""
    found = [
        f"--{key.replace('_', '-')} {old.params.get(key)} -> {params.get(key)}"
        for key in sorted({*old.params, *params})
        if old.params.get(key) != params.get(key)
    ]
    for name in sorted({*old.consumed, *consumed}):
        if name not in old.consumed:
            found.append(f"{name} is new")
        elif name not in consumed:
            found.append(f"{name} is gone")
        elif old.consumed[name] != consumed[name]:
            found.append(f"{name} has changed")
    return found


def decide(folder: Path, params: Mapping[str, Any], consumed: Mapping[str, str], wish: Wish) -> Plan:
    """Whether to skip, resume or run, in this order.

    1. `--fresh`: run. 2. An unfinished run: resume it if it is about the same thing, else refuse. 3. No finished run:
    run. 4. A finished run: run for a change or `--force`; resume for more epochs or a damaged file; else skip.

    Raises:
        WorkspaceError: an unfinished run differs from what is asked for, or `--resume` finds nothing.
    """
    if wish.resume is False:
        return Plan(Action.RUN, ("--fresh: starting over",))
    unfinished = begun(folder)
    if unfinished is not None:
        changes = differences(_extended(unfinished, params), params, consumed)
        if changes:
            raise WorkspaceError(
                f"an unfinished run in {folder} differs: {'; '.join(changes)}. "
                "Run with the old settings to finish it, or with --fresh to start over"
            )
        return Plan(Action.RESUME)
    done = read(folder)
    if done is None:
        if wish.resume:
            raise WorkspaceError(f"nothing to resume in {folder}: run the same command without --resume")
        return Plan(Action.RUN)
    changes = differences(_extended(done, params), params, consumed)
    if changes:
        return Plan(Action.RUN, tuple(changes))
    if wish.force:
        return Plan(Action.RUN, ("--force",))
    if done.params.get(EXTENDABLE) != params.get(EXTENDABLE):
        return Plan(Action.RESUME, (f"--{EXTENDABLE} {done.params[EXTENDABLE]} -> {params[EXTENDABLE]}",))
    damage = damaged(folder, done)
    return Plan(Action.RESUME, tuple(damage)) if damage else Plan(Action.SKIP)


def _extended(old: Record, params: Mapping[str, Any]) -> Record:
    """`old` as if it had asked for as many epochs as now, when now asks for more."""
    before, now = old.params.get(EXTENDABLE), params.get(EXTENDABLE)
    if before is None or now is None or now <= before:
        return old
    return Record(**{**asdict(old), "params": {**old.params, EXTENDABLE: now}})


def damaged(folder: Path, record: Record, names: tuple[str, ...] | None = None) -> list[str]:
    """In words, which produced files are missing or not the bytes that were committed."""
    found = []
    for name in names or tuple(record.produced):
        entry, path = record.produced.get(name), folder / name
        if entry is None or not path.is_file():
            found.append(f"{name} is missing")
        elif path.stat().st_size != entry["size"] or sha256(path) != entry["sha256"]:
            found.append(f"{name} is damaged (its SHA-256 is not the recorded one)")
    return found


def require(folder: Path, mend: str, names: tuple[str, ...] | None = None) -> Record:
    """The record of a parent step, checked: complete, built on what is there now, and `names` (default: all) intact.

    Raises:
        WorkspaceError: it is missing, unfinished, stale or damaged; the message ends with `mend`, the command to run.
    """
    state, reasons = examine(folder)
    name = folder.name if folder.parent.name not in ("train", "finetune") else f"{folder.parent.name}/{folder.name}"
    if state is not State.DONE:
        why = f" ({'; '.join(reasons)})" if reasons else ""
        adjective = "unfinished" if state is State.PARTIAL else state
        raise WorkspaceError(f"{name} in {_root(folder)} is {adjective}{why}. Run: {mend}")
    record = read(folder)
    assert record is not None
    damage = damaged(folder, record, names)
    if damage:
        raise WorkspaceError(f"{name} in {_root(folder)} is damaged: {'; '.join(damage)}. Run: {mend}")
    return record


def examine(folder: Path) -> tuple[State, list[str]]:
    """The state of a step's folder with reasons, without reading its large files."""
    if begun(folder) is not None:
        return State.PARTIAL, ["a run was interrupted"]
    record = read(folder)
    if record is None:
        return State.MISSING, []
    reasons = [
        f"{name} is missing" if not (folder / name).is_file() else f"{name} has another size"
        for name, entry in record.produced.items()
        if not (folder / name).is_file() or (folder / name).stat().st_size != entry["size"]
    ]
    if reasons:
        return State.DAMAGED, reasons
    reasons = _outdated(_root(folder), record)
    return (State.STALE, reasons) if reasons else (State.DONE, [])


def _outdated(root: Path, record: Record) -> list[str]:
    """Which consumed artifacts are no longer what stands in the workspace, parents of parents included."""
    reasons: list[str] = []
    parents: dict[Path, tuple[Record | None, tuple[State, list[str]]]] = {}
    for name, digest in record.consumed.items():
        if name.count("/") == 0:
            continue  # the source: only `prepare` can look at it
        folder = (root / name).parent
        if folder not in parents:
            parents[folder] = (read(folder), examine(folder))
        parent, (state, why) = parents[folder]
        now = parent.digests(folder.relative_to(root).as_posix()).get(name) if parent else None
        if now != digest:
            reasons.append(f"{name} has changed" if now else f"{name} is gone")
        elif state is State.STALE:
            reasons.append(f"{name} is stale itself: {why[0]}")
    return list(dict.fromkeys(reasons))


def _root(folder: Path) -> Path:
    return folder.parent.parent if folder.parent.name in ("train", "finetune") else folder.parent


def take_up(
    folder: Path,
    step: str,
    params: Mapping[str, Any],
    consumed: Mapping[str, str],
    *,
    wish: Wish,
    watch: Watch,
    scratch: Path | None = None,
) -> Plan:
    """Decide, say why, and unless there is nothing to do note that the run has begun; `scratch` goes before a new run.

    Raises:
        WorkspaceError: see `decide`.
    """
    plan = decide(folder, params, consumed, wish)
    for reason in plan.reasons:
        watch.say(f"{step}: {reason}")
    if plan.action is Action.RUN:
        forget(folder, *([scratch] if scratch else []))
    if plan.action is not Action.SKIP:
        begin(folder, step.partition("/")[0], params, consumed)
    return plan


def begin(folder: Path, step: str, params: Mapping[str, Any], consumed: Mapping[str, str]) -> str:
    """Note on disk that a run of `step` has begun; returns the start time, kept over resumes."""
    unfinished = begun(folder)
    started = unfinished.started if unfinished else _now()
    record = Record(step=step, params=dict(params), consumed=dict(consumed), started=started)
    write_json(folder / BEGUN, asdict(record))
    return started


def commit(
    folder: Path,
    names: list[str],
    *,
    device: str = "cpu",
    info: Mapping[str, Any] | None = None,
    parts: Mapping[str, str] | None = None,
) -> Record:
    """Write `step.json`, last: the run that `begin` noted is complete and produced `names` (and `parts` of them)."""
    note = begun(folder)
    assert note is not None, "commit without begin"
    record = Record(
        step=note.step,
        params=note.params,
        consumed=note.consumed,
        produced={name: {"size": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in names},
        parts=dict(parts or {}),
        seed=note.params.get("seed"),
        device=device,
        versions=_versions(),
        info=dict(info or {}),
        started=note.started,
        ended=_now(),
    )
    write_json(folder / RECORD, asdict(record))
    (folder / BEGUN).unlink()
    return record


def forget(folder: Path, *scratch: Path) -> None:
    """Before a run from scratch: drop the unfinished run's note and its `scratch` folders. Finished files stay."""
    (folder / BEGUN).unlink(missing_ok=True)
    for path in scratch:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the step's folder for one writer, by a kernel lock that dies with its process.

    Raises:
        WorkspaceError: another process holds it; the message says which.
        MachineError: the folder cannot be made or written to.
    """
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = path.read_text(errors="replace").strip() or "another process"
            raise WorkspaceError(f"{folder} is in use by {holder}: wait for it, or end that process") from None
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {_now()}".encode(), 0)
        except OSError as error:
            raise disk_error(error, path) from error
        sweep(folder)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _versions() -> dict[str, str]:
    """What ran; a package that another build provides (a headless OpenCV) is left out."""
    found = {"murace": __version__, "python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
