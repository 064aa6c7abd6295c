"""What cannot be done is refused in one line that says what, where and what to do, with the exit code of its kind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from murace.workspace import begin
from murace.workspace.commands import settings
from murace.workspace.paths import Workspace
from tests.cli.typed import CPU, environment, files_in, refused, typed
from tests.data.files import make_manifest, picture, png

NOT_HERE = ("--gpu", "99")

UNKNOWN = [
    ("train --arch resnt", "'resnet'"),
    ("train --head gab", "'gap'"),
    ("train --head fc --arch resnet", "convnet"),
    ("train --precision fp23", "'fp32'"),
    ("train --monitor kapa", "'kappa'"),
    ("train --epochs 0", "--epochs"),
    ("train --epochs many", "--epochs"),
    ("train --lr -1", "--lr"),
    ("train --width 0", "--width"),
    ("train --patience 0", "--patience"),
    ("train --batch-size 1", "--batch-size"),
    ("train --seed -1", "--seed"),
    ("train --threads 0", "--threads"),
    ("train --gpu cuda", "cpu"),
    ("train --arhc resnet", "--arch"),
    ("train resnet", "resnet"),
    ("trian", "'train'"),
    ("calibrate --val-metrics auc,kapa", "'kappa'"),
    ("calibrate --val-metrics ,", "auc,acc,kappa"),
    ("calibrate --val-metrics auc,auc", "twice"),
    ("calibrate --level studdy", "'study'"),
    ("finetune --monitor accurracy", "'accuracy'"),
    ("finetune --batch-size 0", "--batch-size"),
    ("evaluate --gpu one", "cpu"),
    ("cam", "STUDY_DIR"),
    ("cam study --check boxes.csv", "STUDY_DIR"),
    ("cam --check boxes.csv --group elbow", "--group"),
    ("cam --check boxes.csv --force", "--force"),
    ("cam study --method gradcamm", "'gradcam'"),
    ("cam study --scales 2,1", "--scales"),
    ("cam study --scales x", "--scales"),
    ("predict", "PATHS"),
    ("predict study --operating-point yoden", "'youden'"),
    ("prepare", "SOURCE"),
    ("prepare here --fit padd", "'pad'"),
    ("prepare here --size 4", "--size"),
    ("prepare here --leaks drop-trian", "'drop-train'"),
    ("prepare here --jobs 0", "--jobs"),
    ("prepare here --accept-rejects -1", "--accept-rejects"),
    ("prepare here --preview picture.gif", ".png"),
    ("sample", "DIR"),
    ("sample here --studies 1", "--studies"),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("line", "hint"), UNKNOWN)
def test_words_that_mean_nothing_are_usage(line: str, hint: str, elsewhere: Path) -> None:
    assert hint in refused(2, *line.split())
    assert list(elsewhere.iterdir()) == []


def test_a_complaint_about_usage_says_where_to_read() -> None:
    assert refused(2, "train", "--arhc").endswith("murace train --help")
    assert refused(2, "trian").endswith("murace --help")


@pytest.mark.parametrize("command", ["train", "finetune", "evaluate", "cam study"])
def test_a_gpu_that_is_not_there_comes_before_a_missing_workspace(command: str, elsewhere: Path) -> None:
    message = refused(5, *command.split(), *NOT_HERE)
    assert message.startswith("--gpu 99: ")
    assert refused(5, *command.split(), *NOT_HERE, "-w", "nowhere") == message
    assert list(elsewhere.iterdir()) == []


def test_usage_comes_before_the_machine() -> None:
    assert "resnet" in refused(2, "train", "--arch", "resnt", *NOT_HERE)


PARENTS = {
    "train": "murace prepare SOURCE",
    "calibrate": "murace prepare SOURCE",
    "finetune": "murace calibrate",
    "evaluate": "murace prepare SOURCE",
    "cam nothing": "murace prepare SOURCE",
}


@pytest.mark.parametrize("command", PARENTS)
def test_without_the_step_before_it_a_step_names_the_command(command: str, elsewhere: Path) -> None:
    gpu = CPU if command != "calibrate" else ()
    assert refused(4, *command.split(), *gpu).endswith(f"Run: {PARENTS[command]}")
    assert refused(4, *command.split(), *gpu, "-w", "my work").endswith(f"Run: {PARENTS[command]} -w 'my work'")
    assert list(elsewhere.iterdir()) == []


def test_each_step_after_the_first_names_the_one_before(prepared: Workspace) -> None:
    here = ("-w", prepared.root)
    before = files_in(prepared.root)
    assert "Run: murace train --arch all" in refused(4, "calibrate", *here)
    assert "Run: murace calibrate" in refused(4, "finetune", *CPU, *here)
    assert "Run: murace train --arch all" in refused(4, "evaluate", *CPU, *here)
    assert "Run: murace calibrate" in refused(4, "cam", "study", *CPU, *here)
    assert files_in(prepared.root) == before


DAMAGE = [
    ("prepare/pixels.npy", "train --arch convnet", "murace prepare SOURCE"),
    ("prepare/index.csv", "calibrate", "murace prepare SOURCE"),
    ("train/convnet/predictions.csv", "calibrate", "murace train --arch convnet"),
    ("train/convnet/model.safetensors", "evaluate", "murace train --arch convnet"),
    ("calibrate/roster.json", "finetune", "murace calibrate"),
    ("calibrate/roster.json", "cam study", "murace calibrate"),
    ("finetune/elbow/model.safetensors", "evaluate", "murace finetune --groups elbow"),
    ("finetune/elbow/model.safetensors", "cam study --group elbow", "murace finetune --groups elbow"),
]


@pytest.mark.parametrize(("name", "command", "mend"), DAMAGE)
def test_a_damaged_file_is_never_built_upon(name: str, command: str, mend: str, finished: Workspace) -> None:
    path = finished.root / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    Path("study").mkdir()
    Path("study/image1.png").write_bytes(png(picture()))
    before = files_in(finished.root)
    gpu = CPU if command != "calibrate" else ()
    message = refused(4, *command.split(), *gpu, "-w", finished.root)
    assert path.name in message
    assert "damaged" in message
    place = name.rpartition("/")[0]
    assert message.endswith(f"Run: {mend}{settings(finished, place)} -w {finished.root}")
    assert files_in(finished.root) == before


@pytest.mark.parametrize("large", [True, False])
def test_a_file_that_rots_without_a_new_time_is_mended(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    """Its own step notices that itself, unless the file is so large that its size and time have to do."""
    if large:
        for module in ("decision", "status"):
            monkeypatch.setattr(f"murace.workspace.{module}.LARGE", 0)
    path = prepared.prepare.pixels
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=times)
    message = refused(4, "train", *CPU, "-w", prepared.root)
    assert message.endswith(f"Run: murace prepare SOURCE --size 64{' --force' * large} -w {prepared.root}")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": 0}', b'{"schema": 1}'])
def test_a_damaged_record_is_not_taken_for_a_result(content: bytes, prepared: Workspace) -> None:
    (prepared.prepare.folder / "step.json").write_bytes(content)
    assert "step.json" in refused(4, "train", *CPU, "-w", prepared.root)


def test_there_must_be_something_to_resume(prepared: Workspace) -> None:
    message = refused(4, "train", "--arch", "resnet", "--resume", *CPU, "-w", prepared.root)
    assert "nothing to resume" in message
    assert "without --resume" in message
    assert not (prepared.train("resnet").folder / "begun.json").exists()


def test_an_unfinished_run_is_not_continued_with_other_settings(prepared: Workspace) -> None:
    begin(prepared.train("resnet").folder, "train", {"lr": 0.5}, {})
    before = files_in(prepared.root)
    message = refused(4, "train", "--arch", "resnet", "--lr", "0.25", *CPU, "-w", prepared.root)
    assert "--lr 0.5 -> 0.25" in message
    assert "--fresh" in message
    assert files_in(prepared.root) == before


def test_groups_that_the_roster_does_not_know(finished: Workspace) -> None:
    here = (*CPU, "-w", finished.root)
    assert "'elbow'" in refused(2, "finetune", "--groups", "wrist,elbw", *here)
    assert "'wrist'" in refused(2, "cam", "study", "--group", "wrst", *here)
    Path("study").mkdir()
    Path("study/image1.png").write_bytes(png(picture()))
    assert "'wrist'" in refused(2, "predict", "study", "--group", "wrst", *here)
    message = refused(2, "cam", "study", *here)
    assert "--group" in message
    assert "elbow, wrist" in message
    assert not Path("overlays").exists()


def test_studies_that_are_not_there(finished: Workspace) -> None:
    here = (*CPU, "-w", finished.root, "--group", "elbow")
    assert "nothing" in refused(3, "cam", "nothing", *here)
    Path("empty").mkdir()
    assert "empty" in refused(3, "cam", "empty", *here)
    Path("bad").mkdir()
    Path("bad/image1.png").write_bytes(b"no picture")
    assert "bad" in refused(3, "cam", "bad", *here)
    assert list(Path("overlays").rglob("*.png")) == []


def sources(folder: Path) -> dict[str, tuple[Path, str]]:
    """Sources that are not fit for use, each with a word that its complaint must hold."""
    rows = {"all": "path,label\n", "paths": "file,label\na.png,1\n", "labels": "path,class\na.png,1\n"}
    (folder / "circle.csv").symlink_to("circle.csv")
    for name, text in rows.items():
        (folder / f"{name}.csv").write_text(text)
    return {
        "no such source": (folder / "nowhere", "nowhere"),
        "no such csv": (folder / "nowhere.csv", "nowhere.csv"),
        "a folder with nothing": (folder, "train_image_paths.csv"),
        "a csv without rows": (folder / "all.csv", "no image"),
        "a csv without path": (folder / "paths.csv", "path"),
        "a csv without label": (folder / "labels.csv", "label"),
        "a label 2": (make_manifest(folder / "two", row="{path},2"), "label"),
        "no label": (make_manifest(folder / "none", row="{path},"), "label"),
        "a path outside": (make_manifest(folder / "outside", row="../outside/{path},{label}"), ".."),
        "one class": (make_manifest(folder / "one", row="{path},1"), "0 negative"),
        "one class in a split": (
            make_manifest(folder / "split", header="path,label,split", row="{path},1,train"),
            "0 negative",
        ),
        "a group of one class": (
            make_manifest(folder / "groups", header="path,label,group", row="{path},{label},g{label}"),
            "g1 train",
        ),
        "a circle of links": (folder / "circle.csv", "a link that leads in a circle"),
        "a group overall": (
            make_manifest(folder / "group", header="path,label,group", row="{path},{label},overall"),
            "overall",
        ),
    }


CASES = (
    "no such source",
    "no such csv",
    "a folder with nothing",
    "a csv without rows",
    "a csv without path",
    "a csv without label",
    "a label 2",
    "no label",
    "a path outside",
    "one class",
    "one class in a split",
    "a group of one class",
    "a group overall",
    "a circle of links",
)


def test_leaks_without_a_given_split_is_usage(elsewhere: Path) -> None:
    message = refused(2, "prepare", make_manifest(elsewhere / "m"), "--leaks", "drop-train", "--size", 16)
    assert message.startswith("--leaks drop-train mends a split that the data give")


@pytest.mark.parametrize("case", CASES)
def test_a_source_that_is_not_fit_is_data(case: str, elsewhere: Path) -> None:
    source, word = sources(elsewhere)[case]
    message = refused(3, "prepare", source, "--size", 16, "--jobs", 1)
    assert word in message
    assert not (elsewhere / "workspace/prepare/step.json").exists()
    assert "index.csv" not in files_in(elsewhere / "workspace")


HOLD = (
    "import sys; from pathlib import Path; from murace.workspace import writing\n"
    "with writing(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)
LOCKED = {
    "train/convnet": "train --arch convnet",
    "calibrate": "calibrate",
    "finetune/elbow": "finetune --side-by-side 1",
}


@pytest.mark.parametrize("name", LOCKED)
def test_a_step_that_another_process_is_at(name: str, finished: Workspace) -> None:
    command = [sys.executable, "-c", HOLD, str(finished.root / name)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), text=True, **pipes) as holder:
        assert holder.stdout.readline() == "held\n"
        before = files_in(finished.root)
        gpu = CPU if name != "calibrate" else ()
        message = refused(4, *LOCKED[name].split(), *gpu, "-w", finished.root)
        assert str(holder.pid) in message
        assert files_in(finished.root) == before
        holder.communicate("")
    assert typed("calibrate", "-w", finished.root).exit_code == 0
