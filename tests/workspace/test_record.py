import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from murace.errors import MachineError, WorkspaceError
from murace.system.progress import Reporter
from murace.system.sealed import read_sealed, write_sealed
from murace.workspace import (
    Action,
    Rerun,
    State,
    StepRun,
    begin,
    begun,
    commit,
    decide,
    examine,
    read,
    require,
    writing,
)

PARAMS = {"lr": 0.1, "epochs": 4, "seed": 0}


def finish(folder: Path, params: dict[str, object] = PARAMS, consumed: dict[str, str] | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    is_nested = folder.parent.name in ("train", "finetune") and folder.name not in ("prepare", "calibrate")
    begin(folder, "/".join(folder.parts[-1 - is_nested :]), params, consumed or {})
    (folder / "model").write_text(f"{params}{consumed}")
    commit(folder, ["model"], parts={"model:a": "1"})


def model_of(folder: Path, place: str) -> dict[str, str]:
    """The one file of a finished step, as a child consumes it."""
    return {f"{place}/model": require(folder, "x").digests(place)[f"{place}/model"]}


def run_of(
    folder: Path, change: dict[str, object] | None = None, consumed: dict[str, str] | None = None, **more: Path
) -> StepRun:
    return StepRun(folder=folder, step="train/x", params={**PARAMS, **(change or {})}, consumed=consumed or {}, **more)


def plan(folder: Path, rerun: Rerun = Rerun(), **change: object) -> Action:  # noqa: B008
    return decide(run_of(folder, change), rerun).action


def test_finished_and_unchanged_is_skipped(tmp_path: Path) -> None:
    assert plan(tmp_path) is Action.RUN
    finish(tmp_path)
    assert plan(tmp_path) is Action.SKIP
    assert plan(tmp_path, Rerun(resume=True)) is Action.SKIP
    assert plan(tmp_path, Rerun(force=True)) is Action.RUN
    assert plan(tmp_path, Rerun(resume=False)) is Action.RUN


def test_finished_and_changed_runs_afresh_and_says_what(tmp_path: Path) -> None:
    finish(tmp_path)
    decision = decide(run_of(tmp_path, {"lr": 0.2}, {"prepare/index.csv": "1"}), Rerun())
    assert decision.action is Action.RUN
    assert decision.reasons == ("--lr 0.1 -> 0.2", "prepare/index.csv is new")


def test_more_epochs_continue_and_fewer_run_afresh(tmp_path: Path) -> None:
    finish(tmp_path)
    assert plan(tmp_path, epochs=8) is Action.RESUME
    assert plan(tmp_path, epochs=2) is Action.RUN


def test_unfinished_and_unchanged_resumes_and_changed_is_refused(tmp_path: Path) -> None:
    begin(tmp_path, "train", PARAMS, {})
    assert plan(tmp_path) is Action.RESUME
    assert plan(tmp_path, epochs=9) is Action.RESUME
    with pytest.raises(WorkspaceError, match=r"--lr 0.1 -> 0.2.*--fresh"):
        plan(tmp_path, lr=0.2)
    assert plan(tmp_path, Rerun(resume=False), lr=0.2) is Action.RUN


def test_resume_with_nothing_to_resume_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="nothing to resume"):
        plan(tmp_path, Rerun(resume=True))


def test_a_damaged_product_is_made_again(tmp_path: Path) -> None:
    finish(tmp_path)
    content = (tmp_path / "model").read_text()
    (tmp_path / "model").write_text(content[:-1] + "x")
    decision = decide(run_of(tmp_path), Rerun())
    assert decision.action is Action.RESUME
    assert "damaged" in decision.reasons[0]
    with pytest.raises(WorkspaceError, match=r"damaged.*Run: murace train"):
        require(tmp_path, "murace train")


def test_a_new_run_keeps_the_old_files_until_they_are_replaced(tmp_path: Path) -> None:
    finish(tmp_path)
    (tmp_path / "checkpoint").mkdir()
    scratch = tmp_path / "checkpoint"
    decide(run_of(tmp_path, {"lr": 0.5}, scratch=scratch), Rerun()).begin(Reporter())
    assert (tmp_path / "model").exists()
    assert not scratch.exists()
    assert examine(tmp_path)[0] is State.PARTIAL
    with pytest.raises(WorkspaceError, match="unfinished"):
        require(tmp_path, "murace train")


def test_staleness_reaches_children_and_names_the_cause(tmp_path: Path) -> None:
    root = tmp_path
    finish(root / "prepare")
    first = model_of(root / "prepare", "prepare")
    finish(root / "train" / "resnet", consumed=first)
    second = model_of(root / "train" / "resnet", "train/resnet")
    finish(root / "calibrate", consumed=second)
    assert examine(root / "calibrate") == (State.DONE, [])
    finish(root / "prepare", {**PARAMS, "seed": 1})
    assert examine(root / "train" / "resnet") == (State.STALE, ["prepare/model has changed"])
    state, reasons = examine(root / "calibrate")
    assert state is State.STALE
    assert reasons[0] == "train/resnet/model is stale itself: prepare/model has changed"
    with pytest.raises(WorkspaceError, match=r"calibrate in .* is stale"):
        require(root / "calibrate", "murace calibrate")


def test_the_same_bytes_again_leave_children_current(tmp_path: Path) -> None:
    finish(tmp_path / "prepare")
    finish(tmp_path / "calibrate", consumed=require(tmp_path / "prepare", "x").digests("prepare"))
    finish(tmp_path / "prepare")
    assert examine(tmp_path / "calibrate")[0] is State.DONE


def test_a_child_may_consume_a_part_of_a_file(tmp_path: Path) -> None:
    finish(tmp_path / "calibrate")
    digests = require(tmp_path / "calibrate", "x").digests("calibrate")
    finish(tmp_path / "finetune" / "a", consumed={"calibrate/model:a": digests["calibrate/model:a"]})
    finish(tmp_path / "calibrate", {**PARAMS, "seed": 5})  # another file, the same part
    assert examine(tmp_path / "finetune" / "a")[0] is State.DONE


def test_a_resumed_run_keeps_its_start_and_the_commit_ends_it(tmp_path: Path) -> None:
    started = begin(tmp_path, "train", PARAMS, {})
    assert begin(tmp_path, "train", PARAMS, {}) == started
    (tmp_path / "model").write_text("x")
    record = commit(tmp_path, ["model"], info={"best": 1})
    assert begun(tmp_path) is None
    assert read(tmp_path) == record
    assert record.seed == 0
    assert {"murace", "torch", "python"} <= set(record.versions)


def test_a_record_of_another_schema_is_refused(tmp_path: Path) -> None:
    write_sealed(tmp_path / "step.json", {"schema": 99})
    with pytest.raises(WorkspaceError, match="not written by this version"):
        read(tmp_path)


def test_one_writer_and_the_second_is_told_who(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from murace.workspace import writing; from murace.errors import MuraceError\n"
        "try:\n    with writing(Path(sys.argv[1])): print('in')\n"
        "except MuraceError as e: print(e); sys.exit(e.exit_code)"
    )
    with writing(tmp_path):
        second = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
        )
    assert second.returncode == 4
    assert "is in use by process" in second.stdout
    third = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert third.stdout.strip() == "in"


def test_resume_never_becomes_a_run_from_scratch(tmp_path: Path) -> None:
    finish(tmp_path)
    with pytest.raises(WorkspaceError, match=r"nothing to resume in .*--epochs 4 -> 2"):
        plan(tmp_path, Rerun(resume=True), epochs=2)
    states = tmp_path / "checkpoint"
    longer = run_of(tmp_path, {"epochs": 9}, states=states)
    with pytest.raises(WorkspaceError, match=r"no saved state in .* to go on from"):
        decide(longer, Rerun())
    assert begun(tmp_path) is None  # the finished run is still finished
    states.mkdir()
    (states / "1.json").write_text("{}")
    assert decide(longer, Rerun()).resumes


def test_work_that_cannot_be_dropped_is_not_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    finish(tmp_path)
    (tmp_path / "checkpoint").mkdir()
    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(MachineError, match="Permission denied"):
        decide(run_of(tmp_path, states=tmp_path / "checkpoint"), Rerun(resume=False)).begin(Reporter())


def test_a_workspace_may_be_called_train(tmp_path: Path) -> None:
    root = tmp_path / "train"
    finish(root / "prepare")
    finish(root / "calibrate", consumed=require(root / "prepare", "x").digests("prepare"))
    assert examine(root / "calibrate") == (State.DONE, [])


def test_a_step_that_did_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), writing(tmp_path / "w" / "prepare"):
        raise KeyError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["params", "consumed", "produced", "parts", "versions", "info"])
def test_a_record_of_another_form_is_damaged(tmp_path: Path, key: str) -> None:
    finish(tmp_path)
    values = read_sealed(tmp_path / "step.json")
    write_sealed(tmp_path / "step.json", values | {key: []})
    with pytest.raises(WorkspaceError, match="is damaged"):
        read(tmp_path)


def test_a_folder_that_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with writing(tmp_path / "mine" / "new" / "step"):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


def test_a_link_in_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "step").mkdir()
    (tmp_path / "step" / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(MachineError), writing(tmp_path / "step"):
        pass
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_lock_whose_file_its_last_holder_removed_is_taken_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else this process would hold a file that is nowhere, and the next one a file of the same name."""
    path, flock, tries = tmp_path / "step" / ".lock", fcntl.flock, list[int]()

    def removed_before(descriptor: int, how: int) -> None:
        tries.append(os.fstat(descriptor).st_ino)
        if len(tries) == 1:
            path.unlink()
            path.parent.rmdir()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", removed_before)
    with writing(path.parent):
        assert path.stat().st_ino == tries[1]
    assert len(tries) == 3  # the third gives it back


def test_a_holder_that_is_about_to_leave_is_waited_for(tmp_path: Path) -> None:
    """It removes the file and the folder that it made for nothing, while another process waits to lock that file."""
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with writing(tmp_path / "w" / "step"):
            inside.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(10)
    threading.Timer(0.05, leave.set).start()
    with writing(tmp_path / "w" / "step"):
        holder.join()
        assert str(os.getpid()) in (tmp_path / "w" / "step" / ".lock").read_text()
        with pytest.raises(WorkspaceError, match="is in use by process"), writing(tmp_path / "w" / "step"):
            pass
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_contender_leaves_the_holders_line_alone(tmp_path: Path) -> None:
    with writing(tmp_path):
        before = (tmp_path / ".lock").read_bytes()
        for _ in range(2):
            with pytest.raises(WorkspaceError, match=rf"in use by process {os.getpid()} on "), writing(tmp_path):
                pass
        assert (tmp_path / ".lock").read_bytes() == before
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_the_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """No marker file stands in for the lock, either: it would outlive its process."""

    def none(descriptor: int, how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(MachineError, match=r"cannot be locked .*a file system that has locks"), writing(tmp_path / "s"):
        pass
