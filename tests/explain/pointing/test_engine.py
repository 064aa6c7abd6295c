"""Whether the check tells a net that looks at the finding from one that does not, on pictures with a bright square."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from murace.config import Bootstrap
from murace.data.tables.boxes import NUMBERS, match, read_boxes
from murace.errors import Interrupted, UsageError
from murace.explain.cam import MapMethod
from murace.explain.pointing import CENTRE, CHANCE, COLUMNS, RANDOM, BoxedImage, Checked, boxed_images, check
from murace.nets import Learner
from murace.nets.trained import TrainedNet
from murace.system.device import Place
from murace.system.files import sha256
from murace.system.opencv import cv2
from murace.system.progress import Bar, Reporter

pytestmark = pytest.mark.kernels
FEW = Bootstrap(resamples=100)


class Bright(Learner):
    """Log-odds are the mean over cells of the brightness of each, less a bias; `blind` ones answer the same always."""

    def __init__(self, *, gain: float = 8.0) -> None:
        super().__init__()
        self.trunk = nn.Conv2d(1, 1, 8, stride=8, bias=False)
        self.head = nn.Linear(1, 2)
        with torch.no_grad():
            self.trunk.weight.fill_(1 / 64)
            self.head.weight.copy_(torch.tensor([[0.0], [gain]]))
            self.head.bias.zero_()

    def features(self, x: Tensor) -> Tensor:
        return self.trunk(x)


def member(net: Learner | None = None, *, fit: str = "squash", head: str = "gap") -> TrainedNet:
    place = Place(torch.device("cpu"), "fp32")
    return TrainedNet(learner="x", load=lambda: net or Bright(), sha256="", place=place, size=64, fit=fit, head=head)


def drawn(folder: Path, *, count: int = 12, shape: tuple[int, int] = (128, 96)) -> Path:
    """Pictures with a bright square off the centre, and the csv of its boxes; every third patient has two."""
    generator, rows = np.random.default_rng(0), [",".join(["path", *NUMBERS])]
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture = generator.integers(0, 60, shape, dtype=np.uint8)
        x = int(generator.choice([4, shape[1] - 28]))
        y = int(generator.choice([4, shape[0] - 28]))
        picture[y : y + 24, x : x + 24] = 255
        cv2.imwrite(str(folder / f"{number:02}.png"), picture)
        rows.append(f"{number:02}.png,{x},{y},24,24")
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
    return folder / "boxes.csv"


def found(csv: Path) -> list[BoxedImage]:
    boxes = read_boxes(csv)
    names = sorted(set(boxes["path"]))
    index = pd.DataFrame(
        {
            "path": names,
            "split": "test",
            "group": ["elbow" if number % 2 else "wrist" for number in range(len(names))],
            "patient": [f"p{number // 2}" for number in range(len(names))],
            "sha256": [sha256(csv.parent / name) for name in names],
        }
    )
    return boxed_images(match(boxes, index).boxes, csv.parent)


def run(
    csv: Path, one: TrainedNet | None = None, *, map_method: MapMethod | None = None, reporter: Reporter | None = None
) -> Checked:
    one = one or member()
    members = {"elbow": one, "wrist": one}
    return check(
        found(csv),
        members,
        map_method=map_method or MapMethod(),
        bootstrap=FEW,
        threads=2,
        reporter=reporter or Reporter(),
    )


def value(done: Checked, source: str, metric: str, group: str = "overall") -> float:
    table = done.table
    rows = table[(table["source"] == source) & (table["metric"] == metric) & (table["group"] == group)]
    assert len(rows) == 1
    return float(rows["value"].iloc[0])


@pytest.mark.parametrize(
    "map_method",
    [MapMethod("cam", (1,)), MapMethod("cam", (1, 2)), MapMethod("gradcam", (1,)), MapMethod("gradcam++", (1, 2))],
)
@pytest.mark.parametrize("fit", ["squash", "pad"])
def test_a_net_that_looks_at_the_finding_points_at_it(tmp_path: Path, map_method: MapMethod, fit: str) -> None:
    done = run(drawn(tmp_path), member(fit=fit), map_method=map_method)
    assert value(done, map_method.name, "pointing") == 1
    assert value(done, map_method.name, "pointing without margin") == 1
    assert value(done, map_method.name, "iou") > 0.6
    assert value(done, CENTRE, "pointing") == 0
    assert value(done, CHANCE, "pointing") < 0.3
    assert value(done, map_method.name, "energy") > value(done, CENTRE, "energy")
    assert done.bad == []
    assert done.flawed == {}


def test_every_source_metric_and_group_is_a_row_with_its_interval(tmp_path: Path) -> None:
    done = run(drawn(tmp_path))
    table = done.table
    assert list(table.columns) == COLUMNS
    assert len(table) == 3 * (3 * 4 + 2)  # overall and two groups; chance is of pointing alone
    assert set(table["source"]) == {"cam 1x+2x", CENTRE, RANDOM, CHANCE}
    assert table.loc[table["group"] == "overall", "images"].eq(12).all()
    assert table.loc[table["group"] == "wrist", "images"].eq(6).all()
    assert (table["low"] <= table["value"] + 1e-12).all()
    assert (table["value"] <= table["high"] + 1e-12).all()
    random = table[(table["source"] == RANDOM) & (table["metric"] == "energy")]
    assert (random["low"] < random["high"]).all()


def test_overall_is_the_mean_over_images(tmp_path: Path) -> None:
    done = run(drawn(tmp_path, count=5))  # three of one group, two of the other
    for metric in ("pointing", "energy", "iou"):
        each = [value(done, RANDOM, metric, group) for group in ("wrist", "elbow")]
        assert value(done, RANDOM, metric) == pytest.approx((3 * each[0] + 2 * each[1]) / 5)


def test_the_same_seed_gives_the_same_table_and_another_another_random_net(tmp_path: Path) -> None:
    csv = drawn(tmp_path)
    first = run(csv)
    pd.testing.assert_frame_equal(first.table, run(csv).table)
    other = check(
        found(csv),
        dict.fromkeys(("elbow", "wrist"), member()),
        bootstrap=Bootstrap(resamples=100, seed=1),
        threads=1,
        reporter=Reporter(),
    )
    assert value(other, "cam 1x+2x", "energy") == value(first, "cam 1x+2x", "energy")
    assert value(other, RANDOM, "energy") != value(first, RANDOM, "energy")


def test_images_that_are_no_good_are_named_and_the_others_measured(tmp_path: Path) -> None:
    csv = drawn(tmp_path)
    findings = found(csv)
    (tmp_path / "00.png").unlink()
    (tmp_path / "03.png").write_bytes(b"GIF89a")
    cv2.imwrite(str(tmp_path / "04.png"), np.zeros((128, 96), np.uint8))
    findings[5] = BoxedImage(tmp_path, "05.png", "elbow", "p2", np.array([[90.0, 0, 24, 24]]))
    done = check(findings, dict.fromkeys(("elbow", "wrist"), member()), bootstrap=FEW, threads=2, reporter=Reporter())
    assert [path for path, _ in sorted(done.bad)] == ["00.png", "03.png", "04.png", "05.png"]
    reasons = [reason for _, reason in sorted(done.bad)]
    assert "missing" in reasons[0]
    assert "a GIF" in reasons[1]
    assert "not the file that was prepared" in reasons[2]
    assert "a box reaches outside the picture of 96 x 128 pixels" in reasons[3]
    assert (done.table.loc[done.table["group"] == "overall", "images"] == 8).all()


def test_a_flat_map_points_blindly_and_a_broken_one_nowhere(tmp_path: Path) -> None:
    csv = drawn(tmp_path)
    flat = run(csv, member(Bright(gain=0.0)), map_method=MapMethod("cam", (1,)))
    assert flat.flawed == {"flat": 12}
    assert value(flat, "cam 1x", "pointing") == pytest.approx(value(flat, CHANCE, "pointing"), abs=0.05)
    broken = run(csv, member(Bright(gain=float("nan"))), map_method=MapMethod("cam", (1,)))
    assert broken.flawed == {"not finite": 12}
    for metric in ("pointing", "energy", "iou"):
        assert value(broken, "cam 1x", metric) == 0


def test_a_head_without_such_maps_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no class activation map.*the member for elbow"):
        run(drawn(tmp_path), member(head="fc"))


def test_a_group_without_a_member_and_an_empty_list_are_no_crash(tmp_path: Path) -> None:
    findings = found(drawn(tmp_path, count=4))
    done = check(findings, {"wrist": member()}, bootstrap=FEW, threads=1, reporter=Reporter())
    assert sorted(done.bad) == [(f"0{number}.png", "no member for group 'elbow'") for number in (1, 3)]
    assert set(done.table["group"]) == {"overall", "wrist"}
    none = check(findings, {}, bootstrap=FEW, threads=1, reporter=Reporter())
    assert list(none.table.columns) == COLUMNS
    assert none.table.empty


class Interrupting(Reporter):
    @contextmanager
    def bar(self, title: str, total: int, *, start: int = 0, lines: bool = False) -> Iterator[Bar]:
        self.signum = signal.SIGINT
        yield Bar()


def test_a_signal_ends_it(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(drawn(tmp_path), reporter=Interrupting())
