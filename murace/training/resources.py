"""Whether memory and disk suffice for a training, and which batch size would fit where memory does not.

On a CPU the need is estimated before the start: there memory is overcommitted, and a process that uses too much is
killed. A GPU refuses an allocation, and what does fit is found by trying.
"""

import gc
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from murace.data.loading.augment import augment
from murace.errors import MachineError
from murace.nets import Learner
from murace.system.device import Place
from murace.system.disk import require_space
from murace.system.failures import is_gpu_out_of_memory
from murace.system.processes import process_group
from murace.training.checkpoint import KEPT
from murace.training.loss import weighted_cross_entropy
from murace.training.state import Training, TrainingSetup

SMALL = 2**20  # bytes: records, history, predictions, and the headers of the tensors' files
MEND = "make room, or choose another --workspace or a smaller --width"

# Saved activations are most of it; gradients in flight take the rest. Measured on a CPU against the estimate
# without it: at 128 pixels resnet 25 of 26 and densenet 50 of 49 MiB an image in fp32, 8 of 13 and 20 of 25 in bf16; a
# narrow resnet at 64 pixels 2.6 of 1.7.
MARGIN = 1.3


def require_memory(shadow: Learner, setup: TrainingSetup, free: int | None) -> None:
    """Make sure that a step's batch will fit into `free` bytes of the CPU's memory; None is unknown.

    `shadow` is the net on the meta device, where tensors have a size and no content.

    Raises:
        MachineError: it will not; the message says what would.
    """
    if free is None or setup.place.device.type != "cpu":
        return
    processes, size = process_group(), setup.batch_size
    here = processes.local_size / processes.size  # this machine's share of each batch
    weights = weight_bytes(shadow)
    each = here * image_bytes(shadow, setup.images.pixels.shape[1], setup.place)
    need = processes.local_size * weights + each * size
    if need > free:
        fits = int((free - processes.local_size * weights) // each) // processes.size * processes.size
        way_out = f"--batch-size {fits} would fit" if fits >= 2 else "try smaller images or --width 0.5"
        raise MachineError(
            f"--batch-size {size} needs about {need / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free: {way_out}"
        )


def weight_bytes(shadow: Learner) -> int:
    """The bytes of the net's weights, their gradients and Adam's two moments."""
    return 4 * sum(parameter.nbytes for parameter in shadow.parameters())


def image_bytes(shadow: Learner, side: int, place: Place) -> float:
    """About how many bytes an image of `side` x `side` takes in a training step."""
    return MARGIN * _kept(shadow, side) / 2 * (0.5 if place.precision == "bf16" else 1)


@lru_cache(maxsize=16)  # a member of each group asks for the same net, and this takes a second
def _kept(shadow: Learner, side: int) -> int:
    """The bytes that autograd keeps of two images in fp32."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        shadow.train().features(torch.empty(2, 1, side, side, device="meta"))
    own = {parameter.untyped_storage()._cdata for parameter in shadow.parameters()}
    return sum(tensor.untyped_storage().nbytes() for key, tensor in kept.items() if key not in own)


def largest_batch(training: Training, setup: TrainingSetup) -> int | None:
    """The largest of B/2, B/4, ... images that go through a step on a GPU; None where not even two do.

    It changes the net's weights: call it only when the training is over.
    """
    training.optimizer.zero_grad(set_to_none=True)
    size = setup.batch_size // 2
    while size >= 2:
        gc.collect()
        torch.cuda.empty_cache()
        try:
            _try(training, setup, size)
        except RuntimeError as error:
            if not is_gpu_out_of_memory(error):
                raise
            training.optimizer.zero_grad(set_to_none=True)
            size //= 2
        else:
            return size
    return None


def _try(training: Training, setup: TrainingSetup, size: int) -> None:
    """Everything of a step that takes memory: forward, backward, and Adam's moments where there are none yet."""
    place, split = setup.place, setup.train
    rows, labels, weights = (
        torch.from_numpy(values[:size]).to(place.device) for values in (split.rows, split.labels, split.weights)
    )
    batch = augment(setup.images.gather(rows), rows, seed=0, epoch=1)
    with place.autocast():
        logits = training.net(batch.contiguous(memory_format=place.memory_format))
    weighted_cross_entropy(logits, labels, weights).backward()  # type: ignore[no-untyped-call]
    training.optimizer.step()


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
