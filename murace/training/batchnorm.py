"""Synchronised batch norm: statistics over the images of all processes, whose number then changes only last bits."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from murace.system.processes import ProcessGroup, process_group


def synchronise(net: nn.Module, processes: ProcessGroup, device: torch.device) -> None:
    """Let every batch norm of `net` use the global batch's statistics: torch's own on a GPU, ours on a CPU.

    Parameters, buffers and their names stay; the net is changed in place.
    """
    if processes.size == 1:
        return
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, _synchronised(child, device))


def _synchronised(norm: nn.BatchNorm2d, device: torch.device) -> nn.Module:
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(norm)  # type: ignore[no-untyped-call]
        return converted
    ours = GlobalBatchNorm(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    ours.weight, ours.bias = norm.weight, norm.bias
    for name, buffer in norm.named_buffers():
        setattr(ours, name, buffer)
    return ours


class GlobalBatchNorm(nn.BatchNorm2d):
    """torch has `SyncBatchNorm` for GPUs only; this one needs no more than an all-reduce."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same; B is this process's share of the batch."""
        if not self.training:
            return super().forward(x)
        y, mean, variance, count = _Normalise.apply(x, self.weight, self.bias, self.eps)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        return y  # type: ignore[no-any-return]


class _Normalise(torch.autograd.Function):
    """Ioffe and Szegedy 2015, algorithm 1 and its gradient, with every sum taken over all processes.

    The gradients of weight and bias stay this process's own: they are added up with all other gradients.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        processes, values = process_group(), x.float()
        count, total = values.new_tensor([x.numel() / x.shape[1]]), _per_channel(values)
        processes.add([count, total])
        mean = total / count
        centred = values - _view(mean)
        squares = _per_channel(centred**2)
        processes.add([squares])
        variance = squares / count
        scale = torch.rsqrt(variance + eps)
        normal = centred * _view(scale)
        ctx.save_for_backward(normal.to(x.dtype), weight, scale, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return (normal * _view(weight) + _view(bias)).to(x.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        normal, weight, scale, count = ctx.saved_tensors  # type: ignore[attr-defined]
        upstream, normal = gradients[0].float(), normal.float()
        of_bias, of_weight = _per_channel(upstream), _per_channel(upstream * normal)
        means = [of_bias.clone(), of_weight.clone()]
        process_group().add(means)
        level, slope = (_view(mean / count) for mean in means)
        of_input = (upstream - level - normal * slope) * _view(scale * weight)
        return of_input.to(gradients[0].dtype), of_weight, of_bias, None


def _per_channel(x: Tensor) -> Tensor:
    return x.sum(dim=(0, 2, 3))


def _view(x: Tensor) -> Tensor:
    return x[None, :, None, None]
