"""The anatomy of MURA's regions in millimetres: elbow, forearm, humerus, shoulder; the others are in `hand`."""

from collections.abc import Callable

import numpy as np

from murace.sample.hand import finger, hand, wrist
from murace.sample.skeleton import Body, Joint, Shaft, Site, shaft


def elbow() -> Body:
    """Lower humerus, upper ulna and radius; the side views are bent."""
    bones = {
        "ulna": shaft(
            (-4, -19, -11, 8, 7), (-4, -10, -14, 11, 10), (-5, 2, -9, 11, 11), (-8, 16, -3, 10, 10),
            (-9, 32, 0, 8, 9), (-11, 60, 0, 7, 8), (-12, 95, 0, 6.5, 7), (-13, 160, 0, 6.5, 6.5),
            cortex=2.6, hinged=True,
        ),
        "humerus": shaft(
            (0, -160, 0, 11, 11), (0, -100, 0, 11, 10.5), (0, -62, 0, 12, 9.5), (-1, -38, 0, 17, 8),
            (-2, -22, 1, 27, 7.5), (-2, -12, 3, 29, 8.5), (-2, -4, 4, 26, 10.5), (-2, 1, 4, 22, 9.5), cortex=3.4,
        ),
        "radius": shaft(
            (14, 6, 4, 10.5, 10.5), (14, 11, 4, 11.5, 11.5), (13.5, 16, 4, 9, 9), (12, 24, 4, 7.2, 7.2),
            (10, 36, 3, 9, 8.5), (10, 58, 2, 7, 7), (10, 95, 0, 7.5, 7.5), (10, 160, 0, 8, 7.5),
            cortex=2.4, hinged=True,
        ),
    }  # fmt: skip
    skin = (
        shaft((0, -170, 0, 44), (0, -90, 0, 42), (0, -30, 0, 41, 36), (0, 5, 0, 40, 32)),
        shaft((0, -12, 0, 38, 32), (0, 10, 0, 42, 36), (0, 60, 0, 42, 38), (-2, 170, 0, 34, 30), hinged=True),
    )
    return Body(
        bones=bones,
        skin=skin,
        sites=(Site("humerus", 0.52, 0.7), Site("radius", 0.1, 0.22), Site("ulna", 0.24, 0.36)),
        centre=(4, -2),
        field=(132, 168),
        turns=(0, 88, 38, 82),
        bends=(4, 82, 14, 64),
        bone_mm=25,
        joints=(Joint(np.array([3.0, 3.0, 3.0]), np.array([0.0, 1.0, 0.0]), (21.0, 12.0), 4.5, ("ulna", "radius")),),
        flesh=0.42,
    )


def forearm() -> Body:
    """Radius and ulna in full, between wrist and elbow."""
    bones = {
        "humerus": shaft((0, -210, 0, 11, 11), (0, -165, 0, 13, 9), (-2, -140, 0, 27, 8), (0, -121, 2, 23, 10)),
        "ulna": shaft(
            (-6, -138, -9, 9, 8), (-7, -122, -9, 11, 11), (-10, -104, -5, 10, 10), (-12, -85, -4, 8, 9),
            (-15, -30, -5, 7, 8), (-15, 40, -6, 6.2, 7), (-13, 90, -6, 5.2, 6), (-12, 107, -6, 6.8, 7),
            (-12, 116, -6, 5.5, 6), cortex=2.6,
        ),
        "radius": shaft(
            (12, -114, 4, 10, 10), (12, -108, 4, 10.5, 10.5), (11, -98, 4, 7, 7), (7, -84, 4, 8.5, 8),
            (10, -40, 6, 7.5, 7), (14, 20, 7, 8, 7), (11, 80, 5, 8, 7.5), (8, 104, 3, 14, 9.5), (8, 117, 3, 15, 10.5),
            (9, 121, 3, 13, 9), cortex=2.6,
        ),
    }  # fmt: skip
    row = ((14, 130, 2), (1, 131, 0), (-10, 128, -3), (13, 146, 1), (2, 148, 0), (-9, 144, 0))
    for number, (x, y, z) in enumerate(row):
        bones[f"carpal {number}"] = shaft(
            (x, y - 7, z, 4), (1.04 * x, y - 2, z, 6.4), (x, y + 6, z, 4), cortex=1.3, marrow=0.7
        )
    for number, x in enumerate((20, 8, -2, -11)):
        bones[f"metacarpal {number}"] = shaft((x, 156, 0, 6), (1.2 * x, 170, 0, 5), (1.4 * x, 215, 0, 4.5), marrow=0.6)
    skin = (
        shaft(
            (0, -215, 0, 44, 42), (0, -140, 0, 43, 38), (0, -95, 0, 45, 42), (0, -20, 0, 39, 36), (0, 60, 0, 31, 27),
            (2, 110, 0, 28, 21), (3, 150, 0, 34, 20), (4, 215, 0, 42, 18),
        ),
    )  # fmt: skip
    return Body(
        bones=bones,
        skin=skin,
        sites=(Site("radius", 0.3, 0.7), Site("ulna", 0.3, 0.7)),
        centre=(0, -2),
        field=(122, 312),
        turns=(0, 84, 40, -16),
        bone_mm=15,
        flesh=0.42,
    )


def humerus() -> Body:
    """The upper arm from the shoulder to the elbow."""
    bones = {
        "scapula": _scapula(-52, -148),
        "glenoid": shaft((-33, -170, 0, 5, 10), (-34, -152, 0, 6, 11), (-35, -132, 0, 5, 10), cortex=1.5, marrow=0.75),
        "acromion": shaft((-40, -196, -8, 5), (-14, -192, -4, 6), (10, -184, 0, 5), cortex=1.5, marrow=0.5),
        "humerus": _humerus(-150, 285),
        "ulna": shaft((-5, 122, -12, 9), (-5, 140, -10, 11), (-8, 162, 0, 9), (-10, 220, 0, 7.5), cortex=2.6),
        "radius": shaft((14, 148, 4, 10), (14, 154, 4, 11), (13, 163, 4, 7.5), (11, 178, 3, 9), (10, 220, 0, 7)),
    }
    skin = (
        shaft((-20, -195, 0, 40, 46), (-6, -140, 0, 56, 58), (0, -60, 0, 48, 52), (0, 40, 0, 43, 44),
              (0, 120, 0, 43, 38), (0, 215, 0, 40, 36)),
        shaft((-90, -230, 0, 40), (-100, -120, 0, 52), (-112, 20, 0, 50)),
    )  # fmt: skip
    return Body(
        bones=bones,
        skin=skin,
        sites=(Site("humerus", 0.25, 0.72),),
        centre=(-6, -10),
        field=(146, 356),
        turns=(0, 62, -18, 30),
        bone_mm=28,
        flesh=0.44,
    )


def shoulder() -> Body:
    """Humeral head, scapula, clavicle and the upper ribs."""
    bones: dict[str, Shaft] = {}
    for number in range(5):
        y = -34 + 26 * number
        rows = ((-160, y - 12, 0, 4), (-112 - 3 * number, y - 12, 6, 4.4), (-80 - 2 * number, y + 6, 8, 4.6),
                (-78, y + 26, 4, 4.4), (-96, y + 46, 0, 4), (-150, y + 62, 0, 4))  # fmt: skip
        bones[f"rib {number}"] = shaft(*rows, cortex=1.2, marrow=0.75)
    bones["scapula"] = _scapula(-48, 0)
    bones["spine"] = shaft((-104, -12, -10, 4), (-70, -24, -12, 5), (-30, -38, -14, 6), (6, -44, -6, 8), cortex=1.6)
    bones["glenoid"] = shaft((-32, -19, 0, 5, 10), (-34, 0, 0, 7, 11), (-34, 20, 0, 5, 10), cortex=1.8, marrow=0.7)
    bones["coracoid"] = shaft((-42, -22, 4, 7), (-34, -30, 14, 6.5), (-24, -27, 20, 5), cortex=1.6, marrow=0.5)
    bones["humerus"] = _humerus(0, 300)
    bones["clavicle"] = shaft(
        (-160, -28, 0, 9), (-120, -40, 6, 6.5), (-80, -52, 6, 6), (-40, -52, 0, 6.5), (-8, -47, -2, 8), cortex=2.2
    )
    skin = (
        shaft((-190, 60, 0, 190, 110), (-120, 60, 0, 118, 100), (-60, 60, 0, 112, 90)),
        shaft((-90, -64, 0, 40), (-30, -30, 0, 46), (4, 10, 0, 46), (14, 60, 0, 46), (16, 170, 0, 42)),
    )
    moving = Joint(np.array([-25.0, 1.0, 2.0]), np.array([1.0, 0.0, 0.0]), (18.0, 18.0), 6.0, ("humerus",))
    return Body(
        bones=bones,
        skin=skin,
        sites=(Site("humerus", 0.15, 0.26), Site("clavicle", 0.48, 0.74)),
        centre=(-34, 10),
        field=(180, 176),
        turns=(0, -22, 28, 12),
        bone_mm=31,
        joints=(moving,),
        lungs=(shaft((-165, -40, 0, 20), (-135, 10, 0, 42), (-135, 80, 0, 52), (-135, 160, 0, 56)),),
        flesh=0.46,
    )


def _humerus(top: float, length: float) -> Shaft:
    """From the centre of the head, at y = `top`, to the condyles `length` lower."""
    rows = (
        (-1, -22, 2, 10, 10), (-1, -18, 2, 17, 16), (-1, -7, 1, 23.5, 22), (0, 5, 0, 24.5, 22), (3, 22, 0, 20, 17),
        (6, 42, 0, 14.5, 14), (7, 80, 0, 12.5, 12.5), (6, 150, 0, 11.5, 11.5), (3, length - 75, 0, 11.5, 10),
        (0, length - 36, 0, 17, 8), (-1, length - 18, 1, 28, 8), (-1, length - 6, 3, 27, 10), (-1, length, 3, 22, 9),
    )  # fmt: skip
    return shaft(*((x, top + y, z, front, side) for x, y, z, front, side in rows), cortex=3.8, marrow=0.88)


def _scapula(x: float, y: float) -> Shaft:
    """The thin blade, from the neck below the glenoid to the lower angle."""
    rows = ((x + 4, y - 20, 0, 14, 8), (x - 10, y - 2, -4, 24, 6), (x - 22, y + 26, -8, 25, 5),
            (x - 32, y + 60, -12, 17, 5), (x - 40, y + 92, -14, 7, 4))  # fmt: skip
    return shaft(*rows, cortex=1.6, marrow=0.86)


BODIES: dict[str, Callable[[], Body]] = {
    body.__name__: body for body in (elbow, finger, forearm, hand, humerus, shoulder, wrist)
}
