import numpy as np
import pandas as pd
import torch

from murace.data.loading.augment import augment
from murace.report.drawing.preview import MARGIN, TILE, choose, draw_preview
from tests.data.files import read_grey


def index(count=30, groups=("elbow", "hand")):
    rows = range(count)
    labels = [row // 2 % 2 for row in rows]
    return pd.DataFrame(
        {
            "row": rows,
            "split": "train",
            "group": [groups[r % len(groups)] for r in rows],
            "label": labels,
        }
    )


def tiles(figure):
    """The pictures of the two rows, as the figure shows them."""
    tops = (MARGIN + 24, figure.shape[0] // 2 + MARGIN + 24)
    return [
        [figure[top : top + TILE, left : left + TILE] for left in range(MARGIN, figure.shape[1] - TILE, TILE + MARGIN)]
        for top in tops
    ]


def test_the_upper_row_shows_the_images_and_the_lower_what_epoch_1_makes_of_them(tmp_path):
    images = index()
    pixels = np.random.default_rng(0).integers(0, 256, (30, TILE, TILE), dtype=np.uint8)
    draw_preview(tmp_path / "figure.png", images, pixels, seed=3, synthetic=False)
    above, below = tiles(read_grey(tmp_path / "figure.png"))
    rows = choose(images, seed=3)["row"].tolist()
    assert len(above) == len(below) == len(rows) == 7
    batch = torch.from_numpy(pixels[rows]).unsqueeze(1).float() / 255
    augmented = augment(batch, torch.tensor(rows), seed=3, epoch=1).squeeze(1).numpy() * 255
    for place, row in enumerate(rows):
        assert np.array_equal(above[place], pixels[row])
        assert np.abs(below[place] - augmented[place]).max() <= 0.51


def test_every_group_and_both_labels_are_shown_from_the_training_images():
    images = index(groups=("a", "b", "c"))
    images.loc[:11, "split"] = "test"
    chosen = choose(images, seed=0)
    assert set(chosen["group"]) == {"a", "b", "c"}
    assert set(chosen["label"]) == {0, 1}
    assert set(chosen["split"]) == {"train"}
    assert chosen["row"].is_unique


def test_few_images_make_a_short_row(tmp_path):
    images = index(3)
    draw_preview(tmp_path / "f.png", images, np.zeros((3, 8, 8), np.uint8), seed=0, synthetic=True)
    assert read_grey(tmp_path / "f.png").shape[1] == MARGIN + 3 * (TILE + MARGIN)
