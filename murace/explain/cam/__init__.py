"""Where a net looks: class activation maps, gradient maps, several input scales; no file and no workspace."""

from murace.explain.cam.activation import NO_MAP, activation_maps, probability
from murace.explain.cam.gradient import grad_cam, grad_cam_plus
from murace.explain.cam.maps import Bytes, Floats, Maps, flaw
from murace.explain.cam.method import METHODS, WAY, Way
from murace.explain.cam.placing import grid_over_original, over_original
from murace.explain.cam.scales import larger, look

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
