"""Many studies drawn: the nets are asked in batches, and threads behind them draw and write."""

from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any

import numpy as np

from murace.data.images.header import ImageError
from murace.data.studies.batches import in_batches
from murace.data.studies.open import OpenedStudy
from murace.explain.cam import DEFAULT_MAP_METHOD, MapMethod, look_at_studies
from murace.explain.overlays.folder import StudyMaps, draw
from murace.explain.overlays.folders import StudyToDraw
from murace.nets import Learner
from murace.nets.trained import TrainedNet
from murace.system.progress import Reporter
from murace.system.threads import WriteBehind

WEIGHT = 256 * 2**20  # bytes of radiographs read ahead; as many waiting to be drawn
WAITING = WEIGHT // 2  # bytes that wait for their group's net; as many may wait for the recogniser
NO_NUMBER = "the model's answer is not a finite number: its weights are damaged; run its finetune again with --fresh"
MOST_THREADS = 8  # a radiograph of 6 megapixels takes 200 MB while it is drawn


Outcome = tuple[int, dict[str, Any] | ImageError]  # a study's number, and its record or why it is not drawn


def draw_all(
    studies: Iterable[tuple[StudyToDraw, OpenedStudy]],
    member: Callable[[str], TrainedNet],
    *,
    map_method: MapMethod = DEFAULT_MAP_METHOD,
    at_once: int,
    threads: int,
    reporter: Reporter,
) -> Generator[Outcome, None, None]:
    """Draw every study; yields each one's number, with its record or why it is not drawn, as it is finished.

    The net that is asked is the only one that is kept in memory. A study about which a net's answer is not a finite
    number is not drawn.

    Args:
        studies: with the originals and with `map_method`'s scales; taken one by one.
        member: a group's net.
        map_method: how maps are made.
        at_once: views in one pass of a net.
        threads: that draw; at most `MOST_THREADS` are used.
        reporter: asked for signals.

    Raises:
        Interrupted: a signal asked to stop. What is being drawn is finished, the rest is not begun.
        MachineError: the disk is full or a folder cannot be written to.
    """
    loaded: str | None = None
    net: Learner | None = None
    batches = in_batches(
        studies,
        lambda pair: pair[0].group,
        views=lambda pair: len(pair[0].views),
        weight=lambda pair: pair[1].views.weight,
        at_once=at_once,
        limit=WAITING,
    )
    with WriteBehind[Outcome](limit=WEIGHT, threads=max(1, min(threads, MOST_THREADS)), reporter=reporter) as behind:
        for group, batch in batches:
            assert group is not None
            trained = member(group)
            if net is None or group != loaded:
                net = None  # before the next is loaded
                loaded, net = group, trained.net()
            answers = look_at_studies(net, trained, [opened.views for _, opened in batch], map_method=map_method)
            for (study, opened), (maps, log_odds) in zip(batch, answers, strict=True):
                if np.isfinite(log_odds).all():
                    work = partial(_draw, study, opened, StudyMaps(maps, log_odds, map_method), trained)
                    yield from behind.put(work, weight=opened.views.weight)
                else:
                    yield opened.request.number, ImageError(f"{study.views[0].parent}: {NO_NUMBER}")
        yield from behind.rest()


def _draw(study: StudyToDraw, opened: OpenedStudy, made: StudyMaps, member: TrainedNet) -> Outcome:
    return opened.request.number, draw(study, opened.views, made, member)
