import numpy as np
import pytest

from murace.explain.overlays.colours import (
    LIMIT,
    OPACITY,
    RAMP,
    TOWARDS_ABNORMAL,
    TOWARDS_NORMAL,
    colours,
    painted,
    upsample,
)
from murace.explain.overlays.triptych import triptych


def grey(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size=(height, width), dtype=np.uint8)


def panels(sheet: np.ndarray, original: np.ndarray) -> list[np.ndarray]:
    """Find the original on the sheet, and the two panels at the same height."""
    height, width = original.shape
    first = np.stack([original] * 3, axis=-1)
    for top in range(sheet.shape[0] - height + 1):
        for left in range(min(64, sheet.shape[1] - width + 1)):
            if np.array_equal(sheet[top : top + height, left : left + width], first):
                step = next(
                    step
                    for step in range(width, width + 64)
                    if left + 2 * step + width <= sheet.shape[1]
                    and (sheet[top : top + height, left + width : left + step] == (16, 17, 20)).all()
                    and step - width == left
                )
                return [sheet[top : top + height, left + k * step : left + k * step + width] for k in range(3)]
    raise AssertionError("the original is not on the sheet, pixel for pixel")


def test_a_zero_map_leaves_the_original() -> None:
    original = grey(300, 280)
    first, second, third = panels(triptych(original, np.zeros((8, 8), np.float32), caption="p = 0.50"), original)
    assert np.array_equal(third, first)
    assert not second.any()


def test_panels_have_the_originals_own_resolution() -> None:
    original = grey(260, 410)
    sheet = triptych(original, np.full((4, 4), 2.0, np.float32), caption="p = 0.93")
    assert sheet.dtype == np.uint8
    _, second, third = panels(sheet, original)
    assert second.shape == third.shape == (260, 410, 3)
    assert np.array_equal(third, painted(original, np.full(original.shape, 2.0, np.float32), LIMIT)[1])


def test_colours_are_on_one_fixed_scale() -> None:
    weak, strong = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)
    weak[0, 0], strong[0, 0], strong[7, 7] = 1.5, 1.5, 7.0
    assert colours(weak)[0, 0].tolist() == colours(strong)[0, 0].tolist()
    assert colours(strong)[7, 7].tolist() != colours(weak)[0, 0].tolist()
    assert colours(np.array([[LIMIT]]))[0, 0].tolist() == colours(np.array([[50.0]]))[0, 0].tolist()


def test_no_colour_is_a_level_off_the_formula() -> None:
    heat = np.concatenate([np.linspace(-9, 9, 4001), np.geomspace(1e-6, 1, 500)])[None]
    share = np.clip(heat / LIMIT, -1, 1)[..., None]
    ends = [[np.array(end, float) for end in pair] for pair in (TOWARDS_ABNORMAL, TOWARDS_NORMAL)]
    warm, cold = (first + np.abs(share) * (last - first) for first, last in ends)
    tint, strength = np.where(share >= 0, warm, cold), np.abs(share) ** RAMP
    assert np.abs(colours(heat) - tint * strength).max() <= 1.5
    grey = np.full(heat.shape, 200, np.uint8)
    mixed = (1 - OPACITY * strength) * 200 + OPACITY * strength * tint
    assert np.abs(painted(grey, heat, LIMIT)[1] - mixed).max() <= 1.5


def test_the_sign_has_a_hue_and_strength_grows() -> None:
    positive = colours(np.array([[0.2, 1.0, 3.0, LIMIT]]))[0].astype(int)
    negative = colours(-np.array([[0.2, 1.0, 3.0, LIMIT]]))[0].astype(int)
    assert (positive[:, 0] > positive[:, 2]).all()
    assert (negative[:, 2] > negative[:, 0]).all()
    assert (np.diff(positive.sum(axis=1)) > 0).all()
    assert (np.diff(negative.sum(axis=1)) > 0).all()


def test_opacity_grows_with_the_logit_and_never_hides_the_image() -> None:
    heat = np.array([[0.0, 0.5, 2.0, LIMIT, 100.0]])
    dark, bright = (painted(np.full((1, 5), shade, np.uint8), heat, LIMIT)[1] for shade in (0, 255))
    seen = (bright.astype(int) - dark.astype(int)).mean(axis=-1)[0] / 255
    assert (np.diff(seen[:4]) < 0).all()
    assert seen[0] == 1
    assert seen[-1] == pytest.approx(1 - OPACITY, abs=0.01)


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (40, 2000), (700, 90), (300, 300)])
@pytest.mark.parametrize("cells", [(1, 1), (4, 4), (3, 7)])
def test_any_shape_is_drawn_wide_enough_to_read(shape: tuple[int, int], cells: tuple[int, int]) -> None:
    sheet = triptych(grey(*shape), np.ones(cells), caption="p = 0.93  abnormal  elbow  densenet")
    assert sheet.ndim == 3
    assert sheet.shape[2] == 3
    assert sheet.shape[1] >= 3 * 256
    assert sheet.shape[0] >= 256


def test_small_originals_are_enlarged_by_a_whole_factor() -> None:
    original = grey(100, 100)
    large = np.repeat(np.repeat(original, 3, axis=0), 3, axis=1)
    assert len(panels(triptych(original, np.zeros((2, 2)), caption=""), large)) == 3


def test_a_single_cell_colours_the_whole_image_evenly() -> None:
    assert np.ptp(upsample(np.array([[1.25]]), (50, 70))) == 0


def test_upsampling_stays_within_the_maps_extremes() -> None:
    heat = np.zeros((6, 6), np.float32)
    heat[3, 3] = 5
    large = upsample(heat, (97, 131))
    assert large.shape == (97, 131)
    assert large.min() == 0
    assert 4 < large.max() <= 5
    assert np.abs(np.array(np.unravel_index(large.argmax(), large.shape)) / large.shape - 3.5 / 6).max() < 0.02


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_that_is_not_finite_is_refused(value: float) -> None:
    heat = np.zeros((4, 4))
    heat[1, 2] = value
    with pytest.raises(ValueError, match="heat has values that are not finite"):
        triptych(grey(20, 20), heat, caption="")


def test_what_is_no_grey_image_or_no_map_is_refused() -> None:
    with pytest.raises(ValueError, match="original must be uint8"):
        triptych(np.zeros((5, 5, 3), np.uint8), np.zeros((4, 4)), caption="")
    with pytest.raises(ValueError, match="heat must be a map"):
        triptych(grey(5, 5), np.zeros(4), caption="")
    with pytest.raises(ValueError, match="limit must be positive"):
        triptych(grey(5, 5), np.zeros((4, 4)), caption="", limit=0)


def test_a_long_caption_is_cut_and_the_caption_matters() -> None:
    original, heat = grey(256, 256), np.zeros((4, 4))
    short, long = (triptych(original, heat, caption=text) for text in ("p = 0.93", "p = 0.93 " * 100))
    assert short.shape == long.shape
    assert not np.array_equal(short, long)
