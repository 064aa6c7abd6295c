"""Row R7: a flipped bit, a cut, two files that have changed places: found on every kind of artifact before its use."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from murace.errors import Interrupted, MuraceError
from murace.explain.overlays.folder import sealed_record
from murace.inference.studies.journal import kept
from murace.steps.evaluate.predictions import _read_kept
from murace.steps.train import step as train
from murace.training.checkpoint import newest_state
from murace.workspace import Rerun, begun, read, require
from murace.workspace.paths import Workspace
from tests.cli.typed import CPU, NARROW, error_lines, typed
from tests.crash.steps import do_cam, do_export, do_predict
from tests.steps.test_train import StopAfter
from tests.workshop import CPU as MACHINE
from tests.workshop import tiny_config

pytestmark = pytest.mark.crash
FLIPS, CUTS = 300, 100
Check = Callable[[Path], bool]  # whether what uses that file finds it damaged

PRODUCED = [
    *("prepare/index.csv", "prepare/pixels.npy", "prepare/counts.csv"),
    *(f"train/convnet/{name}" for name in ("model.safetensors", "history.csv", "predictions.csv")),
    *(f"calibrate/{name}" for name in ("scores.csv", "roster.json", "recogniser.safetensors")),
    *(f"finetune/elbow/{name}" for name in ("model.safetensors", "history.csv", "predictions.csv")),
    *(f"evaluate/{name}" for name in ("predictions.csv", "scores.csv", "operating.json", "report.html", "roc.csv")),
    *("evaluate/MODEL_CARD.md", "evaluate/tables/table-3-study.tex"),
]


def step_folder(path: Path) -> Path:
    """The folder of the step that made a file."""
    return next(folder for folder in path.parents if (folder / "step.json").is_file())


def refuses(use: Callable[[], object]) -> bool:
    try:
        use()
    except MuraceError:
        return True
    return False


def as_parent(path: Path) -> bool:
    return refuses(lambda: require(step_folder(path), "murace again"))


def as_record(path: Path) -> bool:
    return refuses(lambda: (read if path.name == "step.json" else begun)(path.parent))


def as_state(path: Path) -> bool:
    return refuses(lambda: newest_state(path.parent).load())


def damages(data: bytes, seed: str) -> Iterator[bytes]:
    """The content with one bit flipped, and cut short, in so many places."""
    draw = random.Random(seed)
    for _ in range(FLIPS):
        flipped = bytearray(data)
        flipped[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        yield bytes(flipped)
    for _ in range(CUTS):
        yield data[: draw.randrange(len(data))]


def assert_found(path: Path, check: Check) -> None:
    """Every damage is found, and the whole file is not taken for a damaged one."""
    data = path.read_bytes()
    assert not check(path), path
    missed = []
    for number, damaged in enumerate(damages(data, path.name)):
        path.write_bytes(damaged)
        if not check(path):
            missed.append(number)
    path.write_bytes(data)
    assert missed == []


@pytest.mark.parametrize("name", PRODUCED)
def test_what_a_step_has_produced(finished: Workspace, name: str) -> None:
    assert_found(finished.root / name, as_parent)


@pytest.mark.parametrize("folder", ["prepare", "train/convnet", "calibrate", "finetune/elbow", "evaluate"])
def test_a_steps_record(finished: Workspace, folder: str) -> None:
    assert_found(finished.root / folder / "step.json", as_record)


@pytest.fixture
def unfinished(finished: Workspace) -> Path:
    """A training's folder that was left in its second epoch."""
    with pytest.raises(Interrupted):
        train.run(finished, tiny_config(), machine=MACHINE, rerun=Rerun(resume=False), reporter=StopAfter(12))
    return finished.train("convnet").folder


def test_a_note_of_what_has_begun(unfinished: Path) -> None:
    assert_found(unfinished / "begun.json", as_record)


@pytest.mark.parametrize("pattern", ["0*.json", "0*.safetensors", "best-*.safetensors"])
def test_a_state(unfinished: Path, pattern: str) -> None:
    newest = max((unfinished / "checkpoint").glob(pattern))
    assert_found(newest, as_state)


def test_two_states_that_have_changed_places(unfinished: Path) -> None:
    for pattern in ("0*.json", "0*.safetensors"):
        one, other = sorted((unfinished / "checkpoint").glob(pattern))
        exchange(one, other)
        assert as_state(other), pattern
        exchange(one, other)
    assert not as_state(other)


def test_an_answer_that_an_evaluation_has_kept(finished: Workspace) -> None:
    from murace.system.sealed import write_sealed

    about = {"net": "train/convnet", "weights": "0" * 64}
    path = finished.evaluate.partial / "train-convnet.json"
    write_sealed(path, {**about, "probabilities": [0.25, 0.125, 1 / 3]})
    assert _read_kept(path, about) is not None
    assert _read_kept(path, {**about, "weights": "1" * 64}) is None
    assert_found(path, lambda path: _read_kept(path, about) is None)


def test_a_drawn_study(ground: Path) -> None:
    base = ground / "after-cam"
    record = min((base / "workspace/overlays").glob("*/study.json"))
    assert_found(record, lambda path: sealed_record(path) is None)


def test_a_line_of_a_journal(tmp_path: Path) -> None:
    from murace.data.studies.find import StudyFiles
    from murace.inference.studies.journal import journal
    from murace.inference.studies.rows import Rows

    rows = Rows(0, {"study": "a", "probability": 1 / 3}, [{"study": "a", "view": "1.png", "probability": 0.1}])
    with journal(tmp_path, 0) as book:
        book.add(rows)
    study = StudyFiles("a", Path("a"), (Path("1.png"),), None)
    assert kept(tmp_path, [study]) == {0: rows}
    blank = b"\n"  # what stands before the line is no part of it

    def is_found(path: Path) -> bool:
        found = kept(tmp_path, [study])
        return not found or path.read_bytes().lstrip(blank) == (tmp_path / "whole").read_bytes()

    path = tmp_path / "0.jsonl"
    path.write_bytes(path.read_bytes().strip(blank))
    (tmp_path / "whole").write_bytes(path.read_bytes())
    for damaged in damages(path.read_bytes(), "journal"):
        path.write_bytes(damaged)
        assert is_found(path)


def flip(path: Path) -> bytes:
    """One bit in its middle, with the size and the time as before; returns the damaged content."""
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    os.utime(path, ns=times)
    return bytes(data)


def exchange(one: Path, other: Path) -> None:
    shutil.move(one, one.with_name("between"))
    shutil.move(other, one)
    shutil.move(one.with_name("between"), other)


SWAPS = [
    ("train/convnet/model.safetensors", "train/resnet/model.safetensors"),
    ("train/convnet/predictions.csv", "train/resnet/predictions.csv"),
    ("train/convnet/history.csv", "train/densenet/history.csv"),
    ("finetune/elbow/model.safetensors", "finetune/wrist/model.safetensors"),
    ("finetune/elbow/predictions.csv", "finetune/wrist/predictions.csv"),
    ("train/convnet/step.json", "train/resnet/step.json"),
    ("finetune/elbow/step.json", "finetune/wrist/step.json"),
    ("calibrate/scores.csv", "evaluate/scores.csv"),
    ("train/convnet/step.json", "calibrate/step.json"),
]


@pytest.mark.parametrize(("one", "other"), SWAPS)
def test_two_files_that_have_changed_places(finished: Workspace, one: str, other: str) -> None:
    exchange(finished.root / one, finished.root / other)
    for name in (one, other):
        assert as_parent(finished.root / name), name


USES = [  # the damaged file, a command that uses it, and the one that mends it
    ("prepare/index.csv", ["train", "--arch", "convnet", *NARROW, "--epochs", "3"], "murace prepare SOURCE"),
    ("prepare/pixels.npy", ["train", "--arch", "convnet", *NARROW, "--epochs", "3"], "murace prepare SOURCE"),
    ("train/resnet/model.safetensors", ["calibrate", "--force", *CPU], "murace train --arch resnet"),
    ("train/resnet/predictions.csv", ["calibrate", "--force", *CPU], "murace train --arch resnet"),
    ("calibrate/roster.json", ["finetune", *CPU], "murace calibrate"),
    ("train/densenet/model.safetensors", ["finetune", "--force", *CPU], "murace train --arch densenet"),
    ("train/convnet/model.safetensors", ["evaluate", "--force", *CPU], "murace train --arch convnet"),
    ("finetune/elbow/model.safetensors", ["evaluate", "--force", *CPU], "murace finetune --groups elbow"),
    ("finetune/elbow/predictions.csv", ["evaluate", "--force", *CPU], "murace finetune --groups elbow"),
    ("prepare/pixels.npy", ["evaluate", "--force", *CPU], "murace prepare SOURCE"),
    ("prepare/pixels.npy", ["finetune", "--force", *CPU], "murace prepare SOURCE"),
    ("prepare/pixels.npy", ["calibrate", "--force", *CPU], "murace prepare SOURCE"),
    ("finetune/wrist/model.safetensors", ["predict", "STUDIES", "--group", "wrist", *CPU], "murace finetune --groups"),
    ("calibrate/recogniser.safetensors", ["predict", "STUDIES", "--group", "wrist", *CPU], "murace calibrate"),
    ("evaluate/operating.json", ["predict", "STUDIES", "--group", "wrist", *CPU], "murace evaluate"),
    ("finetune/wrist/model.safetensors", ["cam", "STUDIES", "--group", "wrist", *CPU], "murace finetune --groups"),
    ("calibrate/roster.json", ["cam", "STUDIES", "--group", "wrist", *CPU], "murace calibrate"),
    ("evaluate/MODEL_CARD.md", ["export"], "murace evaluate"),
    ("finetune/elbow/model.safetensors", ["export"], "murace finetune --groups elbow"),
    ("train/convnet/step.json", ["calibrate", "--force", *CPU], "run its step again"),
]


@pytest.mark.parametrize(("name", "words", "mend"), USES)
def test_the_command_that_would_use_it_refuses_and_says_what_mends_it(
    finished: Workspace, source: Path, tmp_path: Path, name: str, words: list[str], mend: str
) -> None:
    """The size and the time of the file stay: only its bytes tell."""
    path = finished.root / name
    flip(path)
    studies = str(min(source.glob("test/wrist/*")))
    words = [studies if word == "STUDIES" else word for word in words]
    out = {"predict": ["--out", str(tmp_path / "p.csv")], "cam": ["--out", str(tmp_path / "o")]}
    target = [str(tmp_path / "e.murace")] if words[0] == "export" else out.get(words[0], [])
    result = typed(*words, *target, "-w", finished.root)
    assert result.exit_code == 4, result.output
    (line,) = error_lines(result)
    assert path.name in line
    assert mend in line


def test_damage_of_what_cam_and_predict_have_left_is_mended_by_typing_it_again(ground: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(ground / "after-export", base)
    for name in ("manifest.csv", "pictures", "patients"):
        (tmp_path / name).symlink_to(ground / name)
    root = base / "workspace"
    for name, again in (
        ("predictions.csv", do_predict),
        ("predictions-views.csv", do_predict),
        ("ensemble.murace", do_export),
        (next(path.relative_to(root) for path in root.glob("overlays/*/*.png")), do_cam),
        (next(path.relative_to(root) for path in root.glob("overlays/*/study.json")), do_cam),
    ):
        path = root / name
        whole = path.read_bytes()
        damaged = flip(path)
        again(base)
        assert path.read_bytes() == whole if path.suffix != ".csv" else path.read_bytes() != damaged, name
