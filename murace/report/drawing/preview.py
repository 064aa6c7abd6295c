"""Figure 1 of the paper for this data: a row of radiographs, and below it what training makes of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from murace.data.loading.augment import augment, draw
from murace.data.store import Pixels
from murace.system.files import write_bytes
from murace.system.opencv import cv2
from murace.vocabulary import Split

COLUMNS = 7  # MURA's regions
TILE, MARGIN, CAPTION = 224, 12, 40  # pixels
INK, PAPER = 30, 255
OPERATIONS = ("horizontal flip", "vertical flip", "rotation")
Canvas = npt.NDArray[np.uint8]


def draw_preview(path: Path, images: pd.DataFrame, pixels: Pixels, *, seed: int, synthetic: bool) -> None:
    """Write the figure as a PNG file; see `draw_figure`.

    Raises:
        MachineError: the file cannot be written.
    """
    write_bytes(path, cv2.imencode(".png", draw_figure(images, pixels, seed=seed, synthetic=synthetic))[1].tobytes())


def draw_figure(images: pd.DataFrame, pixels: Pixels, *, seed: int, synthetic: bool) -> Canvas:
    """Draw the figure, grey [h, w]. No id stands in it: an image is named by its group and label.

    Args:
        images: the index; columns `row`, `split`, `group`, `label`.
        pixels: uint8 [N, size, size].
        seed: of the augmentation; what is shown is what epoch 1 of a training run with this seed sees.
        synthetic: whether to say that no patient was involved.
    """
    chosen = choose(images, seed=seed)
    rows = torch.tensor(chosen["row"].tolist(), dtype=torch.int64)
    originals = np.stack([pixels[row] for row in chosen["row"]])
    batch = torch.from_numpy(originals).unsqueeze(1).float() / 255
    augmented = (augment(batch, rows, seed=seed, epoch=1) * 255).round().byte().squeeze(1).numpy()
    operations, radians = draw(rows, seed=seed, epoch=1)
    labels = [
        (f"{group}{', synthetic' if synthetic else ''}", "abnormal" if label else "normal")
        for group, label in zip(chosen["group"], chosen["label"], strict=True)
    ]
    changes = [
        _words(flags, degrees)
        for flags, degrees in zip(operations.tolist(), torch.rad2deg(radians).tolist(), strict=True)
    ]
    return np.vstack([_row("as prepared", originals, labels), _row("as training sees it", augmented, changes)])


def choose(images: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """One training image of each group in turn, labels alternating, until the row is full."""
    train = images[images["split"] == Split.TRAIN]
    order = train.iloc[np.random.default_rng([seed, 1]).permutation(len(train))]
    groups = sorted(set(order["group"]))
    taken: list[int] = []
    for turn in range(COLUMNS):
        group, label = groups[turn % len(groups)], (turn % len(groups) + turn // len(groups)) % 2
        free = order[(order["group"] == group) & ~order.index.isin(taken)]
        fitting = free[free["label"] == label]
        taken.extend((fitting if len(fitting) else free).index[:1])
    return images.loc[taken].sort_values("group", kind="stable")


def _words(flags: Sequence[bool], degrees: float) -> tuple[str, str]:
    """An image's operations in two lines."""
    names = [name for name, is_on in zip(OPERATIONS, flags, strict=True) if is_on]
    if flags[2]:
        names[-1] = f"rotation {degrees:+.0f} deg"
    return ", ".join(names[:2]), ", ".join(names[2:])


def _row(title: str, images: Canvas, captions: Sequence[tuple[str, str]]) -> Canvas:
    """Tiles side by side, each with two lines below it, under a title; grey [h, w]."""
    width = MARGIN + len(images) * (TILE + MARGIN)
    canvas = np.full((MARGIN + 24 + TILE + CAPTION, width), PAPER, np.uint8)
    _write(canvas, title, MARGIN, MARGIN + 14, 0.55)
    for number, (image, lines) in enumerate(zip(images, captions, strict=True)):
        left, top = MARGIN + number * (TILE + MARGIN), MARGIN + 24
        method = cv2.INTER_AREA if image.shape[0] > TILE else cv2.INTER_LINEAR
        canvas[top : top + TILE, left : left + TILE] = cv2.resize(image, (TILE, TILE), interpolation=method)
        for line, text in enumerate(lines):
            _write(canvas, text, left, top + TILE + 15 + 15 * line, 0.42)
    return canvas


def _write(canvas: Canvas, text: str, left: int, baseline: int, scale: float) -> None:
    cv2.putText(canvas, text, (left, baseline), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA)
