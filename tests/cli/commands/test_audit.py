import re
from pathlib import Path

import pytest

from murace.cli.commands.audit import MEANINGS
from murace.data.audit.findings import AuditFinding
from murace.workspace.paths import Workspace
from tests.cli.typed import answered, done, refused
from tests.data.audit.test_near import film
from tests.data.files import make_mura, png


@pytest.fixture
def here(tmp_path: Path) -> tuple[object, ...]:
    """A prepared workspace in which one radiograph stands in two splits."""
    mura = make_mura(tmp_path / "MURA")
    for part, width in (("train", 192), ("valid", 144)):
        next((mura / part).rglob("image1.png")).write_bytes(png(film(1, width)))
    done("prepare", mura, "--size", "64", "--jobs", "1", "-w", tmp_path / "work", "-q")
    return ("-w", tmp_path / "work")


def test_it_prints_what_it_looked_for_how_often_it_was_found_and_what_that_means(here) -> None:
    result = done("audit", *here)
    lines = {line.split("  ")[0]: line for line in result.stdout.splitlines()}
    assert "prepare stops at these" in lines["a patient in two given splits"]
    assert "murace prepare SOURCE --leaks drop-train" in lines["identical pictures in two given splits"]
    assert re.search(r"show the same +1 +a leak: ", lines["pairs in two splits that show the same"])
    assert all(any(name in line for line in lines) for name, _ in MEANINGS.values())
    assert f"contact sheet: {here[1]}/audit/contact-sheet.png" in result.stdout
    assert f"next: murace train --arch all -w {here[1]}" in result.stderr
    again = done("audit", *here)
    assert again.stdout == result.stdout
    assert "audit is up to date: nothing has changed" in again.stderr


def test_with_json_it_answers_in_one_object(here) -> None:
    told = answered("audit", *here)
    assert (told["command"], told["skipped"], told["counts"]["near-duplicate"]) == ("audit", False, 1)
    (finding,) = [each for each in told["findings"] if each["kind"] == "near-duplicate"]
    assert (finding["distance"] <= 8, finding["splits"], finding["detail"]) == (True, "train test", "as it is")
    assert answered("audit", *here)["skipped"]
    assert not answered("audit", *here, "--force")["skipped"]


def test_quiet_leaves_the_table_alone(here) -> None:
    result = done("audit", *here, "--quiet")
    assert result.stderr == ""
    assert "Findings" in result.stdout


def test_every_kind_of_finding_is_explained() -> None:
    assert list(MEANINGS) == [str(kind) for kind in AuditFinding]


def test_data_without_patients_and_drawn_data_are_called_so(tmp_path: Path) -> None:
    from tests.data.files import make_manifest

    source = make_manifest(tmp_path / "m")
    (tmp_path / "m/SYNTHETIC.txt").write_text("drawn")
    done("prepare", source, "--size", "16", "--jobs", "1", "-w", tmp_path / "work", "-q")
    result = done("audit", "-w", tmp_path / "work")
    assert "the data name no patients" in result.stderr
    assert "drawings made by murace" in result.stderr
    assert len(answered("audit", "-w", tmp_path / "work")["notes"]) == 2


def test_it_is_no_link_of_the_chain(here) -> None:
    done("audit", *here)
    status = answered("status", *here)
    assert all("audit" not in step["step"] for step in status["steps"])
    assert status["next"] == f"murace train --arch all -w {here[1]}"


def test_a_workspace_without_fingerprints_is_refused_with_the_whole_command(prepared: Workspace) -> None:
    line = refused(4, "audit", "-w", prepared.root)
    assert line.endswith(f"Run: murace prepare SOURCE --size 64 --force -w {prepared.root}")
    assert not prepared.audit.folder.exists()


def test_without_prepare_it_is_refused(tmp_path: Path) -> None:
    line = refused(4, "audit", "-w", tmp_path / "nothing")
    assert line.endswith(f"Run: murace prepare SOURCE -w {tmp_path / 'nothing'}")


def test_a_conflict_says_where_all_culprits_stand(tmp_path: Path) -> None:
    mura = make_mura(tmp_path / "MURA")
    data = png(film(1, 64))
    for part in ("train", "valid"):
        next((mura / part).rglob("image1.png")).write_bytes(data)
    line = refused(3, "prepare", mura, "--size", "64", "--jobs", "1", "-w", tmp_path / "work")
    assert line.endswith(f"{tmp_path / 'work' / 'prepare' / 'rejected.csv'} lists all 2 images")
