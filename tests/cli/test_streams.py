"""Results go to stdout and talk to stderr; --json leaves one object on stdout, --quiet nothing on stderr."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from murace.cli.display.console import printable
from murace.workspace.paths import Workspace
from tests.cli.typed import CPU, MEMBER, NARROW, PYTHON, answered, done, environment, files_in, refused, typed
from tests.data.files import make_mura, picture, png
from tests.workshop import tiny_index, tiny_pixels

ESCAPE = "\x1b"
EPOCH = (
    r"epoch {}/{}  train loss \d\.\d{{4}}  validation loss \d\.\d{{4}}  best auc \d\.\d{{4}} \(epoch \d\)  .*images/s"
)
WITHOUT_UTF8 = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
TRAIN = ("train", "--arch", "all", *NARROW, "--epochs", "2")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "XR_ELBOW" / "patient00001" / "study1_positive"
    folder.mkdir(parents=True)
    index = tiny_index()
    pixels = tiny_pixels(index, seed=7)[(index["group"] == "elbow").to_numpy()]
    for view in (1, 2):
        (folder / f"image{view}.png").write_bytes(png(pixels[view]))
    return folder


@pytest.fixture
def commands(finished: Workspace, study: Path, tmp_path: Path) -> dict[str, tuple[object, ...]]:
    """Every command that needs a finished chain, with settings that have been run already; and one that has not."""
    here = ("-w", finished.root)
    return {
        "train": (*TRAIN, *here),
        "calibrate": ("calibrate", *here),
        "finetune": ("finetune", *MEMBER, *here),
        "evaluate": ("evaluate", *CPU, *here),
        "cam": ("cam", study, "--out", tmp_path / "overlays", *CPU, *here),
        "predict": ("predict", study, "--out", tmp_path / "predictions.csv", *CPU, *here),
        "status": ("status", *here),
    }


def test_prepare_tells_the_table_and_the_talk_apart(tmp_path: Path) -> None:
    words = ("prepare", make_mura(tmp_path / "MURA"), "--size", "16", "--jobs", "1", "-w", tmp_path / "work")
    result = done(*words)
    assert re.search(r"Table 1.*elbow.*wrist.*overall", result.stdout, re.DOTALL)
    assert "32 patients" in result.stderr
    assert f"next: murace train --arch all -w {tmp_path / 'work'}\n" in result.stderr
    again = done(*words)
    assert again.stdout == result.stdout
    assert "up to date" in again.stderr
    told = answered(*words)
    assert (told["command"], told["skipped"], told["images"], told["patients"]) == ("prepare", True, 64, 32)
    assert {row["group"] for row in told["counts"]} == {"elbow", "wrist", "overall"}


def test_train_says_a_line_per_epoch(prepared: Workspace) -> None:
    words = ("train", "--arch", "convnet", *NARROW, "-w", prepared.root, "--epochs")
    result = done(*words, 2)
    assert re.fullmatch(r"convnet is trained: best epoch \d of 2, validation score \d\.\d{4}\n", result.stdout)
    lines = result.stderr.splitlines()
    assert re.match(
        r"convnet: [\d,]+ parameters .* 64 training and 32 validation images, batch 8, fp32 on cpu", lines[0]
    )
    assert re.fullmatch(EPOCH.format(1, 2), lines[1])
    assert re.fullmatch(EPOCH.format(2, 2), lines[2])
    assert lines[3] == f"next: murace calibrate -w {prepared.root}" or lines[3].startswith("next: murace train")
    assert "convnet is up to date: nothing has changed" in done(*words, 2).stdout
    more = done(*words, 3)
    assert "--epochs 2 -> 3" in more.stderr
    assert "resuming after epoch 2" in more.stderr
    assert "epoch 3/3" in more.stderr
    assert "epoch 2/3" not in more.stderr
    told = answered(*words, 3)
    assert told["learners"][0]["learner"] == "convnet"
    assert told["learners"][0]["skipped"]


UP_TO_DATE = {
    "train": "densenet is up to date",
    "calibrate": "calibrate is up to date",
    "finetune": "up to date",
    "evaluate": "evaluate is up to date",
}


@pytest.mark.parametrize("command", UP_TO_DATE)
def test_run_twice_it_is_up_to_date(command: str, commands: dict, finished: Workspace) -> None:
    before = files_in(finished.root)
    assert UP_TO_DATE[command] in done(*commands[command]).output
    assert files_in(finished.root) == before


def test_cam_says_what_it_read_and_reads_it_once(commands: dict, tmp_path: Path) -> None:
    folder = tmp_path / "overlays" / "elbow-patient00001-study1"
    line = rf"{folder}: (ab)?normal, p = 0\.\d{{3}} \(elbow by path, \w+, 2 views\)"
    page = f"gallery: {tmp_path / 'overlays' / 'index.html'}\n"
    assert re.fullmatch(f"{line}\n{page}", done(*commands["cam"]).stdout)
    assert re.fullmatch(f"{line}; up to date\n{page}", done(*commands["cam"]).stdout)
    (told,) = answered(*commands["cam"])["studies"]
    assert told["skipped"]
    assert told["folder"] == str(folder)
    assert len(told["views"]) == 2


def test_predict_says_what_it_read_and_where_it_stands(commands: dict, study: Path, tmp_path: Path) -> None:
    line = rf"{study}: (ab)?normal, p = 0\.\d{{3}}, calibrated [01]\.\d{{3}} \(elbow by path, \w+, 2 views\)"
    files = f"studies: {tmp_path / 'predictions.csv'}\nviews: {tmp_path / 'predictions-views.csv'}\n"
    result = done(*commands["predict"])
    assert re.fullmatch(f"{line}\n{files}", result.stdout)
    assert "synthetic" in result.stderr
    assert "not a medical device" in result.stderr
    assert "up to date" in done(*commands["predict"]).stderr
    (told,) = answered(*commands["predict"])["studies"]
    assert (told["study"], told["group"], told["views"], told["problem"]) == (str(study), "elbow", 2, None)


def test_what_could_be_done_is_told_beside_what_could_not(commands: dict, study: Path) -> None:
    (study / "image2.png").write_bytes(b"BM")
    for name in ("predict", "cam"):
        result = typed(*commands[name], "--json")
        assert result.exit_code == 3
        told = json.loads(result.stdout)
        assert "image2.png: not a PNG, JPEG or DICOM: a BMP" in told["error"]["message"]
        assert told["error"]["exit_code"] == 3
        if name == "predict":
            assert [(row["views"], row["unreadable"]) for row in told["studies"]] == [(1, 1)]


@pytest.mark.parametrize("command", ["train", "calibrate", "finetune", "evaluate", "cam", "predict", "status"])
def test_json_is_one_object_and_quiet_is_silent(command: str, commands: dict) -> None:
    quiet = done(*commands[command], "--quiet")
    assert quiet.stdout.strip()
    assert quiet.stderr == ""
    result = done(*commands[command], "--json", "-q")
    assert result.stderr == ""
    assert result.stdout.count("\n") == 1
    told = json.loads(result.stdout)
    assert (told["schema"], told["command"]) == (1, command)
    assert command in ("cam", "predict") or told["next"] is None
    assert ESCAPE not in quiet.output + result.output


def test_json_holds_what_the_tables_show(commands: dict, finished: Workspace) -> None:
    roster = json.loads(finished.calibrate.roster.read_text())
    assert roster.items() <= answered(*commands["calibrate"]).items()
    told = answered(*commands["evaluate"])
    assert told["report"] == str(finished.evaluate.report)
    row = next(r for r in told["scores"] if (r["model"], r["metric"], r["group"]) == ("calibrated", "auc", "overall"))
    assert 0 <= row["value"] <= 1
    assert row["low"] <= row["value"] <= row["high"]
    tables = {
        "comparisons",
        "baselines",
        "calibration",
        "operating",
        "slices",
        "support",
        "intervals",
        "confusion",
        "benefit",
    }
    assert all(told[name] for name in tables)
    assert {item["group"] for item in answered(*commands["finetune"])["members"]} == {"elbow", "wrist"}


def test_the_tables(commands: dict) -> None:
    chosen = done(*commands["calibrate"]).stdout
    assert "Validation scores by study (Table 5)\n" in chosen
    assert re.search(r"elbow +\w+ ", chosen.partition("Designated learners (Table 5)")[2])
    test = done(*commands["evaluate"]).stdout
    for title in (
        "Test scores by study (Table 3)",
        "Test scores by image, overall",
        "Differences by study",
        "Probabilities by study",
    ):
        assert title in test
    for name in ("auc", "accuracy", "precision", "recall", "kappa", "overall", "densenet", "calibrated"):
        assert name in test
    assert "report: " in test


def test_sample_draws_and_says_what_comes_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = done("sample", "my drawings", "--studies", 10)
    images = len(list(tmp_path.glob("my drawings/*/*/*/*/*.png")))
    assert f"{images} synthetic images in my drawings" in result.stdout
    assert result.stderr == "next: murace prepare 'my drawings'\n"
    again = typed("sample", "my drawings", "--studies", 10)
    assert again.exit_code == 2
    assert "my drawings is not empty" in again.stderr
    monkeypatch.setattr("murace.sample.layout.draw_sample", lambda *_: ["a finding"])
    told = answered("sample", "my drawings")
    assert (told["command"], told["images"], told["findings"]) == ("sample", images, 1)
    assert told["next"] == "murace prepare 'my drawings'"


def test_the_workspace_may_stand_in_the_environment(prepared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MURACE_WORKSPACE", str(prepared.root))
    told = answered("status")
    assert told["workspace"] == str(prepared.root)
    assert told["steps"][0] == {"step": "prepare", "state": "done", "reasons": []}
    assert answered("status", "-w", "elsewhere")["workspace"] == "elsewhere"


def test_a_name_is_shown_as_it_is_and_cannot_steer_the_terminal(finished: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "[bold]:smile:\x1b[31m"
    folder.mkdir()
    (folder / "image1.png").write_bytes(png(picture()))
    out = tmp_path / "[/red]"
    result = done("cam", folder, "--group", "elbow", "--out", out, *CPU, "-w", finished.root)
    assert str(out) in result.stdout
    lost = typed("cam", folder / "lost\nerror: two lines", "--group", "elbow", *CPU, "-w", finished.root)
    assert ESCAPE not in lost.output
    assert len(lost.stderr.splitlines()) == 1
    assert done("status", "-w", tmp_path / "\x1b[31m").stderr.endswith(r"\x1b[31m'" + "\n")
    assert r"[bold]:smile:\x1b[31m/lost\nerror: two lines" in lost.stderr


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "ascii"}, WITHOUT_UTF8])
def test_a_terminal_without_the_letters_shows_their_numbers(variables: dict[str, str], tmp_path: Path) -> None:
    command = [*PYTHON, "sample", "снимки", "--studies", "10"]
    ended = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment(**variables), check=False)
    assert (ended.returncode, ended.stderr.count(b"\n")) == (0, 1)
    name = r"\udcd1\udc81" if variables is WITHOUT_UTF8 else r"\u0441\u043d"
    assert f"synthetic images in {name}".encode() in ended.stdout
    assert (tmp_path / "снимки" / "SYNTHETIC.txt").exists()


def test_a_page_of_a_gallery_and_a_table_are_read_in_any_locale(commands: dict, tmp_path: Path) -> None:
    for words in (commands["cam"], commands["cam"], (*commands["evaluate"], "--latex")):
        command = [*PYTHON, *map(str, words)]
        ended = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment(**WITHOUT_UTF8), check=False)
        assert (ended.returncode, b"Traceback" in ended.stderr) == (0, False)


def test_results_whose_name_is_no_text_are_refused_before_the_work(commands: dict, tmp_path: Path) -> None:
    out = tmp_path / "\udcff.csv"
    line = refused(2, *commands["predict"], "--out", out)
    assert line == rf"--out '{tmp_path}/\udcff.csv': the name is no text in this system's encoding; choose another"


def test_control_characters_are_spelled_out() -> None:
    assert printable("a\nb\x1b[1m\udc80") == r"a\nb\x1b[1m\udc80"
    assert printable("a\nb", keep="\n") == "a\nb"


def test_a_long_path_is_not_broken(finished: Workspace, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "a folder with a name " / ("x" * 200)
    result = done("cam", study, "--out", out, *CPU, "-w", finished.root)
    assert str(out / "elbow-patient00001-study1") in result.stdout.splitlines()[0]
