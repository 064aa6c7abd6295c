"""`predict`: what stands in its two files, and that a run can end anywhere and go on."""

import json
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from murace.config import PredictConfig
from murace.data.images.dicom.regions import Stated
from murace.data.store import open_pixels
from murace.data.studies import grouping
from murace.data.studies.find import find_studies
from murace.errors import DataError, Interrupted, MachineError, UsageError, WorkspaceError
from murace.inference.ensemble.from_workspace import WorkspaceEnsemble
from murace.inference.studies.journal import kept
from murace.nets.trained import TrainedNet
from murace.steps import predict
from murace.system.files import digest_of, sha256
from murace.system.progress import Bar, Reporter
from murace.workspace import Rerun
from murace.workspace.paths import Workspace
from tests.data.files import CANARIES, dicom
from tests.inference.studies.made_up import picture
from tests.processes import together
from tests.workshop import CPU


def run(
    source: Workspace | Path,
    *paths: Path,
    out: Path,
    rerun: Rerun | None = None,
    reporter: Reporter | None = None,
    **config: object,
) -> predict.Predicted:
    return predict.run(
        source,
        paths,
        PredictConfig(**config),  # type: ignore[arg-type]
        out=out,
        machine=CPU,
        rerun=rerun or Rerun(),
        reporter=reporter or Reporter(),
    )


def folder_of_studies(root: Path, count: int = 9) -> Path:
    for number in range(count):
        region = "ELBOW" if number % 2 else "WRIST"
        for view in range(1 + number % 3):
            place = root / f"XR_{region}" / f"patient{number:05}" / "study1_negative"
            picture(place / f"image{view}.png", 90, 10 * number + view)
    return root


class Interrupting(Reporter):
    """A signal comes when so many studies are done."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left, self.started_at = after, 0

    @contextmanager
    def bar(self, title: str, total: int, *, start: int = 0, lines: bool = False) -> Iterator[Bar]:
        self.started_at = start
        bar = Bar()
        bar.advance = self.advance  # type: ignore[method-assign]
        yield bar

    def advance(self, by: int = 1, note: str = "") -> None:
        self.left -= 1
        if self.left == 0:
            self.signum = signal.SIGINT


def same_answers(one: predict.Predicted, other: predict.Predicted) -> None:
    for before, after in ((one.studies, other.studies), (one.views, other.views)):
        pd.testing.assert_frame_equal(
            before.drop(columns="seconds", errors="ignore"), after.drop(columns="seconds", errors="ignore"), atol=1e-6
        )


@pytest.mark.kernels
def test_a_test_image_gets_the_probabilities_that_evaluate_gave_it(finished: Workspace, tmp_path: Path) -> None:
    known = pd.read_csv(finished.evaluate.predictions)
    pixels = open_pixels(finished.prepare.pixels)
    for row in known.itertuples():
        place = tmp_path / "studies" / f"XR_{row.group.upper()}" / row.study.replace("/", "-")
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{row.row}.png"), np.array(pixels[row.row]))
    done = run(finished, tmp_path / "studies", out=tmp_path / "predictions.csv")
    assert len(done.studies) == known["study"].nunique()
    assert len(done.views) == len(known)
    means = known.groupby(known["study"].str.replace("/", "-"))[["calibrated", "calibrated_calibrated"]].mean()
    for row in done.studies.itertuples():
        expected = means.loc[Path(row.study).name]
        assert row.probability == pytest.approx(expected["calibrated"], abs=1e-5)
        assert row.probability_calibrated == pytest.approx(expected["calibrated_calibrated"], abs=1e-5)
        assert row.decision == ("abnormal" if row.probability >= 0.5 else "normal")
    by_row = known.set_index("row")["calibrated"]
    for row in done.views.itertuples():
        assert row.probability == pytest.approx(by_row[int(Path(row.view).stem)], abs=1e-5)


def test_the_files_are_private_and_say_what_the_command_printed(finished: Workspace, tmp_path: Path) -> None:
    done = run(finished, folder_of_studies(tmp_path / "in"), out=tmp_path / "predictions.csv")
    assert [path.name for path in done.files] == ["predictions.csv", "predictions-views.csv"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in done.files)
    assert done.studies["study"].is_unique
    assert done.views.groupby("study").size().reindex(done.studies["study"]).tolist() == done.studies["views"].tolist()
    assert sorted(path.name for path in (tmp_path / "predictions.csv.record").iterdir()) == [".lock", "step.json"]


def test_nothing_is_done_twice_and_a_change_is_noticed(finished: Workspace, tmp_path: Path) -> None:
    studies, out = folder_of_studies(tmp_path / "in", 3), tmp_path / "p.csv"
    first = run(finished, studies, out=out)
    again = run(finished, studies, out=out)
    assert (first.skipped, again.skipped) == (False, True)
    pd.testing.assert_frame_equal(first.studies, again.studies)
    picture(studies / "XR_WRIST" / "patient00000" / "study1_negative" / "image0.png", 200)
    assert not run(finished, studies, out=out).skipped
    assert not run(finished, studies, out=out, group="elbow").skipped
    assert not run(finished, studies, out=out, group="elbow", rerun=Rerun(force=True)).skipped
    out.write_text("edited")
    assert not run(finished, studies, out=out, group="elbow").skipped
    assert out.read_text() != "edited"


@pytest.mark.parametrize("after", [1, 4, 8])
def test_an_interrupted_run_goes_on_after_the_last_study(
    finished: Workspace, tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainedNet, "views_at_once", property(lambda self: 1))
    studies = folder_of_studies(tmp_path / "in")
    whole = run(finished, studies, out=tmp_path / "whole.csv")
    out = tmp_path / "p.csv"
    with pytest.raises(Interrupted):
        run(finished, studies, out=out, reporter=Interrupting(after))
    assert not out.exists()
    journal = tmp_path / "p.csv.record" / "partial" / "0.jsonl"
    with journal.open("a") as file:
        file.write('0123 {"number": 8, "torn')  # what a killed process may leave
    reporter = Interrupting(99)
    done = run(finished, studies, out=out, reporter=reporter)
    assert reporter.started_at >= after
    same_answers(whole, done)
    assert not (tmp_path / "p.csv.record" / "partial").exists()


def test_an_unfinished_run_is_not_mixed_with_another(finished: Workspace, tmp_path: Path) -> None:
    studies, out = folder_of_studies(tmp_path / "in"), tmp_path / "p.csv"
    with pytest.raises(Interrupted):
        run(finished, studies, out=out, reporter=Interrupting(1))
    with pytest.raises(WorkspaceError, match=r"--operating-point half -> youden.*--fresh"):
        run(finished, studies, out=out, operating_point="youden")
    picture(studies / "XR_WRIST" / "patient00000" / "study1_negative" / "image0.png", 200)
    with pytest.raises(WorkspaceError, match="input has changed"):
        run(finished, studies, out=out)
    assert not run(finished, studies, out=out, rerun=Rerun(resume=False)).skipped


def test_a_flipped_bit_in_the_journal_costs_that_study_alone(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainedNet, "views_at_once", property(lambda self: 1))
    studies, out = folder_of_studies(tmp_path / "in"), tmp_path / "p.csv"
    whole = run(finished, studies, out=tmp_path / "whole.csv")
    with pytest.raises(Interrupted):
        run(finished, studies, out=out, reporter=Interrupting(5))
    journal = tmp_path / "p.csv.record" / "partial" / "0.jsonl"
    lines = journal.read_text().splitlines()
    hit = lines.index(next(line for line in lines if '"probability"' in line))
    lines[hit] = lines[hit].replace('"probability": 0.', '"probability": 1.', 1)
    journal.write_text("\n".join(lines) + "\n")
    same_answers(whole, run(finished, studies, out=out))


def in_parts(root: Path, studies: Path, out: Path) -> predict.Predicted:
    return run(Workspace(root), studies, out=out)


def test_several_processes_share_the_studies(finished: Workspace, tmp_path: Path) -> None:
    studies = folder_of_studies(tmp_path / "in", 20)
    (studies / "XR_WRIST" / "patient00000" / "study1_negative" / "image0.png").write_bytes(b"BM")
    alone = run(finished, studies, out=tmp_path / "alone.csv")
    answers = together(2, in_parts, finished.root, studies, tmp_path / "shared.csv")
    for answer in answers:
        assert isinstance(answer, predict.Predicted)
        same_answers(alone, answer)
    assert all(answer.skipped for answer in together(2, in_parts, finished.root, studies, tmp_path / "shared.csv"))
    refused = together(2, in_parts, finished.root, tmp_path / "nowhere", tmp_path / "other.csv")
    assert [answer.kind for answer in refused] == [DataError, DataError]


def test_identifiers_of_a_dicom_file_are_written_on_request_alone(finished: Workspace, tmp_path: Path) -> None:
    place = tmp_path / "in"
    place.mkdir()
    grey = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    (place / "IM1").write_bytes(dicom(grey, BodyPartExamined="ELBOW"))
    (place / "IM2").write_bytes(dicom(grey, BodyPartExamined="ELBOW")[:-900])
    done = run(finished, place, out=tmp_path / "p.csv")
    assert done.studies["group_source"].tolist() == ["BodyPartExamined"]
    assert done.studies["unreadable"].tolist() == [1]
    assert done.views["problem"].dropna().tolist() == [
        "truncated DICOM: 7292 bytes of pixels, its header declares 8192"
    ]
    for path in (*done.files, *(tmp_path / "p.csv.record").iterdir()):
        assert not [word for word in CANARIES.values() if word in path.read_text()]
    shown = run(finished, place, out=tmp_path / "ids.csv", show_ids=True)
    assert shown.studies[["patient_id", "study_uid"]].to_numpy().tolist() == [
        [CANARIES["PatientID"], CANARIES["StudyInstanceUID"]]
    ]


def radiograph(path: Path, seed: int, **tags: str | None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.random.default_rng(seed).integers(0, 2**16, (64, 64)).astype(np.uint16)
    path.write_bytes(dicom(grey, **{"BodyPartExamined": "ELBOW", "SOPInstanceUID": f"1.2.{seed + 1}", **tags}))
    return path


def test_a_picture_that_is_stored_twice_counts_once(finished: Workspace, tmp_path: Path) -> None:
    first, second = (radiograph(tmp_path / "in" / f"IM{seed}", seed) for seed in (1, 2))
    for place in ("in/copy", "in/series/IM1"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        shutil.copy(first, tmp_path / place)
    done = run(finished, tmp_path / "in", out=tmp_path / "p.csv")
    (row,) = done.studies.to_dict("records")
    chances = done.views.set_index("view")["probability"]
    assert row["probability"] == pytest.approx(np.mean([chances[str(first)], chances[str(second)]]), abs=1e-9)
    assert (row["views"], row["unreadable"], len(chances)) == (2, 0, 4)
    assert row["warning"].startswith("stored twice, counted once: view ")


def test_several_people_get_an_answer_each_and_no_identifier_is_said(finished: Workspace, tmp_path: Path) -> None:
    for number, patient in enumerate(("CANARY-1", "CANARY-2", None)):
        radiograph(tmp_path / "in" / f"IM{number}", number, PatientID=patient)
    done = run(finished, tmp_path / "in", out=tmp_path / "p.csv")
    assert done.studies["views"].tolist() == [1, 1, 1]
    said = [text.partition(": ")[2].partition(";")[0] for text in done.studies["warning"]]
    assert said == [
        "read apart, this is patient 1 of 2",
        "read apart, this is patient 2 of 2",
        "read apart, this view has no PatientID and joins nobody",
    ]
    for path in (*done.files, *(tmp_path / "p.csv.record").iterdir()):
        assert "CANARY" not in path.read_text()


def test_views_that_contradict_each_other_are_refused_unless_the_command_says_the_group(
    finished: Workspace, tmp_path: Path
) -> None:
    radiograph(tmp_path / "in" / "IM1", 1)
    radiograph(tmp_path / "in" / "IM2", 2, BodyPartExamined="WRIST")
    contradiction = "its views contradict each other (IM1 says elbow, IM2 says wrist)"
    (row,) = run(finished, tmp_path / "in", out=tmp_path / "p.csv").studies.astype(object).fillna("").to_dict("records")
    assert row["problem"] == f"{contradiction}: name its group with --group, or use --each-file"
    assert (row["probability"], row["group"]) == ("", "")
    (row,) = (
        run(finished, tmp_path / "in", out=tmp_path / "p.csv", group="wrist")
        .studies.astype(object)
        .fillna("")
        .to_dict("records")
    )
    assert (row["problem"], row["group"], row["group_source"]) == ("", "wrist", "--group")
    assert row["warning"].startswith(f"{contradiction}: --group says wrist")
    each = run(finished, tmp_path / "in", out=tmp_path / "p.csv", each_file=True).studies
    assert each["group"].tolist() == ["elbow", "wrist"]


def test_the_journal_of_one_grouping_is_no_journal_of_another(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where names and files are the same, and only what the tags say of the body part is read otherwise."""
    monkeypatch.setattr(TrainedNet, "views_at_once", property(lambda self: 1))
    for number in range(4):
        radiograph(tmp_path / "in" / f"study{number}" / "IM1", number, StudyInstanceUID=f"1.{number}")
    with pytest.raises(Interrupted):
        run(finished, tmp_path / "in", out=tmp_path / "p.csv", reporter=Interrupting(2))
    with pytest.raises(WorkspaceError, match="--each-file off -> on"):
        run(finished, tmp_path / "in", out=tmp_path / "p.csv", each_file=True)
    with monkeypatch.context() as patched:
        patched.setattr(grouping, "stated_region", lambda tags, known: Stated("wrist", "BodyPartExamined"))
        with pytest.raises(WorkspaceError, match="input has changed"):
            run(finished, tmp_path / "in", out=tmp_path / "p.csv")
    lines = (tmp_path / "p.csv.record" / "partial" / "0.jsonl").read_text()
    found = find_studies([tmp_path / "in"], reporter=Reporter()).studies
    assert len(kept(tmp_path / "p.csv.record" / "partial", found)) == lines.count("probability_calibrated")
    others = [replace(study, views=(study.views[0].with_name("IM2"),)) for study in found]
    assert kept(tmp_path / "p.csv.record" / "partial", others) == {}


def test_what_was_left_out_is_counted_and_recorded(finished: Workspace, tmp_path: Path) -> None:
    radiograph(tmp_path / "in" / "IM1", 1)
    radiograph(tmp_path / "in" / "SR1", 2, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Rows=None)
    done = run(finished, tmp_path / "in", out=tmp_path / "p.csv")
    assert done.remarks == ("1 DICOM object left out: without pixels (presentation states, reports and the like)",)
    assert done.studies["views"].tolist() == [1]
    record = json.loads((tmp_path / "p.csv.record" / "step.json").read_text())
    assert record["info"]["remarks"] == list(done.remarks)
    again = run(finished, tmp_path / "in", out=tmp_path / "p.csv")
    assert (again.skipped, again.remarks) == (True, done.remarks)


def test_a_file_of_somebody_else_is_never_overwritten(finished: Workspace, tmp_path: Path) -> None:
    studies = folder_of_studies(tmp_path / "in", 2)
    for name in ("p.csv", "p-views.csv"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(UsageError, match="was not written by murace predict: choose another --out"):
            run(finished, studies, out=tmp_path / "p.csv")
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()


def test_refusals_come_before_anything_is_written(finished: Workspace, tmp_path: Path) -> None:
    studies, out = folder_of_studies(tmp_path / "in", 2), tmp_path / "p.csv"
    with pytest.raises(UsageError, match="unknown value 'yoden'; did you mean 'youden'"):
        run(finished, studies, out=out, operating_point="yoden")
    with pytest.raises(DataError, match="no such file or folder"):
        run(finished, tmp_path / "nowhere", out=out)
    shutil.rmtree(finished.evaluate.folder)
    with pytest.raises(WorkspaceError, match="Run: murace evaluate"):
        run(finished, studies, out=out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["finished", "in"]


def test_a_full_disk_is_said_and_what_was_read_is_kept(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies, out = folder_of_studies(tmp_path / "in"), tmp_path / "p.csv"
    whole = run(finished, studies, out=tmp_path / "whole.csv")
    with monkeypatch.context() as patched:

        def full(path: Path, frame: pd.DataFrame, *, private: bool = False) -> None:
            raise MachineError(f"disk full while writing {path}: free some space")

        patched.setattr(predict, "write_frame", full)
        with pytest.raises(MachineError, match="disk full"):
            run(finished, studies, out=out)
    reporter = Interrupting(99)
    same_answers(whole, run(finished, studies, out=out, reporter=reporter))
    assert reporter.started_at == 9


def test_a_study_by_many_names_is_read_once(finished: Workspace, tmp_path: Path) -> None:
    studies = folder_of_studies(tmp_path / "in", 4)
    links = [tmp_path / f"copy{number}" for number in range(3)]
    for link in links:
        link.symlink_to(studies)
    assert len(run(finished, studies, *links, out=tmp_path / "p.csv").studies) == 4


def test_what_cannot_be_read_costs_the_others_nothing(finished: Workspace, tmp_path: Path) -> None:
    studies = folder_of_studies(tmp_path / "in", 2)
    (studies / "XR_WRIST" / "patient00000" / "study1_negative" / "dead.png").symlink_to("nowhere")
    (tmp_path / "empty").mkdir()
    done = run(finished, studies, tmp_path / "empty", out=tmp_path / "p.csv")
    assert done.studies["unreadable"].tolist() == [0, 1, 0]
    assert done.studies["problem"].fillna("").tolist() == ["", "", "holds no PNG, JPEG or DICOM"]
    assert done.studies["probability"].notna().tolist() == [True, True, False]
    assert done.views["problem"].dropna().tolist() == ["missing"]


@pytest.mark.parametrize(("threshold", "decision"), [(1e-9, "abnormal"), (1.0, "normal")])
def test_the_operating_point_decides_on_the_raw_probability(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threshold: float, decision: str
) -> None:
    whole = WorkspaceEnsemble.readout
    monkeypatch.setattr(WorkspaceEnsemble, "readout", lambda self: replace(whole(self), points={"youden": threshold}))
    done = run(finished, folder_of_studies(tmp_path / "in", 4), out=tmp_path / "p.csv", operating_point="youden")
    assert done.studies["decision"].tolist() == [decision] * 4
    assert done.studies["threshold"].tolist() == [threshold] * 4


def test_a_point_that_validation_could_not_give_is_refused(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = WorkspaceEnsemble.readout
    monkeypatch.setattr(
        WorkspaceEnsemble, "readout", lambda self: replace(whole(self), points={"youden": float("nan")})
    )
    with pytest.raises(UsageError, match="--operating-point youden is not defined"):
        run(finished, folder_of_studies(tmp_path / "in", 2), out=tmp_path / "p.csv", operating_point="youden")


def test_another_ensemble_reads_everything_again(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies, out = folder_of_studies(tmp_path / "in", 2), tmp_path / "p.csv"
    run(finished, studies, out=out)
    monkeypatch.setattr(WorkspaceEnsemble, "identity", "0" * 64)
    assert not run(finished, studies, out=out).skipped


def test_views_carry_the_digest_of_their_file_and_ids_stay_as_they_are(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("007") / "IM1"
    path.parent.mkdir()
    grey = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    path.write_bytes(dicom(grey, BodyPartExamined="ELBOW", PatientID="000123", StudyInstanceUID="1.10"))
    done = run(finished, Path("007"), out=Path("p.csv"), show_ids=True)
    assert done.views["sha256"].tolist() == [sha256(path)]
    assert done.studies[["study", "patient_id", "study_uid"]].to_numpy().tolist() == [["007", "000123", "1.10"]]
    path.write_bytes(dicom(grey, BodyPartExamined="ELBOW", PatientID="=1+1"))
    assert run(finished, Path("007"), out=Path("p.csv"), show_ids=True).studies["patient_id"].tolist() == ["'=1+1"]


@pytest.mark.parametrize("name", ["", ".", "-", "plain", "p.tsv", ".csv", "folder.csv"])
def test_out_is_a_csv_file(finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.csv").mkdir()
    with pytest.raises(UsageError, match="name a csv file, such as"):
        run(finished, folder_of_studies(tmp_path / "in", 1), out=Path(name))


@pytest.mark.parametrize(
    "line", ['{"number":0,"x":1}', '{"number":0,"study":5,"views":7}', "[1]", '{"number":99}', "{"]
)
def test_a_journal_that_says_nonsense_is_passed_over(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    studies, out = folder_of_studies(tmp_path / "in", 3), tmp_path / "p.csv"
    whole = run(finished, studies, out=tmp_path / "whole.csv")
    with monkeypatch.context() as patched:
        patched.setattr(TrainedNet, "views_at_once", property(lambda self: 1))
        with pytest.raises(Interrupted):
            run(finished, studies, out=out, reporter=Interrupting(1))
    with (tmp_path / "p.csv.record" / "partial" / "0.jsonl").open("a") as file:
        digest = digest_of(json.loads(line)) if line != "{" else "0"
        file.write(f"{digest} {line}\n")
    same_answers(whole, run(finished, studies, out=out))


def test_a_link_in_place_of_the_lock_is_not_followed(finished: Workspace, tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    (tmp_path / "p.csv.record").mkdir()
    (tmp_path / "p.csv.record" / ".lock").symlink_to(victim)
    with pytest.raises(MachineError, match="cannot write"):
        run(finished, folder_of_studies(tmp_path / "in", 1), out=tmp_path / "p.csv")
    assert victim.read_text() == "precious"
