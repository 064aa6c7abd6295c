"""A panel's answers: to the right member, the right mean, in any batch; what cannot be answered says why."""

from pathlib import Path

import numpy as np
import pytest
import torch

from murace.data.images.dicom.chain import NEXT_WINDOW, NO_WINDOW
from murace.data.studies.find import find_studies
from murace.errors import UsageError
from murace.inference.studies.groups import requested, require_group
from murace.inference.studies.predict import StudyPrediction, predict_studies
from murace.inference.studies.rows import rows_of
from murace.nets.trained import TrainedNet
from murace.system.progress import Reporter
from tests.data.files import decode, dicom
from tests.inference.studies.made_up import GROUPS, SIZE, MadeUpEnsemble, net, picture

pytestmark = pytest.mark.kernels


def read(ensemble: MadeUpEnsemble, *paths: Path, option: str | None = None) -> list[StudyPrediction]:
    asked = requested(find_studies(paths, reporter=Reporter()).studies, ensemble.groups, option)
    answers = predict_studies(asked, ensemble, threads=2, reporter=Reporter())
    return sorted(answers, key=lambda one: one.study.opened.request.number)


def by_hand(group: str, *paths: Path) -> list[float]:
    """The probabilities of the group's net, image by image."""
    made = net(GROUPS.index(group), bias=4.0 * GROUPS.index(group)).eval()
    found = []
    for path in paths:
        image = torch.from_numpy(decode(path, size=SIZE, fit="squash")).float().div(255)[None, None]
        with torch.no_grad():
            found.append(float(torch.softmax(made(image).double(), dim=1)[0, 1]))
    return found


@pytest.mark.parametrize("at_once", [1, 3, 32])
def test_a_study_is_the_mean_of_its_views_by_its_groups_member(
    tmp_path: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainedNet, "views_at_once", property(lambda self: at_once))
    paths = {}
    for number in range(7):
        place = tmp_path / f"XR_{'ELBOW' if number % 2 else 'WRIST'}" / f"study{number}"
        bright = 20 if number % 2 else 220
        paths[place] = [picture(place / f"{view}.png", bright, 10 * number + view) for view in range(1 + number % 3)]
    answers = read(MadeUpEnsemble(), *paths)
    for number, (answer, views) in enumerate(zip(answers, paths.values(), strict=True)):
        group = "elbow" if number % 2 else "wrist"
        chances = by_hand(group, *views)
        assert (answer.study.group, answer.study.source, answer.problem) == (group, "path", "")
        assert answer.views == pytest.approx(chances, abs=1e-6)
        assert answer.probability == pytest.approx(np.mean(chances), abs=1e-6)
        odds = np.log(np.mean(chances) / (1 - np.mean(chances)))
        assert answer.calibrated == pytest.approx(
            1 / (1 + np.exp(-odds / (2.0 if group == "elbow" else 0.5))), abs=1e-6
        )
        assert answer.seconds > 0


def test_without_a_name_the_recogniser_decides_from_all_views_or_refuses(tmp_path: Path) -> None:
    for name, levels in {"dark": (10, 20), "bright": (240,), "grey": (128, 120, 130)}.items():
        for view, level in enumerate(levels):
            picture(tmp_path / name / f"{view}.png", level)
    ensemble = MadeUpEnsemble()
    answers = read(ensemble, *(tmp_path / name for name in ("dark", "bright", "grey")))
    assert [answer.study.group for answer in answers] == ["elbow", "wrist", None]
    assert [answer.study.source for answer in answers] == ["recogniser"] * 3
    assert answers[0].study.confidence == pytest.approx(1, abs=1e-4)
    assert "looks like none of the groups this ensemble knows (elbow, wrist)" in answers[2].problem
    assert answers[2].probability is None
    assert ensemble.recognises is not None
    assert ensemble.recognises.shown == [6]


def test_a_group_that_the_picture_contradicts_is_kept_with_a_warning(tmp_path: Path) -> None:
    for view in range(3):
        picture(tmp_path / "XR_ELBOW" / "wrong" / f"{view}.png", 250)
    picture(tmp_path / "XR_ELBOW" / "strange" / "0.png", 120)
    picture(tmp_path / "XR_ELBOW" / "right" / "0.png", 20)
    ensemble = MadeUpEnsemble()
    wrong, strange, right = read(ensemble, *(tmp_path / "XR_ELBOW" / name for name in ("wrong", "strange", "right")))
    assert wrong.study.group == "elbow"
    assert wrong.probability is not None
    assert wrong.study.warning.startswith("looks like wrist (1.00), not elbow")
    assert strange.study.group == "elbow"
    assert strange.study.warning == "does not look like elbow, nor like any other group of this ensemble"
    assert right.study.warning == ""
    assert ensemble.recognises is not None
    assert ensemble.recognises.shown == [3]  # one view of each is enough for that


def test_what_is_not_shown_as_its_header_says_is_a_warning_by_view(tmp_path: Path) -> None:
    """Without names of files, which `cam` would show on its page; beside what the recogniser doubts."""
    place = tmp_path / "XR_ELBOW" / "a"
    place.mkdir(parents=True)
    bright = np.full((64, 64), 4000, np.uint16)
    bright[0] = 0
    for view, (center, width) in enumerate([(0, 0), (2048, 4096), ([0, 2048], [0, 4096]), (7, -1)], start=1):
        window = {"WindowCenter": center, "WindowWidth": width}
        instance = f"1.2.{view}"
        data = dicom(bright, BitsStored=12, **window, BodyPartExamined="ELBOW", SOPInstanceUID=instance)
        (place / f"IM{view}").write_bytes(data)
    (answer,) = read(MadeUpEnsemble(), place)
    remarks = f"has {NO_WINDOW} (view 1, 4); has {NEXT_WINDOW} (view 3)"
    assert answer.study.warning == f"looks like wrist (1.00), not elbow; {remarks}"
    rows = rows_of(answer, threshold=0.5, show_ids=False)
    assert rows.study["warning"] == answer.study.warning
    (alone,) = read(MadeUpEnsemble(recognises=None), place)
    assert alone.study.warning == remarks


def test_the_option_is_for_what_nothing_else_names(tmp_path: Path) -> None:
    named = picture(tmp_path / "XR_WRIST" / "a" / "1.png", 200)
    nameless = picture(tmp_path / "b" / "1.png", 200)
    unknown = picture(tmp_path / "XR_SKULL" / "c" / "1.png", 200)
    answers = read(MadeUpEnsemble(), named, nameless, unknown, option="elbow")
    assert [(one.study.group, one.study.source) for one in answers] == [
        ("wrist", "path"),
        ("elbow", "--group"),
        ("elbow", "--group"),
    ]
    (refused,) = read(MadeUpEnsemble(), unknown)
    assert (refused.study.group, refused.problem) == (None, "its path says skull: this ensemble knows elbow, wrist")
    with pytest.raises(UsageError, match="unknown group 'wirst'; did you mean 'wrist'"):
        require_group("wirst", GROUPS)


def test_an_ensemble_of_one_group_reads_everything_with_it(tmp_path: Path) -> None:
    nameless = picture(tmp_path / "b" / "1.png", 200)
    stated = picture(tmp_path / "XR_SKULL" / "c" / "1.png", 200)
    elbow = MadeUpEnsemble(recognises=None, groups=("elbow",))
    first, second = read(elbow, nameless, stated)
    assert (first.study.group, first.study.source, first.study.confidence) == ("elbow", "only group", None)
    assert second.problem == "its path says skull: this ensemble knows elbow"


def test_bad_files_cost_no_more_than_themselves(tmp_path: Path) -> None:
    place = tmp_path / "XR_WRIST" / "s"
    good = [picture(place / f"{view}.png", 210, view) for view in (1, 3)]
    (place / "2.png").write_bytes(b"<html>")
    lost = tmp_path / "XR_WRIST" / "lost"
    lost.mkdir()
    (lost / "1.png").write_bytes(b"")
    half, none = read(MadeUpEnsemble(), place, lost)
    assert half.probability == pytest.approx(np.mean(by_hand("wrist", *good)), abs=1e-6)
    assert [bool(fault) for fault in half.study.opened.views.faults] == [False, True, False]
    assert [bool(digest) for digest in half.study.opened.views.sha256] == [True, False, True]
    assert (none.probability, none.problem, none.study.opened.views.faults) == (
        None,
        "no view could be read",
        ("empty file",),
    )


def test_an_answer_that_is_no_number_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainedNet, "ask", lambda self, ask, prepared: (np.full(len(prepared), np.nan),))
    (answer,) = read(MadeUpEnsemble(), picture(tmp_path / "XR_WRIST" / "s" / "1.png", 200))
    assert (answer.probability, answer.problem) == (None, "the net's answer is not a finite number")
