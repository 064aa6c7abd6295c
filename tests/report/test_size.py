"""A report of MURA's size can be sent by mail: under 6 MB, with pictures that compress as badly as pictures can."""

import dataclasses

import numpy as np
import pandas as pd

from murace.explain.overlays.triptych import triptych
from murace.metrics.table import roc_points
from murace.report.contents import Picture
from murace.report.figures import figures
from murace.report.page import render
from murace.steps.evaluate.pictures import ERRORS, jpeg
from murace.vocabulary import Level
from tests.report import made_up

IMAGES, STUDIES, SIZE = 3197, 1199, 256


def noise(generator: np.random.Generator) -> Picture:
    drawn = triptych(
        generator.integers(0, 256, (SIZE, SIZE), dtype=np.uint8),
        generator.normal(0, 4, (8, 8)).astype(np.float32),
        caption="p = 0.50  elbow",
    )
    return Picture(caption="noise", png=jpeg(np.ascontiguousarray(drawn[..., ::-1])))


def test_a_report_of_muras_size_is_under_six_megabytes() -> None:
    generator = np.random.default_rng(0)
    models = ["convnet", "resnet", "densenet", "resnet+densenet", "calibrated"]
    study = np.sort(np.concatenate([np.arange(STUDIES), generator.integers(0, STUDIES, IMAGES - STUDIES)]))
    label = generator.integers(0, 2, STUDIES)[study]
    images = pd.DataFrame(generator.random((IMAGES, 5)), columns=models).assign(study=study, group="a", label=label)
    roc = pd.concat([roc_points(images, models, level) for level in Level], ignore_index=True)
    contents = dataclasses.replace(
        made_up.whole(),
        roc=roc,
        maps=[noise(generator) for _ in made_up.REGIONS],
        errors=[noise(generator) for _ in range(2 * ERRORS)],
        augmentation=Picture(caption="", png=jpeg(generator.integers(0, 256, (600, 1664), dtype=np.uint8))),
    )
    page = render(contents, figures(contents))
    assert 1e6 < len(page.encode()) < 6e6
