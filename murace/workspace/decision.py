"""Whether to skip, resume or run a step, and why."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from murace.errors import DamagedError, WorkspaceError
from murace.system.progress import Reporter
from murace.workspace.paths import BEGUN
from murace.workspace.record import Record, begin, begun, damaged, forget, read

DERIVED = ("learner", "groups")  # parameters that no option names
OPTIONS = {"metrics": "val-metrics"}  # whose option is called otherwise
EXTENDABLE = "epochs"  # more of these continues a finished run instead of starting over
LARGE = 2**28  # bytes; only `pixels.npy` is, and reading it takes seconds: to skip, its size and time are enough


class Action(StrEnum):
    """What a step has to do now."""

    SKIP = "skip"
    RESUME = "resume"
    RUN = "run"


@dataclass(frozen=True)
class Rerun:
    """What the user said about running again: `resume` None is "as fits", True "must resume", False "start over"."""

    resume: bool | None = None
    force: bool = False


@dataclass(frozen=True)
class Plan:
    """The decision, and the reasons in words."""

    action: Action
    reasons: tuple[str, ...] = ()


def decide(
    folder: Path, params: Mapping[str, Any], consumed: Mapping[str, str], rerun: Rerun, *, states: Path | None = None
) -> Plan:
    """Whether to skip, resume or run, in this order.

    1. `--fresh`: run. 2. An unfinished run: resume it if it is about the same thing, else refuse. 3. No finished run:
    run; but where there are saved `states`, whose record has gone, go on from them: they say themselves what they are
    about. 4. A finished run: run for a change or `--force`; resume for more epochs or a damaged file; else skip.
    A record of this very step that is damaged is as none, and said to be so.

    Raises:
        WorkspaceError: an unfinished run differs from what is asked for, or `--resume` finds nothing.
    """
    if rerun.resume is False:
        return Plan(Action.RUN, ("--fresh: starting over",))
    faults: list[str] = []
    unfinished, done = (_known(record, folder, faults) for record in (begun, read))
    if unfinished is not None:
        changes = differences(_extended(unfinished, params), params, consumed)
        if changes:
            raise WorkspaceError(
                f"an unfinished run in {folder} differs: {'; '.join(changes)}. "
                "Run with the old settings to finish it, or with --fresh to start over"
            )
        return Plan(Action.RESUME)
    if done is None or faults:
        if states is not None and _has_files(states):
            return Plan(Action.RESUME, (*faults, "going on from what is saved"))
        if rerun.resume:
            raise WorkspaceError(f"nothing to resume in {folder}: run the same command without --resume")
        return Plan(Action.RUN, tuple(faults))
    changes = differences(_extended(done, params), params, consumed)
    if changes and rerun.resume:
        raise WorkspaceError(f"nothing to resume in {folder}: {'; '.join(changes)}. Run without --resume to run afresh")
    if changes:
        return Plan(Action.RUN, tuple(changes))
    if rerun.force:
        return Plan(Action.RUN, ("--force",))
    if done.params.get(EXTENDABLE) != params.get(EXTENDABLE):
        return Plan(Action.RESUME, (f"--{EXTENDABLE} {done.params[EXTENDABLE]} -> {params[EXTENDABLE]}",))
    damage = damaged(folder, done, trusts_from=LARGE)
    return Plan(Action.RESUME, tuple(damage)) if damage else Plan(Action.SKIP)


def _known(record: Callable[[Path], Record | None], folder: Path, faults: list[str]) -> Record | None:
    try:
        return record(folder)
    except DamagedError as error:
        faults.append(str(error))
        return None


def differences(old: Record, params: Mapping[str, Any], consumed: Mapping[str, str]) -> list[str]:
    """In words, how what is asked for now differs from `old`."""
    found = [
        f"{option_of(key)} {_spelled(old.params.get(key))} -> {_spelled(params.get(key))}"
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


def option_of(key: str) -> str:
    """A setting of a record as the option that sets it."""
    return key if key in DERIVED else f"--{OPTIONS.get(key, key).replace('_', '-')}"


def _spelled(value: Any) -> str:
    """A setting as it is typed."""
    return ",".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _extended(old: Record, params: Mapping[str, Any]) -> Record:
    """`old` as if it had asked for as many epochs as now, when now asks for more."""
    before, now = old.params.get(EXTENDABLE), params.get(EXTENDABLE)
    if before is None or now is None or now <= before:
        return old
    return Record(**{**asdict(old), "params": {**old.params, EXTENDABLE: now}})


def take_up(
    folder: Path,
    step: str,
    params: Mapping[str, Any],
    consumed: Mapping[str, str],
    *,
    rerun: Rerun,
    reporter: Reporter,
    scratch: Path | None = None,
    states: Path | None = None,
) -> Plan:
    """Decide, say why, and unless there is nothing to do note that the run has begun.

    `scratch` and `states` are folders of unfinished work, dropped before a new run; without anything in `states` only a
    run that was killed before its first save can go on.

    Raises:
        WorkspaceError: see `decide`; or there is nothing to go on from.
    """
    plan = decide(folder, params, consumed, rerun, states=states)
    is_new = (folder / BEGUN).exists() and not rerun.resume  # killed before its first save, perhaps
    if plan.action is Action.RESUME and states is not None and not (is_new or _has_files(states)):
        raise WorkspaceError(f"no saved state in {states} to go on from; start over with --fresh")
    for reason in plan.reasons:
        reporter.say(f"{step}: {reason}")
    if plan.action is Action.RUN:
        forget(folder, *(path for path in (scratch, states) if path is not None))
    if plan.action is not Action.SKIP:
        begin(folder, step, params, consumed)
    return plan


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
