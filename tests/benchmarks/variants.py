"""How a step may run on a GPU: the plain way, murace's way, and murace's way without one technique at a time."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from murace.data.loading.batches import Images
from murace.data.store import open_pixels
from murace.system.device import Place


class ChannelsFirst(Place):
    """bf16 without channels-last."""

    @property
    def memory_format(self) -> torch.memory_format:
        """NCHW whatever the precision."""
        return torch.contiguous_format


@dataclass(frozen=True)
class Variant:
    """Which techniques are on."""

    is_bf16: bool = True
    is_channels_last: bool = True
    is_captured: bool = True
    is_compiled: bool = False
    is_resident: bool = True

    @property
    def name(self) -> str:
        """All of them in words."""
        words = [
            "bf16" if self.is_bf16 else "fp32",
            "channels-last" if self.is_channels_last else "NCHW",
            *(["compiled"] if self.is_compiled else []),
            "CUDA graph" if self.is_captured else "eager",
            "resident" if self.is_resident else "streamed",
        ]
        return ", ".join(words)

    def place(self, device: torch.device) -> Place:
        """The place whose `Stepper` runs so."""
        kind = Place if self.is_channels_last == self.is_bf16 else ChannelsFirst
        precision = "bf16" if self.is_bf16 else "fp32"
        return kind(device, precision, compiled=self.is_compiled, graph="on" if self.is_captured else "off")


PLAIN = Variant(is_bf16=False, is_channels_last=False, is_captured=False)
EAGER = Variant(is_captured=False)
OURS = Variant()
COMPILED = Variant(is_compiled=True)
LADDER = (PLAIN, EAGER, OURS, Variant(is_channels_last=False), Variant(is_resident=False))


class MadeUp(Images):
    """Random pictures that were made where they are needed: MURA's 2.6 GB need not be carried anywhere."""

    def __init__(self, count: int, size: int, device: torch.device) -> None:
        self.pixels = np.broadcast_to(np.zeros((1, size, size), dtype=np.uint8), (count, size, size))
        self.device = device
        chance = torch.Generator(device).manual_seed(0)
        self.resident = torch.randint(0, 256, (count, size, size), dtype=torch.uint8, device=device, generator=chance)
        self.place = torch.arange(count, device=device)


def streamed(count: int, size: int, device: torch.device) -> Images:
    """Random pictures behind a memory map, on a device that is told that they do not fit."""
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "pixels.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (count, size, size), dtype=np.uint8))
    with mock.patch("murace.data.loading.batches._fits", return_value=False):
        images = Images(open_pixels(path), np.arange(count), device)
    images.folder = folder  # type: ignore[attr-defined] # lives as long as they do
    return images
