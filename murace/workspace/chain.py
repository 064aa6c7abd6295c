"""The status of every step of the chain, the command to type next, and the checks that a step makes of earlier steps.

`require_step` and its relatives return the record of an earlier step, or refuse with the command that makes it whole.
"""

from dataclasses import dataclass

from murace.errors import WorkspaceError
from murace.vocabulary import LEARNERS
from murace.workspace.commands import command
from murace.workspace.paths import INDEX, PIXELS, ROSTER, SCORES, Workspace
from murace.workspace.record import Record, read, read_sound
from murace.workspace.status import State, examine, require


@dataclass(frozen=True)
class StepStatus:
    """A step by its place in the workspace (`train/resnet`), its state with reasons, and the command that makes it."""

    name: str
    state: State
    reasons: tuple[str, ...]
    command: str

    @property
    def group(self) -> str:
        """The group of a member (`elbow` of `finetune/elbow`)."""
        return self.name.partition("/")[2]


def step_statuses(workspace: Workspace) -> list[StepStatus]:
    """Every step in the order of the chain; the members are those that the roster asks for."""
    found = [_status_of(workspace, "prepare"), *(_status_of(workspace, f"train/{name}") for name in LEARNERS)]
    found.append(_stale_if_learners_are_new(workspace, _status_of(workspace, "calibrate")))
    found += [_status_of(workspace, f"finetune/{group}") for group in _groups(workspace)]
    found.append(_stale_if_learners_are_new(workspace, _status_of(workspace, "evaluate")))
    return found


def _status_of(workspace: Workspace, place: str) -> StepStatus:
    """A step whose own record, or an earlier step's, cannot be read is damaged: its command, run again, makes both."""
    try:
        state, reasons = examine(workspace.root / place)
    except WorkspaceError as error:
        state, reasons = State.DAMAGED, [str(error)]
    return StepStatus(place, state, tuple(reasons), command(workspace, place))


def _stale_if_learners_are_new(workspace: Workspace, status: StepStatus) -> StepStatus:
    """A finished choice or evaluation is stale when a learner has been trained since."""
    new = new_learners(workspace, read(workspace.root / status.name)) if status.state is State.DONE else []
    if not new:
        return status
    return StepStatus(status.name, State.STALE, tuple(f"{name} was trained since" for name in new), status.command)


def new_learners(workspace: Workspace, record: Record | None) -> list[str]:
    """Finished learners that the choice or the evaluation of this record does not include."""
    info = record.info if record else {}
    included = {*info.get("learners", ()), *info.get("models", ())}  # of a choice, of an evaluation
    others = [name for name in LEARNERS if name not in included]
    return [name for name in others if _status_of(workspace, f"train/{name}").state is State.DONE]


def _groups(workspace: Workspace) -> list[str]:
    """The groups of the roster, by the record of `calibrate`; none where that is damaged, which its status says."""
    record = read_sound(workspace.calibrate.folder)
    prefix = f"{ROSTER}:"
    return sorted(name.removeprefix(prefix) for name in record.parts if name.startswith(prefix)) if record else []


def next_command(statuses: list[StepStatus]) -> str | None:
    """The command to type next; None when everything is done.

    A learner that is missing is asked for only until a choice has been made without it.
    """
    states = {status.name: status.state for status in statuses}
    learners = [status for status in statuses if status.name.startswith("train/")]
    is_chosen = states["calibrate"] is State.DONE
    if states["prepare"] is State.DONE and all(status.state is State.MISSING for status in learners):
        return "murace train --arch all"
    members = [status for status in statuses if status.name.startswith("finetune/") and status.state is not State.DONE]
    for status in statuses:
        if status.state is State.DONE or (status in learners and status.state is State.MISSING and is_chosen):
            continue
        return _command_for_all(members) if status in members else status.command
    return None


def _command_for_all(members: list[StepStatus]) -> str:
    """One command for all members that are not done, where those that were begun have the same settings."""
    settings = {options for member in members if (options := member.command.partition(f" --groups {member.group}")[2])}
    if len(members) == 1 or len(settings) > 1:
        return members[0].command
    return f"murace finetune{''.join(settings)}"


def require_choice(workspace: Workspace) -> Record:
    """The record of `calibrate`, with its roster checked and every finished learner compared.

    Raises:
        WorkspaceError: it is missing, unfinished, stale or damaged.
    """
    return _require_all_learners(workspace, "calibrate", (ROSTER, SCORES))


def require_evaluation(workspace: Workspace, names: tuple[str, ...]) -> Record:
    """The record of `evaluate`, with its files `names` checked and every finished learner evaluated.

    Raises:
        WorkspaceError: it is missing, unfinished, stale or damaged.
    """
    return _require_all_learners(workspace, "evaluate", names)


def _require_all_learners(workspace: Workspace, place: str, names: tuple[str, ...]) -> Record:
    record = require_step(workspace, place, names)
    new = new_learners(workspace, record)
    if new:
        raise WorkspaceError(f"{place} is stale ({', '.join(new)} trained since). Run: {command(workspace, place)}")
    return record


def require_step(workspace: Workspace, place: str, names: tuple[str, ...]) -> Record:
    """The record of a step by its place in the workspace (`train/resnet`): complete, current, its files `names` intact.

    Raises:
        WorkspaceError: it is not; the message ends with the command that makes it so, with the settings that it had.
    """
    return require(workspace.root / place, command(workspace, place), names)


def consumed_images(prepared: Record) -> dict[str, str]:
    """What a training consumes of `prepare`: file in the workspace -> SHA-256."""
    digests = prepared.digests("prepare")
    return {name: digests[name] for name in (f"prepare/{INDEX}", f"prepare/{PIXELS}")}


def require_pixels(workspace: Workspace) -> None:
    """Make sure that the prepared pixels are those that were recorded: read them, which takes seconds for gigabytes.

    Called by a step that has something to do, before it begins; to find that there is nothing to do the record of
    `prepare` is enough.

    Raises:
        WorkspaceError: they are damaged.
    """
    require_step(workspace, "prepare", (PIXELS,))


def finished_learners(workspace: Workspace, names: tuple[str, ...]) -> tuple[dict[str, Record], tuple[str, ...]]:
    """The records of the learners that can be used, their files `names` checked, and a line for each that can not.

    Raises:
        WorkspaceError: none is trained, or one is stale or damaged.
    """
    records, notes = {}, []
    for learner in LEARNERS:
        status = _status_of(workspace, f"train/{learner}")
        if status.state is State.PARTIAL:
            notes.append(f"{learner} is left out: its training is unfinished. To finish it: {status.command}")
        elif status.state is not State.MISSING:
            records[learner] = require_step(workspace, status.name, names)
    if not records:
        hint = f" ({notes[0]})" if notes else ""
        raise WorkspaceError(f"no trained learner in {workspace.root}{hint}. Run: murace train --arch all")
    return records, tuple(notes)
