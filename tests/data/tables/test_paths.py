import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from murace.data.images.header import ImageError
from murace.data.tables.paths import fault_of_path, fault_of_text, is_sidecar, locate

parts = st.one_of(st.sampled_from(["..", ".", "a", "out", "in", "", "loop"]), st.text(max_size=4))


@settings(max_examples=200, deadline=None)
@given(st.lists(parts, max_size=5).map("/".join))
def test_no_name_whatsoever_leads_out_of_the_source(tmp_path_factory, name):
    root = tmp_path_factory.getbasetemp().resolve() / "source"
    if not root.exists():
        root.mkdir()
        (root / "a").mkdir()
        (root / "in").symlink_to("a")
        (root / "out").symlink_to("/")
        (root / "loop").symlink_to("loop")
    try:
        place = locate(root, name)
    except ImageError:
        return
    assert place.is_relative_to(root)
    assert fault_of_path(name) is None


def test_a_neighbour_with_a_longer_name_is_outside(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root2").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "root2")
    try:
        locate(tmp_path / "root", "link/x.png")
    except ImageError as error:
        assert "out of the source" in str(error)  # noqa: PT017 - one of two outcomes
    else:
        raise AssertionError


def test_ordinary_names_pass():
    for name in ("image1.png", "XR_ELBOW/patient00001/study1_positive/image1.png", "é ü, (1).png", "a/.hidden.png"):
        assert fault_of_path(name) is None


def test_only_what_macos_leaves_is_a_sidecar():
    assert all(map(is_sidecar, ("a/._b.png", ".DS_Store", "__MACOSX/a.png")))
    assert not any(map(is_sidecar, ("a_.png", "a/b._c.png", ".hidden.png")))


@pytest.mark.parametrize(
    "value",
    [
        "=1",
        '=HYPERLINK("http://x","y")',
        "=cmd|' /C calc'!A0",
        "+cmd",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "-=1",
        "\uff1d1",
    ],
)
def test_no_value_is_carried_along_that_a_spreadsheet_would_run(value: str) -> None:
    assert "a spreadsheet would run it" in (fault_of_text(value) or "")


@pytest.mark.parametrize(
    "value", ["", "-", "+", "-1", "+1.5", "-.5", "-1,5", "-1e-3", "-5 %", "a=b", "x@y", "plate", "3-4"]
)
def test_numbers_signs_and_words_are_carried_along(value: str) -> None:
    assert fault_of_text(value) is None
