"""The table is whole, and no case takes more memory or time than it may."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from murace.data.images.decode import read
from murace.data.images.header import ImageError
from murace.workspace.paths import Workspace
from tests.cli.typed import environment
from tests.corpus.bounds import forget_peak, peak
from tests.corpus.images import PICTURES
from tests.corpus.tables import ALL

MEGA, GIGA = 1e6, 1e9
NETS = 300 * MEGA  # of a case with a net; torch and what goes with it take 0.9 GB before anything is read
SECONDS = 5
BOMBS = [item for item in PICTURES if item.number.startswith("18")]


def test_all_48_cases_are_there_each_under_a_name_of_its_own() -> None:
    cases = [case for cases in ALL.values() for case in cases]
    assert {case.row for case in cases} == set(range(1, 49))
    assert len({case.number for case in cases}) == len(cases)
    assert not [case for case in cases if case.exit_code and not case.says]


@pytest.mark.parametrize("item", BOMBS, ids=str)
def test_a_bomb_costs_nothing(item: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setattr("murace.data.images.decode.cv2.imdecode", lambda *_: pytest.fail("decoded"))
    (tmp_path / "bomb.png").write_bytes(item.data())
    forget_peak()
    before, start = peak(), time.process_time()
    with pytest.raises(ImageError, match=item.reason):
        read(tmp_path / "bomb.png")
    assert time.process_time() - start < 0.05
    assert peak() - before < 100 * MEGA


def measured(group: str, *base: object) -> dict[str, Any]:
    """What a process of its own tells of a group."""
    command = [sys.executable, "-m", "tests.corpus.bounds", group, *map(str, base)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert [row for row in answer["rows"] if row["fault"]] == []
    assert [row for row in answer["rows"] if row["seconds"] > SECONDS] == []
    return answer


def largest(group: str, *base: object) -> float:
    """The most that a case of the group adds to the memory that its process had, in bytes."""
    return max(row["peak"] - row["before"] for row in measured(group, *base)["rows"])


@pytest.mark.crash
def test_no_source_takes_a_gigabyte_or_five_seconds_and_none_loads_torch() -> None:
    answer = measured("sources")
    assert not answer["torch"]
    assert [row for row in answer["rows"] if row["peak"] > GIGA] == []


@pytest.mark.crash
def test_no_argument_takes_much_memory_or_five_seconds() -> None:
    assert largest("arguments") < NETS


@pytest.mark.crash
def test_no_checkpoint_takes_much_memory_or_five_seconds(unfinished: Path) -> None:
    assert largest("unfinished", unfinished) < NETS


@pytest.mark.crash
def test_no_model_takes_much_memory_or_five_seconds(_finished: Workspace) -> None:  # noqa: PT019 - copied, not changed
    assert largest("finished", _finished.root) < NETS
