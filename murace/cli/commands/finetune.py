"""`murace finetune`."""

from murace.cli import options
from murace.cli.commands.train import outcome
from murace.cli.display.console import running
from murace.config import AUTO, FinetuneConfig, Machine, Recipe, metric
from murace.errors import UsageError

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
    graph: options.Graph = "auto",
    side_by_side: options.SideBySide = AUTO,
    resume: options.Resume = None,
    force: options.Force = False,
    stop_on: options.StopOn = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Specialise each group's designated learner on that group's training images.

    The learner's own weights count as epoch 0, so a member is never worse on validation than where it came from.

    Example: murace finetune --groups elbow,wrist --gpu 0
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace, several=True, stop_on=stop_on) as console:
        from murace.cli.display.ending import finish
        from murace.steps.finetune.inputs import up_to_date
        from murace.workspace import Rerun
        from murace.workspace.paths import Workspace

        recipe = Recipe(
            epochs=epochs, lr=lr, patience=patience, monitor=metric(monitor), precision=precision, seed=seed
        )
        config = FinetuneConfig(recipe=recipe, batch_size=batch_size)
        machine = Machine(gpu=gpu, threads=threads, compile=compile_, graph=graph, side_by_side=side_by_side)
        names = options.listed(groups or [])
        if groups and not names:
            raise UsageError("--groups names no group")
        space, rerun = Workspace(workspace), Rerun(resume, force)
        done = up_to_date(space, config, groups=names, machine=machine, rerun=rerun)
        if done is None:
            from murace.cli.several import together
            from murace.steps.finetune import step  # loads torch

            with together(machine, console):
                done = step.run(space, config, groups=names, machine=machine, rerun=rerun, reporter=console)
        for item in done:
            console.show(f"{item.group} ({item.learner}) {outcome(item, 'specialised')}")
        members = [{"group": item.group, "skipped": item.skipped, **item.info} for item in done]
        finish(console, space, {"command": "finetune", "members": members})
