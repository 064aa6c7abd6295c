"""`murace evaluate`."""

from murace.cli import options
from murace.cli.display.console import running
from murace.config import Bootstrap, EvaluateConfig, Machine
from murace.vocabulary import OVERALL, Level

DEFAULT = Bootstrap()


def evaluate(
    workspace: options.WorkspaceOption = options.WORKSPACE,
    slices: options.Slices = None,
    latex: options.Latex = False,
    resamples: options.Resamples = DEFAULT.resamples,
    seed: options.Seed = DEFAULT.seed,
    gpu: options.Gpus = None,
    threads: options.Threads = None,
    resume: options.Resume = None,
    force: options.Force = False,
    stop_on: options.StopOn = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Score every learner, the mean of resnet and densenet, and the calibrated ensemble on the test split.

    Every score has a 95 % interval by bootstrap over patients; the report, a model card, and every table as csv and
    LaTeX are written beside the predictions.

    Example: murace evaluate
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace, several=True, stop_on=stop_on) as console:
        machine = Machine(gpu=gpu, threads=threads)
        config = EvaluateConfig(bootstrap=Bootstrap(resamples=resamples, seed=seed), slice=tuple(slices or ()))
        from murace.cli.display.ending import finish
        from murace.cli.display.evidence import (
            baseline_lines,
            calibration_table,
            comparisons_table,
            records,
            undefined_notes,
        )
        from murace.cli.display.tables import scores_table
        from murace.metrics.slices import small_notes
        from murace.steps.evaluate.inputs import up_to_date
        from murace.workspace import Rerun
        from murace.workspace.paths import Workspace

        space, rerun = Workspace(workspace), Rerun(resume, force)
        done = up_to_date(space, config, machine=machine, rerun=rerun)
        if done is None:
            from murace.cli.several import together
            from murace.steps.evaluate import step  # loads torch

            with together(machine, console):
                done = step.run(space, config, machine=machine, rerun=rerun, reporter=console)
        if done.skipped:
            console.say("evaluate is up to date: nothing has changed")
        for note in done.notes:
            console.warn(note)
        small = small_notes(done.tables["support"], done.tables["slices"])
        for note in (*small, *undefined_notes(done.tables["intervals"])):
            console.say(note)
        if latex:
            console.show(*space.evaluate.table_3.read_text(encoding="utf-8").splitlines())
        else:
            scores = done.tables["scores"]
            studies = scores[scores["level"] == str(Level.STUDY)]
            images = scores[(scores["level"] == str(Level.IMAGE)) & (scores["group"] == OVERALL)]
            title = "Test scores by study (Table 3) with 95 % intervals (none where every resample agrees)"
            console.show(
                scores_table(studies, done.models, title=title),
                scores_table(images, done.models, title="Test scores by image, overall"),
                *baseline_lines(done.tables["baselines"], done.tables["comparisons"]),
                *comparisons_table(done.tables["comparisons"]),
                calibration_table(done.tables["calibration"]),
                f"report: {done.report}",
            )
        tables = {name: records(table) for name, table in done.tables.items()}
        values = {"command": "evaluate", "skipped": done.skipped, **tables, "report": str(done.report)}
        finish(console, space, values)
