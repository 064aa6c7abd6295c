import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from murace.config import Recipe, TrainConfig
from murace.data.ingest import pixelfile
from murace.data.store import open_pixels, read_index
from murace.errors import Interrupted, MachineError, UsageError, WorkspaceError
from murace.nets.weights import load_model
from murace.steps.train import step as train
from murace.system.progress import Bar, Reporter
from murace.training import checkpoint
from murace.workspace import Rerun, State, examine, read
from murace.workspace.paths import Workspace
from tests.workshop import CPU, tiny_config, tiny_workspace

AUTO, FRESH = Rerun(), Rerun(resume=False)


class StopAfter(Reporter):
    """Sends a signal after so many steps, and remembers what was said."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left, self.said = steps, list[str]()

    def say(self, message: str) -> None:
        self.said.append(message)

    warn = say

    @contextmanager
    def bar(self, title: str, total: int, *, start: int = 0, lines: bool = False) -> Iterator[Bar]:
        yield Bar() if lines else Countdown(self)


class Countdown(Bar):
    def __init__(self, reporter: StopAfter) -> None:
        self.reporter = reporter

    def advance(self, by: int = 1, note: str = "") -> None:
        self.reporter.left -= 1
        if self.reporter.left == 0:
            self.reporter.signum = signal.SIGTERM


def run(
    workspace: Workspace, config: TrainConfig, *, rerun: Rerun = AUTO, reporter: Reporter | None = None
) -> train.Trained:
    return train.run(workspace, config, machine=CPU, rerun=rerun, reporter=reporter or Reporter())


def outcome(workspace: Workspace, learner: str = "convnet") -> tuple[bytes, pd.DataFrame, bytes]:
    """What must not depend on interruptions: the weights, the history without its clock, the predictions."""
    folder = workspace.train(learner)
    history = pd.read_csv(folder.history).drop(columns=["seconds", "images_per_second"])
    return folder.model.read_bytes(), history, folder.predictions.read_bytes()


def assert_same(first: tuple[bytes, pd.DataFrame, bytes], second: tuple[bytes, pd.DataFrame, bytes]) -> None:
    assert first[0] == second[0]
    pd.testing.assert_frame_equal(first[1], second[1], check_exact=True)
    assert first[2] == second[2]


def test_leaves_exactly_the_promised_files(prepared: Workspace) -> None:
    done = run(prepared, tiny_config())
    folder = prepared.train("convnet").folder
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.safetensors", "history.csv", "predictions.csv", "checkpoint", "step.json", ".lock"}
    history = pd.read_csv(prepared.train("convnet").history)
    columns = "epoch,train_loss,validation_loss,auc,accuracy,kappa,seconds,images_per_second"
    assert list(history.columns) == columns.split(",")
    assert list(history["epoch"]) == [1, 2]
    predictions = pd.read_csv(prepared.train("convnet").predictions)
    index = read_index(prepared.prepare.index)
    assert list(predictions["row"]) == list(index.loc[index["split"] == "validation", "row"])
    assert done.info["parameters"] == 190_057
    assert examine(folder)[0] is State.DONE


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_and_two_epochs_equal_four_bit_for_bit(tmp_path: Path, precision: str) -> None:
    whole, parts = tiny_workspace(tmp_path / "a"), tiny_workspace(tmp_path / "b")
    run(whole, tiny_config(epochs=4, precision=precision))
    run(parts, tiny_config(epochs=2, precision=precision))
    run(parts, tiny_config(epochs=4, precision=precision))
    assert_same(outcome(whole), outcome(parts))


def test_stopped_at_any_step_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = tiny_workspace(tmp_path / "whole")
    run(whole, tiny_config(epochs=2))
    for step in (1, 5, 8, 9, 15):  # 8 steps an epoch: the first, the middle, an epoch's end, and the second epoch
        parts = tiny_workspace(tmp_path / f"stopped-{step}")
        with pytest.raises(Interrupted) as stopped:
            run(parts, tiny_config(epochs=2), reporter=StopAfter(step))
        assert stopped.value.exit_code == 143
        epoch, done = divmod(step - 1, 8)
        newest = max(parts.train("convnet").checkpoint.glob("0*.json"))
        assert newest.stem == f"{epoch:06d}-{done + 1:06d}", "it did not stop at the next step"
        assert examine(parts.train("convnet").folder)[0] is State.PARTIAL
        reporter = StopAfter(-1)
        run(parts, tiny_config(epochs=2), reporter=reporter)
        assert any("resuming after epoch" in line for line in reporter.said)
        assert_same(outcome(whole), outcome(parts))


@pytest.mark.kernels
def test_without_the_optimisers_state_the_bits_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the two tests above."""
    whole, parts = tiny_workspace(tmp_path / "a"), tiny_workspace(tmp_path / "b")
    run(whole, tiny_config(epochs=4))
    run(parts, tiny_config(epochs=2))
    monkeypatch.setattr("murace.training.saver.restore_adam", lambda optimizer, tensors: None)
    run(parts, tiny_config(epochs=4))
    assert outcome(whole)[0] != outcome(parts)[0]


def test_finished_and_unchanged_is_skipped_without_a_write(prepared: Workspace) -> None:
    run(prepared, tiny_config())
    before = {path: path.stat().st_mtime_ns for path in prepared.train("convnet").folder.iterdir()}
    assert run(prepared, tiny_config()).skipped
    after = {path: path.stat().st_mtime_ns for path in prepared.train("convnet").folder.iterdir()}
    assert {p: t for p, t in before.items() if p.name != ".lock"} == {
        p: t for p, t in after.items() if p.name != ".lock"
    }


def test_a_change_in_the_middle_is_refused_and_fresh_is_the_way_out(prepared: Workspace) -> None:
    with pytest.raises(Interrupted):
        run(prepared, tiny_config(), reporter=StopAfter(9))
    with pytest.raises(WorkspaceError, match=r"--lr 0.003 -> 0.1.*--fresh"):
        run(prepared, tiny_config(lr=0.1))
    done = run(prepared, tiny_config(lr=0.1), rerun=FRESH)
    assert done.info["epochs"] == 2


def test_a_damaged_checkpoint_is_refused_and_never_a_silent_new_start(prepared: Workspace) -> None:
    with pytest.raises(Interrupted):
        run(prepared, tiny_config(), reporter=StopAfter(9))
    state = max(prepared.train("convnet").checkpoint.glob("0*.safetensors"))
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    with pytest.raises(WorkspaceError, match=r"missing or damaged.*delete .* to go on from the state before"):
        run(prepared, tiny_config())
    state.with_suffix(".json").unlink()
    run(prepared, tiny_config())
    assert examine(prepared.train("convnet").folder)[0] is State.DONE


@pytest.mark.parametrize(("native", "precision"), [(False, "fp32"), (True, "bf16")])
def test_auto_means_on_a_resume_what_it_meant_at_the_start(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch, native: bool, precision: str
) -> None:
    monkeypatch.setattr("murace.system.device.has_native_bf16", lambda device: native)
    with pytest.raises(Interrupted):
        run(prepared, tiny_config(precision="auto"), reporter=StopAfter(9))
    monkeypatch.setattr("murace.system.device.has_native_bf16", lambda device: not native)
    assert run(prepared, tiny_config(precision="auto")).info["precision"] == precision
    assert run(prepared, tiny_config(precision="auto", epochs=3)).info["precision"] == precision


def test_more_epochs_without_a_checkpoint_are_refused_and_the_old_run_stays(prepared: Workspace) -> None:
    run(prepared, tiny_config())
    shutil.rmtree(prepared.train("convnet").checkpoint)
    with pytest.raises(WorkspaceError, match=r"no saved state in .* to go on from; start over with --fresh"):
        run(prepared, tiny_config(epochs=3))
    assert run(prepared, tiny_config()).skipped


def test_the_weights_file_depends_on_data_and_settings_only(tmp_path: Path) -> None:
    first, second = tiny_workspace(tmp_path / "a"), tiny_workspace(tmp_path / "elsewhere" / "b")
    run(first, tiny_config())
    run(second, tiny_config())
    assert first.train("convnet").model.read_bytes() == second.train("convnet").model.read_bytes()
    run(second, tiny_config(seed=1))
    assert first.train("convnet").model.read_bytes() != second.train("convnet").model.read_bytes()


@pytest.mark.kernels
def test_the_saved_model_is_the_best_epoch_and_gives_the_saved_predictions(prepared: Workspace) -> None:
    run(prepared, tiny_config(epochs=3, monitor="accuracy"))
    folder = prepared.train("convnet")
    history = pd.read_csv(folder.history)
    record = read(folder.folder)
    assert record is not None
    best = history.set_index("epoch").loc[record.info["best_epoch"]]
    assert best["accuracy"] == history["accuracy"].max()
    predictions = pd.read_csv(folder.predictions)
    pixels = torch.from_numpy(np.array(open_pixels(prepared.prepare.pixels)[predictions["row"]]))
    with torch.no_grad():
        logits = load_model(folder.model)(pixels[:, None].float() / 255)
    p = torch.softmax(logits.double(), dim=1)[:, 1].numpy()
    assert np.allclose(p, predictions["convnet"], atol=1e-6)
    studies = predictions.groupby("study")[["convnet", "label"]].mean()
    assert ((studies["convnet"] >= 0.5) == (studies["label"] == 1)).mean() == pytest.approx(best["accuracy"])


@pytest.mark.kernels
def test_it_learns(prepared: Workspace) -> None:
    assert run(prepared, tiny_config("resnet", epochs=6)).info["best_score"] > 0.95


def test_stops_early_on_the_training_loss(prepared: Workspace) -> None:
    done = run(prepared, tiny_config(epochs=50, lr=1e-9, patience=2))
    assert done.info["epochs"] < 50


def test_a_loss_that_is_not_finite_stops_with_epoch_and_step(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "murace.training.step.weighted_cross_entropy", lambda logits, *rest: logits.sum() * float("nan")
    )
    with pytest.raises(UsageError, match="not finite at epoch 1, step 1"):
        run(prepared, tiny_config())


def test_a_missing_gpu_comes_before_a_missing_workspace(tmp_path: Path) -> None:
    from murace.config import Machine
    from murace.errors import MachineError

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(MachineError, match=r"--gpu 3: .*to run on the CPU: --gpu cpu"):
        train.run(Workspace(tmp_path), tiny_config(), machine=Machine(gpu="3"), rerun=AUTO, reporter=Reporter())
    with pytest.raises(WorkspaceError, match=r"prepare in .* is missing. Run: murace prepare SOURCE"):
        run(Workspace(tmp_path), tiny_config())


def test_a_new_preparation_makes_it_stale_and_run_again(prepared: Workspace) -> None:
    run(prepared, tiny_config())
    tiny_workspace(prepared.root, seed=1)
    assert examine(prepared.train("convnet").folder) == (State.STALE, ["prepare/pixels.npy has changed"])
    reporter = StopAfter(-1)
    assert not run(prepared, tiny_config(), reporter=reporter).skipped
    assert "train/convnet: prepare/pixels.npy has changed" in reporter.said


def test_no_checkpoint_needs_pickle(prepared: Workspace) -> None:
    run(prepared, tiny_config())
    kinds = {path.suffix for path in prepared.train("convnet").checkpoint.iterdir()}
    assert kinds == {".safetensors", ".json"}


def test_recipes_of_the_paper_reach_the_record(prepared: Workspace) -> None:
    run(prepared, TrainConfig(learner="convnet", width=0.1, recipe=Recipe(epochs=1, precision="fp32")))
    record = read(prepared.train("convnet").folder)
    assert record is not None
    assert record.params["batch_size"] == 32
    assert record.params["lr"] == 0.001
    assert record.seed == 0


@pytest.mark.slow
def test_compiled_it_learns_the_same_but_for_rounding_and_says_so_on_a_change(prepared: Workspace) -> None:
    compiling = replace(CPU, compile="on")
    config = tiny_config("convnet", lr=1e-6)
    train.run(prepared, config, machine=compiling, rerun=AUTO, reporter=Reporter())
    record = read(prepared.train("convnet").folder)
    assert record is not None
    assert record.info["compiled"]
    compiled = pd.read_csv(prepared.train("convnet").history)
    reporter = StopAfter(-1)
    train.run(
        prepared,
        tiny_config("convnet", lr=1e-6, epochs=3),
        machine=replace(CPU, compile="off"),
        rerun=AUTO,
        reporter=reporter,
    )
    assert "compiled True -> False: the result will differ in its last bits" in reporter.said
    run(prepared, config, rerun=FRESH)
    eager = pd.read_csv(prepared.train("convnet").history)
    assert np.allclose(compiled["train_loss"], eager["train_loss"], rtol=1e-4)


def test_a_compiler_that_fails_is_told_with_the_way_out(prepared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = type("InductorError", (RuntimeError,), {"__module__": "torch._inductor.exc"})

    def broken(net: torch.nn.Module, **options: object) -> object:
        def forward(batch: torch.Tensor) -> torch.Tensor:
            raise failure("CppCompileError: no g++\nand much more")

        return forward

    monkeypatch.setattr("torch.compile", broken)
    with pytest.raises(
        MachineError, match=r"torch.compile failed \(CppCompileError: no g\+\+\): run with --compile off"
    ):
        train.run(prepared, tiny_config(), machine=replace(CPU, compile="on"), rerun=AUTO, reporter=Reporter())


@pytest.mark.parametrize("name", ["step.json", "begun.json"])
@pytest.mark.parametrize("happens", ["gone", "damaged"])
def test_without_its_record_a_training_goes_on_from_what_is_saved(
    prepared: Workspace, tmp_path: Path, name: str, happens: str
) -> None:
    whole = tiny_workspace(tmp_path / "whole")
    run(whole, tiny_config(epochs=2))
    if name == "step.json":
        run(prepared, tiny_config(epochs=2))
    else:
        with pytest.raises(Interrupted):
            run(prepared, tiny_config(epochs=2), reporter=StopAfter(9))
    path = prepared.train("convnet").folder / name
    path.unlink() if happens == "gone" else path.write_bytes(path.read_bytes().replace(b'"seed": 0', b'"seed": 1'))
    reporter = StopAfter(-1)
    run(prepared, tiny_config(epochs=2), reporter=reporter)
    assert any("going on from what is saved" in line for line in reporter.said)
    assert any("resuming after epoch" in line for line in reporter.said)
    assert any("is damaged" in line for line in reporter.said) is (happens == "damaged")
    assert_same(outcome(whole), outcome(prepared))


def test_states_of_another_run_are_refused_with_the_differences(prepared: Workspace, tmp_path: Path) -> None:
    """Copied from another workspace, with the same settings but other pictures, or from a learner beside it."""
    other = tiny_workspace(tmp_path / "other", seed=1, groups=("elbow", "hand"))
    run(other, tiny_config(epochs=2))
    states = prepared.train("convnet").checkpoint
    shutil.copytree(other.train("convnet").checkpoint, states)
    says = r"is of another run: groups elbow, hand -> elbow, wrist; prepare/index.csv has changed; prepare/pixels.npy"
    with pytest.raises(WorkspaceError, match=says):
        run(prepared, tiny_config(epochs=3))
    assert run(prepared, tiny_config(), rerun=FRESH).info["epochs"] == 2
    shutil.copytree(states, prepared.train("resnet").checkpoint)
    with pytest.raises(WorkspaceError, match=r"is of another run: learner convnet -> resnet\. Start over with --fresh"):
        run(prepared, tiny_config("resnet", epochs=3))


def test_fresh_that_is_killed_while_it_discards_leaves_no_half_of_the_old_states(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(prepared, tiny_config())

    def killed(path: Path) -> None:
        next(path.iterdir()).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("murace.system.files.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            run(prepared, tiny_config(lr=0.1), rerun=FRESH)
    assert not prepared.train("convnet").checkpoint.exists()
    assert run(prepared, tiny_config(lr=0.1)).info["epochs"] == 2
    assert not list(prepared.train("convnet").folder.glob(".*.tmp.*"))


@pytest.mark.parametrize("resumes", [False, True])
def test_the_index_the_pixels_and_the_checkpoints_record_are_read_once(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch, resumes: bool
) -> None:
    if resumes:
        with pytest.raises(Interrupted):
            run(prepared, tiny_config(), reporter=StopAfter(9))
    reads = Counter[str]()

    def count(module: object, name: str) -> None:
        whole = getattr(module, name)

        def counting(path: Path, *given: object, **more: object) -> object:
            reads[path.name] += 1
            return whole(path, *given, **more)

        monkeypatch.setattr(module, name, counting)

    count(pd, "read_csv")
    count(pixelfile, "open_read_only")
    count(checkpoint, "read_sealed")
    monkeypatch.setattr(checkpoint, "_rotate", lambda folder: None)  # after each save it reads what is kept
    run(prepared, tiny_config())
    wanted = {"index.csv": 1, "pixels.npy": 1} | ({"000001-000001.json": 1} if resumes else {})
    assert reads == wanted
