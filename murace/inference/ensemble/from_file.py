"""The ensemble of one file that was handed over: checked as a whole when it is opened, loaded when asked for."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from murace.errors import WorkspaceError
from murace.inference import operating_points as operating
from murace.inference.bundle.manifest import OPERATING, RECOGNISER, ROSTER, Net, weights_of, weights_of_learner
from murace.inference.bundle.open import Bundle, open_bundle
from murace.inference.ensemble.interface import caveats
from murace.inference.operating_points import Readout
from murace.inference.recogniser.file import group_model_from
from murace.inference.recogniser.recognise import Recogniser
from murace.nets import Learner
from murace.nets.trained import TrainedNet
from murace.nets.weights import model_from
from murace.system.device import reading_place
from murace.system.files import parse_json
from murace.system.progress import Reporter
from murace.vocabulary import CALIBRATED

Part = TypeVar("Part")


class FileEnsemble:
    """A file that contradicts itself is refused as one that is damaged: it is data that somebody sent."""

    def __init__(self, path: Path, chosen: torch.device, reporter: Reporter | None = None) -> None:
        """Check the file's every byte, and that its small parts fit together.

        The `reporter` is told where the device cannot compute as the nets were trained.

        Raises:
            WorkspaceError: it is missing, damaged, tampered with or no file of ours; nothing of it is loaded then.
        """
        self.bundle, self.device, self.reporter = open_bundle(path), chosen, reporter
        self.manifest = self.bundle.manifest
        self.groups: tuple[str, ...] = tuple(sorted(self.manifest.groups))
        self._digests = {file.name: file.sha256 for file in self.manifest.files}
        self._readout = self._part(OPERATING, self._read_readout)
        self._part(ROSTER, self._check_roster)

    @property
    def identity(self) -> str:
        """The SHA-256 of the file's manifest, which names every other part by its own."""
        return self.bundle.identity

    @property
    def caveats(self) -> tuple[str, ...]:
        """From what the manifest says of the data."""
        data = self.manifest.data
        return caveats(synthetic=data.synthetic, patient_level=data.patient_level_split)

    def member(self, group: str) -> TrainedNet:
        """The group's specialised net; its weights are read, and checked again, when it is loaded."""
        return self._trained(weights_of(group), self.manifest.groups[group])

    def readout(self) -> Readout:
        """The temperatures and operating points that came with these very weights."""
        return self._readout

    def recogniser(self) -> Recogniser | None:
        """Who tells the groups apart, and the learner whose features it looks at.

        Raises:
            WorkspaceError: the model is not one of these groups and this learner.
        """
        net = self.manifest.recogniser
        if net is None:
            return None
        model, trained = self._part(RECOGNISER, group_model_from), self._trained(weights_of_learner(net.learner), net)
        expected = (net.learner, trained.sha256, self.groups)
        if (model.learner, model.weights_sha256, model.groups) != expected:
            raise WorkspaceError(f"{self.bundle.path} is refused: {RECOGNISER} in it is about other groups or weights")
        return Recogniser(model, trained)

    def _part(self, name: str, understand: Callable[[bytes], Part]) -> Part:
        """A small part of the file, understood."""
        try:
            return understand(self.bundle.read(name))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            why = str(error) if isinstance(error, ValueError) else "is damaged"
            raise WorkspaceError(f"{self.bundle.path} is refused: {name} in it {why}") from error

    def _read_readout(self, data: bytes) -> Readout:
        members = {weights_of(group): self._digests[weights_of(group)] for group in self.groups}
        return operating.parse(parse_json(data), {CALIBRATED: members})[CALIBRATED]

    def _check_roster(self, data: bytes) -> None:
        learners = {group: choice["learner"] for group, choice in parse_json(data)["groups"].items()}
        if learners != {group: net.learner for group, net in self.manifest.groups.items()}:
            raise ValueError("names other learners than the manifest")

    def _trained(self, name: str, net: Net) -> TrainedNet:
        return TrainedNet(
            learner=net.learner,
            load=partial(_load, self.bundle, name, net.facts),
            sha256=self._digests[name],
            place=reading_place(self.device, net.precision, self.reporter),
            size=net.size,
            fit=self.manifest.fit,
            head=net.head,
        )


def _load(bundle: Bundle, name: str, facts: dict[str, Any]) -> Learner:
    data = bundle.read(name)
    try:
        return model_from(data, facts)
    except ValueError as error:
        raise WorkspaceError(f"{bundle.path} is refused: {name} in it {error}") from error
