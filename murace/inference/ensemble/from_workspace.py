"""The ensemble of a workspace: the roster's members, as `finetune` left them."""

from dataclasses import asdict
from functools import cached_property, partial

import torch

from murace.errors import WorkspaceError
from murace.inference import operating_points as operating
from murace.inference.ensemble.interface import caveats
from murace.inference.operating_points import Readout
from murace.inference.recogniser.file import load_group_model
from murace.inference.recogniser.recognise import Recogniser
from murace.nets.trained import TrainedNet
from murace.nets.weights import load_model
from murace.system.device import reading_place
from murace.system.files import digest_of
from murace.system.progress import Reporter
from murace.vocabulary import CALIBRATED
from murace.workspace import Record
from murace.workspace.chain import require_choice, require_evaluation, require_step
from murace.workspace.commands import command
from murace.workspace.paths import INDEX, MODEL, OPERATING, FitFolder, Workspace
from murace.workspace.roster import read_roster


class WorkspaceEnsemble:
    """Each step's record is required to be complete, current and undamaged when its part is asked for."""

    def __init__(self, workspace: Workspace, chosen: torch.device, reporter: Reporter | None = None) -> None:
        """Check the data's record and the choice of learners.

        The `reporter` is told where the device cannot compute as the nets were trained.

        Raises:
            WorkspaceError: one is missing, unfinished, stale or damaged.
        """
        self.workspace, self.device, self.reporter = workspace, chosen, reporter
        self.prepared = require_step(workspace, "prepare", (INDEX,))
        self.choice = require_choice(workspace)
        self.records: dict[str, Record] = {}
        self.groups: tuple[str, ...] = tuple(sorted(read_roster(workspace.calibrate.roster)["groups"]))

    @cached_property
    def identity(self) -> str:
        """A digest of everything that shapes the answers."""
        recogniser = self.recogniser()
        parts = [self.member(group) for group in self.groups] + ([recogniser.trained] if recogniser else [])
        readout = asdict(self.readout())
        nets = [(part.sha256, part.size, part.fit, part.place.precision) for part in parts]
        group_model = self.choice.digests("").get(f"/{self.workspace.calibrate.recogniser.name}")
        return digest_of([self.groups, nets, readout, group_model])

    @property
    def caveats(self) -> tuple[str, ...]:
        """From what `prepare` knows of the data."""
        facts = self.prepared.info
        return caveats(synthetic=bool(facts.get("synthetic")), patient_level=bool(facts.get("patient_level", True)))

    def member(self, group: str) -> TrainedNet:
        """The group's specialised net."""
        return self._trained(self.workspace.finetune(group), self._record(group))

    def readout(self) -> Readout:
        """What `evaluate` has fitted on validation for these very members."""
        require_evaluation(self.workspace, (OPERATING,))
        weights = {f"finetune/{group}/{MODEL}": self._record(group).produced[MODEL]["sha256"] for group in self.groups}
        return operating.load(self.workspace.evaluate.operating, {CALIBRATED: weights})[CALIBRATED]

    def recogniser(self) -> Recogniser | None:
        """What `calibrate` has fitted, and the learner whose features it looks at."""
        if len(self.groups) == 1:
            return None
        file = self.workspace.calibrate.recogniser
        if file.name not in self.choice.produced:
            again = command(self.workspace, "calibrate")
            lacks = f"calibrate in {self.workspace.root} has made no recogniser of groups yet"
            raise WorkspaceError(f"{lacks}. Run: {again}")
        require_step(self.workspace, "calibrate", (file.name,))
        model = load_group_model(file)
        record = require_step(self.workspace, f"train/{model.learner}", (MODEL,))
        return Recogniser(model, self._trained(self.workspace.train(model.learner), record))

    def _record(self, group: str) -> Record:
        """A member's record, checked when it is first asked for."""
        if group not in self.records:
            self.records[group] = require_step(self.workspace, f"finetune/{group}", (MODEL,))
        return self.records[group]

    def _trained(self, folder: FitFolder, record: Record) -> TrainedNet:
        return TrainedNet(
            learner=str(record.params["learner"]),
            load=partial(load_model, folder.model),
            sha256=record.produced[folder.model.name]["sha256"],
            place=reading_place(self.device, record.info["precision"], self.reporter),
            size=int(self.prepared.params["size"]),
            fit=str(self.prepared.params["fit"]),
            head=str(record.params["head"]),
        )
