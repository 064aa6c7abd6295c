"""Identifiers stand only where they may, nobody is called, and private files are private: after every command (S3)."""

import shutil
import stat
import subprocess
import sys
import zlib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from murace.workspace import writing
from tests.cli.typed import ROOT, environment
from tests.data.files import chunk, picture, png
from tests.security import canaries as words
from tests.security import ward
from tests.security.ward import Ward

IDS = {words.PATIENT, words.STUDY}
LISTED = {words.FOLDER, words.VIEW}
# Where a canary may stand in a file, and where each of them must, or this test looks at nothing.
FILES = {
    "workspace/prepare/index.csv": {*IDS, *LISTED, words.NOTE, words.SLICED},
    "workspace/prepare/rejected.csv": {words.FOLDER, words.BROKEN},
    "workspace/prepare/sources.csv": {*LISTED, words.BROKEN},
    "workspace/train/*/predictions.csv": IDS,
    "workspace/finetune/*/predictions.csv": IDS,
    "workspace/evaluate/predictions.csv": {*IDS, words.NOTE, words.SLICED},
    "predictions.csv": {words.FOLDER},
    "predictions-views.csv": {*LISTED, words.BROKEN},
    "handed.csv": {words.FOLDER},
    "handed-views.csv": {*LISTED, words.BROKEN},
    "shown.csv": {words.FOLDER, words.TAG, words.UID},  # --show-ids asks for them
    "shown-views.csv": {*LISTED, words.BROKEN},
}
# A value of a column that the user slices by is the name of a part of the data, and shown as such.
SLICES = {
    "workspace/evaluate/slices.csv": {words.SLICED},
    "workspace/evaluate/report.html": {words.SLICED},
    "workspace/evaluate/tables/table-s7.csv": {words.SLICED},
    "workspace/evaluate/tables/table-s7.tex": set(),
    "workspace/evaluate/MODEL_CARD.md": set(),
}
# `cam` names a picture as the view is named; the record beside it says which pictures are its own.
DRAWN = {"overlays/*/*.png": {words.VIEW}, "overlays/*/study.json": {words.VIEW}}
ENDS = (".csv", "-views.csv", ".csv.record")
UNREAD = {words.FOLDER, words.BROKEN}  # in the error that says which file could not be read
TERMINAL = {
    "evaluate": {words.SLICED},
    "evaluate --json": {words.SLICED},
    "score": {words.SLICED, words.NOTE},  # sliced by both
    "cam --json": {words.VIEW},
    **dict.fromkeys(ward.REFUSALS, UNREAD),
}

pytestmark = pytest.mark.crash


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    folder = tmp_path_factory.mktemp("hospital") / words.PLACE
    folder.mkdir()
    return ward.run(folder)


@pytest.fixture(scope="module")
def hits(after: Ward) -> dict[str, set[str]]:
    found = words.found_in(after.folder)
    return {name: words for name, words in found.items() if not name.startswith(f"{ward.SOURCE}/")}


def test_no_identifier_stands_in_any_byte_of_any_file_where_it_may_not(hits: dict[str, set[str]]) -> None:
    allowed = {**FILES, **SLICES, **DRAWN}
    wrong = {
        name: found
        for name, found in hits.items()
        if not any(fnmatch(name, pattern) and found <= may for pattern, may in allowed.items())
    }
    assert wrong == {}
    for pattern, must in FILES.items():
        assert {word for name, found in hits.items() if fnmatch(name, pattern) for word in found} == must, pattern


def test_what_holds_identifiers_can_be_read_by_its_owner_alone(after: Ward, hits: dict[str, set[str]]) -> None:
    private = [name for name in hits if any(fnmatch(name, pattern) for pattern in FILES)]
    modes = {name: oct(stat.S_IMODE((after.folder / name).stat().st_mode)) for name in private}
    assert modes == dict.fromkeys(private, "0o600")


def test_no_command_says_an_identifier_but_in_an_error_or_where_it_was_asked_for(after: Ward) -> None:
    said = {name: words.found(result.output.encode()) for name, result in after.said.items()}
    assert {name: found for name, found in said.items() if not found <= TERMINAL.get(name, set())} == {}
    for name in ward.REFUSALS:
        assert words.found(after.said[name].stdout.encode()) == set()


def test_no_socket_is_opened_no_program_started_and_no_pickle_read(after: Ward) -> None:
    assert after.events == []


def test_all_of_it_runs_where_there_is_no_network_at_all(tmp_path: Path) -> None:
    """In a network namespace of its own, without so much as a loopback that is up: libraries in C are cut off too."""
    alone = shutil.which("unshare")
    if alone is None or subprocess.run([alone, "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine grants no network namespace; the test above does without")
    script = "import sys; from pathlib import Path; from tests.security import ward; ward.run(Path(sys.argv[1]))"
    command = [alone, "-n", sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "workspace/evaluate/report.html").is_file()


def test_nothing_is_written_beside_what_was_asked_for(after: Ward) -> None:
    made = {path.name for path in after.folder.iterdir()}
    assert made == {
        "source", "workspace", "figure1.png", "overlays", "ensemble.murace",
        *(f"{name}{end}" for name in ("predictions", "shown", "handed") for end in ENDS),
    }  # fmt: skip


def test_locks_are_empty_when_nobody_holds_them(after: Ward) -> None:
    locks = list(after.folder.rglob(".lock"))
    assert len(locks) > 8
    assert {lock.read_bytes() for lock in locks} == {b""}


def test_a_lock_tells_who_holds_it_while_he_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: words.HOST)
    with writing(tmp_path):
        (tmp_path / "kept").touch()
        assert words.found((tmp_path / ".lock").read_bytes()) == {words.HOST}
    assert (tmp_path / ".lock").read_bytes() == b""


def test_a_canary_is_found_wherever_it_hides() -> None:
    text = words.TAG.encode()
    hidden = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(text))
    page = b'<img src="data:image/png;base64,' + words.base64.b64encode(png(picture(), hidden)) + b'">'
    for data in (text, text.lower(), words.TAG.encode("utf-16-le"), words.base64.b64encode(b"x" + text), page):
        assert words.found(b"..." + data + b"...") == {words.TAG}
    assert words.found(png(picture(), hidden)) == {words.TAG}
    assert words.found(b"nothing to see") == set()
