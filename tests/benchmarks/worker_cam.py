"""Maps of a net with the gap head: ours from one forward pass, or Grad-CAM's by the grad-cam package.

A spec has `way` (murace or grad-cam), `net`, `width`, `size`, `batch` and `images` (of a round). Both ways ask the same
net about the same images in fp32, with the same threads, and enlarge their maps to the images' size. Ours has its
weights in the layout that `murace cam` gives them; grad-cam's are as torch made them.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

import murace.cli.app  # noqa: F401 - threads wait as in any command
from murace.config import Machine
from murace.explain.cam import activation_maps
from murace.explain.overlays.colours import upsample
from murace.nets import create
from murace.nets.learner import Learner
from murace.system.device import set_threads
from tests.benchmarks.serve import Spec, Work, serve

Maps = Callable[[Tensor], np.ndarray]
SEED = 0


def prepare(spec: Spec) -> tuple[Work, dict[str, object]]:
    """The net, the images, and for Grad-CAM how far its maps are from ours where theory says that they are equal."""
    threads = set_threads(Machine())
    torch.manual_seed(SEED)
    net = lively(create(spec["net"], width=spec["width"], size=spec["size"]), spec["size"])
    images = torch.rand(spec["batch"], 1, spec["size"], spec["size"])
    facts: dict[str, object] = {"threads": threads, "torch": torch.__version__}
    if spec["way"] == "murace":
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        draw: Maps = lambda batch: enlarged(net, batch)  # noqa: E731
    else:
        draw = grad_cam(net)
        facts["apart"] = apart(net, draw, images)

    def work() -> tuple[int, float]:
        began = time.perf_counter()
        passes = max(1, spec["images"] // spec["batch"])
        for _ in range(passes):
            draw(images)
        return passes * spec["batch"], time.perf_counter() - began

    return work, facts


def lively(net: Learner, size: int) -> Learner:
    """A net whose batch norms have seen something, so that nothing overflows, and whose maps are not all negative."""
    some = torch.rand(4, 1, size, size)
    with torch.no_grad():
        net.train()(some)
        maps, _ = activation_maps(net, some)
        if maps.mean() < 0:
            net.head.weight.neg_()  # type: ignore[union-attr, operator]
    return net.eval()


def enlarged(net: Learner, images: Tensor) -> np.ndarray:
    """Our maps in logits, [B, H, W]."""
    maps, _ = activation_maps(net, images)
    return np.stack([upsample(heat, images.shape[2:]) for heat in maps])


class Visible(nn.Module):
    """The net with its last feature map as the output of a module, where grad-cam can hook it."""

    def __init__(self, net: Learner) -> None:
        super().__init__()
        self.net, self.last = net, nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, 2]."""
        maps: Tensor = self.last(self.net.features(images))
        logits: Tensor = self.net.head(maps.mean(dim=(2, 3)))
        return logits


def log_odds(logits: Tensor) -> Tensor:
    """What the map is about."""
    return logits[1] - logits[0]


def grad_cam(net: Learner) -> Maps:
    """Grad-CAM's maps for the log-odds, each normalised to 0..1, [B, H, W]."""
    from pytorch_grad_cam import GradCAM

    visible = Visible(net)
    method = GradCAM(model=visible, target_layers=[visible.last])

    def draw(images: Tensor) -> np.ndarray:
        maps: np.ndarray = method(input_tensor=images, targets=[log_odds] * len(images))
        return maps

    return draw


def apart(net: Learner, draw: Maps, images: Tensor) -> float:
    """The largest difference of the two ways' maps.

    With a gap head the gradient of the log-odds by the feature map is (w1 - w0) / (H * W) everywhere, so that Grad-CAM
    before its ReLU is our map over the number of cells, and after ReLU and normalising the two are equal.
    """
    from pytorch_grad_cam.utils.image import scale_cam_image

    maps, _ = activation_maps(net, images)
    assert (maps.max(axis=(1, 2)) > 0).any(), "maps without a positive cell compare as nothing with nothing"
    ours = scale_cam_image(np.maximum(maps, 0), (images.shape[3], images.shape[2]))
    return float(np.abs(scale_cam_image(np.maximum(ours, 0)) - draw(images)).max())


if __name__ == "__main__":
    serve(prepare)
