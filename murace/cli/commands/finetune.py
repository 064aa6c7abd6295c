"""`murace finetune`."""

from typing import TYPE_CHECKING

from murace.cli import options
from murace.cli.display.console import ConsoleReporter, running
from murace.config import FinetuneConfig, Machine, Recipe, metric
from murace.errors import UsageError

if TYPE_CHECKING:
    from murace.steps.finetune.inputs import Finetuned
    from murace.workspace import Rerun
    from murace.workspace.paths import Workspace

DEFAULT = FinetuneConfig().recipe


def finetune(
    groups: options.Groups = None,
    workspace: options.WorkspaceOption = options.WORKSPACE,
    epochs: options.Epochs = DEFAULT.epochs,
    lr: options.Rate = DEFAULT.lr,
    batch_size: options.BatchSize = None,
    patience: options.Patience = DEFAULT.patience,
    monitor: options.Monitor = str(DEFAULT.monitor),
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
    """Specialise each group's designated learner on that group's training images.

    The learner's own weights count as epoch 0, so a member is never worse on validation than where it came from.

    Example: murace finetune --groups elbow,wrist --gpu 0
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace, several=True) as console:
        recipe = Recipe(
            epochs=epochs, lr=lr, patience=patience, monitor=metric(monitor), precision=precision, seed=seed
        )
        config = FinetuneConfig(recipe=recipe, batch_size=batch_size)
        machine = Machine(gpu=gpu, threads=threads, compile=compile_)
        names = options.listed(groups or [])
        if groups and not names:
            raise UsageError("--groups names no group")
        from murace.cli.display.ending import finish
        from murace.workspace import Rerun
        from murace.workspace.paths import Workspace

        space = Workspace(workspace)
        done = finetuned(space, config, names, machine, Rerun(resume, force), console)
        for item in done:
            score = item.info["best_score"]
            shown = "undefined" if score is None else f"{score:.4f}"
            state = "is up to date: nothing has changed;" if item.skipped else "is specialised:"
            console.show(
                f"{item.group} ({item.learner}) {state} best epoch {item.info['best_epoch']} of {item.info['epochs']}, "
                f"validation score {shown}"
            )
        members = [{"group": item.group, "skipped": item.skipped, **item.info} for item in done]
        finish(console, space, {"command": "finetune", "members": members})


def finetuned(
    space: "Workspace",
    config: FinetuneConfig,
    groups: list[str],
    machine: Machine,
    rerun: "Rerun",
    console: ConsoleReporter,
) -> list["Finetuned"]:
    """Fine-tune the members; torch, which takes seconds, is not loaded where there is nothing to do at all."""
    from murace.steps.finetune.inputs import up_to_date

    known = up_to_date(space, config, groups=groups, machine=machine, rerun=rerun)
    if known is not None:
        return known
    from murace.cli.several import together
    from murace.steps.finetune import step

    with together(machine, console):
        return step.run(space, config, groups=groups, machine=machine, rerun=rerun, reporter=console)
