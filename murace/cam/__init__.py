"""Where a net looks: class activation maps, gradient maps, several input scales; no file and no workspace."""

from murace.cam.activation import NO_MAP, activation_maps, probability
from murace.cam.arrays import Bytes, Floats, Maps
from murace.cam.flaws import flaw
from murace.cam.gradient import grad_cam
from murace.cam.gradient_plus import grad_cam_plus
from murace.cam.place import grid_over_original, over_original
from murace.cam.scales import larger, look
from murace.cam.way import METHODS, WAY, Way

__all__ = [
    "METHODS",
    "NO_MAP",
    "WAY",
    "Bytes",
    "Floats",
    "Maps",
    "Way",
    "activation_maps",
    "flaw",
    "grad_cam",
    "grad_cam_plus",
    "grid_over_original",
    "larger",
    "look",
    "over_original",
    "probability",
]
