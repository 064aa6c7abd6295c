"""What a GPU could do at best: the work of a training step for an image at 256 pixels, over the measured rates."""

from dataclasses import dataclass

# GFLOP, forward and backward, and MB of activations to and from memory where batch norm and ReLU are one pass (bf16).
WORK = {"convnet": (9.1, 112.0), "resnet": (43.4, 422.0), "densenet": (25.6, 744.0)}


@dataclass(frozen=True)
class Machine:
    """TFLOP/s of a bf16 matrix product and TB/s of a copy, both measured in this run."""

    matrix: float
    copy: float

    def limits(self, net: str) -> tuple[float, float]:
        """Images per second by arithmetic and by memory traffic."""
        gflop, megabytes = WORK[net]
        return self.matrix * 1e3 / gflop, self.copy * 1e6 / megabytes

    def limit(self, net: str) -> float:
        """The roofline: the lower one."""
        return min(self.limits(net))
