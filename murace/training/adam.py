"""Adam's moments as named tensors, and back."""

from collections.abc import Mapping

import torch
from torch import Tensor

NAME = "adam"


def flatten_adam(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's state as named tensors."""
    state = optimizer.state_dict()["state"]
    return {f"{NAME}.{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}


def restore_adam(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `flatten_adam`, strictly: every moment, or none where no step has been done.

    Raises:
        ValueError: a moment is missing, too many or of another form.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(f"{NAME}."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = value
    _require_all(optimizer, state)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, entry in optimizer.state.items():
        for key, value in entry.items():
            if value.shape == parameter.shape:
                # In the parameter's own strides: fused Adam walks both by address, so in channels-last a contiguous
                # moment would be paired with other weights, silently.
                entry[key] = torch.empty_like(parameter).copy_(value)


def _require_all(optimizer: torch.optim.Optimizer, state: Mapping[int, Mapping[str, Tensor]]) -> None:
    """What torch would pass over in silence, and begin anew."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if state and set(state) != set(range(len(parameters))):
        raise ValueError("the moments of some weights are missing")
    for index, entry in state.items():
        shapes = {key: tuple(value.shape) for key, value in entry.items()}
        of_weight = tuple(parameters[index].shape)
        if shapes != {"step": (), "exp_avg": of_weight, "exp_avg_sq": of_weight}:
            raise ValueError(f"the moments of weight {index} are of another form")
