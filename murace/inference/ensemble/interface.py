"""What an ensemble offers, wherever it comes from."""

from typing import Protocol

from murace.inference.operating_points import Readout
from murace.inference.recogniser.recognise import Recogniser
from murace.nets.trained import TrainedNet

SYNTHETIC = "The ensemble was trained on synthetic pictures (drawings): what it says of radiographs means nothing."
NO_PATIENTS = (
    "The data that the ensemble was made from name no patients: no patient-level split was possible, and what is known "
    "of its performance may be too good."
)


def caveats(*, synthetic: bool, patient_level: bool) -> tuple[str, ...]:
    """What a reader of a prediction must know of the data behind the ensemble."""
    return (*((SYNTHETIC,) if synthetic else ()), *(() if patient_level else (NO_PATIENTS,)))


class Ensemble(Protocol):
    """The specialised ensemble, for whoever has new studies. Parts are checked when they are asked for."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that it knows, sorted."""

    @property
    def identity(self) -> str:
        """A digest of everything that shapes the answers.

        Raises:
            WorkspaceError: a part is missing, stale or damaged.
        """

    @property
    def caveats(self) -> tuple[str, ...]:
        """What whoever reads its answers must know of the data behind them."""

    def member(self, group: str) -> TrainedNet:
        """The net that is specialised for that group.

        Raises:
            WorkspaceError: its weights are missing, stale or damaged.
        """

    def readout(self) -> Readout:
        """The calibrated ensemble's temperatures and operating points.

        Raises:
            WorkspaceError: they are missing or belong to other weights.
        """

    def recogniser(self) -> Recogniser | None:
        """What tells the groups apart; None where there is one group.

        Raises:
            WorkspaceError: it is missing, stale or damaged.
        """
