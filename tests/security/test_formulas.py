"""No csv file that murace writes holds a cell of the user's that a spreadsheet would run."""

from pathlib import Path

import pytest

from tests.cli.typed import done, refused
from tests.data.files import make_manifest


@pytest.mark.parametrize("value", ['=HYPERLINK("http://x";"y")', "@SUM(A1)", "-1+cmd|x", "+x"])
def test_a_formula_in_a_column_of_the_users_is_refused_with_its_line(value: str, tmp_path: Path) -> None:
    row = '{path},{label},"' + value.replace('"', '""') + '"'
    manifest = make_manifest(tmp_path / "source", header="path,label,note", row=row)
    message = refused(3, "prepare", manifest, "--size", 16, "-w", tmp_path / "w")
    assert "column note (line 2: begins with one of = + - @ and is no number: a spreadsheet would run it" in message
    assert not (tmp_path / "w" / "prepare" / "index.csv").exists()


def test_numbers_with_a_sign_are_carried_along(tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path / "source", header="path,label,angle", row="{path},{label},-{number}.5")
    done("prepare", manifest, "--size", 16, "-w", tmp_path / "w", "--jobs", 1)
    assert "-7.5" in (tmp_path / "w" / "prepare" / "index.csv").read_text()
