"""Room on the disk for what a training will save, asked for before it starts rather than missed after an epoch."""

from pathlib import Path

from murace.nets import Learner
from murace.system.disk import require_space
from murace.training.checkpoint import KEPT

SMALL = 2**20  # bytes: records, history, predictions, and the headers of the tensors' files
MEND = "make room, or choose another --workspace or a smaller --width"


def require_room(shadow: Learner, states: Path) -> None:
    """Make sure that the disk will hold what a training of that net saves, besides what stands in `states` already.

    Args:
        shadow: the net on the meta device, where tensors have a size and no content.
        states: the folder of its states; it need not be there yet.

    Raises:
        MachineError: it will not; the message says what is needed and what there is.
    """
    taken = sum(path.stat().st_size for path in states.glob("*.safetensors"))
    require_space(states.parent, training_bytes(shadow) - taken, "the checkpoints of this training", MEND)


def training_bytes(shadow: Learner) -> int:
    """The most bytes that a training of that net takes on the disk at any moment.

    Those are the states that are kept and the one that is being written, each with the best weights it refers to, and
    the weights that the step leaves. A state holds the weights and, of each that is trained, Adam's two moments.
    """
    weights: int = sum(tensor.nbytes for tensor in shadow.state_dict().values())
    moments: int = 2 * sum(parameter.nbytes for parameter in shadow.parameters() if parameter.requires_grad)
    return (KEPT + 1) * (weights + moments + weights) + weights + SMALL
