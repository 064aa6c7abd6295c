"""The settings of every step and their defaults: frozen, validated on creation in the words of the command line.

Only what changes a result stands here; where a step runs (device, threads, processes) is `Machine` and never makes a
step stale. Defaults live here and nowhere else.
"""

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from murace.errors import UsageError
from murace.vocabulary import LEARNERS, METRIC_ALIASES, POINTS, Level, Metric, closest

FITS = ("squash", "pad")
LEAKS = REFUSE, _, DROP_TEST = ("refuse", "drop-train", "drop-test")
HEADS = ("gap", "fc")
PRECISIONS = ("auto", "fp32", "bf16")
SWITCH = ("auto", "on", "off")  # of --compile and --graph
AUTO = "auto"
BATCH_SIZES = {"convnet": 32, "resnet": 32, "densenet": 16}
VALIDATION_FRACTION = 0.127  # the paper's 4,680 of 36,808
TEST_FRACTION = 0.15  # for a manifest without a split of its own
MAX_REJECTED_FRACTION = 0.01
MOST_THREADS, THREADS_PER_CORE = 64, 4  # more only cost time, and beyond some thousand OpenMP ends the process
MAX_SEED = 2**63 - 1
MAX_RESAMPLES = 100_000
RECOGNISER_IMAGES = 500  # of a group, from training, and half as many from validation: enough, and minutes on a CPU

DERIVED = ("learner", "groups")  # settings in a record that no option sets
# Settings that older records lack. At these values they are in no record, so that none of those becomes outdated.
ADDED: dict[str, Any] = {"leaks": REFUSE, "follow_links": False}
OPTIONS = {"metrics": "val-metrics"}  # settings whose option has another name


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where a step runs. Never part of a record's parameters."""

    gpu: str | None = None
    threads: int | None = None
    compile: str = "auto"
    graph: str = "auto"
    side_by_side: str = AUTO

    def __post_init__(self) -> None:
        if self.threads is not None:
            _at_least("--threads", self.threads, 1)
            cores = os.cpu_count() or 1
            if self.threads > max(MOST_THREADS, THREADS_PER_CORE * cores):
                raise UsageError(
                    f"--threads {self.threads} on {cores} cores: give as many as there are cores, or fewer"
                )
        _one_of("--compile", self.compile, SWITCH)
        _one_of("--graph", self.graph, SWITCH)
        asked = self.side_by_side
        if asked != AUTO and not (asked.isascii() and asked.isdecimal() and len(asked) < 6 and int(asked)):
            raise UsageError(f"--side-by-side takes auto or a number of trainings, at least 1; not '{asked}'")
        if self.gpu not in (None, "cpu"):
            words = str(self.gpu).split(",")
            if not all(word.isascii() and word.isdecimal() for word in words):
                raise UsageError(f"--gpu takes numbers of GPUs, separated by commas, or cpu; not '{self.gpu}'")
            if len({int(word) for word in words}) < len(words):
                raise UsageError(f"--gpu names a GPU twice: {self.gpu}")
        if self.graph == "on" and (self.gpu == "cpu" or len(self.gpus) > 1):
            raise UsageError(f"--graph on is for one GPU, not for --gpu {self.gpu}: leave it out")

    @property
    def runs_side_by_side(self) -> bool:
        """Whether a number of trainings at once was asked for: the threads of each follow from it."""
        return self.side_by_side not in (AUTO, "1")

    @property
    def gpus(self) -> tuple[int, ...]:
        """The numbers that `--gpu` names; none where it is absent or cpu."""
        return () if self.gpu in (None, "cpu") else tuple(int(word) for word in str(self.gpu).split(","))


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """How radiographs become `pixels.npy`."""

    size: int = 256
    fit: str = "squash"
    seed: int = 0
    leaks: str = ADDED["leaks"]
    follow_links: bool = ADDED["follow_links"]

    def __post_init__(self) -> None:
        _one_of("--leaks", self.leaks, LEAKS)
        _at_least("--size", self.size, 8)
        if self.size > 4096:
            raise UsageError(f"--size must be at most 4096, not {self.size}")
        _one_of("--fit", self.fit, FITS)
        _seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a net is fitted; `train` and `finetune` share it (paper, "Performance evaluation")."""

    epochs: int = 100
    lr: float = 0.001
    batch_size: int = 32
    patience: int = 10
    monitor: Metric = Metric.AUC
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least("--epochs", self.epochs, 1)
        _at_least("--batch-size", self.batch_size, 2)
        _at_least("--patience", self.patience, 1)
        _positive("--lr", self.lr)
        _one_of("--precision", self.precision, PRECISIONS)
        object.__setattr__(self, "monitor", metric(self.monitor))
        _seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One learner trained on all groups."""

    learner: str
    width: float = 1.0
    head: str = "gap"
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        _one_of("--arch", self.learner, LEARNERS)
        _one_of("--head", self.head, HEADS)
        _positive("--width", self.width)
        if self.head == "fc" and self.learner != "convnet":
            raise UsageError(f"--head fc is convnet's alone (the paper's Table 4); {self.learner} has the gap head")


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """How each group's member is specialised; width, head and size come from its learner's record."""

    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=30, lr=1e-4, patience=5))
    batch_size: int | None = None  # None: each learner's own

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            _at_least("--batch-size", self.batch_size, 2)

    def recipe_for(self, learner: str) -> Recipe:
        """The recipe with the batch size for this learner."""
        return replace(self.recipe, batch_size=batch_size(learner, self.batch_size))


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How many times the patients are drawn anew, and from which seed."""

    resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least("--resamples", self.resamples, 100)
        if self.resamples > MAX_RESAMPLES:
            raise UsageError(f"--resamples must be at most {MAX_RESAMPLES:,}, not {self.resamples:,}")
        _seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """How sure the scores are, and in which slices they are looked at besides the groups."""

    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    slice: tuple[str, ...] = ()  # named like the option, for the record

    def __post_init__(self) -> None:
        if len(set(self.slice)) < len(self.slice):
            raise UsageError(f"--slice names a column twice: {', '.join(self.slice)}")


@dataclass(frozen=True, kw_only=True)
class CalibrateConfig:
    """Which validation scores vote, and about what; and how the stability of the choice is measured."""

    metrics: tuple[Metric, ...] = (Metric.AUC, Metric.ACCURACY, Metric.KAPPA)
    level: Level = Level.STUDY
    bootstrap: Bootstrap = field(default_factory=Bootstrap)

    def __post_init__(self) -> None:
        metrics = tuple(metric(name) for name in self.metrics)
        if not metrics:
            raise UsageError("--val-metrics names no metric; for example: --val-metrics auc,acc,kappa")
        if len(set(metrics)) < len(metrics):
            raise UsageError(f"--val-metrics names a metric twice: {', '.join(metrics)}")
        object.__setattr__(self, "metrics", metrics)
        _one_of("--level", self.level, tuple(Level))
        object.__setattr__(self, "level", Level(self.level))


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """What new studies are decided by, and which group they have where nothing else names one."""

    operating_point: str = POINTS[0]
    group: str | None = None
    each_file: bool = False
    show_ids: bool = False

    def __post_init__(self) -> None:
        _one_of("--operating-point", self.operating_point, POINTS)


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """How many synthetic studies are drawn."""

    studies: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least("--studies", self.studies, 10)
        _seed(self.seed)


Config = PrepareConfig | TrainConfig | CalibrateConfig | EvaluateConfig | PredictConfig | Recipe


def metric(name: str) -> Metric:
    """The metric of that name; `acc` is accuracy.

    Raises:
        UsageError: there is no such metric.
    """
    wanted = name.strip().lower()
    try:
        return METRIC_ALIASES.get(wanted) or Metric(wanted)
    except ValueError:
        raise UsageError(f"unknown metric '{name}'{closest(wanted, [*Metric, *METRIC_ALIASES])}") from None


def batch_size(learner: str, given: int | None) -> int:
    """The batch size asked for, else the paper's for this learner (Table 2)."""
    return BATCH_SIZES.get(learner, 32) if given is None else given


def params(config: Config) -> dict[str, Any]:
    """The configuration as a flat JSON object: what a record keeps and compares."""
    flat: dict[str, Any] = {}
    for key, value in asdict(config).items():
        if isinstance(value, Mapping):
            flat.update(value)
        else:
            flat[key] = list(value) if isinstance(value, tuple) else value
    return {key: value for key, value in flat.items() if key not in ADDED or value != ADDED[key]}


def option_of(setting: str) -> str:
    """The option that sets this key of `params`; the key itself where there is none."""
    return setting if setting in DERIVED else f"--{OPTIONS.get(setting, setting).replace('_', '-')}"


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In words, which settings (keys and values of `params`) differ: `--lr 0.001 -> 0.01`."""
    before, now = {**ADDED, **before}, {**ADDED, **now}
    return [
        f"{option_of(key)} {_spelled(before.get(key))} -> {_spelled(now.get(key))}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]


def _spelled(value: Any) -> str:
    """A setting as it is typed."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def recipe_from(values: Mapping[str, Any]) -> Recipe:
    """The recipe inside a record's parameters."""
    return Recipe(**{item.name: values[item.name] for item in fields(Recipe)})


def _at_least(flag: str, value: int, least: int) -> None:
    if value < least:
        raise UsageError(f"{flag} must be at least {least}, not {value}")


def _positive(flag: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{flag} must be a positive number, not {value}")


def _one_of(flag: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise UsageError(f"{flag}: unknown value '{value}'{closest(value, known)}")


def _seed(value: int) -> None:
    if not 0 <= value <= MAX_SEED:
        raise UsageError(f"--seed must be between 0 and 2^63 - 1, not {value}")
