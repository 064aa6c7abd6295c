import dataclasses
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

from murace.report.contents import Contents, Picture
from murace.report.figures import figures
from murace.report.page import render as render_drawn
from murace.report.sections.paper import paper_table
from murace.report.text.formats import DASH, MINUS
from murace.vocabulary import DISCLAIMER
from tests.report import made_up
from tests.report.reading import rows, table

HOSTILE = "<script>alert(1)</script>\"'&amp;<img src=http://x onerror=a>$x$"


def render(contents: Contents) -> str:
    return render_drawn(contents, figures(contents))


@pytest.fixture(scope="module")
def contents() -> Contents:
    return made_up.contents()


@pytest.fixture(scope="module")
def page(contents: Contents, drawn: dict[str, bytes]) -> str:
    return render_drawn(contents, drawn)


@pytest.fixture(scope="module")
def drawn(contents: Contents) -> dict[str, bytes]:
    return figures(contents)


@pytest.fixture(scope="module")
def plain(contents: Contents) -> Contents:
    """The same without figures, which take the time."""
    return dataclasses.replace(contents, histories={}, roc=contents.roc.iloc[:0], maps=())


def small(**changes: object) -> Contents:
    return dataclasses.replace(made_up.contents(("all",), ("convnet",), maps=0), **changes)


def test_page_is_self_contained(page: str) -> None:
    assert "<script" not in page
    assert not re.findall(r"(?:src|href)\s*=\s*[\"']?\s*(?:https?:|//)", page)
    assert set(re.findall(r"\bsrc=\"([^,\"]*)", page)) == {"data:image/png;base64"}
    assert all(address.startswith("#") for address in re.findall(r"href=\"([^\"]*)", page))
    assert "url(http" not in page
    assert "@import" not in page
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'" in page


def test_page_says_what_it_is(page: str) -> None:
    assert page.count(DISCLAIMER) == 2
    assert "Made-up numbers: nothing on this page was measured." in page
    for number in ("Table 1.", "Table 2.", "Table 5.", "Table 3, studies.", "Table 3, single images.", "Figure 2."):
        assert number in page
    assert "does not mean that the probabilities are calibrated" in page


def test_links_inside_the_page_lead_somewhere(page: str) -> None:
    identifiers = set(re.findall(r"\sid=\"([^\"]*)\"", page))
    assert set(re.findall(r"href=\"#([^\"]*)", page)) <= identifiers
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= identifiers


def test_ids_are_unique_over_all_figures(page: str) -> None:
    identifiers = re.findall(r"\sid=\"([^\"]*)\"", page)
    assert len([name for name in identifiers if name.startswith("finetune-")]) > 7
    assert len(identifiers) == len(set(identifiers))


def test_same_contents_give_the_same_bytes(page: str) -> None:
    assert render(made_up.contents()) == page
    assert figures(small()) == figures(small())


def test_figures_are_svg_files_without_trace_of_time_or_tool(drawn: dict[str, bytes]) -> None:
    expected = {"roc.svg", *(f"train-{name}.svg" for name in made_up.LEARNERS)}
    assert set(drawn) == expected | {f"finetune-{group}.svg" for group in made_up.REGIONS}
    for data in drawn.values():
        root = ElementTree.fromstring(data)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert b"metadata" not in data
        assert b"<!DOCTYPE" not in data


def test_figures_inside_the_page_are_xml_with_a_text_for_who_cannot_see(page: str, drawn: dict[str, bytes]) -> None:
    inside = re.findall(r'<div role="img" aria-label="([^"]+)">(<svg.*?</svg>)', page, re.DOTALL)
    assert len(inside) == len(drawn)
    for _, svg in inside:
        assert ElementTree.fromstring(svg).tag == "svg"
    assert re.search(r"ROC curves .*ConvNet AUC 0\.\d+.*Calibrated AUC 0\.\d+", inside[-1][0])


def test_hostile_names_stay_text() -> None:
    groups = (HOSTILE, "elbow")
    contents = made_up.contents(groups, maps=0)
    hostile = dataclasses.replace(
        contents,
        maps=[Picture(caption=HOSTILE, png=made_up.png())],
        notes=[HOSTILE],
        settings={HOSTILE: {HOSTILE: HOSTILE}},
        facts={HOSTILE: HOSTILE},
    )
    page = render(hostile)
    assert "<script" not in page
    assert "<img src=http" not in page
    assert page.count("&lt;script&gt;") > 15
    drawn = figures(hostile)
    assert any(re.search(rb"<text[^>]*>[^<]*\$x\$", data) for data in drawn.values())
    assert not [name for name in drawn if not re.fullmatch(r"[a-z0-9_-]+\.svg", name)]


def test_bold_cells_are_the_maxima_and_ties_are_all_bold(plain: Contents) -> None:
    scores = plain.scores.copy()
    tied = (scores["group"] == "elbow") & (scores["metric"] == "auc") & scores["model"].isin(["convnet", "calibrated"])
    scores.loc[tied, "value"] = 0.99
    page = render(dataclasses.replace(plain, scores=scores))
    for level in ("study", "image"):
        lines = [row for row in rows(page, f"table-3-{level}") if row]
        part = scores[scores["level"] == level]
        wide = part.pivot(index=["metric", "model"], columns="group", values="value")
        models, metrics = part["model"].unique(), part["metric"].unique()
        columns = ["overall", *made_up.REGIONS]
        shown = np.array([["<strong>" in cell for cell in row] for row in lines])
        order = pd.MultiIndex.from_product([metrics, models])
        values = wide.reindex(order)[columns].to_numpy().reshape(len(metrics), len(models), len(columns))
        expected = values == values.max(axis=1, keepdims=True)
        assert expected[:, :, 1].sum() == len(metrics) + 1
        assert np.array_equal(shown.reshape(expected.shape), expected)


def test_undefined_is_a_dash_and_never_best(plain: Contents) -> None:
    assert "never counted as 0" not in table(render(plain), "table-3-study")
    scores = plain.scores.copy()
    scores.loc[(scores["group"] == "elbow") & (scores["metric"] == "kappa"), ["value", "change"]] = np.nan
    page = render(dataclasses.replace(plain, scores=scores))
    kappas = [row[1] for row in rows(page, "table-3-study") if row][-5:]
    assert {re.sub(r"<span.*", "", cell) for cell in kappas} == {f"<td>{DASH}"}
    assert "undefined or not recorded" in page


def test_change_is_over_convnet(plain: Contents) -> None:
    scores = plain.scores.copy()
    scores["change"] = np.where(scores["model"] == "resnet", 0.057, -0.012)
    lines = [row for row in rows(render(dataclasses.replace(plain, scores=scores)), "table-3-study") if row]
    assert "(" not in "".join(lines[0])
    assert all("(+5.7%)" in cell for cell in lines[1])
    assert all(f"({MINUS}1.2%)" in cell for cell in lines[2])
    below = scores.assign(value=scores["value"].where(scores["metric"] != "auc", -0.1))  # a percentage would mislead
    page = [row for row in rows(render(dataclasses.replace(plain, scores=below)), "table-3-study") if row]
    assert "(" not in "".join(page[1])
    assert all("(+5.7%)" in cell for cell in page[6])


def test_intervals_are_shown_where_given(plain: Contents) -> None:
    assert "95%" not in render(plain)
    page = render(dataclasses.replace(plain, scores=plain.scores.assign(low=0.81, high=0.93)))
    assert "0.810 to 0.930" in table(page, "table-3-study")
    assert "its 95% interval" in page
    assert "No confidence intervals" not in page


def test_paper_numbers_stand_only_beside_its_own_groups_and_models() -> None:
    page = render(made_up.contents(("elbow", "hip"), maps=0))
    for row in [row for row in rows(page, "table-3-study") if row]:
        assert ["paper: " in cell for cell in row] == [True, True, False]
    calibrated_elbow_auc = [row for row in rows(page, "table-3-study") if row][4][1]
    assert calibrated_elbow_auc.replace('<span class="unseen">paper: </span>', "").count(">0.91<") == 1
    assert ["paper: " in "".join(row) for row in rows(page, "table-1")] == [True, False, True]


def test_paper_note_tells_other_data_from_the_papers(plain: Contents) -> None:
    assert "The test set here differs from the paper" in render(plain)
    counts = paper_table(1)
    page = render(dataclasses.replace(plain, counts=counts))
    assert "By their numbers, the test images here are the paper" in page
    assert "The test set here differs from the paper" not in page


def test_choice_marks_the_designated_learner_and_says_ties(page: str) -> None:
    lines = [row for row in rows(page, "table-5") if row]
    assert all("chosen" in lines[place][1] for place in (0, 3, 6, 9))
    assert all("chosen" in cell for cell in lines[2][2:])
    assert "chosen" not in "".join(row[0] for row in lines)
    assert "tie" in lines[-1][1]
    assert "ConvNet" in lines[-1][1]
    assert "Tie in Elbow:" in page


def test_a_group_without_votes_is_said(plain: Contents) -> None:
    groups = {name: dict(choice) for name, choice in plain.roster["groups"].items()}
    groups["wrist"] |= {"votes": dict.fromkeys(made_up.LEARNERS, 0), "tie": True}
    page = render(dataclasses.replace(plain, roster={**plain.roster, "groups": groups}))
    assert "No vote in Wrist" in page
    assert "Tie in Elbow:" in page


def test_one_learner_and_one_group_without_maps() -> None:
    page = render(small())
    assert "Res+Dense</th>" not in page
    assert '<section aria-labelledby="maps">' not in page
    assert "Calibrated</th>" in page
    assert set(figures(small())) == {"roc.svg", "train-convnet.svg", "finetune-all.svg"}


def test_one_class_test_split_has_no_curve_and_says_so() -> None:
    contents = small()
    contents = dataclasses.replace(
        contents, roc=contents.roc.iloc[:0], scores=contents.scores.assign(value=np.nan, change=np.nan)
    )
    page = render(contents)
    assert "No ROC curve" in page
    assert "AUC undefined" in page
    assert "roc.svg" not in figures(contents)


def test_missing_fields_of_a_young_workspace() -> None:
    contents = small(histories={}, settings={}, facts={}, studies={}, best_epochs={}, notes=())
    contents = dataclasses.replace(contents, learners=contents.learners.assign(hours=np.nan, images_per_second=np.nan))
    assert DASH in table(render(contents), "table-2")


def test_a_history_of_one_epoch_or_with_gaps_is_drawn() -> None:
    history = made_up.history(np.random.default_rng(0), 1).assign(train_loss=np.nan, auc=np.nan)
    files = figures(small(histories={"train/convnet": history}))
    assert b"ConvNet" in files["train-convnet.svg"]
