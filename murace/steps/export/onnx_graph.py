"""Convert a net to ONNX, grey pixels in and a probability out, and run both on the same images to compare them."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from murace import __version__
from murace.errors import MachineError
from murace.nets.trained import Bytes, Floats
from murace.vocabulary import DISCLAIMER

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INPUT, OUTPUTS = "image", ("probability", "log_odds")
OPSET = 18  # of 2022: what torch's exporter writes natively, and every current runtime reads
AT_ONCE = 8


class _Graph(nn.Module):
    """Everything from decoded pixels to the probability; bytes as input, so that nobody can scale them twice."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [N, 1, size, size] to the abnormality probability and its log-odds, each [N]."""
        logits = self.net(image.float() / 255)
        log_odds = logits[:, 1] - logits[:, 0]
        return torch.sigmoid(log_odds), log_odds


def require_packages() -> None:
    """Make sure that the extra is installed.

    Raises:
        MachineError: it is not.
    """
    if not all(map(find_spec, PACKAGES)):
        raise MachineError('ONNX needs: pip install "murace[onnx]"')


def to_onnx(net: nn.Module, *, size: int) -> bytes:
    """Convert a net in evaluation mode, fp32 on the CPU; the same net gives the same bytes.

    Raises:
        MachineError: this version of torch's exporter cannot.
    """
    example = torch.zeros((2, 1, size, size), dtype=torch.uint8)
    with _silence():
        try:
            program = torch.onnx.export(
                _Graph(net).eval(),
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes={"image": {0: torch.export.Dim("views")}},
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
            assert program is not None, "the exporter was to return the graph"
            model = program.model_proto
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            raise MachineError(f"torch {torch.__version__} cannot write this net as ONNX ({first})") from error
    _tidy(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _tidy(model: Any) -> None:
    """Remove what depends on the machine (the exporter records lines of code for every node) or can be inferred."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")
    model.producer_name, model.producer_version = "murace", __version__
    model.doc_string = DISCLAIMER


def open_session(data: bytes) -> Any:
    """An ONNX model in onnxruntime on the CPU, checked for form first."""
    onnx, runtime = import_module("onnx"), import_module("onnxruntime")
    onnx.checker.check_model(data, full_check=True)
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def onnx_probabilities(session: Any, prepared: Bytes) -> Floats:
    """Probabilities float64 [V] by onnxruntime, of images uint8 [V, size, size]."""
    passes = [prepared[first : first + AT_ONCE, None] for first in range(0, len(prepared), AT_ONCE)]
    return np.concatenate([session.run(["probability"], {INPUT: images})[0] for images in passes]).astype(np.float64)


@torch.no_grad()
def torch_probabilities(net: nn.Module, images: Tensor) -> tuple[Floats]:
    """Probabilities float64 [B] by torch, of images float [B, 1, size, size] in 0..1."""
    logits = net(images).double()
    return (torch.sigmoid(logits[:, 1] - logits[:, 0]).cpu().numpy(),)


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress what the exporter prints, logs and warns: it is meant for torch's developers."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
