import json

import pytest

from murace import config
from murace.config import CalibrateConfig, FinetuneConfig, Machine, PrepareConfig, Recipe, SampleConfig, TrainConfig
from murace.errors import UsageError
from murace.vocabulary import Metric


def test_the_defaults_are_the_papers() -> None:
    recipe = TrainConfig(learner="resnet").recipe
    assert (recipe.epochs, recipe.lr, recipe.patience, recipe.monitor) == (100, 0.001, 10, "auc")
    assert [config.batch_size(name, None) for name in ("convnet", "resnet", "densenet")] == [32, 32, 16]
    member = FinetuneConfig().recipe
    assert (member.epochs, member.lr, member.patience) == (30, 1e-4, 5)
    assert CalibrateConfig().metrics == (Metric.AUC, Metric.ACCURACY, Metric.KAPPA)
    assert PrepareConfig().size == 256


def test_a_training_configuration_survives_json() -> None:
    before = TrainConfig(learner="convnet", width=0.3, head="fc", recipe=Recipe(lr=0.1 + 0.2, seed=2**63 - 1))
    values = json.loads(json.dumps(config.params(before)))
    own = {name: values[name] for name in ("learner", "width", "head")}
    assert TrainConfig(**own, recipe=config.recipe_from(values)) == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrainConfig(learner="resnot"), "did you mean 'resnet'"),
        (lambda: TrainConfig(learner="resnet", head="fc"), "convnet's alone"),
        (lambda: TrainConfig(learner="resnet", width=0), "--width"),
        (lambda: Recipe(epochs=0), "--epochs must be at least 1"),
        (lambda: Recipe(lr=float("nan")), "--lr must be a positive number"),
        (lambda: Recipe(batch_size=1), "--batch-size must be at least 2"),
        (lambda: Recipe(patience=0), "--patience"),
        (lambda: Recipe(precision="fp16"), "--precision"),
        (lambda: Recipe(monitor="aux"), "did you mean 'auc'"),
        (lambda: Recipe(seed=-1), "--seed"),
        (lambda: Recipe(seed=2**63), "--seed"),
        (lambda: PrepareConfig(size=7), "--size"),
        (lambda: PrepareConfig(fit="crop"), "--fit"),
        (lambda: CalibrateConfig(metrics=()), "names no metric"),
        (lambda: CalibrateConfig(metrics=("acc", "accuracy")), "twice"),
        (lambda: CalibrateConfig(level="patient"), "--level"),
        (lambda: SampleConfig(studies=1), "--studies"),
        (lambda: Machine(threads=0), "--threads"),
        (lambda: Machine(threads=2000), r"--threads 2000 on \d+ cores"),
        (lambda: FinetuneConfig(batch_size=1), "--batch-size"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_the_command_line(make: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()  # type: ignore[operator]
