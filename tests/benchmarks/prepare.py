"""Images per second: `prepare` with two processes against the obvious single-process Pillow loop, side by side.

Run: python -m tests.benchmarks.prepare
"""

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from murace.config import PrepareConfig
from murace.opencv import cv2
from murace.record import Wish
from murace.steps.prepare import Operation, run
from murace.watch import Watch
from murace.workspace import Workspace

TARGET = 1.5
SIZE = 256


@dataclass(frozen=True)
class Comparison:
    """Images per second, medians over the repeats, their ratio, and the peak memory of one reading process (MiB)."""

    pillow: float
    murace: float
    ratio: float
    mean_file: float
    reader_memory: float


def compare(images: int = 1500, repeats: int = 5) -> Comparison:
    """Draw PNGs like MURA's (8 bits, longest side 512, about 86 KiB), then read them both ways in turn."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        paths = draw(place / "source", images)
        pillow, murace = [], []
        for repeat in range(repeats):
            pillow.append(images / seconds(lambda: pillow_loop(paths)))
            work = Workspace(place / f"workspace{repeat}")
            murace.append(images / seconds(lambda work=work: prepare(place / "source/manifest.csv", work)))
        fast, slow = statistics.median(murace), statistics.median(pillow)
        mean = sum(path.stat().st_size for path in paths) / images
        return Comparison(
            slow, fast, fast / slow, mean, peak_of_readers(place / "source/manifest.csv", place / "again")
        )


def draw(folder: Path, images: int) -> list[Path]:
    """Smooth shapes with the fine grain of a radiograph, as PNG files with a manifest."""
    folder.mkdir()
    random = np.random.default_rng(0)
    paths, rows = [], ["path,label,patient"]
    for number in range(images):
        height, width = sorted((512, int(random.integers(300, 513))), reverse=bool(number % 2))
        path = folder / f"image{number:05d}.png"
        cv2.imwrite(str(path), radiograph(random, height, width))
        paths.append(path)
        rows.append(f"{path.name},{number % 2},p{number // 3}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return paths


def radiograph(random: np.random.Generator, height: int, width: int) -> npt.NDArray[np.uint8]:
    """A grey picture that compresses about as well as a real one."""
    coarse = cv2.resize(random.random((6, 6)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(random.standard_normal((height, width)).astype(np.float32), (0, 0), 1.0)
    return np.clip(coarse * 150 + fine * 9 + 20, 0, 255).astype(np.uint8)


def pillow_loop(paths: list[Path]) -> npt.NDArray[np.uint8]:
    """What one would write first."""
    return np.stack([np.asarray(Image.open(path).convert("L").resize((SIZE, SIZE))) for path in paths])


def prepare(source: Path, workspace: Workspace) -> None:
    """The whole step: decoding, digests, split, tables, record."""
    config, operation = PrepareConfig(size=SIZE), Operation(jobs=2)
    run(source, workspace, config, operation=operation, wish=Wish(), watch=Watch())


def peak_of_readers(source: Path, work: Path) -> float:
    """The largest resident size that any reading process reaches during one more run, in MiB."""
    peak, done = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max([peak, *map(_peak, _children(os.getpid()))])

    watcher = threading.Thread(target=watch)
    watcher.start()
    prepare(source, Workspace(work))
    done.set()
    watcher.join()
    return peak


def _children(process: int) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


def _peak(process: str) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        command = Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return 0.0
    found = [float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
    return found[0] if found and b"murace.data.worker" in command else 0.0


def seconds(call: Callable[[], object]) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Print the comparison."""
    found = compare()
    print(f"files: {found.mean_file / 1024:.0f} KiB on average")
    print(f"Pillow loop, 1 process:     {found.pillow:7.0f} images/s")
    print(f"murace prepare, 2 processes:{found.murace:7.0f} images/s")
    print(f"ratio {found.ratio:.2f} (target {TARGET}); peak memory of a reading process {found.reader_memory:.0f} MiB")


if __name__ == "__main__":
    main()
