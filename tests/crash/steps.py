"""Each step as a function of paths alone, and what of its outputs must not depend on how often it was killed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from murace.config import Bootstrap, CalibrateConfig, EvaluateConfig, PredictConfig, PrepareConfig
from murace.explain.cam import MapMethod
from murace.steps import cam, predict, prepare
from murace.steps.calibrate import step as calibrate
from murace.steps.evaluate import step as evaluate
from murace.steps.export import step as export
from murace.steps.finetune import step as finetune
from murace.steps.train import step as train
from murace.system.opencv import cv2
from murace.system.progress import Bar, Reporter
from murace.system.sealed import read_sealed
from murace.workspace import Rerun
from murace.workspace.paths import Workspace
from tests.workshop import CPU, tiny_config, tiny_members

EPOCHS = 3
CLOCKS = ["seconds", "images_per_second"]  # columns that differ between two runs
QUICK = Bootstrap(resamples=100)
ANNOUNCED = "announced.txt"
WISH = Rerun()


class Announcer(Reporter):
    """Writes down, past every buffer, which epochs a person has been told are finished, and where a run goes on."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def say(self, message: str) -> None:
        if (found := re.match(r"resuming after epoch (\d+)", message)) is not None:
            self._write(f"resumed {found[1]}")

    @contextmanager
    def bar(self, title: str, total: int, *, start: int = 0, lines: bool = False) -> Iterator[Bar]:
        yield EpochLines(self, start) if title == "epochs" else Bar()

    def _write(self, line: str) -> None:
        with self.file.open("a") as file:
            file.write(f"{line}\n")


class EpochLines(Bar):
    def __init__(self, reporter: Announcer, start: int) -> None:
        self.reporter, self.epoch = reporter, start

    def advance(self, by: int = 1, note: str = "") -> None:
        self.epoch += by
        self.reporter._write(f"finished {self.epoch}")


def lines(base: Path) -> list[tuple[str, int]]:
    """What the announcer has written: ("finished" or "resumed", epoch)."""
    file = base / ANNOUNCED
    words = [line.split() for line in file.read_text().splitlines()] if file.is_file() else []
    return [(word, int(number)) for word, number in words]


def space(base: Path) -> Workspace:
    return Workspace(base / "workspace")


def reporter(base: Path) -> Reporter:
    return Announcer(base / ANNOUNCED)


def do_prepare(base: Path) -> None:
    operation = prepare.Operation(jobs=1)
    source = base.parent / "manifest.csv"
    prepare.run(source, space(base), PrepareConfig(size=64), operation=operation, rerun=WISH, reporter=reporter(base))


def do_train(base: Path) -> None:
    train.run(space(base), tiny_config(epochs=EPOCHS), machine=CPU, rerun=WISH, reporter=reporter(base))


def do_calibrate(base: Path) -> None:
    calibrate.run(space(base), CalibrateConfig(bootstrap=QUICK), machine=CPU, rerun=WISH, reporter=reporter(base))


def do_finetune(base: Path) -> None:
    config = tiny_members(epochs=2)
    finetune.run(space(base), config, groups=["elbow"], machine=CPU, rerun=WISH, reporter=reporter(base))


def do_evaluate(base: Path) -> None:
    evaluate.run(space(base), EvaluateConfig(bootstrap=QUICK), machine=CPU, rerun=WISH, reporter=reporter(base))


def do_cam(base: Path) -> None:
    out = space(base).root / "overlays"
    cam.run(
        space(base),
        studies(base),
        map_method=MapMethod("cam", (1,)),
        group=None,
        out=out,
        machine=CPU,
        reporter=reporter(base),
    )


def do_predict(base: Path) -> None:
    out, config = space(base).root / "predictions.csv", PredictConfig()
    predict.run(space(base), studies(base), config, out=out, machine=CPU, rerun=WISH, reporter=reporter(base))


def do_export(base: Path) -> None:
    export.run(space(base), space(base).root / "ensemble.murace", None, machine=CPU, reporter=reporter(base))


def studies(base: Path) -> list[Path]:
    """Two elbows' studies and a wrist's, as folders whose path names the group."""
    return sorted((base.parent / "patients").glob("XR_*/*/*"))


STEPS = {
    "prepare": do_prepare,
    "train": do_train,
    "calibrate": do_calibrate,
    "finetune": do_finetune,
    "evaluate": do_evaluate,
    "cam": do_cam,
    "predict": do_predict,
    "export": do_export,
}
PLACES = {
    "prepare": "prepare",
    "train": "train/convnet",
    "calibrate": "calibrate",
    "finetune": "finetune/elbow",
    "evaluate": "evaluate",
    "cam": "overlays",
    "predict": ".",
    "export": ".",
}
# Dates, clocks, and what is kept beside the results to go on from.
ASIDE = re.compile(r".*/?(step\.json|begun\.json|\.lock|checkpoint/.*|report\.html|MODEL_CARD\.md|index\.html)")
OWN = {"predict": ("predictions.csv", "predictions-views.csv"), "export": ("ensemble.murace",)}


def results(base: Path, step: str) -> dict[str, bytes]:
    """Name -> content, without clocks, of what the step has produced."""
    folder = space(base).root / PLACES[step]
    names = OWN.get(step) or [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    here = f"{base.parent}/".encode()  # predictions name the studies as they were typed
    return {
        name: _without_clock(folder / name).replace(here, b"") for name in sorted(names) if not ASIDE.fullmatch(name)
    }


def _without_clock(path: Path) -> bytes:
    if path.name == "study.json":  # studies go through a net together: in other company the last bits are others
        values = read_sealed(path)
        views = [(view["file"], round(view["log_odds"], 4)) for view in values["views"]]
        return repr((values["group"], values["decision"], values["views_sha256"], views)).encode()
    if path.suffix == ".png" and path.parent.parent.name == "overlays":
        return str(cv2.imread(str(path)).shape).encode()
    if path.name not in ("history.csv", "predictions.csv"):
        return path.read_bytes()
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return frame.drop(columns=[name for name in CLOCKS if name in frame]).to_csv(index=False).encode()
