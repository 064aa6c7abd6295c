"""`murace calibrate`."""

from typing import TYPE_CHECKING, cast

from murace.cli import options
from murace.cli.display.console import running
from murace.config import Bootstrap, CalibrateConfig, Machine, metric
from murace.vocabulary import OVERALL, Level

if TYPE_CHECKING:
    from murace.inference.recogniser.model import GroupModel

DEFAULT = CalibrateConfig()


def calibrate(
    val_metrics: options.ValMetrics = "auc,acc,kappa",
    workspace: options.WorkspaceOption = options.WORKSPACE,
    level: options.LevelOption = str(DEFAULT.level),
    resamples: options.Resamples = DEFAULT.bootstrap.resamples,
    seed: options.Seed = DEFAULT.bootstrap.seed,
    gpu: options.Gpu = None,
    threads: options.Threads = None,
    resume: options.Resume = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Choose the best learner for each group; this specialises the ensemble, it does not calibrate probabilities.

    Every trained learner is scored on validation; the one that is best in most of the metrics serves the group. How
    often other patients would have led to the same choice is printed beside it; under 60 % it is called a near-tie.
    Where there are several groups, it also fits what recognises the group of a picture that nobody has named.

    Example: murace calibrate --val-metrics auc,acc,kappa
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace) as console:
        metrics = tuple(metric(name) for name in val_metrics.split(",") if name.strip())
        machine = Machine(gpu=gpu, threads=threads)
        bootstrap = Bootstrap(resamples=resamples, seed=seed)
        config = CalibrateConfig(metrics=metrics, level=cast(Level, level), bootstrap=bootstrap)  # it checks the word
        from murace.cli.display.ending import finish
        from murace.cli.display.tables import roster_table, scores_table
        from murace.inference.recogniser.file import facts_of
        from murace.steps.calibrate.inputs import up_to_date
        from murace.workspace import Rerun
        from murace.workspace.paths import Workspace

        space, rerun = Workspace(workspace), Rerun(resume, force)
        done = up_to_date(space, config, machine=machine, rerun=rerun)
        if done is None:
            from murace.steps.calibrate import step  # loads torch

            done = step.run(space, config, machine=machine, rerun=rerun, reporter=console)
        if done.skipped:
            console.say("calibrate is up to date: nothing has changed")
        for note in done.notes:
            console.warn(note)
        scores = done.scores[done.scores["level"] == str(config.level)].rename(columns={"learner": "model"})
        learners = list(dict.fromkeys(scores["model"]))
        title = f"Validation scores by {config.level} (Table 5)"
        console.show(
            scores_table(scores, learners, title=title, metrics=[str(name) for name in config.metrics]),
            roster_table(done.roster),
            recogniser_line(done.recogniser),
        )
        values = {"command": "calibrate", "skipped": done.skipped, **done.roster, "notes": list(done.notes)}
        finish(console, space, {**values, "recogniser": facts_of(done.recogniser) if done.recogniser else None})


def recogniser_line(model: "GroupModel | None") -> str:
    """How well groups are recognised on validation, the group that is recognised worst, and what would be refused."""
    if model is None:
        return "recogniser: none, since there is one group"
    images, studies = (model.accuracy[str(level)] for level in (Level.IMAGE, Level.STUDY))
    seen, unseen = ([group for group in model.groups if bool(images[group].count) is there] for there in (True, False))
    parts = [f"recogniser: no validation image to check {model.learner}'s features with"]
    if seen:
        both, each = images[OVERALL], studies[OVERALL]
        worst = min(seen, key=lambda group: images[group].right / images[group].count)
        parts = [
            f"recogniser: {model.learner}'s features tell {_share(both.right, both.count)} of {both.count:,} "
            f"validation images ({_share(each.right, each.count)} of {each.count:,} studies) their group",
            f"worst {worst}, {_share(images[worst].right, images[worst].count)}",
            f"{_share(both.refused, both.count)} of the images look like no group, or not clearly like one",
            *([f"not checked: {', '.join(unseen)}"] if unseen else []),
        ]
    return "; ".join(parts)


def _share(part: int, whole: int) -> str:
    """`97.1 %`; what is not all is never 100 %."""
    return f"{1000 * part // whole / 10:.1f} %"
