"""What the trainings of members consume, and whether they are up to date: the part of the step that needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from murace.config import FinetuneConfig, Machine, params
from murace.errors import MuraceError, UsageError
from murace.vocabulary import closest
from murace.workspace import Record, Rerun, StepRun, decide, may_answer_from_record, read
from murace.workspace.chain import consumed_images, require_choice, require_step
from murace.workspace.paths import Workspace
from murace.workspace.roster import read_roster

FORM = ("learner", "width", "head", "size")  # what rebuilds a net; a member's are its learner's


@dataclass(frozen=True)
class Finetuned:
    """What happened for one group; `info` is what its record says about the result."""

    group: str
    learner: str
    skipped: bool
    info: dict[str, Any]


def up_to_date(
    workspace: Workspace, config: FinetuneConfig, *, groups: Sequence[str], machine: Machine, rerun: Rerun
) -> list[Finetuned] | None:
    """The results of finished and current members; None where the step has something to do, say or refuse."""
    if not may_answer_from_record(machine, rerun):
        return None
    try:
        runs = planned(workspace, config, groups)
        records = [read(run.folder) if decide(run, rerun).skips else None for run in runs]
    except MuraceError:
        return None
    found = [finetuned(record, skipped=True) for record in records if record]
    return found if len(found) == len(runs) else None


def finetuned(record: Record, *, skipped: bool) -> Finetuned:
    """What a member's record tells."""
    return Finetuned(record.step.partition("/")[2], record.params["learner"], skipped, record.info)


def planned(workspace: Workspace, config: FinetuneConfig, groups: Sequence[str]) -> list[StepRun]:
    """The run of a member for each of `groups` (all where empty); every parent is checked once.

    Raises:
        UsageError: a group that the roster does not know.
        WorkspaceError: a parent is missing, unfinished, stale or damaged.
    """
    require_choice(workspace)
    entries = read_roster(workspace.calibrate.roster)["groups"]
    for group in groups:
        if group not in entries:
            raise UsageError(f"--groups: unknown group '{group}'{closest(group, entries)}")
    learners = {group: entries[group]["learner"] for group in groups or sorted(entries)}
    images = consumed_images(require_step(workspace, "prepare", ("index.csv",)))
    choices = require_step(workspace, "calibrate", ("roster.json",)).digests("calibrate")
    trained = {
        learner: require_step(workspace, f"train/{learner}", ("model.safetensors",))
        for learner in sorted(set(learners.values()))
    }
    runs = []
    for group, learner in learners.items():
        parent, weights = trained[learner], f"train/{learner}/model.safetensors"
        consumed = {**images, weights: parent.digests(f"train/{learner}")[weights]}
        consumed |= {f"calibrate/roster.json:{group}": choices[f"calibrate/roster.json:{group}"]}
        form = {key: parent.params[key] for key in FORM if key != "size"} | {"size": int(parent.info["size"])}
        folder = workspace.finetune(group)
        runs.append(
            StepRun(
                folder=folder.folder,
                step=f"finetune/{group}",
                params={**params(config.recipe_for(learner)), **form},
                consumed=consumed,
                states=folder.checkpoint,
            )
        )
    return runs
