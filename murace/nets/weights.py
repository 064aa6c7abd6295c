"""Weights files (safetensors): writing, and the strict reading of nets and checkpoints, which loads no pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from murace.errors import UsageError, WorkspaceError
from murace.nets import create, outline
from murace.nets.learner import Learner
from murace.system.failures import refuse_machine_error
from murace.system.files import parse_json, write_bytes

MAX_HEADER = 4 * 2**20  # bytes that name the tensors; the longest of ours, a densenet's state, has 0.2 MiB
# What a weights file that is none of ours may raise on its way into a net.
ILL_FORMED = (LookupError, ValueError, TypeError, AttributeError, RuntimeError, ArithmeticError, OSError, UsageError)
METADATA = "murace"  # one key only: safetensors writes several in any order, and bytes must not depend on chance


def save_model(path: Path, weights: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write a net's weights, its `state_dict`, with the facts that rebuild it (learner, width, head, size)."""
    write_bytes(path, dump(weights, metadata={METADATA: json.dumps(facts, sort_keys=True)}))


def load_model(path: Path) -> Learner:
    """Rebuild a net from its weights file, strictly, in evaluation mode.

    Raises:
        WorkspaceError: the file is not what `save_model` writes.
    """
    try:
        data = path.read_bytes()
        return _understood(data, _facts(data))
    except ILL_FORMED as error:
        refuse_machine_error(error)
        raise WorkspaceError(
            f"{path} does not hold a murace model ({error}); run its step again with --fresh"
        ) from error


def model_from(data: bytes, facts: Mapping[str, Any]) -> Learner:
    """Rebuild a net from the bytes of its weights file, which somebody else may have written, in evaluation mode.

    Nothing is built before the names, shapes and types of all tensors are those of the net that `facts` (learner,
    width, head, size) describe; so the net is not larger than the data.

    Raises:
        ValueError: they are not the bytes of such a net, or a weight is not a finite number.
    """
    try:
        if _facts(data) != dict(facts):
            raise ValueError("it is about another net")
        return _understood(data, facts)
    except ILL_FORMED as error:
        refuse_machine_error(error)
        raise ValueError(f"does not hold the weights of its net ({error})") from error


def load_weights(path: Path, net: nn.Module) -> None:
    """Put the weights of a file of ours into a net of the same form.

    Raises:
        WorkspaceError: the file is damaged or of another form.
    """
    try:
        net.load_state_dict(tensors_from(path.read_bytes()))
    except (ValueError, RuntimeError, OSError) as error:
        refuse_machine_error(error)
        raise WorkspaceError(f"{path} does not fit ({error}); run its step again with --fresh") from error


def dump(tensors: Mapping[str, Tensor], *, metadata: dict[str, str] | None = None) -> bytes:
    """Named tensors as the bytes of a safetensors file: contiguous, as the format knows no strides, on the CPU."""
    dense = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    return bytes(save_tensors(dense, metadata=metadata))


def tensors_from(data: bytes) -> dict[str, Tensor]:
    """The inverse of `dump`, for bytes that somebody else may have written.

    Raises:
        ValueError: they are no safetensors file, or name more tensors than any of ours.
    """
    _header(data)
    try:
        return load_tensors(data)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _header(data: bytes) -> bytes:
    """What names the tensors; its length is looked at before it is parsed."""
    length = int.from_bytes(data[:8], "little")
    if length > MAX_HEADER:
        raise ValueError("its header is too long")
    return data[8 : 8 + length]


def _facts(data: bytes) -> dict[str, Any]:
    """What a weights file says of its net."""
    facts: dict[str, Any] = parse_json(parse_json(_header(data))["__metadata__"][METADATA])
    return facts


def _understood(data: bytes, facts: Mapping[str, Any]) -> Learner:
    tensors = tensors_from(data)
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ValueError("a weight is not finite")
    return _rebuilt(facts, tensors)


def _rebuilt(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Learner:
    """The net, once its outline, which takes no memory, has been compared with the tensors."""
    form = {"width": facts["width"], "head": facts["head"], "size": facts["size"]}
    drawn = outline(facts["learner"], **form).state_dict()
    forms, found = ({name: (t.shape, t.dtype) for name, t in each.items()} for each in (drawn, tensors))
    wrong = sorted(forms.keys() ^ found.keys()) or [name for name in forms if forms[name] != found[name]]
    if wrong:
        raise ValueError(f"{len(wrong)} tensors are missing, too many or of another form, {wrong[0]} first")
    net = create(facts["learner"], **form)
    net.load_state_dict(tensors)
    return net.eval()
