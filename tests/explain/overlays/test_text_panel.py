import numpy as np

from murace.explain.overlays.triptych import text_panel, triptych, without_map
from murace.report.drawing.sheet import BACKGROUND


def test_a_sentence_stands_inside_its_panel_however_small_or_long() -> None:
    for height, width, words in ((256, 256, 9), (256, 2048, 9), (3000, 300, 9), (256, 256, 20)):
        panel = text_panel(height, width, " ".join(["meaningless"] * words))
        assert panel.shape == (height, width, 3)
        inked = np.argwhere((panel != BACKGROUND).any(axis=-1))
        assert len(inked) > 100
        assert (inked.min(axis=0) > 1).all()
        assert (inked.max(axis=0) < (height - 2, width - 2)).all()


def test_a_picture_without_a_map_is_as_large_as_one_with_it_and_has_no_colour() -> None:
    original = np.random.default_rng(0).integers(0, 256, (90, 400), dtype=np.uint8)
    without = without_map(original, "No map.", caption="p = 0.50")
    assert without.shape == triptych(original, np.ones((4, 4)), caption="p = 0.50").shape
    assert np.ptp(without[:, : 3 * 400].astype(int), axis=-1).max() < 20


def test_the_unit_is_written_over_the_colour_bar() -> None:
    original = np.zeros((300, 300), np.uint8)
    first, second = (triptych(original, np.ones((4, 4)), caption="", unit=unit) for unit in ("log-odds", "share x p"))
    changed = np.argwhere((first != second).any(axis=-1))
    assert len(changed)
    assert changed[:, 1].min() > 3 * 300  # right of the panels
