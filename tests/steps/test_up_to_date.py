"""What `calibrate` and `evaluate` answer from their records alone, and what they leave to the step."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest

from murace.config import Bootstrap, CalibrateConfig, EvaluateConfig, Machine
from murace.steps.calibrate import inputs as calibrate_inputs
from murace.steps.calibrate import step as calibrate
from murace.steps.evaluate import inputs as evaluate_inputs
from murace.steps.evaluate import step as evaluate
from murace.system.launch import VARIABLES
from murace.system.progress import Reporter
from murace.workspace import Rerun, begin
from murace.workspace.paths import Workspace
from tests.workshop import CPU

STEPS: dict[str, tuple[Any, Any, Callable[..., Any]]] = {
    "calibrate": (calibrate_inputs, calibrate, CalibrateConfig),
    "evaluate": (evaluate_inputs, evaluate, EvaluateConfig),
}
UNTIL_NOW: dict[str, Any] = {"machine": CPU, "rerun": Rerun()}
by_step = pytest.mark.parametrize("name", STEPS)


def answered(name: str, workspace: Workspace, *, config: Any = None, **changed: Any) -> Any:
    module, _, configure = STEPS[name]
    return module.up_to_date(workspace, config or configure(), **{**UNTIL_NOW, **changed})


@by_step
def test_the_record_answers_as_the_step_does(name: str, finished: Workspace) -> None:
    _, step, configure = STEPS[name]
    expected = step.run(finished, configure(), **UNTIL_NOW, reporter=Reporter())
    assert expected.skipped
    found = answered(name, finished)
    for key, value in vars(expected).items():
        if key == "tables":
            assert list(found.tables) == list(value)
            for table in value:
                pd.testing.assert_frame_equal(found.tables[table], value[table])
        elif isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(found.scores, value)
        elif key == "recogniser":
            assert str(asdict(found.recogniser)) == str(asdict(value))
        else:
            assert getattr(found, key) == value


@by_step
@pytest.mark.parametrize(
    "changed",
    [
        {"machine": Machine(gpu="0")},
        {"machine": Machine(graph="on")},
        {"rerun": Rerun(force=True)},
        {"rerun": Rerun(resume=True)},
        {"rerun": Rerun(resume=False)},
    ],
    ids=str,
)
def test_what_is_asked_for_is_left_to_the_step(name: str, changed: dict[str, Any], finished: Workspace) -> None:
    assert answered(name, finished, machine=Machine()) is not None
    assert answered(name, finished, **changed) is None


@by_step
def test_several_processes_are_left_to_the_step(
    name: str, finished: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "1" if variable.endswith("RANK") else "2")
    assert answered(name, finished) is None


@by_step
def test_a_changed_setting_or_file_is_left_to_the_step(name: str, finished: Workspace) -> None:
    other = STEPS[name][2](bootstrap=Bootstrap(resamples=150))
    assert answered(name, finished, config=other) is None
    (finished.root / name / "scores.csv").write_bytes(b"damaged")
    assert answered(name, finished) is None


@by_step
def test_a_refusal_is_left_to_the_step(name: str, finished: Workspace) -> None:
    finished.train("resnet").model.write_bytes(b"damaged")
    assert answered(name, finished) is None


@by_step
def test_an_interrupted_run_is_left_to_the_step(name: str, finished: Workspace) -> None:
    begin(finished.root / name, name, {}, {})
    assert answered(name, finished) is None


@by_step
def test_nothing_is_left_where_nothing_was(name: str, prepared: Workspace) -> None:
    before = sorted(prepared.root.rglob("*"))
    assert answered(name, prepared) is None
    assert sorted(prepared.root.rglob("*")) == before
