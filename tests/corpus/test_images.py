"""Cases 1 to 22: a bad file stops `prepare` where it is more than 1 % of all, and never becomes a picture."""

import os
from pathlib import Path

import pytest

from tests.corpus.case import MADE, SIDE, Case, carrier, parameters, prepare, rejected, verify
from tests.corpus.images import PICTURES
from tests.corpus.pictures import CASES
from tests.data.files import picture, png


@pytest.mark.parametrize("case", parameters(CASES))
def test_a_file_is_read_as_it_is_meant_or_refused_with_its_reason(case: Case, here: Path) -> None:
    verify(case, here)


def test_a_few_bad_files_in_many_cost_only_themselves(here: Path) -> None:
    bad = {f"bad-{item.number}.png": item for item in PICTURES if item.number in ("2", "5", "7a", "9a", "17", "20d")}
    many = {f"more{number:03d}.png": picture(1000 + number, SIDE, SIDE) for number in range(100 * len(bad))}
    rows = [f"{name},{number % 2},train" for number, name in enumerate(many)]
    manifest = carrier(here, *rows, *(f"{name},1,train" for name in bad))
    for name, data in {
        **{name: png(image) for name, image in many.items()},
        **{n: i.data() for n, i in bad.items()},
    }.items():
        (here / "source" / name).write_bytes(data)
    verify(Case(number="0", name="few", build=lambda folder: prepare(manifest), exit_code=0, leaves=MADE), here)
    assert [path for path, _ in rejected(here)] == sorted(bad)


def test_no_file_starts_another_program(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostScript makes some image libraries look for Ghostscript."""
    (here / "bin").mkdir()
    for name in ("gs", "gswin64c", "convert", "magick"):
        (here / "bin" / name).write_text(f"#!/bin/sh\ntouch {here}/started\n")
        (here / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{here / 'bin'}:{os.environ['PATH']}")
    verify(next(case for case in CASES if case.number == "9d"), here)
    assert not (here / "started").exists()
