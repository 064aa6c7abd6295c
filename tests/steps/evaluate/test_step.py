import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from murace.config import Bootstrap, EvaluateConfig
from murace.errors import Interrupted, UsageError, WorkspaceError
from murace.metrics.table import by_study
from murace.metrics.temperature import fit_by_group
from murace.nets import forward
from murace.steps.evaluate import step
from murace.system.files import sha256
from murace.system.progress import Bar, Reporter
from murace.system.sealed import read_sealed, write_sealed
from murace.workspace import Rerun, State, begin, examine, read
from murace.workspace.paths import Workspace
from tests.workshop import CPU, tiny_chain, tiny_workspace

MODELS = ["convnet", "resnet", "densenet", "resnet+densenet", "calibrated"]
FORCE = Rerun(force=True)


def run(workspace: Workspace, rerun: Rerun = Rerun(), reporter: Reporter | None = None) -> step.Evaluated:  # noqa: B008
    return step.run(workspace, EvaluateConfig(), machine=CPU, rerun=rerun, reporter=reporter or Reporter())


def test_the_promised_files_and_columns(finished: Workspace) -> None:
    assert run(finished).skipped
    folder = finished.evaluate
    predictions = pd.read_csv(folder.predictions)
    rescaled = [f"{model}_calibrated" for model in MODELS]
    assert list(predictions.columns) == ["row", "patient", "study", "group", "label", *MODELS, *rescaled]
    scores = pd.read_csv(folder.scores)
    assert list(scores.columns) == ["level", "model", "group", "metric", "value", "low", "high", "change"]
    assert len(scores) == 2 * 5 * 3 * 12
    assert scores.loc[scores["value"].notna(), ["low", "high"]].notna().all(axis=None)
    assert list(pd.read_csv(folder.table("roc")).columns) == ["level", "model", "fpr", "tpr", "threshold"]
    assert (folder.figures / "roc.svg").is_file()
    assert folder.report.is_file()
    assert examine(folder.folder) == (State.DONE, [])


def test_scores_agree_with_an_independent_reckoning(finished: Workspace) -> None:
    predictions = pd.read_csv(finished.evaluate.predictions)
    scores = pd.read_csv(finished.evaluate.scores).set_index(["level", "model", "group", "metric"])
    studies = predictions.groupby("study").agg({"group": "first", "label": "first", **dict.fromkeys(MODELS, "mean")})
    for model in MODELS:
        for group in ("elbow", "wrist"):
            part = studies[studies["group"] == group]
            assert scores.loc[("study", model, group, "auc"), "value"] == pytest.approx(
                roc_auc_score(part["label"], part[model])
            )
        change = scores.loc[("study", model, "overall", "auc"), "change"]
        base = scores.loc[("study", "convnet", "overall", "auc"), "value"]
        assert change == pytest.approx((scores.loc[("study", model, "overall", "auc"), "value"] - base) / base)


def test_the_calibrated_column_is_each_groups_member(finished: Workspace) -> None:
    predictions = pd.read_csv(finished.evaluate.predictions)
    pair = (predictions["resnet"] + predictions["densenet"]) / 2
    assert np.allclose(predictions["resnet+densenet"], pair, atol=1e-12)
    for group in ("elbow", "wrist"):
        record = read(finished.finetune(group).folder)
        assert record is not None
        if record.info["best_epoch"] == 0:  # the learner's own weights: the same answers
            part = predictions[predictions["group"] == group]
            assert np.allclose(part["calibrated"], part[record.info["learner"]], atol=1e-6)


def test_each_net_sees_each_image_once(finished: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = forward.logits_of

    def counting(net: object, images: object, rows: np.ndarray, **rest: object) -> object:
        asked.append(len(rows))
        return real(net, images, rows, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr("murace.steps.evaluate.predictions.logits_of", counting)
    config = EvaluateConfig(bootstrap=Bootstrap(resamples=120))
    before = finished.evaluate.predictions.read_bytes()
    other = step.run(finished, config, machine=CPU, rerun=Rerun(), reporter=Reporter())
    assert not other.skipped
    assert not asked  # other resamples, the same answers
    assert finished.evaluate.predictions.read_bytes() == before
    run(finished, FORCE)
    total = len(pd.read_csv(finished.evaluate.predictions))
    assert sorted(asked) == sorted([total] * 3 + [total // 2] * 2)


def test_interrupted_it_keeps_the_nets_it_has_been_through(
    finished: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = finished.evaluate.predictions.read_bytes()
    real, calls = forward.logits_of, []

    def third_stops(net: object, images: object, rows: np.ndarray, **rest: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise Interrupted(15)
        return real(net, images, rows, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr("murace.steps.evaluate.predictions.logits_of", third_stops)
    with pytest.raises(Interrupted):
        run(finished, FORCE)
    assert len(list(finished.evaluate.partial.glob("*.json"))) == 2
    run(finished)
    assert len(calls) == 3 + 3  # five nets, two of them kept
    assert finished.evaluate.predictions.read_bytes() == before
    assert not finished.evaluate.partial.exists()


def test_a_missing_member_is_named(finished: Workspace) -> None:
    (finished.finetune("wrist").folder / "step.json").unlink()
    with pytest.raises(WorkspaceError, match=r"finetune/wrist in .* is missing. Run: murace finetune --groups wrist"):
        run(finished)


def test_a_damaged_member_is_refused(finished: Workspace) -> None:
    model = finished.finetune("wrist").model
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    with pytest.raises(WorkspaceError, match=r"finetune/wrist in .* is damaged"):
        run(finished)


def test_the_report_is_self_contained_and_says_that_the_data_are_drawn(finished: Workspace) -> None:
    page = finished.evaluate.report.read_text()
    assert "<script" not in page
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert "Synthetic data" in page
    assert "channels are scaled by 0.1" in page
    assert "at most 2 epochs; the paper allows 100" in page
    assert "The batches are not the paper" in page
    assert page.count("data:image/jpeg") >= 3  # Figure 1, and a map of each group


def test_no_id_stands_in_records_report_and_figures(finished: Workspace) -> None:
    canary = "test-elbow-1"  # a patient
    assert canary in finished.evaluate.predictions.read_text()
    allowed = {"index.csv", "predictions.csv", "rejected.csv", "sources.csv"}
    for path in finished.root.rglob("*"):
        if path.is_file() and path.name not in allowed:
            assert canary.encode() not in path.read_bytes(), path
            assert b"test/elbow/p1" not in path.read_bytes(), path


def test_a_workspace_can_be_moved(finished: Workspace, tmp_path: Path) -> None:
    finished.root.rename(tmp_path / "moved")
    assert run(Workspace(tmp_path / "moved")).skipped


def test_an_unfinished_run_of_a_learner_is_said(finished: Workspace) -> None:
    begin(finished.train("densenet").folder, "train", {}, {})
    done = run(finished)
    assert "densenet is left out: its training is unfinished" in done.notes[0]
    assert "densenet" not in pd.read_csv(finished.evaluate.predictions).columns


def test_groups_may_be_called_null(tmp_path: Path) -> None:
    workspace = tiny_workspace(tmp_path / "w", groups=("null", "nan"))
    tiny_chain(workspace)
    scores = pd.read_csv(workspace.evaluate.scores, keep_default_na=False, na_values=[""])
    assert set(scores["group"]) == {"overall", "null", "nan"}
    assert scores["value"].notna().any()


def test_a_learner_trained_since_the_choice_is_refused(finished: Workspace) -> None:
    record = finished.calibrate.folder / "step.json"
    values = read_sealed(record)
    write_sealed(record, {**values, "info": {**values["info"], "learners": ["convnet", "resnet"]}})
    with pytest.raises(WorkspaceError, match=r"calibrate is stale \(densenet trained since\). Run: murace calibrate"):
        run(finished)


@pytest.mark.parametrize("name", ["path", "patient", "study", "sha256", "row", "group", "label", "width", "hardware"])
def test_only_columns_of_the_users_own_are_slices(finished: Workspace, name: str) -> None:
    with pytest.raises(UsageError, match=f"--slice: '{name}' is not a column to slice by"):
        step.run(finished, EvaluateConfig(slice=(name,)), machine=CPU, rerun=Rerun(), reporter=Reporter())


def test_the_temperatures_and_thresholds_are_fitted_on_validation_alone(finished: Workspace) -> None:
    models = json.loads(finished.evaluate.operating.read_text())["models"]
    members = [pd.read_csv(finished.finetune(group).predictions) for group in ("elbow", "wrist")]
    studies = by_study(pd.concat(members), ["calibrated"])
    overall, groups = fit_by_group(
        studies["label"].to_numpy(), studies["calibrated"].to_numpy(), studies["group"].to_numpy(dtype=str)
    )
    assert models["calibrated"]["temperature"] == pytest.approx(overall)
    assert models["calibrated"]["groups"] == pytest.approx(groups)
    weights = models["calibrated"]["weights"]
    assert set(weights) == {f"finetune/{group}/model.safetensors" for group in ("elbow", "wrist")}
    assert weights["finetune/elbow/model.safetensors"] == sha256(finished.finetune("elbow").model)
    found = pd.read_csv(finished.evaluate.table("operating")).set_index(["model", "point", "split", "metric"])["value"]
    assert found["calibrated", "sensitivity_90", "validation", "recall"] >= 0.9


def test_a_stop_during_the_analysis_leaves_what_was_there_and_the_next_run_ends_the_same(finished: Workspace) -> None:
    class Stopping(Reporter):
        def check(self) -> None:
            if self.armed:
                raise Interrupted(2)

        @contextmanager
        def bar(self, title: str, total: int, *, start: int = 0, lines: bool = False) -> Iterator[Bar]:
            self.armed = title == "intervals"
            yield Bar()

        armed = False

    names = ["scores.csv", "operating.json", "comparisons.csv", "report.html", "MODEL_CARD.md"]
    before = {name: (finished.evaluate.folder / name).read_bytes() for name in names}
    with pytest.raises(Interrupted):
        run(finished, FORCE, Stopping())
    assert all((finished.evaluate.folder / name).read_bytes() == content for name, content in before.items())
    run(finished)
    assert all((finished.evaluate.folder / name).read_bytes() == content for name, content in before.items())


def test_a_member_from_before_predictions_were_kept_is_made_again(finished: Workspace) -> None:
    record = finished.finetune("wrist").folder / "step.json"
    content = read_sealed(record)
    del content["produced"]["predictions.csv"]
    write_sealed(record, content)
    with pytest.raises(WorkspaceError, match=r"Run: murace finetune --groups wrist --epochs 1 .* --force$"):
        run(finished)


def test_what_a_killed_run_was_writing_is_swept_out_of_the_subfolders_too(finished: Workspace) -> None:
    left = [finished.evaluate.figures / ".roc.svg.tmp.1.00", finished.evaluate.tables / ".scores.tex.tmp.1.00"]
    for path in left:
        path.write_bytes(b"half")
    step.run(finished, EvaluateConfig(), machine=CPU, rerun=Rerun(force=True), reporter=Reporter())
    assert not [path for path in left if path.exists()]
