"""What an evaluation adds to the page: each part where there are numbers for it, none where there are not."""

import dataclasses
import re

import numpy as np
import pytest

from murace.report.contents import Contents, Picture
from murace.report.figures import figures
from murace.report.page import render, tables
from murace.report.sections.checklist import PARTS
from tests.report import made_up, made_up_analysis, reading
from tests.report.reading import lines, shown, table
from tests.report.test_page import HOSTILE

ANCHORS = ("comparisons", "calibration", "benefit", "operating", "slices", "errors")
FILES = ("flow", "scores", "support", "intervals", "comparisons", "calibration", "reliability", "benefit", "confusion",
         "operating", "slices", "roc")  # fmt: skip


@pytest.fixture(scope="module")
def whole() -> Contents:
    return made_up.whole()


@pytest.fixture(scope="module")
def drawn(whole: Contents) -> dict[str, bytes]:
    return figures(whole)


@pytest.fixture(scope="module")
def page(whole: Contents, drawn: dict[str, bytes]) -> str:
    return render(whole, drawn)


@pytest.fixture(scope="module")
def light() -> Contents:
    return reading.light()


def test_sections_stand_only_where_there_are_numbers(page: str) -> None:
    bare = made_up.contents(maps=0)
    empty = render(bare, figures(bare))
    for anchor in ANCHORS:
        assert f'<h2 id="{anchor}">' in page
        assert f'href="#{anchor}"' in page
        assert f'id="{anchor}"' not in empty
        assert f'href="#{anchor}"' not in empty
    assert "Table S" not in empty
    assert 'class="flow"' not in empty


def test_every_csv_is_named_where_it_was_drawn(page: str) -> None:
    assert not [name for name in FILES if f"{name}.csv" not in page]


def test_nothing_is_linked_to_the_outside_and_ids_are_unique(page: str) -> None:
    identifiers = re.findall(r"\sid=\"([^\"]*)\"", page)
    assert len(identifiers) == len(set(identifiers))
    assert set(re.findall(r"href=\"#([^\"]*)", page)) <= set(identifiers)
    assert set(re.findall(r"\bsrc=\"([^,\"]*)", page)) == {"data:image/png;base64", "data:image/jpeg;base64"}
    assert "<script" not in page


def test_every_picture_and_drawing_has_words(page: str, drawn: dict[str, bytes]) -> None:
    assert len(re.findall(r'<div role="img" aria-label="[^"]{40,}">', page)) == len(drawn)
    assert not re.findall(r'<img (?![^>]*alt="[^"]+")', page)
    assert "call all abnormal 0.389 at 0.1" in page
    assert "Reliability diagram of Calibrated" in page


def test_same_contents_give_the_same_bytes(page: str) -> None:
    again = made_up.whole()
    assert render(again, figures(again)) == page


def test_the_checklist_names_sections_of_the_page(page: str) -> None:
    headings = set(re.findall(r"<h2[^>]*>(.*?)</h2>", page))
    assert {section for section, _ in PARTS.values()} <= headings
    assert "Reporting checklists" in headings


def test_hostile_names_and_values_stay_text() -> None:
    contents = made_up.whole((HOSTILE, "elbow"))
    slices = made_up_analysis.slices(np.random.default_rng(0), ["calibrated", HOSTILE], {HOSTILE: (HOSTILE, "b")})
    picture = Picture(caption=HOSTILE, png=made_up_analysis.jpeg())
    hostile = dataclasses.replace(
        contents,
        slices=slices,
        rejected={HOSTILE: 3},
        errors=[picture],
        augmentation=picture,
        operating=contents.operating.replace({"youden": HOSTILE, "resnet": HOSTILE}),
        calibration=contents.calibration.replace({"resnet": HOSTILE}),
        reliability=contents.reliability.replace({"resnet": HOSTILE}),
        benefit=contents.benefit.replace({"resnet": HOSTILE}),
        confusion=contents.confusion.replace({"resnet": HOSTILE}),
        comparisons=contents.comparisons.replace({"resnet": HOSTILE, "delong": HOSTILE}),
    )
    files = figures(hostile)
    page = render(hostile, files)
    assert "<script" not in page
    assert "<img src=http" not in page
    assert page.count("&lt;script&gt;") > 40
    for key in ("table-s1", "table-s3", "table-s4", "table-s5", "table-s6", "table-s7"):
        assert "&lt;script&gt;" in table(page, key)
    assert not [name for name in files if not re.fullmatch(r"[a-z0-9_-]+\.svg", name)]


def test_flow_counts_files_and_names_what_was_left_out(light: Contents) -> None:
    page = shown(light)
    diagram = re.search(r'<figure class="flow">.*?</figure>', page, re.DOTALL)[0]
    overall = light.flow[light.flow["group"] == "overall"].set_index("split")
    assert f"<dt>found</dt><dd>{overall['images'].sum() + 4:,}</dd>" in diagram
    assert "<dt>cannot be read as an image</dt><dd>3</dd>" in diagram
    assert "<dt>in all</dt><dd>4</dd>" in diagram
    assert f"<dt>patients</dt><dd>{overall.loc['test', 'patients']:,}</dd>" in diagram
    assert "<dd>none</dd>" in shown(light, rejected={})
    assert lines(page, "table-s1")["Overall"][8] == f"{overall.loc['test', 'patients']:,}"


def test_the_augmentation_picture_is_figure_1(light: Contents) -> None:
    assert "<b>Figure 1.</b> One image and eight" in shown(light)
    assert "Figure 1." not in shown(light, augmentation=None)


def test_a_picture_that_is_no_png_or_jpeg_is_refused(light: Contents) -> None:
    with pytest.raises(ValueError, match="neither PNG nor JPEG"):
        shown(light, errors=[Picture(caption="a page", png=b"<svg onload=alert(1)>")])


def test_reliability_is_drawn_for_each_model_with_the_ensemble_first(page: str, drawn: dict[str, bytes]) -> None:
    names = ("calibrated", "convnet", "resnet", "densenet", "resnet-densenet")
    assert {name for name in drawn if name.startswith("reliability")} == {f"reliability-{name}.svg" for name in names}
    assert re.findall(r'aria-label="Reliability diagram of (.*?)\.', page)[:2] == ["Calibrated", "ConvNet"]


def test_a_model_without_a_temperature_has_one_curve(whole: Contents) -> None:
    raw = whole.reliability[whole.reliability["stage"] == "raw"]
    contents = dataclasses.replace(whole, histories={}, reliability=raw)
    files = figures(contents)
    assert b"after temperature" not in files["reliability-resnet.svg"]
    assert "after temperature:" not in render(contents, files)


def test_errors_are_a_sheet_with_their_captions(light: Contents) -> None:
    page = shown(light)
    sheet = page[page.index('<h2 id="errors">') :]
    assert sheet.count("<figcaption>false negative") == 3
    assert sheet.count("<figcaption>false positive") == 3
    assert "not typical" in page


def test_tables_are_offered_by_key_in_the_order_of_the_page(light: Contents) -> None:
    page = shown(light)
    keys = re.findall(r'<table id="([^"]*)"', page)
    assert set(keys) == set(tables(light))
    assert list(tables(light))[-1] == "checklist"
