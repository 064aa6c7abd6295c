"""Ask nets about images with boxes, one group's net at a time, and measure where their maps point."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import pandas as pd

from murace.config import Bootstrap
from murace.data.images.header import ImageError
from murace.data.studies.batches import in_batches
from murace.data.studies.open import LIMIT, OpenedStudy, RequestedStudy, open_studies
from murace.explain.cam import DEFAULT_MAP_METHOD, MapMethod, Maps, flaw, grid_over_original, look_at_studies
from murace.explain.pointing.boxed import BoxedImage, Floats, boxes_over, request_image
from murace.explain.pointing.randomised import randomised
from murace.explain.pointing.table import CENTRE, CHANCE, ENERGY, EXACT, IOU, POINTING, RANDOM, Measured, tabulate
from murace.metrics.localisation import THRESHOLDS, centre_prior, chance, energy, overlaps, pointing
from murace.nets import Learner
from murace.nets.trained import TrainedNet
from murace.system.progress import Reporter


@dataclass(frozen=True)
class _BoxedView:
    """An image that was read, with its boxes [K, 4] in shares of its width and height."""

    image: BoxedImage
    opened: OpenedStudy
    boxes: Floats


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
    """How maps are made, and what has been measured so far."""

    map_method: MapMethod
    seed: int
    measured: Measured = field(default_factory=Measured)
    faults: dict[int, str] = field(default_factory=dict)  # by the number of the image
    flawed: dict[str, int] = field(default_factory=dict)


def check(
    images: Sequence[BoxedImage],
    members: Mapping[str, TrainedNet],
    *,
    map_method: MapMethod = DEFAULT_MAP_METHOD,
    bootstrap: Bootstrap,
    threads: int,
    reporter: Reporter,
) -> Checked:
    """Measure whether the maps of the groups' members point into the boxes.

    Each against a Gaussian in the picture's centre, against the same nets with weights drawn anew, and, for the
    pointing game, against the chance of hitting blindly.

    Args:
        images: with boxes; those of a group without a member are among the bad.
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
    strangers = [(one.path, f"no member for group '{one.group}'") for one in images if one.group not in members]
    ordered = sorted((one for one in images if one.group in members), key=lambda one: (one.group, one.path))
    if not ordered:
        return Checked(*tabulate(run.measured, bootstrap), strangers, run.flawed)
    for group in sorted({one.group for one in ordered}):
        map_method.require(members[group].head, who=f"the member for {group}")
    trained = members[ordered[0].group]  # all take pictures of one size
    with (
        reporter.bar("findings", len(ordered)) as bar,
        open_studies(
            list(_requests(ordered, run.faults)),
            size=trained.size,
            fit=trained.fit,
            scales=map_method.scales[1:],
            threads=threads,
            reporter=reporter,
        ) as opened,
    ):
        for group, views in groupby(_boxed_views(ordered, opened, run.faults), key=lambda one: one.image.group):
            for count in _measure_group(run, members[group], views):
                bar.advance(count, note=group)
        bar.advance(len(run.faults))
    bad = [(ordered[number].path, run.faults[number]) for number in sorted(run.faults)]
    return Checked(*tabulate(run.measured, bootstrap), [*strangers, *bad], run.flawed)


def _requests(images: Sequence[BoxedImage], faults: dict[int, str]) -> Iterator[RequestedStudy]:
    for number, image in enumerate(images):
        try:
            yield request_image(image, number)
        except ImageError as error:
            faults[number] = str(error)


def _boxed_views(
    images: Sequence[BoxedImage], opened: Iterable[OpenedStudy], faults: dict[int, str]
) -> Iterator[_BoxedView]:
    """The images that can be used; the faults of the others are noted."""
    for one in opened:
        number = one.request.number
        try:
            yield _BoxedView(images[number], one, boxes_over(images[number], one))
        except ImageError as error:
            faults[number] = str(error).removeprefix(f"{one.request.files.place}: ")


def _measure_group(run: _Run, member: TrainedNet, views: Iterable[_BoxedView]) -> Iterator[int]:
    net = member.net()
    fresh = randomised(net, run.seed).to(memory_format=member.layout)
    batches = in_batches(
        views,
        lambda one: one.image.group,
        views=lambda _: 1,
        weight=lambda one: one.opened.views.weight,
        at_once=member.views_at_once,
        limit=LIMIT,
    )
    for _, batch in batches:
        _measure(run, member, {run.map_method.name: net, RANDOM: fresh}, batch)
        yield len(batch)


def _measure(run: _Run, member: TrainedNet, nets: Mapping[str, Learner], batch: Sequence[_BoxedView]) -> None:
    opened = [one.opened.views for one in batch]
    maps = {
        source: [drawn[0] for drawn, _ in look_at_studies(net, member, opened, map_method=run.map_method)]
        for source, net in nets.items()
    }
    for number, one in enumerate(batch):
        run.measured.groups.append(one.image.group)
        run.measured.patients.append(one.image.patient)
        for source, drawn in maps.items():
            fault = flaw(drawn[number])
            if fault and source != RANDOM:
                run.flawed[fault] = run.flawed.get(fault, 0) + 1
            run.measured.add(source, _scores(drawn[number], one, fit=member.fit))
        run.measured.add(CENTRE, _prior(one.boxes))
        run.measured.add(CHANCE, {POINTING: [chance(one.boxes)], EXACT: [chance(one.boxes, margin=0)]})


def _scores(heat: Maps, one: _BoxedView, *, fit: str) -> dict[str, Sequence[float]]:
    """What a map scores; nothing at all where it is not finite."""
    if not np.isfinite(heat).all():
        return {POINTING: [0.0], EXACT: [0.0], ENERGY: [0.0], IOU: [0.0] * len(THRESHOLDS)}
    heat = np.zeros_like(heat) if flaw(heat) else heat  # where it is flat nothing is the peak
    height, width = one.opened.views.shapes[0]
    grid, inner = grid_over_original(heat, width=width, height=height, fit=fit)
    return _all(grid, one.boxes, inner)


def _prior(boxes: Floats) -> dict[str, Sequence[float]]:
    side = 255  # odd, so that one cell is the centre
    return _all(centre_prior((side, side)), boxes, None)


def _all(grid: Floats, boxes: Floats, inner: Floats | None) -> dict[str, Sequence[float]]:
    return {
        POINTING: [pointing(grid, boxes, inner=inner)],
        EXACT: [pointing(grid, boxes, margin=0, inner=inner)],
        ENERGY: [energy(grid, boxes)],
        IOU: overlaps(grid, boxes).tolist(),
    }
