"""Write a synthetic sample: drawn radiographs in the layout of MURA-v1.1, with `truth.csv` beside them."""

import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from murace.config import SampleConfig
from murace.errors import UsageError
from murace.sample.plan import REGIONS, Study, plan
from murace.sample.radiograph import Radiograph, draw_study
from murace.system import files
from murace.system.disk import disk_error
from murace.system.opencv import cv2
from murace.system.progress import Reporter

SIDES = ("train", "valid")
PREFIX = "MURA-v1.1"  # with which every path in MURA's csv files begins
UNFINISHED = ".unfinished"
TRUTH = ["path", "finding", "x", "y", "width", "height"]
NOTICE = """SYNTHETIC DRAWINGS

Every image in this folder was drawn by a program (murace sample). None shows a patient, and none was made with X-rays.
They exist to try out murace without data: scores reached on them say nothing about real radiographs.

The layout is that of MURA-v1.1; truth.csv holds the box of each finding, in pixels: path,finding,x,y,width,height.
"""

# What a sample consists of, in the order in which it appears.
OWN = (
    *SIDES,
    "SYNTHETIC.txt",
    *(f"{side}_{what}.csv" for side in SIDES for what in ("image_paths", "labeled_studies")),
    "truth.csv",
)
Row = Sequence[str | int]


def is_drawn(folder: Path) -> bool:
    """Whether a sample stands here whole: a drawing that was killed has left its folder of unfinished work."""
    return (folder / "truth.csv").is_file() and not (folder / UNFINISHED).exists()


def draw_sample(folder: Path, config: SampleConfig, reporter: Reporter) -> pd.DataFrame:
    """Draw `config.studies` studies of each of the seven regions into `folder`, as MURA-v1.1 lays them out.

    Nothing is visible in `folder` before all of it is drawn; whatever stops the drawing, what was drawn is removed.

    The same seed gives the same pictures; on another kind of processor a few pixels may differ by one grey level.

    Returns:
        The truth: one row per abnormal image, as in truth.csv (path, finding, x, y, width, height).

    Raises:
        UsageError: `folder` is a file, or has something in it.
        MachineError: the disk is full or the folder cannot be written to.
        Interrupted: a signal came; the same command draws it afresh.
    """
    unfinished = folder / UNFINISHED
    try:
        existed = _require_empty(folder)
        _clear(folder)
        try:
            unfinished.mkdir(parents=True)
            truth = _draw(unfinished, config, reporter)
            for path in sorted(unfinished.iterdir(), key=lambda path: OWN.index(path.name)):
                path.rename(folder / path.name)
            unfinished.rmdir()
        except BaseException:
            _clear(folder)
            if not existed:
                with suppress(OSError):  # not ours alone any more, or never made
                    folder.rmdir()
            raise
    except OSError as error:
        raise disk_error(error, folder) from error
    return pd.DataFrame(truth, columns=TRUTH)


def _require_empty(folder: Path) -> bool:
    """Whether `folder` is there already; refuse it unless it is an empty folder."""
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a new or an empty folder for the sample")
    unfinished = (UNFINISHED, *OWN) if (folder / UNFINISHED).exists() else ()
    if any(path.name not in unfinished for path in folder.iterdir()):
        raise UsageError(f"{folder} is not empty; name a new or an empty folder for the sample, or empty it first")
    return True


def _clear(folder: Path) -> None:
    """Remove what a drawing that was stopped has left, its own folder last: while that is there, the rest is ours."""
    if not (folder / UNFINISHED).exists():
        return
    for name in (*OWN, UNFINISHED):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def _draw(folder: Path, config: SampleConfig, reporter: Reporter) -> list[Row]:
    """Draw all images, then write the csv files; return the truth."""
    studies: list[tuple[Study, int]] = []
    truth: list[Row] = []
    with reporter.bar("sample", config.studies * len(REGIONS)) as bar:
        for study in plan(config.studies, config.seed):
            reporter.check()
            radiographs = list(draw_study(study))
            truth += _write_study(folder, study, radiographs)
            studies.append((study, len(radiographs)))
            bar.advance(note=study.region)
    files.write_text(folder / "SYNTHETIC.txt", NOTICE)
    _write_csv(folder / "truth.csv", [TRUTH, *truth])
    for side in SIDES:
        here = [(study, number) for study, number in studies if study.side == side]
        paths: list[Row] = [
            [f"{PREFIX}/{_image(study, view)}"] for study, images in here for view in range(1, images + 1)
        ]
        _write_csv(folder / f"{side}_image_paths.csv", paths)
        labels: list[Row] = [[f"{PREFIX}/{study.folder}/", int(study.finding is not None)] for study, _ in here]
        _write_csv(folder / f"{side}_labeled_studies.csv", labels)
    return truth


def _image(study: Study, view: int) -> str:
    return f"{study.folder}/image{view}.png"


def _write_study(folder: Path, study: Study, radiographs: Iterable[Radiograph]) -> list[Row]:
    """Write a study's images; return the truth about them."""
    (folder / study.folder).mkdir(parents=True)
    rows: list[Row] = []
    for view, radiograph in enumerate(radiographs, start=1):
        done, data = cv2.imencode(".png", radiograph.pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        assert done, "OpenCV always encodes a grey uint8 image as PNG"
        (folder / _image(study, view)).write_bytes(data.tobytes())
        if study.finding is not None and radiograph.box is not None:
            rows.append([_image(study, view), study.finding, *radiograph.box])
    return rows


def _write_csv(path: Path, rows: Iterable[Row]) -> None:
    files.write_text(path, "".join(",".join(map(str, row)) + "\n" for row in rows))
