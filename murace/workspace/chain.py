"""The chain of steps as it stands in a workspace: who is done, why not, and which command comes next."""

from dataclasses import dataclass

from murace.errors import WorkspaceError
from murace.vocabulary import LEARNERS
from murace.workspace.commands import command
from murace.workspace.paths import Workspace
from murace.workspace.record import Record, read
from murace.workspace.status import State, examine, require


@dataclass(frozen=True)
class Link:
    """One step of the chain: its name in the workspace, its state with reasons, and the command that mends it."""

    name: str
    state: State
    reasons: tuple[str, ...]
    command: str

    @property
    def group(self) -> str:
        """A member's."""
        return self.name.partition("/")[2]


def links(workspace: Workspace) -> list[Link]:
    """Every step in the order of the chain; the members are those that the roster asks for."""
    found = [_link(workspace, "prepare"), *(_link(workspace, f"train/{name}") for name in LEARNERS)]
    found.append(_with_newcomers(workspace, _link(workspace, "calibrate")))
    found += [_link(workspace, f"finetune/{group}") for group in _groups(workspace)]
    found.append(_with_newcomers(workspace, _link(workspace, "evaluate")))
    return found


def _link(workspace: Workspace, place: str) -> Link:
    """A step; one whose own record, or a parent's, cannot be read is damaged, and to run it again mends that."""
    try:
        state, reasons = examine(workspace.root / place)
    except WorkspaceError as error:
        state, reasons = State.DAMAGED, [str(error)]
    return Link(place, state, tuple(reasons), command(workspace, place))


def _with_newcomers(workspace: Workspace, link: Link) -> Link:
    """A finished choice or evaluation is stale when a learner has been trained since."""
    late = newcomers(workspace, read(workspace.root / link.name)) if link.state is State.DONE else []
    if not late:
        return link
    return Link(link.name, State.STALE, tuple(f"{name} was trained since" for name in late), link.command)


def newcomers(workspace: Workspace, record: Record | None) -> list[str]:
    """Finished learners that the run of this record has not known."""
    info = record.info if record else {}
    known = {*info.get("learners", ()), *info.get("models", ())}  # of a choice, of an evaluation
    unknown = [name for name in LEARNERS if name not in known]
    return [name for name in unknown if _link(workspace, f"train/{name}").state is State.DONE]


def _groups(workspace: Workspace) -> list[str]:
    """Those of the roster, as the record tells them."""
    try:
        record = read(workspace.calibrate.folder)
    except WorkspaceError:
        return []  # `calibrate` is shown as damaged
    prefix = f"{workspace.calibrate.roster.name}:"
    return sorted(name.removeprefix(prefix) for name in record.parts if name.startswith(prefix)) if record else []


def next_command(chain: list[Link]) -> str | None:
    """What to type next; None when everything is done.

    A learner that is missing is asked for only until a choice has been made without it.
    """
    states = {link.name: link.state for link in chain}
    learners = [link for link in chain if link.name.startswith("train/")]
    chosen = states["calibrate"] is State.DONE
    if states["prepare"] is State.DONE and all(link.state is State.MISSING for link in learners):
        return "murace train --arch all"
    members = [link for link in chain if link.name.startswith("finetune/") and link.state is not State.DONE]
    for link in chain:
        if link.state is State.DONE or (link in learners and link.state is State.MISSING and chosen):
            continue
        return _of_all(members) if link in members else link.command
    return None


def _of_all(members: list[Link]) -> str:
    """One command for all members that are not done, where those that were begun agree on the settings."""
    settings = {settings for link in members if (settings := link.command.partition(f" --groups {link.group}")[2])}
    if len(members) == 1 or len(settings) > 1:
        return members[0].command
    return f"murace finetune{''.join(settings)}"


def require_choice(workspace: Workspace) -> Record:
    """The record of `calibrate`, with its roster checked and every finished learner compared.

    Raises:
        WorkspaceError: it is missing, unfinished, stale or damaged.
    """
    return _require_all_known(workspace, "calibrate", ("roster.json", "scores.csv"))


def require_evaluation(workspace: Workspace, names: tuple[str, ...]) -> Record:
    """The record of `evaluate`, with its files `names` checked and every finished learner evaluated.

    Raises:
        WorkspaceError: it is missing, unfinished, stale or damaged.
    """
    return _require_all_known(workspace, "evaluate", names)


def _require_all_known(workspace: Workspace, place: str, names: tuple[str, ...]) -> Record:
    record = require_step(workspace, place, names)
    late = newcomers(workspace, record)
    if late:
        raise WorkspaceError(f"{place} is stale ({', '.join(late)} trained since). Run: {command(workspace, place)}")
    return record


def require_step(workspace: Workspace, place: str, names: tuple[str, ...]) -> Record:
    """The record of a step by its place in the workspace (`train/resnet`): complete, current, its files `names` intact.

    Raises:
        WorkspaceError: it is not; the message tells the command that mends it, with the settings that it had.
    """
    return require(workspace.root / place, command(workspace, place), names)


def consumed_images(prepared: Record) -> dict[str, str]:
    """What a training consumes of `prepare`: file in the workspace -> SHA-256."""
    digests = prepared.digests("prepare")
    return {name: digests[name] for name in ("prepare/index.csv", "prepare/pixels.npy")}


def require_pixels(workspace: Workspace) -> None:
    """Make sure that the prepared pixels are those that were recorded: read them, which takes seconds for gigabytes.

    Asked by a step that has something to do, before anything notes that it has begun; to find that there is nothing to
    do the record of `prepare` is enough.

    Raises:
        WorkspaceError: they are damaged.
    """
    require_step(workspace, "prepare", ("pixels.npy",))


def finished_learners(workspace: Workspace, names: tuple[str, ...]) -> tuple[dict[str, Record], tuple[str, ...]]:
    """The records of the learners that can be used, their files `names` checked, and a line for each that can not.

    Raises:
        WorkspaceError: none is trained, or one is stale or damaged.
    """
    records, notes = {}, []
    for learner in LEARNERS:
        link = _link(workspace, f"train/{learner}")
        if link.state is State.PARTIAL:
            notes.append(f"{learner} is left out: its training is unfinished. To finish it: {link.command}")
        elif link.state is not State.MISSING:
            records[learner] = require_step(workspace, link.name, names)
    if not records:
        hint = f" ({notes[0]})" if notes else ""
        raise WorkspaceError(f"no trained learner in {workspace.root}{hint}. Run: murace train --arch all")
    return records, tuple(notes)
