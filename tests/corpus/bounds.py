"""A process of its own that carries out a group of cases and tells what each took: `python -m tests.corpus.bounds`.

In a test's own process the largest of all tests so far would hide what one of them takes.
"""

import json
import os
import resource
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.corpus.case import Case, verify
from tests.corpus.tables import ALL

KILO = 1024


def forget_peak() -> None:
    """Let the largest memory be counted from here on, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The largest resident memory in bytes: since `forget_peak`, or else since the process began."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * KILO
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILO


def measure(case: Case, root: Path, base: Path | None) -> dict[str, object]:
    """Carry a case out in a new folder; returns its seconds, and its peak in bytes before and after."""
    folder = root / "here"
    folder.mkdir()
    if base is not None:
        shutil.copytree(base, folder / "workspace")
    os.chdir(folder)
    forget_peak()
    before = peak()
    try:
        seconds, fault = verify(case, folder).seconds, ""
    except AssertionError as error:
        seconds, fault = 0.0, str(error)
    found = {"number": case.number, "seconds": seconds, "before": before, "peak": peak(), "fault": fault}
    os.chdir(root)
    shutil.rmtree(folder)
    return found


def main(group: str, base: Path | None) -> None:
    """Carry out a group, the first case once more before it: what is loaded once is nobody's share."""
    cases = ALL[group]
    with tempfile.TemporaryDirectory() as place:
        rows = [measure(case, Path(place), base) for case in (cases[0], *cases)][1:]
    print(json.dumps({"rows": rows, "torch": "torch" in sys.modules}))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None)
