"""Ask nets about images with boxes, one group's net at a time, and measure where their maps point."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import pandas as pd

from murace.config import Bootstrap
from murace.explain.cam import DEFAULT_MAP_METHOD, MapMethod, Maps, flaw, grid_over_original, look
from murace.explain.pointing.boxed import BoxedImage, Floats, Opened, open_boxed
from murace.explain.pointing.randomised import randomised
from murace.explain.pointing.table import CENTRE, CHANCE, ENERGY, EXACT, IOU, POINTING, RANDOM, Measured, tabulate
from murace.metrics.localisation import THRESHOLDS, centre_prior, chance, energy, overlaps, pointing
from murace.nets import Learner
from murace.nets.trained import TrainedNet
from murace.system.progress import Reporter
from murace.system.threads import ReadAhead

WEIGHT = 128 * 2**20  # bytes of prepared pictures read ahead
MOST_THREADS = 8


@dataclass(frozen=True)
class Checked:
    """The table (`murace.explain.pointing.COLUMNS`), and what must be said with it.

    `thresholds`: of the IoU, per source; `bad`: images that could not be used, as (path, reason); `flawed`: how many
    of the trained nets' maps were flat or not finite: they count as pointing blindly, or nowhere.
    """

    table: pd.DataFrame
    thresholds: dict[str, float]
    bad: list[tuple[str, str]]
    flawed: dict[str, int]


@dataclass
class _Run:
    """What is asked for, and what has come of it."""

    map_method: MapMethod
    seed: int
    measured: Measured = field(default_factory=Measured)
    bad: list[tuple[str, str]] = field(default_factory=list)
    flawed: dict[str, int] = field(default_factory=dict)


def check(
    findings: Sequence[BoxedImage],
    members: Mapping[str, TrainedNet],
    *,
    map_method: MapMethod = DEFAULT_MAP_METHOD,
    bootstrap: Bootstrap,
    threads: int,
    reporter: Reporter,
) -> Checked:
    """Measure whether the maps of the groups' members point at the findings.

    Each against a Gaussian in the picture's centre, against the same nets with weights drawn anew, and, for the
    pointing game, against the chance of hitting blindly.

    Args:
        findings: images with boxes; those of a group without a member are among the bad.
        members: by group.
        map_method: how the maps are made; `bootstrap.seed` draws the random weights, too.
        bootstrap: of the patients.
        threads: that read ahead.
        reporter: hears of the progress.

    Raises:
        UsageError: a member has no such maps.
        Interrupted: a signal asked to stop.
    """
    run = _Run(map_method, bootstrap.seed)
    run.bad += [(one.path, f"no member for group '{one.group}'") for one in findings if one.group not in members]
    ordered = sorted((one for one in findings if one.group in members), key=lambda one: (one.group, one.path))
    for group in sorted({one.group for one in ordered}):
        map_method.require(members[group].head, who=f"the member for {group}")

    def read(image: BoxedImage) -> Opened:
        return open_boxed(image, members[image.group], map_method)

    with (
        reporter.bar("findings", len(ordered)) as bar,
        ReadAhead(
            read, ordered, weigh=lambda one: one.weight, limit=WEIGHT, threads=max(1, min(threads, MOST_THREADS))
        ) as ahead,
    ):
        for group, opened in groupby(ahead.results(reporter), key=lambda one: one.image.group):
            for count in _measure_group(run, members[group], opened):
                bar.advance(count, note=group)
    table, thresholds = tabulate(run.measured, bootstrap)
    return Checked(table, thresholds, run.bad, run.flawed)


def _measure_group(run: _Run, member: TrainedNet, opened: Iterable[Opened]) -> Iterator[int]:
    net = member.net()
    nets = {run.map_method.name: net, RANDOM: _placed(randomised(net, run.seed), member)}
    for batch in _batches(opened, member.views_at_once):
        good = [one for one in batch if one.fault is None]
        run.bad += [(one.image.path, one.fault) for one in batch if one.fault is not None]
        if good:
            _measure(run, member, nets, good)
        yield len(batch)


def _placed(net: Learner, member: TrainedNet) -> Learner:
    return net.to(memory_format=member.layout)


def _batches(opened: Iterable[Opened], at_once: int) -> Iterator[list[Opened]]:
    batch: list[Opened] = []
    for one in opened:
        batch.append(one)
        if len(batch) == at_once:
            yield batch
            batch = []
    if batch:
        yield batch


def _measure(run: _Run, member: TrainedNet, nets: Mapping[str, Learner], batch: Sequence[Opened]) -> None:
    prepared = np.concatenate([one.prepared for one in batch if one.prepared is not None])
    bigger = {
        scale: np.concatenate([one.larger[scale] for one in batch if one.larger]) for scale in run.map_method.scales[1:]
    }
    maps = {
        source: look(net, member, prepared, larger=bigger, map_method=run.map_method)[0] for source, net in nets.items()
    }
    for number, one in enumerate(batch):
        run.measured.groups.append(one.image.group)
        run.measured.patients.append(one.image.patient)
        boxes = one.boxes
        assert boxes is not None
        for source, drawn in maps.items():
            fault = flaw(drawn[number])
            if fault and source != RANDOM:
                run.flawed[fault] = run.flawed.get(fault, 0) + 1
            run.measured.add(source, _scores(drawn[number], one, boxes, fit=member.fit))
        run.measured.add(CENTRE, _prior(boxes, one))
        run.measured.add(CHANCE, {POINTING: [chance(boxes)], EXACT: [chance(boxes, margin=0)]})


def _scores(heat: Maps, one: Opened, boxes: Floats, *, fit: str) -> dict[str, Sequence[float]]:
    """What a map scores; nothing at all where it is not finite."""
    if not np.isfinite(heat).all():
        return {POINTING: [0.0], EXACT: [0.0], ENERGY: [0.0], IOU: [0.0] * len(THRESHOLDS)}
    heat = np.zeros_like(heat) if flaw(heat) else heat  # where it is flat nothing is the peak
    grid, inner = grid_over_original(heat, width=one.width, height=one.height, fit=fit)
    return _all(grid, boxes, inner)


def _prior(boxes: Floats, one: Opened) -> dict[str, Sequence[float]]:
    side = 255  # odd, so that one cell is the centre
    return _all(centre_prior((side, side)), boxes, None)


def _all(grid: Floats, boxes: Floats, inner: Floats | None) -> dict[str, Sequence[float]]:
    return {
        POINTING: [pointing(grid, boxes, inner=inner)],
        EXACT: [pointing(grid, boxes, margin=0, inner=inner)],
        ENERGY: [energy(grid, boxes)],
        IOU: overlaps(grid, boxes).tolist(),
    }
