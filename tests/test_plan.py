"""The plan of the code: few entries at the top, few files in a folder, no circle of imports, layers as written down."""

import tomllib
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "murace"
NOT_CODE = {"__init__.py", "py.typed", "__pycache__", "guide"}


def test_the_top_holds_twelve_packages_and_four_files() -> None:
    entries = {path.name for path in PACKAGE.iterdir()} - NOT_CODE
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    named = {name for layer in contract["layers"] for name in layer.replace("|", " ").replace(":", " ").split()}
    assert {name.removesuffix(".py") for name in entries} == named
    assert len(entries) == 16
    assert len(contract["layers"]) <= 9
    assert contract["exhaustive"] is True


def test_no_folder_holds_more_than_twenty_files() -> None:
    found = Counter(path.parent for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert max(found.values()) <= 20, found.most_common(2)


def test_no_import_leads_in_a_circle() -> None:
    graph = grimp.build_graph("murace")
    TopologicalSorter({module: graph.find_modules_directly_imported_by(module) for module in graph.modules}).prepare()
