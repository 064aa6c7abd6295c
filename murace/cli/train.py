"""`murace train`."""

from murace.cli import options
from murace.cli.console import Voice, running
from murace.config import Machine, Recipe, TrainConfig, metric
from murace.config import batch_size as batch_size_of
from murace.errors import UsageError
from murace.vocabulary import LEARNERS, closest

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
    resume: options.Resume = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Train learners on all groups; each epoch is saved, so stop and start again as you like.

    Example: murace train --arch resnet --gpu 0
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace, several=True) as voice:
        machine = Machine(gpu=gpu, threads=threads, compile=compile_)
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
        from murace.cli.next import finish
        from murace.cli.several import together
        from murace.record import Wish
        from murace.steps import train as step
        from murace.workspace import Workspace

        space, results = Workspace(workspace), []
        with together(machine, voice):
            for config in configs:
                done = step.run(space, config, machine=machine, wish=Wish(resume, force), watch=voice)
                tell(voice, done.learner, done.skipped, done.info)
                results.append({"learner": done.learner, "skipped": done.skipped, **done.info})
        finish(voice, space, {"command": "train", "learners": results})


def expand(names: list[str]) -> list[str]:
    """The learners that `--arch` names, in the paper's order.

    Raises:
        UsageError: one is unknown.
    """
    for name in names:
        if name not in (*LEARNERS, "all"):
            raise UsageError(f"--arch: unknown learner '{name}'{closest(name, [*LEARNERS, 'all'])}")
    return [name for name in LEARNERS if name in names or "all" in names]


def tell(voice: Voice, learner: str, skipped: bool, info: dict[str, object]) -> None:
    """One line about a training."""
    score = info["best_score"]
    shown = "undefined" if score is None else f"{score:.4f}"
    state = "is up to date: nothing has changed;" if skipped else "is trained:"
    voice.show(f"{learner} {state} best epoch {info['best_epoch']} of {info['epochs']}, validation score {shown}")
