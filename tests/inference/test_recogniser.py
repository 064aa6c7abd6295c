"""The group recogniser: against the textbook, and what it promises of strangers, order, files and statements."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load, save
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from murace.errors import WorkspaceError
from murace.inference.recogniser.file import facts_of, group_model_from, load_group_model, save_group_model
from murace.inference.recogniser.fit import Labelled, chosen_learner, drawn, fit_group_model
from murace.inference.recogniser.look import fit_recogniser
from murace.inference.recogniser.model import GroupModel, Recognition, contradicts, judge
from murace.inference.recogniser.recognise import Recogniser, features_of, pooled
from murace.nets import create
from murace.nets.trained import TrainedNet
from murace.system.device import Place
from murace.system.progress import Reporter

SIZE, SHA = 64, "a" * 64
pytestmark = pytest.mark.kernels


def clouds(count: int = 60, *, seed: int = 0, features: int = 6, groups: int = 3, apart: float = 3.0) -> Labelled:
    """Gaussian groups with one covariance, `count` images each, two images a study."""
    centres = apart * np.random.default_rng(99).normal(size=(groups, features))
    mixing = np.random.default_rng(98).normal(size=(features, features))
    noise = np.random.default_rng(seed).normal(size=(groups, count, features)) @ mixing
    names = np.repeat([f"g{number}" for number in range(groups)], count)
    studies = np.array([f"{name}/{seed}/{number // 2}" for number, name in enumerate(names)])
    return Labelled((centres[:, None] + noise).reshape(-1, features), names, studies)


def model_of(training: Labelled, validation: Labelled) -> GroupModel:
    return fit_group_model(training, validation, learner="resnet", weights_sha256=SHA)


@pytest.fixture(scope="module")
def model() -> GroupModel:
    return model_of(clouds(), clouds(seed=1))


def seen(model: GroupModel, features: np.ndarray) -> Recognition:
    return judge(model, model.distances(features))


def test_the_shares_are_those_of_linear_discriminant_analysis() -> None:
    # The reference shrinks each class' covariance by itself; with many images neither shrinks to speak of.
    training, new = clouds(5000), clouds(5, seed=2, apart=2.9)
    model = replace(model_of(training, clouds(seed=1)), temperature=1.0)
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=None, priors=[1 / 3] * 3)
    reference.fit(training.features, training.groups)
    expected = reference.predict_proba(new.features)
    found = np.array([list(seen(model, row[None]).shares.values()) for row in new.features])
    assert expected.max(axis=1).min() < 0.99, "the reference must be unsure of some"
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_distances_and_shares_are_those_of_normal_densities(model: GroupModel) -> None:
    precision = model.whitening @ model.whitening.T
    features = clouds(4, seed=3).features
    densities = np.zeros((len(features), 3))
    for row, x in enumerate(features):
        for number, mean in enumerate(model.means):
            square = (x - mean) @ precision @ (x - mean)
            densities[row, number] = np.exp(-square / 2 / model.temperature)
            assert model.distances(x[None])[0, number] == pytest.approx(square)
    shares = densities / densities.sum(axis=1, keepdims=True)
    found = np.array([list(seen(model, x[None]).shares.values()) for x in features])
    np.testing.assert_allclose(found, shares, rtol=1e-8, atol=1e-12)


def test_the_covariance_is_that_within_the_groups() -> None:
    training = clouds(20_000)
    means = {name: training.features[training.groups == name].mean(axis=0) for name in np.unique(training.groups)}
    residuals = training.features - np.stack([means[name] for name in training.groups])
    model = model_of(training, clouds(seed=1))
    np.testing.assert_allclose(np.cov((residuals @ model.whitening).T, bias=True), np.eye(6), atol=0.03)


def test_known_groups_are_named_and_counted_by_image_and_by_study(model: GroupModel) -> None:
    new = clouds(200, seed=4)
    named = [seen(model, row[None]).group for row in new.features]
    refused = np.mean([name is None for name in named])
    assert refused < 0.06
    assert np.mean([name in (None, truth) for name, truth in zip(named, new.groups, strict=True)]) > 0.98
    images, studies = model.accuracy["image"], model.accuracy["study"]
    assert (images["overall"].count, studies["overall"].count) == (180, 90)
    assert (images["g1"].count, studies["g1"].count) == (60, 30)
    own = [seen(model, row[None]) for row in clouds(seed=1).features]
    assert images["overall"].refused == sum(one.group is None for one in own)
    right = [one.likeliest == truth for one, truth in zip(own, clouds(seed=1).groups, strict=True)]
    assert images["overall"].right == sum(right)


def test_what_is_far_from_every_group_looks_like_none_however_sure_the_shares_are(model: GroupModel) -> None:
    far = seen(model, model.means[:1] + 40 * (model.means[:1] - model.means[1:2]))
    assert (far.group, far.is_typical) == (None, False)
    assert far.confidence > 0.99


def test_below_the_set_confidence_nothing_is_named(model: GroupModel) -> None:
    wide = replace(model, distance_limit=1e9)
    between = seen(wide, model.means[:2].mean(axis=0, keepdims=True))
    assert (between.group, between.is_typical) == (None, True)
    assert between.confidence == pytest.approx(0.5, abs=0.01)
    assert seen(replace(wide, confidence=0.4), model.means[:2].mean(axis=0, keepdims=True)).group is not None


def test_features_that_are_not_finite_look_like_nothing(model: GroupModel) -> None:
    found = seen(model, np.full((2, 6), np.nan))
    assert (found.group, found.is_typical) == (None, False)
    assert found.confidence == pytest.approx(1 / 3)


def test_the_views_of_a_study_are_averaged_not_added(model: GroupModel) -> None:
    one = seen(model, clouds(seed=5).features[:1])
    same = seen(model, np.repeat(clouds(seed=5).features[:1], 4, axis=0))
    assert same.shares == pytest.approx(one.shares)
    views = clouds(seed=5).features[[0, 70, 75]]
    mean = seen(model, views.mean(axis=0, keepdims=True))
    assert seen(model, views).shares == pytest.approx(mean.shares, abs=1e-9)
    stranger = model.means[:1] + 100 * (model.means[:1] - model.means[1:2])
    mirrored = 2 * model.means[:1] - stranger  # their mean is the group's own mean
    assert not seen(model, np.concatenate([stranger, mirrored])).is_typical


def test_overconfident_shares_are_cooled_and_sure_ones_left() -> None:
    training, validation = clouds(12, features=20, apart=0.7), clouds(200, seed=1, features=20, apart=0.7)
    model = model_of(training, validation)
    assert model.temperature > 2
    new = clouds(400, seed=6, features=20, apart=0.7)

    def surprise(temperature: float) -> float:
        judged = [seen(replace(model, temperature=temperature), row[None]) for row in new.features]
        return -float(np.mean([np.log(one.shares[truth]) for one, truth in zip(judged, new.groups, strict=True)]))

    assert surprise(model.temperature) < surprise(1.0)
    assert model_of(clouds(apart=50), clouds(seed=1, apart=50)).temperature == 1.0


def test_the_limit_holds_for_few_validation_images_too() -> None:
    few = clouds(3, seed=1)
    model = model_of(clouds(), few)
    assert model.distance_limit == pytest.approx(2 * model.distances(few.features).min(axis=1).max())
    many = clouds(100, seed=1)
    nearest = np.sort(model.distances(many.features).min(axis=1))
    assert model_of(clouds(), many).distance_limit == pytest.approx(nearest[294], rel=1e-9)  # the 295th of 300


def test_a_group_without_validation_images_or_with_one_training_image_is_known_too() -> None:
    training, validation = clouds(), clouds(seed=1)
    keep = np.flatnonzero((training.groups != "g2") | (np.arange(180) == 150))
    training = Labelled(training.features[keep], training.groups[keep], training.studies[keep])
    kept = validation.groups != "g2"
    model = model_of(
        training, Labelled(*(part[kept] for part in (validation.features, validation.groups, validation.studies)))
    )
    assert model.accuracy["image"]["g2"].count == 0
    assert seen(model, model.means[2:]).group == "g2"
    alone = model_of(training, Labelled(np.empty((0, 6)), np.empty(0, dtype=str), np.empty(0, dtype=str)))
    assert seen(alone, alone.means[:1]).group == "g0"


def test_constant_features_do_no_harm() -> None:
    def padded(part: Labelled) -> Labelled:
        return replace(part, features=np.concatenate([part.features, np.zeros((180, 2))], axis=1))

    model, plain = model_of(padded(clouds()), padded(clouds(seed=1))), model_of(clouds(), clouds(seed=1))
    assert seen(model, model.means[:1]).group == "g0"
    assert model.accuracy["image"]["overall"].right == plain.accuracy["image"]["overall"].right


def recognition(**changes: object) -> Recognition:
    shares = {"elbow": 0.985, "wrist": 0.013, "hand": 0.002}
    known = {"group": "elbow", "likeliest": "elbow", "confidence": 0.985, "shares": shares, "is_typical": True}
    return Recognition(**{**known, **changes})


def test_only_a_clear_sight_of_another_group_contradicts() -> None:
    assert contradicts(recognition(), "hand")
    assert not contradicts(recognition(), "elbow")
    assert not contradicts(recognition(), "wrist")  # it has a share of its own
    assert not contradicts(recognition(), "knee")  # nothing is known of it
    assert not contradicts(recognition(confidence=0.89), "hand")
    assert not contradicts(recognition(group=None, is_typical=False), "hand")


def images_of(count: int = 40, groups: tuple[str, ...] = ("hand", "wrist")) -> pd.DataFrame:
    rows = [(f"{group}/{n}/v.png", group, f"{group}/{n // 2}") for group in groups for n in range(count)]
    return pd.DataFrame(rows, columns=["path", "group", "study"]).reset_index(names="row")


def test_the_draw_depends_on_seed_and_study_alone() -> None:
    images = images_of()
    first = drawn(images, most=10, seed=3)
    assert list(first["row"]) == sorted(first["row"])
    assert first.groupby("group").size().to_dict() == {"hand": 10, "wrist": 10}
    assert (first.groupby("study").size() == 2).all()
    shuffled = drawn(images.sample(frac=1, random_state=1), most=10, seed=3)
    pd.testing.assert_frame_equal(first, shuffled)
    alone = drawn(images[images["group"] == "hand"], most=10, seed=3)
    assert list(alone["path"]) == list(first[first["group"] == "hand"]["path"])
    assert list(drawn(images, most=10, seed=4)["path"]) != list(first["path"])
    assert len(drawn(images, most=1000, seed=3)) == len(images)


def test_the_learner_is_chosen_by_a_fixed_preference() -> None:
    assert chosen_learner(["convnet", "resnet", "densenet"]) == "resnet"
    assert chosen_learner(["convnet", "densenet"]) == "densenet"
    assert chosen_learner(["convnet"]) == "convnet"


def member_of(learner: str = "resnet", head: str = "gap", size: int = SIZE) -> TrainedNet:
    def load_net() -> torch.nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return create(learner, width=0.1, head=head, size=size).eval()

    return TrainedNet(learner, load_net, SHA, Place(torch.device("cpu"), "fp32"), size, "squash", head)


def pictures(seed: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    """Two groups: horizontal and vertical stripes of many widths and brightnesses; training and validation."""
    generator = np.random.default_rng(seed)
    rows, index = [], []
    for split, count in (("train", 150), ("validation", 60)):
        for number in range(2 * count):
            wave = 1 + np.sin(np.arange(SIZE) * generator.uniform(0.3, 0.6) + generator.uniform(0, 6))
            picture = np.broadcast_to(wave * generator.uniform(40, 90) + generator.uniform(0, 40), (SIZE, SIZE))
            rows.append((picture if number % 2 else picture.T) + generator.uniform(0, 20, (SIZE, SIZE)))
            group = "upright" if number % 2 else "lying"
            index.append((f"{split}/{number}.png", split, group, f"{split}/{number}"))
    frame = pd.DataFrame(index, columns=["path", "split", "group", "study"]).reset_index(names="row")
    return np.stack(rows).clip(0, 255).astype(np.uint8), frame


def recogniser_of(member: TrainedNet) -> Recogniser:
    pixels, index = pictures()
    return Recogniser(fit_recogniser(member, pixels, index, seed=0, reporter=Reporter()), member)


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return recogniser_of(member_of())


def test_pictures_are_recognised_and_strangers_refused(recogniser: Recogniser) -> None:
    pixels, index = pictures(seed=7)
    net = recogniser.trained.net()
    features = recogniser.features(net, pixels)
    found = [recogniser.recognise(row[None]).group for row in features]
    assert np.mean([name == group for name, group in zip(found, index["group"], strict=True)]) > 0.9
    noise = 255 * np.random.default_rng(0).integers(0, 2, (SIZE, SIZE), dtype=np.uint8)
    strangers = np.stack([noise, np.zeros_like(noise)])
    for row in recogniser.features(net, strangers):
        assert recogniser.recognise(row[None]).group is None


@pytest.mark.usefixtures("float64")
def test_order_and_batch_size_do_not_matter() -> None:
    recogniser = recogniser_of(member_of())
    pixels, _ = pictures(seed=7)
    net = recogniser.trained.net()
    together = recogniser.features(net, pixels[:40])
    order = np.random.default_rng(1).permutation(40)
    alone = np.concatenate([recogniser.features(net, pixels[row : row + 1]) for row in range(40)])
    for found, expected in ((recogniser.features(net, pixels[:40][order]), together[order]), (alone, together)):
        # in float32 batches of 1 and of 40 made up to 1e-4 of a difference, with other kernels another; here 2e-15
        np.testing.assert_allclose(found**2, expected**2, rtol=0, atol=1e-9)
        distances = recogniser.model.distances(expected)
        np.testing.assert_allclose(recogniser.model.distances(found), distances, rtol=1e-9)
        for row, same in zip(found, expected, strict=True):
            shares = recogniser.recognise(same[None]).shares
            assert recogniser.recognise(row[None]).shares == pytest.approx(shares, rel=0, abs=1e-9)
    one, other = recogniser.recognise(together), recogniser.recognise(alone[order])
    assert one.shares == pytest.approx(other.shares, rel=0, abs=1e-9)


@pytest.mark.parametrize(
    ("learner", "head"), [("convnet", "gap"), ("convnet", "fc"), ("resnet", "gap"), ("densenet", "gap")]
)
def test_every_size_of_map_is_pooled_and_the_net_left_as_it_was(learner: str, head: str) -> None:
    member = member_of(learner, head, size=128)
    net = member.net()
    images = torch.rand((2, 1, 128, 128), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        sizes: dict[int, torch.Tensor] = {}
        hooks = [
            module.register_forward_hook(lambda _m, _i, out: sizes.__setitem__(out.shape[-1], out.detach().clone()))
            for module in net.modules()
            if not list(module.children())
        ]
        last = net.features(images)
        for hook in hooks:
            hook.remove()
        found = pooled(net, images)
    means = {size: maps.double().mean(dim=(2, 3)) for size, maps in sizes.items()}
    means[last.shape[-1]] = last.double().mean(dim=(2, 3))
    expected = torch.cat([means[size] for size in sorted(means, reverse=True)], dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert len(means) >= 5
    assert not any(module._forward_hooks for module in net.modules())
    assert features_of(member, net, np.zeros((3, 128, 128), np.uint8)).shape == (3, expected.shape[1])


def test_a_recogniser_of_other_weights_is_refused(recogniser: Recogniser) -> None:
    with pytest.raises(WorkspaceError, match=r"other weights of resnet. Run: murace calibrate --fresh"):
        Recogniser(replace(recogniser.model, weights_sha256="b" * 64), recogniser.trained)
    narrow = replace(recogniser.model, means=recogniser.model.means[:, :5], whitening=np.eye(5))
    with pytest.raises(WorkspaceError, match="does not fit the features of resnet"):
        Recogniser(narrow, recogniser.trained).features(recogniser.trained.net(), pictures()[0][:1])


def test_the_file_gives_back_the_very_model_and_always_the_same_bytes(tmp_path: Path, model: GroupModel) -> None:
    path = tmp_path / "recogniser.safetensors"
    save_group_model(path, model)
    data = path.read_bytes()
    for back in (load_group_model(path), group_model_from(data)):
        assert np.array_equal(back.means, model.means)
        assert np.array_equal(back.whitening, model.whitening)
        assert facts_of(back) == facts_of(model)
        assert back.accuracy == model.accuracy
    save_group_model(path, load_group_model(path))
    assert path.read_bytes() == data
    again = model_of(clouds(), clouds(seed=1))
    save_group_model(path, again)
    assert path.read_bytes() == data


def spoilt(data: bytes, tensors: dict[str, np.ndarray] | None = None, **facts: object) -> bytes:
    """The file with other tensors or facts."""
    length = int.from_bytes(data[:8], "little")
    before = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["murace"])
    return save({**load(data), **(tensors or {})}, metadata={"murace": json.dumps({**before, **facts})})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: data[:-9], "InvalidSafetensor|Invalid|incomplete|cover"),
        (lambda data: b"", "does not hold"),
        (lambda data: b"\xff" * 40, "header is too long"),
        (lambda data: save({"weight": np.zeros(3)}), "does not hold"),
        (lambda data: spoilt(data, {"means": np.full((3, 6), np.nan)}), "not finite"),
        (lambda data: spoilt(data, {"means": np.zeros((3, 5))}), "do not fit"),
        (lambda data: spoilt(data, {"means": np.zeros((2, 6))}), "do not fit"),
        (lambda data: spoilt(data, {"means": np.zeros((3, 6), np.float32)}), "another form"),
        (lambda data: spoilt(data, {"extra": np.zeros(2)}), "other arrays"),
        (lambda data: spoilt(data, groups=["g0", "g2", "g1"]), "sorted"),
        (lambda data: spoilt(data, groups=["g0", "g1", "../x"]), "sorted|possible name"),
        (lambda data: spoilt(data, learner="vgg"), "no learner"),
        (lambda data: spoilt(data, weights_sha256=None), "no weights"),
        (lambda data: spoilt(data, distance_limit=float("inf")), "Infinity is no number"),
        (lambda data: spoilt(data, distance_limit=-1.0), "limit makes no sense"),
        (lambda data: spoilt(data, temperature=0.0), "limit makes no sense"),
        (lambda data: spoilt(data, confidence=2.0), "confidence makes no sense"),
        (lambda data: spoilt(data, accuracy={"image": {}}), "other levels"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_with_the_mend(
    tmp_path: Path, model: GroupModel, change: object, why: str
) -> None:
    path = tmp_path / "recogniser.safetensors"
    save_group_model(path, model)
    data = change(path.read_bytes())
    path.write_bytes(data)
    with pytest.raises(
        WorkspaceError, match=rf"{path} does not hold a group recogniser \(.*\). Run: murace calibrate --fresh"
    ):
        load_group_model(path)
    with pytest.raises(ValueError, match=why):
        group_model_from(data)


def test_a_missing_file_is_refused_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"cannot be read .*Run: murace calibrate --fresh"):
        load_group_model(tmp_path / "none.safetensors")


def test_one_group_alone_cannot_be_told_from_others() -> None:
    one = clouds(groups=1)
    with pytest.raises(ValueError, match="two groups"):
        model_of(one, one)
