"""New studies: what `murace predict` does with files, or the nets' passes over the same pictures in memory.

A spec has `way` (predict or passes), `root` (a folder of studies), `size`, `width` and `quick`.
"""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import murace.cli.app  # noqa: F401 - as any command does, before torch
from murace.config import Machine
from murace.data.images.views import read_views
from murace.data.studies.find import StudyFiles, find_studies
from murace.inference.operating_points import Readout
from murace.inference.recogniser.model import Recognition
from murace.inference.studies.groups import requested
from murace.inference.studies.predict import predict_studies
from murace.nets import Learner, create
from murace.nets.trained import Bytes, Floats, TrainedNet
from murace.system import device
from murace.system.device import Place
from murace.system.progress import Reporter
from murace.vocabulary import LEARNERS
from tests.benchmarks.serve import Spec, Work, serve


def prepare(spec: Spec) -> tuple[Work, dict[str, object]]:
    """The studies, the nets, and a first round."""
    threads = device.set_threads(Machine())
    found = find_studies([Path(spec["root"])], reporter=Reporter()).studies[: 6 if spec["quick"] else None]
    ensemble = FreshEnsemble(found, size=spec["size"], width=spec["width"])
    views = sum(len(study.views) for study in found)
    answers = {
        "predict": partial(_predict, found, ensemble, threads),
        "passes": partial(_passes, _known(found, ensemble), ensemble),
    }
    answer = answers[spec["way"]]
    answer()

    def work() -> tuple[int, float]:
        began = time.perf_counter()
        answer()
        return views, time.perf_counter() - began

    return work, {"threads": threads, "views": views, "precision": ensemble.place.precision}


class FreshEnsemble:
    """Nets with fresh weights; each is loaded once."""

    identity = ""

    def __init__(self, found: list[StudyFiles], *, size: int, width: float) -> None:
        cpu = torch.device("cpu")
        self.place = Place(cpu, device.resolve_precision("auto", cpu))
        self.groups = tuple(sorted({study.stated.name for study in found if study.stated}))
        nets = {learner: create(learner, width=width, size=size) for learner in LEARNERS}
        self.members = {
            learner: TrainedNet(learner, lambda net=net: net, "", self.place, size, "squash")
            for learner, net in nets.items()
        }

    def member(self, group: str) -> TrainedNet:
        """The learners in turn."""
        return self.members[LEARNERS[self.groups.index(group) % len(LEARNERS)]]

    def readout(self) -> Readout:
        """As if nothing had to be rescaled."""
        return Readout(temperature=1.0, groups={}, points={"half": 0.5}, studies=0, weights={})

    def recogniser(self) -> "FreshRecogniser":
        """The first learner's features."""
        return FreshRecogniser(self.members[LEARNERS[0]], self.groups)


class FreshRecogniser:
    """The pass that a recogniser costs; its answer is never certain."""

    def __init__(self, trained: TrainedNet, groups: tuple[str, ...]) -> None:
        self.trained, self.groups = trained, groups

    def features(self, net: Learner, prepared: Bytes) -> Floats:
        """As the real one."""
        return self.trained.ask(partial(_pooled, net), prepared)[0]

    def recognise(self, features: Floats) -> Recognition:
        """Nothing is known."""
        shares = dict.fromkeys(self.groups, 1 / len(self.groups))
        first = self.groups[0]
        return Recognition(group=None, likeliest=first, confidence=shares[first], shares=shares, is_typical=False)


@torch.no_grad()
def _pooled(net: Learner, images: Tensor) -> tuple[Floats]:
    return (net.features(images).double().mean(dim=(2, 3)).numpy(),)


@torch.no_grad()
def _forward(net: Learner, images: Tensor) -> tuple[Floats]:
    logits = net(images).double()
    return ((logits[:, 1] - logits[:, 0]).numpy(),)


def _predict(found: list[StudyFiles], ensemble: FreshEnsemble, threads: int) -> int:
    asked = requested(found, ensemble.groups, None)
    return sum(1 for _ in predict_studies(asked, ensemble, threads=threads, reporter=Reporter()))  # type: ignore[arg-type]


def _known(found: list[StudyFiles], ensemble: FreshEnsemble) -> tuple[dict[str, Bytes], Bytes]:
    """The pictures in memory: each group's, and the recogniser's."""
    member = next(iter(ensemble.members.values()))
    groups: dict[str, list[Bytes]] = {group: [] for group in ensemble.groups}
    first = []
    for study in found:
        assert study.stated is not None
        prepared = read_views(study.views, size=member.size, fit=member.fit).prepared
        groups[study.stated.name].append(prepared)
        first.append(prepared[:1])
    return {group: np.concatenate(parts) for group, parts in groups.items()}, np.concatenate(first)


def _passes(known: tuple[dict[str, Bytes], Bytes], ensemble: FreshEnsemble) -> Iterator[Floats]:
    groups, first = known
    recogniser = ensemble.recogniser()
    answers = [recogniser.features(recogniser.trained.net(), first)]
    for group, pictures in groups.items():
        member = ensemble.member(group)
        answers += member.ask(partial(_forward, member.net()), pictures)
    return iter(answers)


if __name__ == "__main__":
    serve(prepare)
