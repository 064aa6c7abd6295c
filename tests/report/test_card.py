import dataclasses
import re

import pytest
from markdown_it import MarkdownIt

from murace.report.card import model_card
from murace.report.contents import Picture
from murace.vocabulary import DISCLAIMER
from tests.report import made_up
from tests.report.text.test_escape import HOSTILE

NAME = " ".join(HOSTILE.split())
HEADINGS = [
    "Model details", "Intended use", "Data", "Scores", "Operating points", "Calibration of the probabilities",
    "Which learner serves which group", "Limits", "Ethical considerations", "How to cite",
]  # fmt: skip


@pytest.fixture(scope="module")
def card() -> str:
    return model_card(made_up.whole())


def tables(card: str) -> list[list[list[str]]]:
    """The cells of every table, as a reader sees them."""
    found: list[list[list[str]]] = []
    is_cell = False
    for token in MarkdownIt("commonmark").enable("table").parse(card):
        if token.type == "table_open":
            found.append([])
        if token.type == "tr_open":
            found[-1].append([])
        if is_cell:
            found[-1][-1].append("".join(child.content for child in token.children or []))
        is_cell = token.type in ("th_open", "td_open")
    return found


def test_card_has_its_sections_and_says_what_it_is_not_for(card: str) -> None:
    assert re.findall(r"^## (.*)$", card, re.MULTILINE) == HEADINGS
    assert DISCLAIMER in card
    assert "for diagnosis, triage or any other clinical use" in card
    assert "Made-up numbers: nothing on this page was measured." in card
    assert card.count("*To be filled in by the authors:*") == 6


def test_scores_stand_with_their_intervals_per_group(card: str) -> None:
    scores = made_up.whole().scores.set_index(["level", "model", "group", "metric"])
    line = scores.loc["study", "calibrated", "elbow", "specificity"]
    assert f"{line['value']:.3f} ({line['low']:.3f} to {line['high']:.3f})" in card
    head, *lines = next(table for table in tables(card) if "Kappa" in table[0])
    assert head == ["Group", "Studies", "AUC", "Accuracy", "Sensitivity", "Specificity", "Kappa"]
    assert [cells[0].split(" (")[0].lower() for cells in lines] == ["overall", *made_up.REGIONS]
    assert "small: 6 abnormal / 13 normal" in lines[-1][0]


def test_roster_tells_stability_and_near_ties(card: str) -> None:
    *_, roster = tables(card)
    assert roster[1] == ["Elbow", "ConvNet", "ConvNet 1, ResNet 1, DenseNet 1", "81%", "tie"]
    assert roster[-1][3:] == ["58%", "near-tie"]
    assert "Near-tie in Wrist" in card


def test_what_was_not_evaluated_is_said() -> None:
    card = model_card(made_up.contents(maps=0))
    assert "No confidence intervals are given" in card
    assert "holds no operating point beside 0.5" in card
    assert "holds no calibration" in card
    assert [len({len(row) for row in table}) for table in tables(card)] == [1] * len(tables(card))
    assert "nan" not in card.lower()


def test_hostile_names_stay_text() -> None:
    plain = made_up.whole((NAME, "elbow"))
    hostile = dataclasses.replace(
        plain,
        notes=[HOSTILE, "# not a heading", "- not a list", "two\n\n## lines"],
        settings={HOSTILE: {HOSTILE: HOSTILE}},
        facts={"murace": HOSTILE, HOSTILE: HOSTILE},
        rejected={HOSTILE: 3},
    )
    card = model_card(hostile)
    html = MarkdownIt("commonmark").enable("table").render(card)
    assert "<script" not in card
    allowed = {"h1", "h2", "p", "strong", "em", "blockquote", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert set(re.findall(r"<(\w+)", html)) == allowed
    assert re.findall(r"^## (.*)$", card, re.MULTILINE) == HEADINGS
    assert [len({len(row) for row in table}) for table in tables(card)] == [1] * len(tables(card))
    assert [NAME, NAME] in next(table for table in tables(card) if table[0] == ["What", "Value"])
    assert NAME[:1].upper() + NAME[1:] in [row[0] for row in tables(card)[-1]]


def test_captions_which_may_name_a_study_stay_out() -> None:
    whole = made_up.whole()
    named = [Picture(caption="patient00011", png=made_up.png())]
    assert "patient00011" not in model_card(dataclasses.replace(whole, maps=named, errors=named))


def test_same_contents_give_the_same_text(card: str) -> None:
    assert model_card(made_up.whole()) == card
    assert card.endswith("\n")
    assert not re.search(r"[ \t]$|\n\n\n", card, re.MULTILINE)
