"""A workspace and a `.murace` file made by commit 6259cd4, before the code was laid out anew, are read as they were.

`workspace.tar.xz`: 53 synthetic radiographs of two regions at 64 pixels, convnet and resnet at width 0.03 for 3 epochs;
`ensemble.murace`: what `murace export` made of it; `predictions.json`: what `murace predict` said of its test images.
"""

import json
import tarfile
from pathlib import Path

import cv2
import pandas as pd
import pytest

from murace.data.store import open_pixels, read_index
from murace.vocabulary import Split
from murace.workspace.paths import Workspace
from tests.cli.typed import CPU, answered, done, typed

HERE = Path(__file__).parent
WIDTH = ("--width", "0.03")
LEARNED = (*WIDTH, "--epochs", "3", "--precision", "fp32")
# The nets' logits are sums of some thousand fp32 products near 1, added in another order by another processor.
TOLERANCE = 1e-5


@pytest.fixture
def older(tmp_path: Path) -> Workspace:
    with tarfile.open(HERE / "workspace.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python before 3.11.4 has none
        archive.extractall(tmp_path / "older")
    return Workspace(tmp_path / "older")


@pytest.fixture
def pictures(older: Workspace, tmp_path: Path) -> dict[str, Path]:
    """The test images as files, by group and row."""
    index, pixels = read_index(older.prepare.index), open_pixels(older.prepare.pixels)
    folder = tmp_path / "pictures"
    folder.mkdir()
    found = {}
    for group, row in index.loc[index["split"] == Split.TEST, ["group", "row"]].itertuples(index=False):
        found[f"{group}-{row}"] = folder / f"{group}-{row}.png"
        assert cv2.imwrite(str(found[f"{group}-{row}"]), pixels[row])
    return found


def test_every_step_is_as_it_was(older: Workspace) -> None:
    """`status` calls nothing damaged or stale, and what is finished is skipped when it is typed again."""
    steps = {step["step"]: step["state"] for step in answered("status", "-w", older.root)["steps"]}
    assert steps.pop("train/densenet") == "missing"
    assert set(steps.values()) == {"done"}
    here, predictions = ("-w", older.root), older.evaluate.predictions.read_bytes()
    for words in (
        ("train", "--arch", "convnet,resnet", *LEARNED, *CPU),
        ("calibrate", "--resamples", "100", *CPU),
        ("finetune", "--epochs", "3", "--precision", "fp32", *CPU),
        ("evaluate", "--resamples", "100", *CPU),
    ):
        result = done(*words, *here)
        if words[0] == "evaluate":  # it has had no baselines: made again, without asking a net
            assert "made by an older murace" in result.output
            assert older.evaluate.predictions.read_bytes() == predictions
            result = done(*words, *here)
        assert "up to date" in result.output
        assert "->" not in result.output


@pytest.mark.parametrize("source", ["workspace", "file"])
def test_the_ensemble_answers_as_it_did(
    older: Workspace, pictures: dict[str, Path], source: str, tmp_path: Path
) -> None:
    given = ("-w", older.root) if source == "workspace" else ("--model", HERE / "ensemble.murace")
    wanted = json.loads((HERE / "predictions.json").read_text())
    assert pictures.keys() == wanted.keys()
    for group in ("elbow", "wrist"):
        mine = [path for name, path in pictures.items() if name.startswith(group)]
        out = tmp_path / f"{group}.csv"
        done("predict", *mine, "--group", group, *given, "--out", out, *CPU)
        for row in pd.read_csv(out).to_dict("records"):
            told = wanted[Path(row["study"]).stem]
            assert row["learner"] == told["learner"]
            for column in ("probability", "probability_calibrated"):
                assert row[column] == pytest.approx(told[column], abs=TOLERANCE)


def test_a_training_goes_on_from_an_older_checkpoint(older: Workspace) -> None:
    before = pd.read_csv(older.train("resnet").history)
    longer = ("--epochs", "4", "--precision", "fp32", *CPU)
    result = done("train", "--arch", "resnet", *WIDTH, *longer, "-w", older.root)
    assert "resuming after epoch 3" in result.stderr
    after = pd.read_csv(older.train("resnet").history)
    pd.testing.assert_frame_equal(after.head(len(before)), before)
    assert len(after) == len(before) + 1


def test_what_is_lost_is_named_with_the_command_that_mends_it(older: Workspace) -> None:
    """The checkpoints of convnet are not in the archive: more epochs cannot continue it, and this is said."""
    words = ("train", "--arch", "convnet", *WIDTH, "--epochs", "4", "--precision", "fp32", *CPU, "-w", older.root)
    result = typed(*words)
    assert result.exit_code == 4
    assert "start over with --fresh" in result.stderr
