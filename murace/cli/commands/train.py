"""`murace train`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from murace.cli import options
from murace.cli.display.console import ConsoleReporter, running
from murace.config import AUTO, Machine, Recipe, TrainConfig, metric
from murace.config import batch_size as batch_size_of
from murace.errors import UsageError
from murace.vocabulary import LEARNERS, closest

if TYPE_CHECKING:
    from murace.steps.finetune.inputs import Finetuned
    from murace.steps.train.inputs import Trained
    from murace.workspace import Rerun
    from murace.workspace.paths import Workspace

DEFAULT = Recipe()
ALL = ["all"]


def train(
    arch: options.Arch = ALL,
    workspace: options.WorkspaceOption = options.WORKSPACE,
    epochs: options.Epochs = DEFAULT.epochs,
    lr: options.Rate = DEFAULT.lr,
    batch_size: options.BatchSize = None,
    patience: options.Patience = DEFAULT.patience,
    monitor: options.Monitor = str(DEFAULT.monitor),
    width: options.Width = 1.0,
    head: options.Head = "gap",
    seed: options.Seed = DEFAULT.seed,
    gpu: options.Gpus = None,
    threads: options.Threads = None,
    precision: options.Precision = DEFAULT.precision,
    compile_: options.Compile = "auto",
    graph: options.Graph = "auto",
    side_by_side: options.SideBySide = AUTO,
    resume: options.Resume = None,
    force: options.Force = False,
    stop_on: options.StopOn = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Train learners on all groups; each epoch is saved, so stop and start again as you like.

    Example: murace train --arch resnet --gpu 0
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace, several=True, stop_on=stop_on) as console:
        from murace.cli.display.ending import finish
        from murace.workspace import Rerun
        from murace.workspace.paths import Workspace

        machine = Machine(gpu=gpu, threads=threads, compile=compile_, graph=graph, side_by_side=side_by_side)
        configs = [
            TrainConfig(
                learner=name,
                width=width,
                head=head,
                recipe=Recipe(
                    epochs=epochs,
                    lr=lr,
                    batch_size=batch_size_of(name, batch_size),
                    patience=patience,
                    monitor=metric(monitor),
                    precision=precision,
                    seed=seed,
                ),
            )
            for name in expand(arch)
        ]
        space, results = Workspace(workspace), []
        for done in trained(space, configs, machine, Rerun(resume, force), console):
            console.show(f"{done.learner} {outcome(done, 'trained')}")
            results.append({"learner": done.learner, "skipped": done.skipped, **done.info})
        finish(console, space, {"command": "train", "learners": results})


def trained(
    space: "Workspace", configs: list[TrainConfig], machine: Machine, rerun: "Rerun", console: ConsoleReporter
) -> Iterator["Trained"]:
    """Train what is not up to date; torch, which takes seconds to load, is left alone where all of it is."""
    from murace.steps.train.inputs import up_to_date

    known = [up_to_date(space, config, machine=machine, rerun=rerun) for config in configs]
    if None not in known:
        yield from (done for done in known if done is not None)
        return
    from murace.cli.several import together
    from murace.steps.train import step

    left = [config for config, done in zip(configs, known, strict=True) if done is None]
    with together(machine, console):
        fresh = step.run_all(space, left, machine=machine, rerun=rerun, reporter=console)
        yield from (done or next(fresh) for done in known)


def expand(names: list[str]) -> list[str]:
    """The learners that `--arch` names, in the paper's order.

    Raises:
        UsageError: one is unknown, or there is none.
    """
    names = options.listed(names)
    if not names:
        raise UsageError("--arch names no learner")
    for name in names:
        if name not in (*LEARNERS, "all"):
            raise UsageError(f"--arch: unknown learner '{name}'{closest(name, [*LEARNERS, 'all'])}")
    return [name for name in LEARNERS if name in names or "all" in names]


def outcome(done: "Trained | Finetuned", what: str) -> str:
    """How a training ended, in words: what the net now is, and its best epoch."""
    score, info = done.info["best_score"], done.info
    shown = "undefined" if score is None else f"{score:.4f}"
    state = "is up to date: nothing has changed;" if done.skipped else f"is {what}:"
    return f"{state} best epoch {info['best_epoch']} of {info['epochs']}, validation score {shown}"
