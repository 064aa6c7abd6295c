"""How long the whole paper takes, from measured epochs of real size."""

from collections.abc import Mapping
from dataclasses import dataclass

EPOCHS, TUNING_EPOCHS = 100, 30
GROUPS = 7
PARTS = (
    "3 x 100 epochs of training and validation, 7 x 30 of fine-tuning at the slowest net's speed (the groups' shares "
    "are one training set together), evaluation, warming up and capture; not start-up and copying the images"
)


@dataclass(frozen=True)
class Epoch:
    """Seconds of a net: an epoch's training, its validation, what the first one takes more, a pass over the test."""

    train: float
    validation: float
    first: float
    test: float

    @property
    def seconds(self) -> float:
        """A whole epoch."""
        return self.train + self.validation


def minutes(nets: Mapping[str, Epoch]) -> float:
    """The whole paper. Every net and every member once over the test images."""
    slowest = max(nets.values(), key=lambda epoch: epoch.seconds)
    training = sum(EPOCHS * epoch.seconds + epoch.first for epoch in nets.values())
    tuning = TUNING_EPOCHS * slowest.seconds + GROUPS * slowest.first
    testing = sum(epoch.test for epoch in nets.values()) + slowest.test
    return (training + tuning + testing) / 60
