"""Configuration: what is born is valid, and comes back from a record as it was; everything else is a usage error."""

import json
import math

from hypothesis import strategies as st

from murace.config import FITS, Bootstrap, PrepareConfig, Recipe, TrainConfig, params, recipe_from
from murace.errors import UsageError
from tests.properties.size import holds, sizes

numbers = st.one_of(st.integers(-3, 300), st.integers(-(2**70), 2**70))
reals = st.one_of(st.floats(), st.floats(1e-9, 10))
words = st.one_of(st.sampled_from(["auto", "fp32", "bf16", "auc", "acc", "kappa", "gap", "fc"]), st.text(max_size=6))


@sizes()
def test_a_recipe_is_valid_or_is_refused(examples: int) -> None:
    born = []

    def law(epochs: int, lr: float, batch: int, monitor: str, precision: str, seed: int) -> None:
        try:
            recipe = Recipe(
                epochs=epochs, lr=lr, batch_size=batch, monitor=monitor, precision=precision, seed=seed  # type: ignore[arg-type]
            )  # fmt: skip
        except UsageError as error:
            assert "\n" not in str(error) or "\n" in monitor + precision  # noqa: PT017 - one of two outcomes
            return
        assert recipe.epochs >= 1
        assert recipe.batch_size >= 2
        assert 0 < recipe.lr < math.inf
        assert 0 <= recipe.seed < 2**63
        config = TrainConfig(learner="convnet", recipe=recipe)
        values = json.loads(json.dumps(params(config), allow_nan=False))
        assert values == params(config)
        assert recipe_from(values) == recipe
        born.append(recipe)

    valid = st.tuples(
        st.integers(1, 9), st.floats(1e-6, 1), st.integers(2, 9), st.just("acc"), st.just("fp32"), st.integers(0, 9)
    )
    anything = st.tuples(numbers, reals, numbers, words, words, numbers)
    holds(lambda given: law(*given), examples, valid | anything)
    assert born


@sizes()
def test_sizes_and_resamples_keep_within_their_limits(examples: int) -> None:
    def law(size: int, fit: str, resamples: int) -> None:
        for make in (lambda: PrepareConfig(size=size, fit=fit), lambda: Bootstrap(resamples=resamples)):
            try:
                made = make()
            except UsageError:
                continue
            if isinstance(made, PrepareConfig):
                assert 8 <= made.size <= 4096
                assert made.fit in FITS
            else:
                assert 100 <= made.resamples <= 100_000

    holds(law, examples, numbers, words | st.sampled_from(FITS), numbers)
