"""Rows R3 and R4: stopped at any step, a training ends with the same bits; nothing in its state may be left out."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from murace.errors import MuraceError
from murace.training import job
from murace.training.checkpoint import SavedState, newest_state, save_state
from tests.crash.small import EPOCHS, STEPS, Outcome, trained
from tests.processes import Failure, together

pytestmark = pytest.mark.crash
LAYOUTS = {
    **{
        f"{precision}-{'finetune' if start else 'train'}": {"precision": precision, "score_start": start}
        for precision in ("fp32", "bf16")
        for start in (False, True)
    },
    "the last epoch is the best": {"upright": True},
}


def stopped(folder: Path, steps: int, **how: Any) -> Outcome:
    """The outcome of a training that was stopped after so many steps and went on."""
    assert trained(folder, stop_after=steps, **how) is None
    outcome = trained(folder, **how)
    assert outcome is not None
    return outcome


@pytest.mark.parametrize("layout", LAYOUTS)
def test_stopped_at_every_step_it_ends_with_the_same_bits(tmp_path: Path, layout: str) -> None:
    how = LAYOUTS[layout]
    whole = trained(tmp_path / "whole", **how)
    assert whole is not None
    starts = how.get("score_start", False)
    assert len(whole.progress["history"]) == EPOCHS + starts
    assert whole.progress["best_epoch"] == (EPOCHS if "upright" in how else 1 - starts)
    for step in range(1, STEPS + 1, 5 if "upright" in how else 1):
        assert whole.differences(stopped(tmp_path / f"{step}", step, **how)) == [], step


def test_stopped_again_and_again_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole")
    times = 0
    while (outcome := trained(tmp_path / "parts", stop_after=5)) is None:
        times += 1
    assert whole is not None
    assert times == STEPS // 5
    assert whole.differences(outcome) == []


def in_two(folder: Path, steps: list[int]) -> list[list[str]]:
    """In each of two processes: what differs for each step at which they stop."""
    whole = trained(folder / "whole")
    assert whole is not None
    found = []
    for step in steps:
        assert trained(folder / f"{step}", stop_after=step) is None
        again = trained(folder / f"{step}")
        assert again is not None
        found.append(whole.differences(again))
    return found


def test_two_processes_that_stop_at_any_step_end_with_the_same_bits(tmp_path: Path) -> None:
    steps = [*range(1, STEPS + 1, 3)]
    answers = together(2, in_two, tmp_path, steps)
    assert not any(isinstance(answer, Failure) or answer is None for answer in answers), answers
    assert answers == [[[]] * len(steps)] * 2


Tensors = dict[str, torch.Tensor]


def without(**values: object) -> Callable[[SavedState], SavedState]:
    """A state whose progress has forgotten something."""
    return lambda saved: replace(saved, facts={**saved.facts, "progress": {**saved.facts["progress"], **values}})


def zeroed(*parts: str) -> Callable[[Tensors], Tensors]:
    """A state in which the tensors of these names are as at the very beginning."""

    def forget(tensors: Tensors) -> Tensors:
        hit = [name for name in tensors if any(part in name for part in parts)]
        assert hit, parts
        return tensors | {name: torch.zeros_like(tensors[name]) for name in hit}

    return forget


def lacking(part: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: tensor for name, tensor in tensors.items() if part not in name}


FORGOTTEN_TENSORS = {
    "weights": zeroed("net.body.0.weight"),
    "running mean": zeroed("running_mean"),
    "running variance": zeroed("running_var"),
    "a tensor of the net": lacking("running_var"),
    "first moments": zeroed("exp_avg"),
    "second moments": zeroed("exp_avg_sq"),
    "Adam's step": zeroed(".step"),
    "Adam": lacking("adam."),
    "losses of the running epoch": zeroed("losses"),
    "probabilities of the best epoch": zeroed("best"),
    "random state": lambda tensors: {**tensors, "rng": torch.Generator().get_state()},
    "no random state": lacking("rng"),
}
FORGOTTEN_FACTS = {
    "epoch": without(epoch=0),
    "step": without(step=0),
    "best epoch": without(best_epoch=-1),
    "best score": without(best_score=None),
    "best loss": without(best_loss=None),
    "least training loss": without(least_train_loss=None),
    "epochs without a fall": without(epochs_without_fall=0),
    "history": without(history=[]),
    "best weights": lambda saved: replace(saved, best=None),
    "precision": lambda saved: replace(saved, facts={**saved.facts, "precision": "bf16"}),
}
COUNTED = ("least training loss", "epochs without a fall")


@pytest.mark.kernels
def test_which_epoch_is_best_is_known_beforehand(tmp_path: Path) -> None:
    """What the controls below rest on: the first epoch is the best, no later one comes near, and all have its score."""
    whole = trained(tmp_path)
    assert whole is not None
    history = pd.DataFrame(whole.progress["history"])
    assert history["auc"].tolist() == [0] * EPOCHS
    # With forty other draws of weights and dropout it was 1.9 times the first one's, at the least.
    assert history["validation_loss"][1:].min() > 1.5 * history["validation_loss"][0]


def never_fell(folder: Path) -> Path:
    """The folder, with a training one step old in it, whose loss has once been zero and so never falls again."""
    assert trained(folder, stop_after=1) is None
    saved = without(least_train_loss=0.0)(newest_state(folder))
    save_state(folder, saved.load(), saved.facts, position=(0, 1), best=saved.best_weights)
    return folder


@pytest.mark.kernels
@pytest.mark.parametrize("what", [*FORGOTTEN_TENSORS, *FORGOTTEN_FACTS])
def test_nothing_of_a_state_may_be_forgotten(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: without any one item the test above would be red, at every step after the first epoch.

    Of what early stopping counts it would not: there the loss falls in each epoch. These start from a state made by
    hand, from which no epoch falls.
    """
    beginning, load, newest = never_fell if what in COUNTED else Path, SavedState.load, job.newest_state
    of_tensors, of_facts = FORGOTTEN_TENSORS.get(what, dict), FORGOTTEN_FACTS.get(what, replace)
    whole = trained(beginning(tmp_path / "whole"))
    assert whole is not None
    seen: list[list[str]] = []
    for step in (5, 17, 30, 34):
        folder = beginning(tmp_path / f"{step}")
        assert trained(folder, stop_after=step) is None
        shutil.copytree(folder, tmp_path / f"{step}-whole")
        with monkeypatch.context() as patched:
            patched.setattr(SavedState, "load", lambda saved: of_tensors(load(saved)))
            patched.setattr(job, "newest_state", lambda folder: of_facts(newest(folder)))
            try:
                outcome = trained(folder)
                assert outcome is not None
                seen.append(whole.differences(outcome))
            except (MuraceError, KeyError) as error:
                seen.append([str(error)])
        again = trained(tmp_path / f"{step}-whole")  # and with all of it, it is green
        assert again is not None
        assert whole.differences(again) == []
    assert all(seen[1:]), what  # in the first epoch nothing has been best, and there is no history


def test_the_number_of_threads_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another number changes larger nets' last bits: a resume takes the recorded one unless it is told another."""
    from murace.config import Machine

    monkeypatch.setattr("tests.crash.small.CPU", Machine(gpu="cpu", threads=2))
    assert trained(tmp_path / "a", stop_after=5) is None
    monkeypatch.setattr("tests.crash.small.CPU", Machine(gpu="cpu"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    trained(tmp_path / "a")
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
