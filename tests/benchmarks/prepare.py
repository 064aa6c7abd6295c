"""(c) `prepare` against the loops that one would write first, with Pillow and with torchvision.io.

Run alone: python -m tests.benchmarks.prepare [--quick]
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha512
from pathlib import Path

from murace.data.ingest.pool import ENVIRONMENT
from tests.benchmarks import table
from tests.benchmarks.lines import Line
from tests.benchmarks.serve import Round
from tests.benchmarks.sources import draw
from tests.benchmarks.worker_reading import SIZE
from tests.benchmarks.workers import ROOT, Rounds, Worker, compare, environment, in_turn
from tests.data.files import chunk, raw_png

BAR = 1.9  # times the Pillow loop
SHARE_BAR, AGAIN_BAR = 0.8, 3.0  # of a reading process' time; seconds
WAYS = {
    "prepare": {"way": "prepare", "jobs": 2},
    "alone": {"way": "prepare", "jobs": 1},
    "pillow": {"way": "pillow"},
    "torchvision": {"way": "torchvision"},
}


def measure(*, quick: bool = False) -> list[Line]:
    """The whole step in turn with the loops; then a reading process' own time; then a run that finds nothing new."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = source(Path(place), 60 if quick else 1500)
        workers = {
            name: stack.enter_context(Worker("worker_reading", spec | {"folder": str(folder)}, variables=_wishes(name)))
            for name, spec in WAYS.items()
        }
        found = in_turn(workers, 1 if quick else 5)
        memory = Round(**workers["prepare"].put({"watch": True})).memory
        shares = [workers["alone"].put({"share": True})["share"] for _ in range(1 if quick else 3)]
    return [*_rates(found, memory), _against_bar(statistics.median(shares)), *again(quick=quick)]


def source(place: Path, count: int) -> Path:
    """Pictures like MURA's with a manifest."""
    files = draw(place, count).files
    paths = sorted(path.relative_to(files).as_posix() for path in files.rglob("*.png"))
    _list(files, paths)
    return files


def again(*, quick: bool) -> list[Line]:
    """The command a second time: the files alone, and with the digest of an array of real size."""
    count = 400 if quick else 40_000
    with tempfile.TemporaryDirectory() as place:
        listed = tiny(Path(place) / "source", count)
        return [_again(listed, Path(place) / "work", size, 1 if quick else 5) for size in (8, 16 if quick else SIZE)]


def tiny(folder: Path, count: int) -> Path:
    """Many files of 8 x 8 pixels, the smallest that there are, no two alike."""
    paths = [f"part{number // 400:03d}/image{number:05d}.png" for number in range(count)]
    for number, path in enumerate(paths):
        noise = sha512(number.to_bytes(8, "big")).digest()  # alike ones would be compared with each other, all
        body = zlib.compress(b"".join(b"\0" + noise[row : row + 8] for row in range(0, 64, 8)))
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(raw_png(8, 8, 8, 0, chunk(b"IDAT", body)))
    return _list(folder, paths)


def _list(folder: Path, paths: list[str]) -> Path:
    rows = [f"{path},{number % 2},p{number // 3}" for number, path in enumerate(paths)]
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(["path,label,patient", *rows]) + "\n")
    return manifest


def _wishes(name: str) -> dict[str, str]:
    return ENVIRONMENT if name == "alone" else {}  # it reads in this process, which then is like a reading process


def _rates(found: Rounds, memory: float) -> list[Line]:
    ways = (
        ("pillow", "against a Pillow loop (convert, bilinear resize)", BAR),
        ("torchvision", "against a torchvision.io loop (decode_image, antialiased resize)", None),
        ("alone", "against the same with 1", None),
    )
    lines = [
        compare("prepare", f"the whole step with 2 processes, {what}", found["prepare"], found[name], target=bar)
        for name, what, bar in ways
    ]
    return [replace(line, memory=(memory, line.memory[1])) for line in lines]


def _against_bar(share: float) -> Line:
    what = "decoding and resizing in a reading process' time, against its bar"
    return Line("prepare", what, "%", 100 * share, 100 * SHARE_BAR, share / SHARE_BAR, 1.0)


def _again(listed: Path, work: Path, size: int, rounds: int) -> Line:
    words = ["prepare", str(listed), "-w", str(work), "--size", str(size)]
    murace(words)
    seconds = [murace(words) for _ in range(rounds)]
    megabytes = (work / "prepare" / "pixels.npy").stat().st_size / 1e6
    count = len(listed.read_text().splitlines()) - 1
    shutil.rmtree(work)
    what = f"the command again, nothing changed, {count:,} files at {size} px, against its bar"
    note = f"with start-up, and the digest of an array of {megabytes:,.0f} MB"
    median = statistics.median(seconds)
    return Line("prepare", what, "s", median, AGAIN_BAR, AGAIN_BAR / median, 1.0, note=note)


def murace(words: list[str]) -> float:
    """Seconds that a command takes, its start included."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "murace", *words]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment({}))
    return time.perf_counter() - began


def main() -> None:
    """Print the lines of this part alone."""
    print(table.head())
    for line in measure(quick="--quick" in sys.argv[1:]):
        print(table.row(line))


if __name__ == "__main__":
    main()
