"""`murace demo`: the whole chain on synthetic radiographs, in minutes."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from murace.cli import options
from murace.cli.display.console import ConsoleReporter, option, running
from murace.config import (
    AUTO,
    CalibrateConfig,
    EvaluateConfig,
    FinetuneConfig,
    Machine,
    PrepareConfig,
    Recipe,
    SampleConfig,
    TrainConfig,
)
from murace.vocabulary import LEARNERS

if TYPE_CHECKING:
    from murace.workspace.paths import Workspace

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the sample, the workspace and the overlays.")]
STUDIES, SIZE, WIDTH = 80, 128, 0.25
# Learner: epochs, batch size, learning rate. What reached a useful score soonest on two cores.
RECIPES = {"convnet": (10, 16, 0.001), "resnet": (8, 16, 0.001), "densenet": (8, 32, 0.002)}
MEMBER_EPOCHS, MEMBER_BATCH = 2, 16
THREADS = 1  # the steps of such narrow nets are too short to share: two threads are slower than one
DEFAULT = Recipe()
SHOWN = 4  # studies whose maps are drawn


def demo(
    folder: Folder = Path("demo"),
    seed: options.Seed = 0,
    gpu: options.Gpu = None,
    threads: options.Threads = None,
    precision: options.Precision = DEFAULT.precision,
    side_by_side: options.SideBySide = AUTO,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Run the whole chain on synthetic radiographs, with narrow nets and few epochs: minutes on a laptop.

    Example: murace demo
    """
    with running(quiet=quiet, as_json=as_json, workspace=folder / "workspace") as console:
        began = time.monotonic()
        console.say(
            f"Demo: synthetic radiographs (drawings), nets at {WIDTH:g} of the paper's width, {SIZE} pixels, "
            "few epochs. "
            "It shows how murace works, not how well nets read radiographs."
        )
        machine = Machine(gpu=gpu, threads=THREADS if threads is None else threads, side_by_side=side_by_side)
        from murace.system.device import choose
        from murace.workspace.paths import Workspace

        recipe = Recipe(seed=seed, precision=precision)  # a bad value or GPU is refused before anything is drawn
        choose(machine)
        space = Workspace(folder / "workspace")
        report = _chain(console, folder, space, machine, recipe)
        overlays = _draw(console, folder, space, machine)
        minutes = (time.monotonic() - began) / 60
        console.show(f"overlays: {overlays}", f"report: {report}", f"took {minutes:.1f} minutes")
        console.result(
            {"command": "demo", "report": str(report), "overlays": str(overlays), "minutes": round(minutes, 2)}
        )


def _chain(console: ConsoleReporter, folder: Path, space: "Workspace", machine: Machine, base: Recipe) -> Path:
    """From the sample to the report; what is done already is skipped."""
    from murace.cli.commands.calibrate import recogniser_line
    from murace.cli.commands.train import trained
    from murace.cli.display.tables import counts_table, roster_table, scores_table
    from murace.sample.layout import draw_sample, is_drawn
    from murace.steps import prepare
    from murace.steps.calibrate import step as calibrate
    from murace.steps.evaluate import step as evaluate
    from murace.steps.finetune import step as finetune
    from murace.workspace import Rerun

    sample, rerun, seed = folder / "sample", Rerun(), base.seed
    chance = f" --seed {seed}" if seed else ""
    arithmetic = f" --precision {base.precision}" if base.precision != DEFAULT.precision else ""
    if not is_drawn(sample):
        _title(console, f"murace sample {sample} --studies {STUDIES}{chance}")
        draw_sample(sample, SampleConfig(studies=STUDIES, seed=seed), console)
    _title(console, f"murace prepare {sample} --size {SIZE}{chance}")
    squares = PrepareConfig(size=SIZE, seed=seed)
    prepared = prepare.run(sample, space, squares, operation=prepare.Operation(), rerun=rerun, reporter=console)
    console.show(counts_table(prepared.counts))
    configs = []
    for learner in LEARNERS:
        epochs, batch_size, lr = RECIPES[learner]
        recipe = replace(base, epochs=epochs, batch_size=batch_size, lr=lr)
        options_shown = f"--width {WIDTH:g} --epochs {epochs} --batch-size {batch_size} --lr {lr:g}{arithmetic}{chance}"
        _title(console, f"murace train --arch {learner} {options_shown}")
        configs.append(TrainConfig(learner=learner, width=WIDTH, recipe=recipe))
    for _ in trained(space, configs, machine, rerun, console):
        continue
    _title(console, "murace calibrate")
    chosen = calibrate.run(space, CalibrateConfig(), machine=machine, rerun=rerun, reporter=console)
    console.show(roster_table(chosen.roster), recogniser_line(chosen.recogniser))
    _title(console, f"murace finetune --epochs {MEMBER_EPOCHS} --batch-size {MEMBER_BATCH}{arithmetic}{chance}")
    members = FinetuneConfig(
        recipe=replace(FinetuneConfig().recipe, epochs=MEMBER_EPOCHS, seed=seed, precision=base.precision),
        batch_size=MEMBER_BATCH,
    )
    finetune.run(space, members, groups=[], machine=machine, rerun=rerun, reporter=console)
    _title(console, "murace evaluate")
    done = evaluate.run(space, EvaluateConfig(), machine=machine, rerun=rerun, reporter=console)
    scores = done.tables["scores"]
    scores = scores[scores["level"] == "study"]
    console.show(scores_table(scores, done.models, title="Test scores by study (Table 3), synthetic data"))
    return done.report


def _draw(console: ConsoleReporter, folder: Path, space: "Workspace", machine: Machine) -> Path:
    """The maps of a few abnormal test studies, each of another region."""
    from murace.explain.cam import MapMethod
    from murace.steps import cam

    overlays = folder / "overlays"
    regions = sorted((folder / "sample" / "valid").iterdir())[:SHOWN]
    studies = [next(iter(sorted(region.glob("*/*_positive")))) for region in regions]
    _title(console, f"murace cam {' '.join(str(study) for study in studies)} --out {overlays}")
    cam.run(space, studies, map_method=MapMethod(), group=None, out=overlays, machine=machine, reporter=console)
    return overlays


def _title(console: ConsoleReporter, command: str) -> None:
    """Print the command that does the same; all but the sample's need the workspace."""
    assert console.workspace is not None
    console.say(f"\n$ {command}{'' if command.startswith('murace sample ') else option(console.workspace)}")
