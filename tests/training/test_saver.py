"""Checkpoints that are written in the background, as on a GPU; here on a CPU, whose numbers are exact."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from murace.errors import Interrupted, MachineError
from murace.training import saver as saving
from murace.workspace.paths import Workspace
from tests.steps.test_train import StopAfter, assert_same, outcome, run
from tests.workshop import tiny_config, tiny_workspace


@pytest.fixture
def _in_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every state is written in a thread, and slowly: the next epoch is over before."""
    saver, save_state = saving.Saver, saving.save_state

    def slowly(*given: Any, **more: Any) -> None:
        assert threading.current_thread() is not threading.main_thread()
        time.sleep(0.5)
        save_state(*given, **more)

    monkeypatch.setattr(
        "murace.training.run.Saver", lambda *given, **more: saver(*given, **{**more, "in_background": True})
    )
    monkeypatch.setattr("murace.training.saver.save_state", slowly)


def trained(root: Path, **recipe: Any) -> Workspace:
    workspace = tiny_workspace(root)
    run(workspace, tiny_config(epochs=3, **recipe))
    return workspace


@pytest.mark.usefixtures("_in_background")
def test_what_is_written_is_the_moment_that_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = tiny_workspace(tmp_path / "parts")
    for steps in (9, 5):  # in the second epoch, and in the third
        with pytest.raises(Interrupted):
            run(parts, tiny_config(epochs=3), reporter=StopAfter(steps))
    run(parts, tiny_config(epochs=3))
    monkeypatch.undo()
    assert_same(outcome(parts), outcome(trained(tmp_path / "whole")))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("saver")]


@pytest.mark.usefixtures("_in_background")
def test_a_disk_that_is_full_is_told_though_the_training_went_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any, **more: Any) -> None:
        raise MachineError("disk full while writing here")

    monkeypatch.setattr("murace.training.saver.save_state", fail)
    with pytest.raises(MachineError, match="disk full while writing here"):
        trained(tmp_path / "a")
