"""Whether to skip, resume or run a step, and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from murace.config import Machine, changed_settings
from murace.errors import DamagedError, WorkspaceError
from murace.system.files import changed_files
from murace.system.launch import launch
from murace.system.progress import Reporter
from murace.workspace.paths import BEGUN
from murace.workspace.record import Record, begin, begun, damaged, forget, read

EXTENDABLE = "epochs"  # more of these continues a finished run instead of starting over
LARGE = 2**28  # bytes; only `pixels.npy` is, and reading it takes seconds: to skip, its size and time are enough


class Action(StrEnum):
    """What a step has to do now."""

    SKIP = "skip"
    RESUME = "resume"
    RUN = "run"


@dataclass(frozen=True)
class Rerun:
    """The flags about running again: `resume` is None without a flag, True for `--resume`, False for `--fresh`."""

    resume: bool | None = None
    force: bool = False


def may_answer_from_record(machine: Machine, rerun: Rerun) -> bool:
    """Whether a finished and current step may answer from its record, without its code and so without torch.

    A GPU that is named by its number, or needed for `--graph on`, is looked for first, several processes decide
    together, and a run that was asked for is no skip: those are left to the step.
    """
    is_free = machine.gpu in (None, "cpu") and machine.graph != "on"
    return is_free and launch().size == 1 and rerun == Rerun()


@dataclass(frozen=True, kw_only=True)
class StepRun:
    """What a run of a step would be: its folder, its place in the workspace, its settings and what it consumes.

    `consumed` maps a file in the workspace to its SHA-256. `scratch` and `states` are folders of unfinished work:
    `states` holds the checkpoints of a training, `scratch` whatever else a resumed run goes on from.
    """

    folder: Path
    step: str
    params: Mapping[str, Any]
    consumed: Mapping[str, str]
    scratch: Path | None = None
    states: Path | None = None


@dataclass(frozen=True)
class Plan:
    """The decision about a run, and the reasons in words."""

    run: StepRun
    action: Action
    reasons: tuple[str, ...] = ()

    @property
    def skips(self) -> bool:
        """Whether the step is finished and nothing has changed."""
        return self.action is Action.SKIP

    @property
    def resumes(self) -> bool:
        """Whether the run goes on from unfinished work."""
        return self.action is Action.RESUME

    def begin(self, reporter: Reporter) -> None:
        """Say why the step runs, drop unfinished work that a new run does not use, and record that it has begun.

        Called once all that might refuse the run has been checked.
        """
        run = self.run
        for reason in self.reasons:
            reporter.say(f"{run.step}: {reason}")
        if self.action is Action.RUN:
            forget(run.folder, *(path for path in (run.scratch, run.states) if path is not None))
        begin(run.folder, run.step, run.params, run.consumed)


def decide(run: StepRun, rerun: Rerun) -> Plan:
    """Whether to skip, resume or run a step, in this order.

    1. `--fresh`: run. 2. An unfinished run: resume it if it is about the same thing, else refuse. 3. No finished run:
    run; but where there are saved `states`, whose record has gone, go on from them: they say themselves what they are
    about. 4. A finished run: run for a change or `--force`; resume for more epochs or a damaged file; else skip.
    A record of this very step that is damaged is as none, and said to be so.

    Raises:
        WorkspaceError: an unfinished run differs from what is asked for, or there is nothing to resume.
    """
    plan = _decide(run, rerun)
    is_new = (run.folder / BEGUN).exists() and not rerun.resume  # killed before its first checkpoint, perhaps
    if plan.resumes and run.states is not None and not (is_new or _has_files(run.states)):
        raise WorkspaceError(f"no saved state in {run.states} to go on from; start over with --fresh")
    return plan


def _decide(run: StepRun, rerun: Rerun) -> Plan:
    folder, params, consumed = run.folder, run.params, run.consumed
    if rerun.resume is False:
        return Plan(run, Action.RUN, ("--fresh: starting over",))
    faults: list[str] = []
    unfinished, done = (_known(record, folder, faults) for record in (begun, read))
    if unfinished is not None:
        changes = _differences(_extended(unfinished, params), params, consumed)
        if changes:
            raise WorkspaceError(
                f"an unfinished run in {folder} differs: {'; '.join(changes)}. "
                "Run with the old settings to finish it, or with --fresh to start over"
            )
        return Plan(run, Action.RESUME)
    if done is None or faults:
        if run.states is not None and _has_files(run.states):
            return Plan(run, Action.RESUME, (*faults, "going on from what is saved"))
        if rerun.resume:
            raise WorkspaceError(f"nothing to resume in {folder}: run the same command without --resume")
        return Plan(run, Action.RUN, tuple(faults))
    changes = _differences(_extended(done, params), params, consumed)
    if changes and rerun.resume:
        raise WorkspaceError(f"nothing to resume in {folder}: {'; '.join(changes)}. Run without --resume to run afresh")
    if changes:
        return Plan(run, Action.RUN, tuple(changes))
    if rerun.force:
        return Plan(run, Action.RUN, ("--force",))
    if done.params.get(EXTENDABLE) != params.get(EXTENDABLE):
        return Plan(run, Action.RESUME, (f"--{EXTENDABLE} {done.params[EXTENDABLE]} -> {params[EXTENDABLE]}",))
    damage = damaged(folder, done, trusts_from=LARGE)
    return Plan(run, Action.RESUME, tuple(damage)) if damage else Plan(run, Action.SKIP)


def _known(record: Callable[[Path], Record | None], folder: Path, faults: list[str]) -> Record | None:
    try:
        return record(folder)
    except DamagedError as error:
        faults.append(str(error))
        return None


def _differences(old: Record, params: Mapping[str, Any], consumed: Mapping[str, str]) -> list[str]:
    """In words, how what is asked for now differs from `old`."""
    return [*changed_settings(old.params, params), *changed_files(old.consumed, consumed)]


def _extended(old: Record, params: Mapping[str, Any]) -> Record:
    """`old` as if it had asked for as many epochs as now, when now asks for more."""
    before, now = old.params.get(EXTENDABLE), params.get(EXTENDABLE)
    if before is None or now is None or now <= before:
        return old
    return replace(old, params={**old.params, EXTENDABLE: now})


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
