import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from murace.errors import WorkspaceError
from murace.inference import operating_points
from murace.metrics.table import by_study

pytestmark = pytest.mark.kernels
WEIGHTS = {
    "resnet": {"train/resnet/model.safetensors": "a" * 64},
    "calibrated": {"finetune/hip/model.safetensors": "b" * 64},
}
MODELS = ["resnet", "calibrated"]


def images(seed: int = 0, *, sharpness: float = 3.0) -> pd.DataFrame:
    """400 studies of one to three views; the probabilities are `sharpness` times too sure of themselves."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(0, 1.2, 400)
    label = (generator.random(400) < 1 / (1 + np.exp(-truth))).astype(int)
    study = np.repeat(np.arange(400), generator.integers(1, 4, 400))
    chance = 1 / (1 + np.exp(-sharpness * truth[study]))
    frame = pd.DataFrame(
        {"study": [f"s{n}" for n in study], "group": np.array(["elbow", "hip"])[study % 2], "label": label[study]}
    )
    return frame.assign(resnet=chance, calibrated=chance)


def test_overconfidence_is_found_and_decisions_stay() -> None:
    readouts = operating_points.fit(images(), MODELS, WEIGHTS)
    assert readouts["resnet"].temperature == pytest.approx(3.0, rel=0.25)
    assert set(readouts["calibrated"].groups) == {"elbow", "hip"}
    assert readouts["resnet"].groups == {}
    test = operating_points.apply(images(1), readouts)
    studies = by_study(test, [*MODELS, "resnet_calibrated", "calibrated_calibrated"])
    for model in MODELS:
        assert ((studies[model] >= 0.5) == (studies[f"{model}_calibrated"] >= 0.5)).all()
        sure = [np.abs(studies[name] - studies["label"]).pow(2).mean() for name in (model, f"{model}_calibrated")]
        assert sure[1] < sure[0]


def test_a_studys_calibrated_probability_is_its_mean_scaled_and_stands_on_all_its_images() -> None:
    readouts = operating_points.fit(images(), MODELS, WEIGHTS)
    test = operating_points.apply(images(1), readouts)
    assert (test.groupby("study")["resnet_calibrated"].nunique() == 1).all()
    mean = test.groupby("study")["resnet"].transform("mean")
    assert np.allclose(logit(test["resnet_calibrated"]) * readouts["resnet"].temperature, logit(mean))
    hip = test["group"] == "hip"
    scaled = logit(test.loc[hip, "calibrated_calibrated"]) * readouts["calibrated"].groups["hip"]
    assert np.allclose(scaled, logit(mean[hip]))
    assert test["resnet"].equals(images(1)["resnet"])  # the raw columns stay


def test_the_file_reads_back_and_is_refused_for_other_weights(tmp_path: Path) -> None:
    path = tmp_path / "operating.json"
    readouts = operating_points.fit(images(), MODELS, WEIGHTS)
    operating_points.save(path, readouts)
    assert operating_points.load(path, WEIGHTS) == readouts
    other = {**WEIGHTS, "resnet": {"train/resnet/model.safetensors": "c" * 64}}
    with pytest.raises(WorkspaceError, match=r"fitted to other weights of resnet\. Run: murace evaluate --force"):
        operating_points.load(path, other)
    with pytest.raises(WorkspaceError, match="is missing"):
        operating_points.load(tmp_path / "none.json", WEIGHTS)


def test_one_class_on_validation_leaves_probabilities_and_thresholds_alone(tmp_path: Path) -> None:
    readouts = operating_points.fit(images().assign(label=1), MODELS, WEIGHTS)
    assert readouts["resnet"].temperature == 1
    assert set(readouts["calibrated"].groups.values()) == {1}
    path = tmp_path / "operating.json"
    operating_points.save(path, readouts)
    assert json.loads(path.read_text())["models"]["resnet"]["points"]["youden"] is None
    assert np.isnan(operating_points.load(path, WEIGHTS)["resnet"].points["youden"])


def test_the_calibration_table_holds_every_temperature() -> None:
    readouts = operating_points.fit(images(), MODELS, WEIGHTS)
    rows = operating_points.temperatures(readouts).set_index(["model", "group"])["value"]
    assert rows["resnet", "overall"] == readouts["resnet"].temperature
    assert rows["calibrated", "hip"] == readouts["calibrated"].groups["hip"]


@pytest.mark.parametrize("points", [{}, {"half": None}, {"half": 0.4}, {"half": 0.5, "youden": 2}])
def test_points_that_are_not_those_of_an_evaluation_are_refused(points: dict[str, object]) -> None:
    values = operating_points.content(operating_points.fit(images(), MODELS, WEIGHTS))
    assert operating_points.parse(values, WEIGHTS).keys() == set(MODELS)
    known = values["models"]["calibrated"]["points"]
    values["models"]["calibrated"]["points"] = {**known, **points} if points else {}
    with pytest.raises(ValueError, match="makes no sense"):
        operating_points.parse(values, WEIGHTS)
