"""The path gate: whatever the name, nothing outside the source is found or read."""

import os
from pathlib import Path

import pytest
from hypothesis import strategies as st

from murace.data.images.decode import read
from murace.data.images.header import ImageError
from murace.data.tables.paths import fault_of_id, fault_of_path, locate, normal
from tests.data.files import picture, png
from tests.properties.size import holds, sizes

PARTS = [
    "..",
    ".",
    "a",
    "out",
    "in",
    "up",
    "",
    "loop",
    "x.png",
    "twin",
    "...",
    "C:",
    "~",
    "a\\b",
    "\0",
    "%2e%2e",
    "\uff0e\uff0e",
]
names = st.one_of(
    st.lists(st.sampled_from(PARTS) | st.text(max_size=4), max_size=6).map("/".join),
    st.lists(st.sampled_from(PARTS), max_size=6).map("\\".join),
    st.text(max_size=40),
    st.integers(1, 3000).map(lambda count: "a/" * count + "x.png"),
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source with links of all kinds, beside a radiograph that is not its own."""
    outside = tmp_path_factory.mktemp("outside").resolve()
    root = outside / "source"
    (root / "a").mkdir(parents=True)
    (outside / "x.png").write_bytes(png(picture(1)))
    (outside / "source2").mkdir()
    (outside / "source2/x.png").write_bytes(png(picture(1)))
    (root / "x.png").write_bytes(png(picture(2)))
    (root / "a/x.png").write_bytes(png(picture(2)))
    for name, target in {"in": "a", "out": "/", "up": "..", "loop": "loop", "twin": "../source2"}.items():
        (root / name).symlink_to(target)
    return root


@sizes()
def test_nothing_outside_is_ever_found_or_read(examples: int, source: Path) -> None:
    own = {path.resolve() for path in source.rglob("*") if path.is_file()}
    found = []

    def law(name: str) -> None:
        try:
            place = locate(source, name)
            image = read(place)
        except ImageError:
            return
        assert place.is_relative_to(source)
        assert place.resolve() in own
        assert fault_of_path(name) is None
        found.append(image)

    holds(law, examples, names)
    assert found  # else the law was about nothing


@sizes()
def test_what_the_gate_lets_through_has_no_way_up_in_it(examples: int) -> None:
    def law(name: str) -> None:
        if fault_of_path(name) is None:
            tidy = os.path.normpath(name)
            assert not tidy.startswith("/")
            assert ".." not in name.split("/")
            assert "\\" not in name
            assert all(letter >= " " for letter in name)
            assert normal(normal(name)) == normal(name)
            assert os.path.normpath(normal(name)) == tidy
            assert fault_of_id(normal(name)) is None or normal(name).startswith(("=", "+", "-", "@"))

    holds(law, examples, names)
