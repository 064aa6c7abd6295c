"""W2: what is typed again with nothing changed runs nothing and changes not a byte."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from murace.config import CalibrateConfig, EvaluateConfig, Machine, PrepareConfig
from murace.errors import WorkspaceError
from murace.inference.ensemble.from_workspace import WorkspaceEnsemble
from murace.steps import prepare
from murace.steps.calibrate import step as calibrate
from murace.steps.evaluate import step as evaluate
from murace.steps.finetune import step as finetune
from murace.steps.train import step as train
from murace.system.files import read_json, sha256
from murace.system.progress import Reporter
from murace.vocabulary import LEARNERS
from murace.workspace import EPOCHS, FACTS, Rerun, State, begin, begun, commit, examine, read
from murace.workspace.chain import step_statuses
from murace.workspace.paths import Workspace
from tests.data.files import make_manifest
from tests.staleness.machine import DEFAULTS, flip
from tests.staleness.model import CHAIN, NET
from tests.staleness.oracle import run_step
from tests.staleness.source import Source
from tests.staleness.standins import instead
from tests.workshop import CPU, tiny_config, tiny_members

MANIFEST = {"header": "path,label,patient", "row": "{path},{label},p{number}"}


def files_of(root: Path) -> dict[str, tuple[int, str]]:
    """Every file's time and digest, but for the locks."""
    found = [path for path in root.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path): (path.stat().st_mtime_ns, sha256(path)) for path in found}


def everything(workspace: Workspace, machine: Machine = CPU) -> list[Any]:
    """Each step from `train` on as the finished workspace was made."""
    told: dict[str, Any] = {"machine": machine, "rerun": Rerun(), "reporter": Reporter()}
    done = [train.run(workspace, tiny_config(learner), **told) for learner in LEARNERS]
    done += [calibrate.run(workspace, CalibrateConfig(), **told)]
    done += finetune.run(workspace, tiny_members(), groups=[], **told)
    return [*done, evaluate.run(workspace, EvaluateConfig(), **told)]


def test_the_whole_chain_again_does_nothing(finished: Workspace) -> None:
    before = files_of(finished.root)
    assert all(step.skipped for step in everything(finished))
    assert all(step.skipped for step in everything(finished, Machine(gpu="cpu", threads=2, compile="off")))
    assert files_of(finished.root) == before


def test_to_find_nothing_to_do_no_pixel_is_read(finished: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are gigabytes; a step that uses them reads them before it begins (`tests/crash/test_damage.py`)."""

    def read_but_pixels(path: Path) -> str:
        assert path.name != "pixels.npy"
        return sha256(path)

    monkeypatch.setattr("murace.workspace.record.sha256", read_but_pixels)
    assert all(step.skipped for step in everything(finished))
    with pytest.raises(AssertionError):
        train.run(finished, tiny_config("convnet", lr=0.1), machine=CPU, rerun=Rerun(), reporter=Reporter())


def prepared(manifest: Path, workspace: Workspace, **operation: Any) -> prepare.Prepared:
    given = prepare.Operation(**operation)
    return prepare.run(manifest, workspace, PrepareConfig(size=32), operation=given, rerun=Rerun(), reporter=Reporter())


def test_prepare_again_does_nothing_however_it_is_carried_out(tmp_path: Path) -> None:
    manifest, workspace = make_manifest(tmp_path / "source", **MANIFEST), Workspace(tmp_path / "w")
    assert not prepared(manifest, workspace, jobs=1).skipped
    before = files_of(workspace.root)
    for operation in ({}, {"jobs": 2}, {"accept_rejects": 3}):
        assert prepared(manifest, workspace, **operation).skipped
    assert files_of(workspace.root) == before


def test_a_touched_picture_is_read_and_found_the_same_and_a_disguised_one_is_not_looked_at(tmp_path: Path) -> None:
    """Size and time are trusted: a picture that was exchanged with both kept is seen by `--force` only."""
    manifest, workspace = make_manifest(tmp_path / "source", **MANIFEST), Workspace(tmp_path / "w")
    prepared(manifest, workspace)
    picture, other = tmp_path / "source" / "image000.png", tmp_path / "source" / "image002.png"
    os.utime(picture)
    assert prepared(manifest, workspace).skipped
    status, length = picture.stat(), picture.stat().st_size
    disguised = other.read_bytes()[:length].ljust(length, b"\0")
    picture.write_bytes(disguised)
    assert not (prepared(manifest, workspace, accept_rejects=1)).skipped
    prepared(manifest, workspace, accept_rejects=1)
    status = picture.stat()
    picture.write_bytes(disguised[:-1] + b"x")
    os.utime(picture, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert prepared(manifest, workspace, accept_rejects=1).skipped


@pytest.fixture(scope="module")
def _quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole chain of two learners and two members, made by the stand-ins in a second."""
    root = tmp_path_factory.mktemp("quick")
    with instead():
        source, workspace = Source(root / "source"), Workspace(root / "w")
        config = PrepareConfig(**DEFAULTS["prepare"])
        given = prepare.Operation(jobs=1)
        prepare.run(source.manifest, workspace, config, operation=given, rerun=Rerun(), reporter=Reporter())
        for place in CHAIN[1:]:
            again(workspace, place)
    return workspace.root


@pytest.fixture
def quick(_quick: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of that chain, and the stand-ins in place."""
    shutil.copytree(_quick, tmp_path / "w")
    with instead():
        yield Workspace(tmp_path / "w")


def again(workspace: Workspace, place: str, rerun: Rerun = Rerun(), **changed: Any) -> Any:  # noqa: B008
    args = {**DEFAULTS[place.partition("/")[0]], **changed}
    return run_step(place, args, workspace, rerun=rerun, reporter=Reporter(), machine=CPU)


DATA = {"prepare/index.csv", "prepare/pixels.npy"}
CONSUMED = {
    "train/convnet": DATA,
    "calibrate": DATA | {f"train/{x}/{y}" for x in LEARNERS[:2] for y in NET},
    "finetune/elbow": DATA | {"calibrate/roster.json:elbow"},  # and its learner's weights
    "evaluate": DATA
    | {f"prepare/{x}" for x in ("counts.csv", FACTS)}
    | {f"calibrate/{x}" for x in ("roster.json", "scores.csv", FACTS)}
    | {
        f"{x}/{y}"
        for x in ("train/convnet", "train/resnet", "finetune/elbow", "finetune/wrist")
        for y in (*NET, EPOCHS, FACTS)
    },
}


@pytest.mark.parametrize("place", CONSUMED)
def test_a_record_names_all_that_its_step_reads(quick: Workspace, place: str) -> None:
    record = read(quick.root / place)
    assert record is not None
    wanted = CONSUMED[place] | ({f"train/{record.info['learner']}/{NET[0]}"} if place == "finetune/elbow" else set())
    assert set(record.consumed) == wanted


@pytest.mark.parametrize("place", CHAIN[1:])
def test_where_and_how_a_step_runs_never_makes_it_run_again(quick: Workspace, place: str) -> None:
    before = files_of(quick.root)
    for machine in (
        Machine(),
        Machine(gpu="cpu", threads=2),
        Machine(gpu="cpu", threads=1, compile="off", graph="off"),
    ):
        args = DEFAULTS[place.partition("/")[0]]
        assert run_step(place, args, quick, rerun=Rerun(), reporter=Reporter(), machine=machine).skipped
    assert files_of(quick.root) == before


@pytest.mark.parametrize("keeps_time", [True, False])
@pytest.mark.parametrize("place", CHAIN[1:])
def test_a_step_that_skips_has_read_its_files(quick: Workspace, place: str, keeps_time: bool) -> None:
    """`status` goes by size and time, and so sees what has another time; the step itself finds both, and mends them."""
    record = read(quick.root / place)
    assert record is not None
    path = quick.root / place / next(iter(record.produced))
    content = path.read_bytes()
    flip(path, keeps_time=keeps_time)
    assert states(quick)[place] is (State.DONE if keeps_time else State.DAMAGED)
    assert not again(quick, place).skipped
    assert path.read_bytes() == content
    assert states(quick)[place] is State.DONE


def exchange(workspace: Workspace, one: str, other: str) -> None:
    aside = workspace.root / "aside"
    (workspace.root / one).rename(aside)
    (workspace.root / other).rename(workspace.root / one)
    aside.rename(workspace.root / other)


def states(workspace: Workspace) -> dict[str, State]:
    return {status.name: status.state for status in step_statuses(workspace) if status.name != "train/densenet"}


@pytest.mark.parametrize(
    ("one", "other", "child"),
    [("finetune/elbow", "finetune/wrist", "evaluate"), ("train/convnet", "train/resnet", "calibrate")],
    ids=["members", "learners"],
)
def test_two_whole_folders_exchanged_are_found(quick: Workspace, one: str, other: str, child: str) -> None:
    exchange(quick, one, other)
    found = {status.name: status for status in step_statuses(quick)}
    for place, guest in ((one, other), (other, one)):
        assert found[place].state is State.DAMAGED
        assert found[place].reasons == (f"it holds the files of {guest}",)
    with pytest.raises(WorkspaceError, match=rf"it holds the files of {other}\)\. Run: murace"):
        again(quick, child)
    assert not again(quick, one).skipped
    assert not again(quick, other).skipped
    assert set(states(quick).values()) == {State.DONE}  # the same bytes again: children stay current


def test_a_member_exchanged_with_another_answers_nobody(quick: Workspace) -> None:
    exchange(quick, "finetune/elbow", "finetune/wrist")
    with pytest.raises(WorkspaceError, match=r"it holds the files of finetune/wrist\)\. Run: murace finetune --groups"):
        WorkspaceEnsemble(quick, torch.device("cpu")).member("elbow")


def test_what_the_report_shows_makes_it_stale_though_every_net_is_the_same(quick: Workspace) -> None:
    """Patience that did not bite gives the same weights: members stay, and the report tells other settings."""
    before = quick.train("resnet").model.read_bytes()
    again(quick, "train/resnet", patience=9)
    assert quick.train("resnet").model.read_bytes() == before
    found = states(quick)
    assert found.pop("evaluate") is State.STALE
    assert set(found.values()) == {State.DONE}


def test_a_learner_that_was_finished_since_makes_the_evaluation_stale(quick: Workspace) -> None:
    folder = quick.train("convnet").folder
    if "convnet" in {entry["learner"] for entry in read_json(quick.calibrate.roster)["groups"].values()}:
        folder = quick.train("resnet").folder
    begin(folder, f"train/{folder.name}", {}, {})  # it is trained again, and the children were made before
    assert not again(quick, "evaluate").skipped
    (folder / "begun.json").unlink()
    (status,) = [status for status in step_statuses(quick) if status.name == "evaluate"]
    assert (status.state, status.reasons) == (State.STALE, (f"{folder.name} was trained since",))


def test_new_readings_wait_for_a_choice_among_all_learners(quick: Workspace) -> None:
    """`predict` and `cam` refuse a stale parent as every step does."""
    shutil.rmtree(quick.train("resnet").folder)
    for place in ("calibrate", "finetune/elbow", "finetune/wrist", "evaluate", "train/resnet"):
        again(quick, place)
    with pytest.raises(WorkspaceError, match=r"calibrate is stale \(resnet trained since\)\. Run: murace calibrate"):
        WorkspaceEnsemble(quick, torch.device("cpu"))


@pytest.mark.parametrize("rerun", [Rerun(), Rerun(resume=False)])
def test_a_damaged_note_of_an_unfinished_run_is_as_none(quick: Workspace, rerun: Rerun) -> None:
    note = quick.finetune("wrist").folder / "begun.json"
    note.write_text("{")
    assert not again(quick, "finetune/wrist", rerun).skipped
    assert not note.exists()


def test_a_damaged_record_of_a_grandparent_is_mended_from_its_end(quick: Workspace) -> None:
    """Each refusal names the command that comes next, down to the step whose record is damaged."""
    record = quick.train("resnet").folder / "step.json"
    record.write_bytes(record.read_bytes().replace(b"resnet", b"resnot", 1))
    with pytest.raises(WorkspaceError, match=r"its seal does not fit.*Run: murace train --arch resnet --fresh$"):
        again(quick, "calibrate")
    assert not again(quick, "train/resnet", Rerun(resume=False)).skipped
    assert set(states(quick).values()) == {State.DONE}


def test_facts_know_no_clock(quick: Workspace) -> None:
    record = read(quick.train("resnet").folder)
    assert record is not None
    later = replace(record, info={**record.info, "seconds": 1.0, "processes": 2}, started="later", device="another")
    assert later.facts == record.facts
    assert replace(record, info={**record.info, "precision": "bf16"}).facts != record.facts


def step_of(root: Path, name: str, consumed: dict[str, str], content: str = "x") -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    begin(folder, name, {"of": content}, consumed)
    (folder / "model").write_text(content)
    return folder


def test_what_changes_while_a_child_is_at_work_is_noticed_at_its_end(tmp_path: Path) -> None:
    parent = step_of(tmp_path, "prepare", {})
    digest = commit(parent, ["model"]).produced["model"]["sha256"]
    for change in ("file", "record"):
        child = step_of(tmp_path, "train/resnet", {"prepare/model": digest})
        if change == "file":
            (parent / "model").write_text("y")
        else:
            commit(step_of(tmp_path, "prepare", {}, "y"), ["model"])
        with pytest.raises(WorkspaceError, match=r"prepare/model changed while train/resnet was at work.*--fresh"):
            commit(child, ["model"])
        assert begun(child) is not None
        commit(step_of(tmp_path, "prepare", {}), ["model"])
    commit(child, ["model"])
    assert examine(child) == (State.DONE, [])


def test_nothing_in_a_folder_is_older_than_its_record(tmp_path: Path) -> None:
    folder = step_of(tmp_path, "evaluate", {})
    (folder / "old.csv").write_text("of the run before")
    commit(folder, ["model", "old.csv"])
    commit(step_of(tmp_path, "evaluate", {}), ["model"])
    assert not (folder / "old.csv").exists()
