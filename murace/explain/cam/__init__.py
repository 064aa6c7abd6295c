"""Where a net looks: class activation maps, gradient maps, several input scales; no file and no workspace."""

from murace.explain.cam.activation import NO_MAP, activation_maps
from murace.explain.cam.gradient import grad_cam, grad_cam_plus
from murace.explain.cam.maps import Bytes, Floats, Maps, flaw
from murace.explain.cam.method import DEFAULT_MAP_METHOD, MAP_FUNCTIONS, MapMethod
from murace.explain.cam.placing import grid_over_original, over_original
from murace.explain.cam.scales import look, look_at_studies

__all__ = [
    "DEFAULT_MAP_METHOD",
    "MAP_FUNCTIONS",
    "NO_MAP",
    "Bytes",
    "Floats",
    "MapMethod",
    "Maps",
    "activation_maps",
    "flaw",
    "grad_cam",
    "grad_cam_plus",
    "grid_over_original",
    "look",
    "look_at_studies",
    "over_original",
]
