"""`murace demo`: the whole chain on synthetic radiographs, in minutes."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from murace.cli import options
from murace.cli.console import Voice, running
from murace.config import (
    CalibrateConfig,
    FinetuneConfig,
    Machine,
    PrepareConfig,
    Recipe,
    SampleConfig,
    TrainConfig,
)
from murace.vocabulary import LEARNERS

if TYPE_CHECKING:
    from murace.workspace import Workspace

Folder = Annotated[Path, typer.Argument(help="Folder for the sample, the workspace and the overlays.")]
SIZE, WIDTH, BATCH = 128, 0.25, 16
EPOCHS = {"convnet": 10, "resnet": 8, "densenet": 8}
SHOWN = 4  # studies whose maps are drawn


def demo(
    folder: Folder = Path("demo"),
    seed: options.Seed = 0,
    gpu: options.Gpu = None,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Run the whole chain on synthetic radiographs, with narrow nets and few epochs: minutes on a laptop.

    Example: murace demo
    """
    with running(quiet=quiet, as_json=as_json) as voice:
        began = time.monotonic()
        voice.say(
            f"Demo: synthetic radiographs (drawings), nets at {WIDTH:g} of the paper's width, {SIZE} pixels, "
            "few epochs. "
            "It shows how murace works, not how well nets read radiographs."
        )
        from murace.workspace import Workspace

        machine, space = Machine(gpu=gpu, threads=threads), Workspace(folder / "workspace")
        report = _chain(voice, folder, space, machine, seed)
        overlays = _draw(voice, folder, space, machine)
        minutes = (time.monotonic() - began) / 60
        voice.show(f"overlays: {overlays}", f"report: {report}", f"took {minutes:.1f} minutes")
        voice.result(
            {"command": "demo", "report": str(report), "overlays": str(overlays), "minutes": round(minutes, 2)}
        )


def _chain(voice: Voice, folder: Path, space: "Workspace", machine: Machine, seed: int) -> Path:
    """From the sample to the report; what is done already is skipped."""
    from murace.cli.tables import counts_table, roster_table, scores_table
    from murace.record import Wish
    from murace.sample.layout import draw_sample
    from murace.steps import calibrate, evaluate, finetune, prepare, train

    sample, wish = folder / "sample", Wish()
    if not sample.is_dir():
        _title(voice, f"murace sample {sample}")
        draw_sample(sample, SampleConfig(seed=seed), voice)
    _title(voice, f"murace prepare {sample} --size {SIZE}")
    config = PrepareConfig(size=SIZE, seed=seed)
    prepared = prepare.run(sample, space, config, operation=prepare.Operation(), wish=wish, watch=voice)
    voice.show(counts_table(prepared.counts))
    for learner in LEARNERS:
        _title(
            voice, f"murace train --arch {learner} --width {WIDTH:g} --epochs {EPOCHS[learner]} --batch-size {BATCH}"
        )
        recipe = Recipe(epochs=EPOCHS[learner], batch_size=BATCH, seed=seed)
        train.run(
            space, TrainConfig(learner=learner, width=WIDTH, recipe=recipe), machine=machine, wish=wish, watch=voice
        )
    _title(voice, "murace calibrate")
    voice.show(roster_table(calibrate.run(space, CalibrateConfig(), wish=wish, watch=voice).roster))
    _title(voice, "murace finetune --epochs 3")
    members = FinetuneConfig(recipe=Recipe(epochs=3, lr=1e-4, patience=5, seed=seed), batch_size=BATCH)
    finetune.run(space, members, groups=[], machine=machine, wish=wish, watch=voice)
    _title(voice, "murace evaluate")
    done = evaluate.run(space, machine=machine, wish=wish, watch=voice)
    scores = done.scores[done.scores["level"] == "study"]
    voice.show(scores_table(scores, done.models, title="Test scores by study (Table 3), synthetic data"))
    return done.report


def _draw(voice: Voice, folder: Path, space: "Workspace", machine: Machine) -> Path:
    """The maps of a few abnormal test studies, each of another region."""
    from murace.steps import cam

    overlays = folder / "overlays"
    regions = sorted((folder / "sample" / "valid").iterdir())[:SHOWN]
    studies = [next(iter(sorted(region.glob("*/*_positive")))) for region in regions]
    _title(voice, f"murace cam {' '.join(str(study) for study in studies)} --out {overlays}")
    cam.run(space, studies, out=overlays, group=None, machine=machine, watch=voice)
    return overlays


def _title(voice: Voice, command: str) -> None:
    voice.say(f"\n$ {command}")
