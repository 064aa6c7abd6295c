"""The chain of steps as it stands in a workspace: who is done, why not, and which command comes next."""

from dataclasses import dataclass
from pathlib import Path

from murace.errors import WorkspaceError
from murace.record import Record, State, examine, read, require
from murace.roster import read_roster
from murace.vocabulary import LEARNERS
from murace.workspace import Workspace

PREPARE = "murace prepare SOURCE"
CALIBRATE = "murace calibrate"
EVALUATE = "murace evaluate"


@dataclass(frozen=True)
class Link:
    """One step of the chain: its name in the workspace, its state with reasons, and the command that mends it."""

    name: str
    state: State
    reasons: tuple[str, ...]
    command: str


def train_command(learner: str) -> str:
    """What trains that learner."""
    return f"murace train --arch {learner}"


def finetune_command(group: str) -> str:
    """What makes that group's member."""
    return f"murace finetune --groups {group}"


def links(workspace: Workspace) -> list[Link]:
    """Every step in the order of the chain; the members are those that the roster asks for."""
    found = [_link("prepare", workspace.prepare.folder, PREPARE)]
    found += [_link(f"train/{name}", workspace.train(name).folder, train_command(name)) for name in LEARNERS]
    found.append(_with_newcomers(workspace, _link("calibrate", workspace.calibrate.folder, CALIBRATE)))
    for group in _groups(workspace):
        found.append(_link(f"finetune/{group}", workspace.finetune(group).folder, finetune_command(group)))
    found.append(_link("evaluate", workspace.evaluate.folder, EVALUATE))
    return found


def _link(name: str, folder: Path, command: str) -> Link:
    """A step; one whose own record, or a parent's, cannot be read is damaged, and to run it again mends that."""
    try:
        state, reasons = examine(folder)
    except WorkspaceError as error:
        return Link(name, State.DAMAGED, (str(error),), command)
    return Link(name, state, tuple(reasons), command)


def _with_newcomers(workspace: Workspace, link: Link) -> Link:
    """A finished choice is stale when a learner has been trained since."""
    late = newcomers(workspace) if link.state is State.DONE else []
    if not late:
        return link
    return Link(link.name, State.STALE, tuple(f"{name} was trained since" for name in late), link.command)


def newcomers(workspace: Workspace) -> list[str]:
    """Finished learners that the roster has not compared."""
    record = read(workspace.calibrate.folder)
    known = record.info["learners"] if record else []
    links_now = [_link(name, workspace.train(name).folder, train_command(name)) for name in LEARNERS]
    return [link.name for link in links_now if link.name not in known and link.state is State.DONE]


def _groups(workspace: Workspace) -> list[str]:
    roster = workspace.calibrate.roster
    try:
        return sorted(read_roster(roster)["groups"]) if roster.is_file() else []
    except WorkspaceError:
        return []  # `calibrate` is shown as damaged


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
        return "murace finetune" if link in members and len(members) > 1 else link.command
    return None


def require_choice(workspace: Workspace) -> Record:
    """The record of `calibrate`, with its roster checked and every finished learner compared.

    Raises:
        WorkspaceError: it is missing, unfinished, stale or damaged.
    """
    record = require(workspace.calibrate.folder, CALIBRATE, ("roster.json", "scores.csv"))
    late = newcomers(workspace)
    if late:
        raise WorkspaceError(f"calibrate is stale ({', '.join(late)} trained since). Run: {CALIBRATE}")
    return record


def finished_learners(workspace: Workspace, names: tuple[str, ...]) -> tuple[dict[str, Record], tuple[str, ...]]:
    """The records of the learners that can be used, their files `names` checked, and a line for each that can not.

    Raises:
        WorkspaceError: none is trained, or one is stale or damaged.
    """
    records, notes = {}, []
    for learner in LEARNERS:
        folder, command = workspace.train(learner).folder, train_command(learner)
        state, _ = examine(folder)
        if state is State.PARTIAL:
            notes.append(f"{learner} is left out: its training is unfinished. To finish it: {command}")
        elif state is not State.MISSING:
            records[learner] = require(folder, command, names)
    if not records:
        hint = f" ({notes[0]})" if notes else ""
        raise WorkspaceError(f"no trained learner in {workspace.root}{hint}. Run: murace train --arch all")
    return records, tuple(notes)
