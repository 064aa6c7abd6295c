"""The same training in one, two and three processes; on a CPU, by gloo."""

import os
import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from murace.config import EvaluateConfig, Machine
from murace.data.loading.batches import order
from murace.data.store import read_frame
from murace.errors import Interrupted, MachineError, PeerLostError, UsageError
from murace.steps.evaluate import step as evaluate
from murace.steps.finetune import step as finetune
from murace.steps.train import step as train
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.workspace import Rerun, State, examine, read
from murace.workspace.paths import Workspace
from tests.processes import together
from tests.steps.test_train import StopAfter
from tests.workshop import CPU, in_float64, tiny_config, tiny_members, tiny_workspace

GLOBAL_BATCH = 12
# So slow that the weights hardly move: each step is compared for itself, not for what became of the one before.
STILL = {"batch_size": GLOBAL_BATCH, "lr": 1e-6, "epochs": 2}
# In float64 another number of processes, which is another order of summation, made 2e-11 of a difference at most.
CLOSE = 1e-9


def fit(root: Path, learner: str = "resnet", **recipe: Any) -> train.Trained:
    config = tiny_config(learner, **{**STILL, **recipe})
    return train.run(Workspace(root), config, machine=CPU, rerun=Rerun(), reporter=Reporter())


def fit_exactly(root: Path, learner: str) -> train.Trained:
    with in_float64():
        return fit(root, learner, epochs=1)


def state_of(root: Path, learner: str = "resnet") -> dict[str, np.ndarray]:
    newest = sorted(Workspace(root).train(learner).checkpoint.glob("0*.safetensors"))[-1]
    return load_file(newest)


@pytest.mark.kernels
@pytest.mark.parametrize("learner", ["convnet", "resnet", pytest.param("densenet", marks=pytest.mark.slow)])
def test_losses_gradients_and_statistics_do_not_depend_on_the_number_of_processes(tmp_path: Path, learner: str) -> None:
    states, histories = [], []
    for count in (1, 2, 3):
        root = tmp_path / str(count)
        tiny_workspace(root)
        answers = together(count, fit_exactly, root, learner) if count > 1 else [fit_exactly(root, learner)]
        assert all(isinstance(answer, train.Trained) for answer in answers)
        assert all(answer == answers[0] for answer in answers)
        assert answers[0].info["processes"] == count
        states.append(state_of(root, learner))
        histories.append(pd.read_csv(Workspace(root).train(learner).history))
    alone = states[0]
    for state, history in zip(states[1:], histories[1:], strict=True):
        # each global step's own loss: the same images, in the same order, with the same augmentation
        np.testing.assert_allclose(state["losses"], alone["losses"], rtol=CLOSE)
        assert len(np.unique(alone["losses"].round(4))) == len(alone["losses"]), "losses must tell steps apart"
        np.testing.assert_allclose(history["train_loss"], histories[0]["train_loss"], rtol=CLOSE)
        np.testing.assert_allclose(history["validation_loss"], histories[0]["validation_loss"], rtol=CLOSE)
        for name in ("exp_avg", "running_mean", "running_var"):  # of gradients, a running mean; of batch norm
            assert relative(state, alone, name) < CLOSE, name


def relative(state: dict[str, np.ndarray], expected: dict[str, np.ndarray], ending: str) -> float:
    """The distance of all tensors with that name, by the length of the expected ones."""
    names = [name for name in expected if name.endswith(ending)]
    assert names
    found, wanted = (np.concatenate([values[name].ravel() for name in names]) for values in (state, expected))
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def test_the_processes_share_each_batch_of_the_one_order() -> None:
    """The plain statement of what the losses above imply: shares are disjoint, and together they are the batch."""
    batch = order(np.arange(30), seed=0, epoch=1)[:GLOBAL_BATCH]
    for count in (2, 3):
        shares = [batch[rank::count] for rank in range(count)]
        assert sorted(np.concatenate(shares)) == sorted(batch)


def stop(root: Path, step: int) -> None:
    reporter = StopAfter(step if process_group().rank == 1 else -1)  # the signal comes to one of them
    config = tiny_config("convnet", **{**STILL, "epochs": 3})
    train.run(Workspace(root), config, machine=CPU, rerun=Rerun(), reporter=reporter)


def stop_exactly(root: Path, step: int) -> None:
    with in_float64():
        stop(root, step)


@pytest.mark.kernels
@pytest.mark.usefixtures("float64")
def test_a_signal_to_one_stops_all_at_the_same_step_and_one_process_goes_on(tmp_path: Path) -> None:
    tiny_workspace(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    answers = together(2, stop_exactly, tmp_path / "a", 7)  # 5 steps an epoch
    assert [answer.kind for answer in answers] == [Interrupted, Interrupted]
    folder = Workspace(tmp_path / "a").train("convnet")
    assert [path.stem for path in sorted(folder.checkpoint.glob("0*.json"))] == ["000001-000000", "000001-000002"]
    reporter = StopAfter(-1)
    config = tiny_config("convnet", **{**STILL, "epochs": 3})
    train.run(Workspace(tmp_path / "a"), config, machine=CPU, rerun=Rerun(), reporter=reporter)
    assert "processes 2 -> 1: the result will differ in its last bits" in reporter.said
    fit(tmp_path / "b", "convnet", epochs=3)
    histories = [pd.read_csv(Workspace(tmp_path / name).train("convnet").history) for name in "ab"]
    np.testing.assert_allclose(histories[0]["train_loss"], histories[1]["train_loss"], rtol=CLOSE)


def test_with_two_processes_stopped_and_going_on_gives_the_same_bits(tmp_path: Path) -> None:
    tiny_workspace(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert together(2, stop, tmp_path / "a", -1) == [None, None]
    assert [answer.kind for answer in together(2, stop, tmp_path / "b", 7)] == [Interrupted, Interrupted]
    assert examine(Workspace(tmp_path / "b").train("convnet").folder)[0] is State.PARTIAL
    assert together(2, stop, tmp_path / "b", -1) == [None, None]
    models = [Workspace(tmp_path / name).train("convnet").model.read_bytes() for name in "ab"]
    assert models[0] == models[1]


def learn(root: Path, epochs: int) -> train.Trained:
    return fit(root, "convnet", lr=0.003, epochs=epochs)


@pytest.mark.kernels
def test_going_on_to_a_better_epoch_ends_well_in_every_process(tmp_path: Path) -> None:
    root = tiny_workspace(tmp_path / "a", seed=1).root
    assert all(isinstance(answer, train.Trained) for answer in together(2, learn, root, 1))
    answers = together(2, learn, root, 6)
    assert all(isinstance(answer, train.Trained) for answer in answers)
    assert answers[0] == answers[1]
    assert answers[0].info["best_epoch"] > 3, "the first epoch's weights must have gone by then"


def die(root: Path, rank: int, step: int) -> None:
    reporter = Killer(step if process_group().rank == rank else -1)
    config = tiny_config("convnet", **{**STILL, "epochs": 9})
    train.run(Workspace(root), config, machine=CPU, rerun=Rerun(), reporter=reporter)


class Killer(StopAfter):
    """Kills its process after so many steps."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "left" and value == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        super().__setattr__(name, value)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_dies_ends_the_run_and_the_last_epoch_is_whole(tmp_path: Path, rank: int) -> None:
    tiny_workspace(tmp_path / "a")
    answers = together(2, die, tmp_path / "a", rank, 12)
    assert answers[rank] is None
    assert answers[1 - rank].kind is PeerLostError
    folder = Workspace(tmp_path / "a").train("convnet")
    assert max(path.stem for path in folder.checkpoint.glob("0*.json")) == "000002-000000"
    assert fit(tmp_path / "a", "convnet", epochs=9).info["epochs"] == 9


def refuse(root: Path, batch_size: int) -> None:
    fit(root, "convnet", batch_size=batch_size)


def test_what_cannot_be_shared_is_refused_before_anything_starts(tmp_path: Path) -> None:
    workspace = tiny_workspace(tmp_path / "a")
    answers = together(3, refuse, tmp_path / "a", 8)
    assert all(answer.kind is UsageError for answer in answers)
    assert answers[0].message == "--batch-size 8 cannot be shared equally by 3 processes: choose 6 or 9"
    assert not workspace.train("convnet").folder.exists()


def compile_it(root: Path) -> None:
    machine = Machine(gpu="cpu", threads=1, compile="on")
    train.run(Workspace(root), tiny_config("convnet", **STILL), machine=machine, rerun=Rerun(), reporter=Reporter())


def test_a_refusal_in_several_processes_notes_no_beginning(tmp_path: Path) -> None:
    workspace = tiny_workspace(tmp_path / "a")
    answers = together(2, compile_it, workspace.root)
    assert answers[0].kind is UsageError
    assert answers[0].message.startswith("--compile on is for one process")
    assert examine(workspace.train("convnet").folder)[0] is State.MISSING


@pytest.mark.parametrize("step", ["train", "finetune"])
def test_too_little_memory_leaves_everything_as_it_was(
    finished: Workspace, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr("murace.system.device.free_memory", lambda: 1000)
    folder = finished.train("convnet").folder if step == "train" else finished.finetune("elbow").folder
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = partial(fit, finished.root, "convnet", lr=0.5) if step == "train" else partial(specialise, finished.root)
    with pytest.raises(MachineError, match="needs about"):
        again()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert examine(folder)[0] is not State.PARTIAL


def specialise(root: Path) -> list[finetune.Finetuned]:
    return finetune.run(
        Workspace(root), tiny_members(), groups=[], machine=CPU, rerun=Rerun(force=True), reporter=Reporter()
    )


def judge(root: Path) -> evaluate.Evaluated:
    return evaluate.run(Workspace(root), EvaluateConfig(), machine=CPU, rerun=Rerun(force=True), reporter=Reporter())


@pytest.mark.kernels
def test_finetune_and_evaluate_in_two_processes_find_what_one_finds(finished: Workspace) -> None:
    alone = read_frame(finished.evaluate.predictions)
    both = together(2, judge, finished.root)
    assert all(isinstance(answer, evaluate.Evaluated) for answer in both)
    # Batches of another size: in float32 that is 1e-6 of a probability; the neighbour's would be another altogether.
    pd.testing.assert_frame_equal(read_frame(finished.evaluate.predictions), alone, rtol=1e-4)
    pd.testing.assert_frame_equal(both[0].tables["scores"], both[1].tables["scores"])
    members = together(2, specialise, finished.root)
    assert members[0] == members[1]
    assert [member.group for member in members[0]] == ["elbow", "wrist"]
    assert read(finished.finetune("elbow").folder).info["processes"] == 2


def test_more_processes_than_images_are_refused_before_a_beginning_is_noted(tmp_path: Path) -> None:
    workspace = tiny_workspace(tmp_path / "a")
    answers = together(3, crowd, workspace.root)
    assert answers[0].kind is UsageError
    assert answers[0].message == "3 processes for batches of 2 images: start at most 2"
    assert examine(workspace.train("convnet").folder)[0] is State.MISSING


def crowd(root: Path) -> None:
    workspace = Workspace(root)
    if process_group().leads:
        keep_two(workspace)
    train.run(
        workspace, tiny_config("convnet", batch_size=12), machine=Machine(gpu="cpu"), rerun=Rerun(), reporter=Reporter()
    )


def keep_two(workspace: Workspace) -> None:
    """All but one training image of each class move to the test split."""
    index = pd.read_csv(workspace.prepare.index, dtype=str)
    train_rows = index.index[index["split"] == "train"]
    kept = [next(row for row in train_rows if index.loc[row, "label"] == label) for label in ("0", "1")]
    index.loc[[row for row in train_rows if row not in kept], "split"] = "test"
    index.loc[kept, "group"] = "elbow"
    index["group"] = "elbow"
    index.to_csv(workspace.prepare.index, index=False)
    mend_record(workspace)


def mend_record(workspace: Workspace) -> None:
    from murace.system.files import sha256
    from murace.system.sealed import read_sealed, write_sealed

    record = read_sealed(workspace.prepare.folder / "step.json")
    entry = record["produced"]["index.csv"]
    entry["size"], entry["sha256"] = workspace.prepare.index.stat().st_size, sha256(workspace.prepare.index)
    write_sealed(workspace.prepare.folder / "step.json", record)
