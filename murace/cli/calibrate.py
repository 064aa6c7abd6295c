"""`murace calibrate`."""

from typing import cast

from murace.cli import options
from murace.cli.console import running
from murace.config import Bootstrap, CalibrateConfig, metric
from murace.vocabulary import Level

DEFAULT = CalibrateConfig()


def calibrate(
    val_metrics: options.ValMetrics = "auc,acc,kappa",
    workspace: options.WorkspaceOption = options.WORKSPACE,
    level: options.LevelOption = str(DEFAULT.level),
    resamples: options.Resamples = DEFAULT.bootstrap.resamples,
    seed: options.Seed = DEFAULT.bootstrap.seed,
    resume: options.Resume = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Choose the best learner for each group; this specialises the ensemble, it does not calibrate probabilities.

    Every trained learner is scored on validation; the one that is best in most of the metrics serves the group. How
    often other patients would have led to the same choice is printed beside it; under 60 % it is called a near-tie.

    Example: murace calibrate --val-metrics auc,acc,kappa
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace) as voice:
        names = [name for name in val_metrics.split(",") if name.strip()]
        metrics = tuple(metric(name) for name in names)
        bootstrap = Bootstrap(resamples=resamples, seed=seed)
        config = CalibrateConfig(metrics=metrics, level=cast(Level, level), bootstrap=bootstrap)  # it checks the word
        from murace.cli.next import finish
        from murace.cli.tables import roster_table, scores_table
        from murace.record import Wish
        from murace.steps import calibrate as step
        from murace.workspace import Workspace

        space = Workspace(workspace)
        done = step.run(space, config, wish=Wish(resume, force), watch=voice)
        if done.skipped:
            voice.say("calibrate is up to date: nothing has changed")
        for note in done.notes:
            voice.warn(note)
        scores = done.scores[done.scores["level"] == str(config.level)].rename(columns={"learner": "model"})
        learners = list(dict.fromkeys(scores["model"]))
        title = f"Validation scores by {config.level} (Table 5)"
        voice.show(
            scores_table(scores, learners, title=title, metrics=[str(name) for name in config.metrics]),
            roster_table(done.roster),
        )
        finish(
            voice, space, {"command": "calibrate", "skipped": done.skipped, **done.roster, "notes": list(done.notes)}
        )
