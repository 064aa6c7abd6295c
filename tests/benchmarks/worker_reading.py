"""One way of reading a folder of radiographs into 256 x 256 pixels: `prepare`, or a loop that one would write first.

A spec has `way` (prepare, pillow or torchvision), `folder`, and for `prepare` the number of `jobs`. Each question is a
round; `{"watch": true}` also looks at the memory of the reading processes, which takes time, and `{"share": true}` asks
how much of a reading process' time goes into decoding and resizing.
"""

import resource
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tests.benchmarks.serve import Round, Spec, converse, peak_memory

SIZE = 256


def begin(spec: Spec) -> Callable[[Spec], Spec]:
    """Load what the way needs, and return what does a round of it."""
    folder = Path(spec["folder"])
    files = sorted(folder.rglob("*.png"))
    if spec["way"] != "prepare":
        read = {"pillow": _pillow, "torchvision": _torchvision}[spec["way"]]()
        return lambda question: _round(len(files), lambda: np.stack([read(path) for path in files]))
    from murace.steps import prepare as _  # noqa: F401 - before the clock starts

    def answer(question: Spec) -> Spec:
        if question.get("share"):
            return {"share": share(folder, files)}
        with tempfile.TemporaryDirectory() as place, _Readers(question.get("watch", False)) as readers:
            found = _round(len(files), lambda: prepare(folder / "manifest.csv", Path(place) / "work", spec["jobs"]))
        return found | {"memory": found["memory"] + readers.memory}

    return answer


def _round(images: int, work: Callable[[], object]) -> Spec:
    before, began = _processor(), time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    return asdict(Round(images, seconds, _processor() - before, peak_memory()))


def _processor() -> float:
    """Seconds of processor time of this process and of the reading processes that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _pillow() -> Callable[[Path], object]:
    from PIL import Image

    return lambda path: np.asarray(Image.open(path).convert("L").resize((SIZE, SIZE)))


def _torchvision() -> Callable[[Path], object]:
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms.v2.functional import resize

    return lambda path: resize(decode_image(str(path), ImageReadMode.GRAY), [SIZE, SIZE], antialias=True)[0].numpy()


def prepare(source: Path, work: Path, jobs: int) -> None:
    """The whole step: listing, decoding, digests, split, tables, record."""
    from murace.config import PrepareConfig
    from murace.steps.prepare import Operation, run
    from murace.system.progress import Reporter
    from murace.workspace import Rerun
    from murace.workspace.paths import Workspace

    config, operation = PrepareConfig(size=SIZE), Operation(jobs=jobs)
    run(source, Workspace(work), config, operation=operation, rerun=Rerun(), reporter=Reporter())


def share(folder: Path, files: list[Path]) -> float:
    """Of the processor time of reading, the fraction inside OpenCV's decoder and its resizing."""
    from murace.data.ingest import chunks, pixelfile
    from murace.system.opencv import cv2

    inside = 0.0

    def timed(call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **named: object) -> object:
            nonlocal inside
            began = time.thread_time()
            result = call(*args, **named)
            inside += time.thread_time() - began
            return result

        return wrapped

    own = cv2.imdecode, cv2.resize
    cv2.imdecode, cv2.resize = map(timed, own)
    try:
        with tempfile.TemporaryDirectory() as place:
            pixels = Path(place) / "pixels.npy"
            pixelfile.create(pixels, len(files), SIZE)
            job = chunks.ReadJob(str(folder), str(pixels), place, pixelfile.offset_of(pixels), SIZE, "squash")
            began = time.process_time()
            for chunk in chunks.make_chunks([path.relative_to(folder).as_posix() for path in files], SIZE):
                chunks.run_chunk(job, chunk)
            return inside / (time.process_time() - began)
    finally:
        cv2.imdecode, cv2.resize = own


class _Readers:
    """The largest resident size, in MiB, of all reading processes of this process together, while asked to look."""

    def __init__(self, asked: bool) -> None:
        self.memory, self.done = 0.0, threading.Event()
        self.thread = threading.Thread(target=self._look if asked else lambda: None)

    def __enter__(self) -> "_Readers":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.done.wait(0.02):
            children = Path("/proc/self/task").glob("*/children")
            peaks = [_peak(child) for path in children for child in path.read_text().split()]
            self.memory = max(self.memory, sum(peaks))


def _peak(process: str) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        command = Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return 0.0
    found = [float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
    return found[0] if found and b"murace.data.ingest.worker" in command else 0.0


if __name__ == "__main__":
    converse(begin)
