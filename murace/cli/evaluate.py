"""`murace evaluate`."""

from murace.cli import options
from murace.cli.console import running
from murace.config import Machine
from murace.vocabulary import Level


def evaluate(
    workspace: options.WorkspaceOption = options.WORKSPACE,
    gpu: options.Gpu = None,
    threads: options.Threads = None,
    resume: options.Resume = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Score every learner, the mean of resnet and densenet, and the calibrated ensemble on the test split.

    Example: murace evaluate
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace) as voice:
        machine = Machine(gpu=gpu, threads=threads)
        from murace.cli.next import finish
        from murace.cli.tables import scores_table
        from murace.record import Wish
        from murace.steps import evaluate as step
        from murace.workspace import Workspace

        space = Workspace(workspace)
        done = step.run(space, machine=machine, wish=Wish(resume, force), watch=voice)
        if done.skipped:
            voice.say("evaluate is up to date: nothing has changed")
        for note in done.notes:
            voice.warn(note)
        for level in (Level.STUDY, Level.IMAGE):
            title = f"Test scores by {level} (Table 3); beside them the change over convnet"
            voice.show(scores_table(done.scores[done.scores["level"] == str(level)], done.models, title=title))
        voice.show(f"report: {done.report}")
        scores = done.scores.astype(object).where(done.scores.notna(), None).to_dict("records")
        values = {"command": "evaluate", "skipped": done.skipped, "scores": scores, "report": str(done.report)}
        finish(voice, space, values)
