import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from murace.explain.overlays.colours import colours
from murace.explain.overlays.gallery import Entry, View, gallery_page, ranked
from murace.explain.overlays.thumbnail import SIDE, Thumbnail, thumbnail, thumbnail_of
from murace.explain.overlays.triptych import triptych
from murace.report.drawing.sheet import panels_on
from murace.system.opencv import cv2
from murace.vocabulary import DISCLAIMER
from tests.report.reading import text

HOSTILE = "<script>alert(1)</script>\"'&amp;<img src=http://x onerror=a>"
VOID = {"meta", "img", "input", "link", "br", "hr"}


class Outline(HTMLParser):
    """An independent reading: each element with its attributes, every tag closed by its own."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), attrs
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def entry(folder: str, probability: float, group: str = "elbow", **more: object) -> Entry:
    decision = "abnormal" if probability >= 0.5 else "normal"
    views = [View("image1.png", probability), View("image2.png", probability)]
    return replace(Entry(folder, group, "densenet", probability, decision, 0.5, views), **more)


def small(seed: int = 0) -> Thumbnail:
    picture = np.random.default_rng(seed).integers(0, 256, (40, 30), dtype=np.uint8)
    return thumbnail(picture, np.stack([picture] * 3, axis=-1))


def page_of(entries: Sequence[Entry], notes: Sequence[str] = ()) -> str:
    entries = ranked(entries)
    return "".join(gallery_page(entries, [[small()] * len(one.views) for one in entries], notes=notes))


THREE = [entry("elbow-a", 0.2), entry("wrist-b", 0.9, "wrist"), entry("elbow-c", 0.7)]


def test_the_most_likely_abnormal_come_first() -> None:
    titles = [text(title) for title in re.findall(r"<h3><a.*?</h3>", page_of(THREE))]
    assert titles == ["wrist-b", "elbow-c", "elbow-a"]


def test_the_page_is_self_contained_and_leads_only_to_itself_and_the_folders_beside_it() -> None:
    outline = Outline(page_of(THREE))
    assert {image["src"].partition(",")[0] for image in outline.all("img")} == {"data:image/webp;base64"}
    assert {tag for tag, _ in outline.elements} & {"script", "link", "iframe", "object", "base", "form"} == set()
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    assert {"http-equiv": "Content-Security-Policy", "content": policy} in outline.all("meta")
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = [anchor["href"] for anchor in outline.all("a")]
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    beside = {link for link in links if not link.startswith("#")}
    folders = [f"./{one.folder}/" for one in THREE]
    assert beside == {folder + name for folder in folders for name in ("", "image1.png", "image2.png")}


def test_a_reader_of_the_screen_finds_a_way() -> None:
    outline = Outline(page_of(THREE))
    assert outline.all("html") == [{"lang": "en"}]
    assert len(outline.all("main")) == len(outline.all("h1")) == 1
    assert outline.all("a")[0] == {"class": "skip", "href": "#studies"}
    assert all(image["alt"] and image["width"] and image["height"] for image in outline.all("img"))
    assert all("scope" in head for head in outline.all("th"))
    levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_each_study_leads_to_its_neighbours_among_all_and_in_its_group() -> None:
    page = page_of(THREE)
    studies = re.split(r'<li class="study', page)[1:]
    links = [re.findall(r'<a class="(in-\w+)" href="#study-([^"]*)">(\w+)', study) for study in studies]
    assert links == [
        [("in-all", "elbow-c", "Next")],
        [("in-all", "wrist-b", "Previous"), ("in-all", "elbow-a", "Next"), ("in-group", "elbow-a", "Next")],
        [("in-all", "elbow-c", "Previous"), ("in-group", "elbow-c", "Previous")],
    ]


def test_with_one_group_no_link_is_there_twice() -> None:
    page = page_of([entry for entry in THREE if entry.group == "elbow"])
    links = re.findall(r'<a class="(in-\w+)" href="#study-[^"]*">(\w+)', page)
    assert links == [("in-all", "Next"), ("in-all", "Previous")]


def test_groups_can_be_chosen_without_script_where_there_are_several() -> None:
    page = page_of(THREE)
    radios = [item for item in Outline(page).all("input") if item["type"] == "radio"]
    assert [radio["id"] for radio in radios] == ["only-0", "only-1", "only-2"]
    assert [number for number in (1, 2) if f"#only-{number}:checked) .study:not(.g{number})" in page] == [1, 2]
    classes = [item["class"].split()[-1] for item in Outline(page).all("li")]
    assert classes == ["g2", "g1", "g1"]
    assert Outline(page_of([THREE[0]])).all("input") == []


def test_the_summary_counts() -> None:
    mixed = [*THREE, entry("wrist-d", 0.8, "wrist", decision="normal", threshold=0.85)]
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", page_of(mixed), re.DOTALL)
    assert [text(row) for row in rows] == [
        "elbow 2 4 1 0.50 DenseNet",
        "wrist 2 4 1 0.50, 0.85 DenseNet",
        "all 4 8 2 0.50, 0.85",
    ]


def test_one_threshold_is_told_once() -> None:
    page = page_of(THREE)
    assert "reaches 0.50." in page
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", page, re.DOTALL)
    assert text(rows[-1]) == "all 3 6 2"


def test_a_study_tells_what_was_answered() -> None:
    full = entry("elbow-a", 0.925, calibrated=0.811, known_by="path", method="cam 1x+2x", warning="odd")
    assert "abnormal p = 0.925 calibrated 0.811 elbow (known by path) DenseNet cam 1x+2x odd" in text(page_of([full]))
    plain = text(page_of([entry("elbow-a", 0.925)]))
    assert "calibrated 0" not in plain
    assert "known by" not in plain


def test_what_must_be_known_of_a_map_stands_under_it_and_no_map_is_promised() -> None:
    page = page_of([entry("elbow-a", 0.5, views=[View("image1.png", 0.5, remark="flat: the map says nothing")])])
    assert "view 1, p = 0.500 flat: the map says nothing" in text(page)
    assert [image["alt"] for image in Outline(page).all("img")] == ["View 1 of elbow-a: original"]


def test_a_picture_that_is_gone_is_said_to_be() -> None:
    one = entry("elbow-a", 0.5)
    page = "".join(gallery_page([one], [[small(), None]], notes=()))
    assert page.count("<img") == 1
    assert page.count("picture missing") == 1


def test_notes_and_the_disclaimer_are_there() -> None:
    page = page_of(THREE, notes=["Synthetic <data>."])
    assert page.count(DISCLAIMER) == 2
    assert "<p>Synthetic &lt;data&gt;.</p>" in page


def test_no_name_of_a_file_but_muras_own_stands_on_the_page() -> None:
    page = page_of([entry("elbow-a", 0.5, views=[View("DOE_JANE.png", 0.5), View("image3.png", 0.5)])])
    assert "DOE" not in page
    assert [link["href"] for link in Outline(page).all("a") if link["href"].startswith(".")] == [
        "./elbow-a/", "./elbow-a/", "./elbow-a/image3.png",
    ]  # fmt: skip


@pytest.mark.parametrize("field", ["folder", "learner", "known_by", "decision"])
def test_hostile_text_stays_text(field: str) -> None:
    hostile = replace(entry("elbow-b", 0.4), **{field: HOSTILE})
    outline = Outline(page_of([entry("elbow-a", 0.5), hostile], notes=[HOSTILE]))
    assert outline.all("script") == []
    assert all(set(image) == {"src", "width", "height", "alt"} for image in outline.all("img"))
    assert all(link["href"].startswith(("#", "./elbow-", "./%3Cscript%3E")) for link in outline.all("a"))


def test_the_legends_colours_are_the_maps() -> None:
    page = page_of(THREE)
    for logit, place in ((-8.0, "0%"), (0.0, "50%"), (4.0, "75%"), (8.0, "100%")):
        red, green, blue = colours(np.array([[logit]]))[0, 0]
        assert f"rgb({red}, {green}, {blue}) {place}" in page
    assert "−8" in text(page)  # noqa: RUF001
    assert "Grad-CAM++ maps" not in page


def test_maps_without_unit_have_a_legend_of_their_own() -> None:
    page = page_of([entry("elbow-a", 0.9, is_signed=False)])
    assert "Grad-CAM++ maps" in page
    assert "log-odds at that place" not in page
    legend = re.search(r'<div class="numbers".*?</div>', page)[0]
    assert text(legend).split() == ["0", "0.5", "1"]
    red, green, blue = colours(np.array([[0.5]]), limit=1.0)[0, 0]
    assert f"rgb({red}, {green}, {blue}) 50%" in page
    assert len(Outline(page_of([*THREE, entry("elbow-d", 0.9, is_signed=False)])).all("figcaption")) == 2 + 8


def test_thumbnails_are_asked_for_when_they_are_needed() -> None:
    asked = []

    def thumbnails():  # type: ignore[no-untyped-def]
        for number in range(500):
            asked.append(number)
            yield [small()] * 2

    pieces = gallery_page([entry(f"elbow-{n}", 0.5) for n in range(500)], thumbnails(), notes=())
    next(pieces)
    assert len(asked) < 10


def decoded(small: Thumbnail) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(small.data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture.shape == (small.height, small.width, 3)
    return picture


@pytest.mark.parametrize("shape", [(300, 260), (512, 400), (700, 2000), (2500, 1900), (40, 2000), (100, 90)])
def test_a_thumbnail_shows_the_original_and_the_overlay_of_a_drawn_sheet(shape: tuple[int, int]) -> None:
    original = np.full(shape, 100, np.uint8)
    made = thumbnail_of(triptych(original, np.full((4, 4), 6.0), caption="p = 0.93"))
    assert made.width <= 2 * SIDE + 8
    assert made.height <= SIDE
    picture = decoded(made).astype(int)
    middle = made.height // 2
    left, right = picture[middle, made.width // 4], picture[middle, 3 * made.width // 4]
    assert np.ptp(left) < 12
    assert abs(left.mean() - 100) < 12, "the original is grey"
    assert right[0] > right[2] + 60, "the overlay is orange"


@pytest.mark.parametrize("shape", [(300, 260), (256, 400), (700, 2000)])
def test_panels_are_found_to_the_pixel(shape: tuple[int, int]) -> None:
    original = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    first, _, third = panels_on(triptych(original, np.zeros((4, 4)), caption="p = 0.93"), 3)
    assert np.array_equal(first, np.stack([original] * 3, axis=-1))
    assert np.array_equal(third, first)


def test_a_sheet_of_another_kind_is_shown_whole() -> None:
    made = thumbnail_of(np.full((100, 500, 3), 50, np.uint8))
    assert (made.width, made.height) == (388, 78)


def test_a_thousand_studies_with_three_views_stay_under_fifteen_megabytes() -> None:
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[0:256, 0:256] / 256
    bone = 90 + 80 * np.sin(9 * rows + 4 * columns) * np.cos(7 * columns)
    grain = cv2.GaussianBlur(generator.normal(0, 12, bone.shape), (0, 0), 1.2)  # 3 kB a view, as radiographs come to
    picture = np.clip(bone + grain, 0, 255).astype(np.uint8)
    heat = generator.normal(0, 3, (8, 8))
    each = len(thumbnail_of(triptych(picture, heat, caption="")).address)
    markup = len(page_of(THREE)) - len(page_of(THREE[:2])) - 2 * len(small().address)
    assert 500 < markup < 2500
    assert 3500 < each < 5000
    assert 1000 * (3 * each + markup) < 15e6
