"""Finger, hand and wrist: the carpus, five rays, the ends of radius and ulna.

The fingers point up; the origin is the middle of the carpus (in `finger`, of the finger).
"""

import numpy as np

from murace.sample.skeleton import CAP, Array, Body, Joint, Shaft, Site, shaft

FINGERS = ("thumb", "index", "middle", "ring", "little")
ORIGINS = ((-20.0, -14.0, 4.0), (-13.0, -19.0, 0.0), (-1.0, -20.0, 0.0), (9.0, -18.0, 0.0), (17.0, -14.0, 0.0))
ANGLES = (-42.0, -13.0, -2.0, 8.0, 19.0)  # degrees from straight up
LENGTHS = (  # metacarpal, then the phalanges (mm)
    (44.0, 31.0, 22.0),
    (66.0, 40.0, 23.0, 17.0),
    (63.0, 44.0, 27.0, 18.0),
    (56.0, 41.0, 26.0, 18.0),
    (52.0, 32.0, 18.0, 16.0),
)
WIDTHS = (8.2, 7.4, 6.4, 5.2)  # half width of the base (mm)
GAP = 1.2  # between two bones (mm)
CARTILAGE = 2.6  # what a worn joint loses (mm)


def finger() -> Body:
    """One finger fills the film; part of its neighbour may show."""
    bones, joints = _ray("", (0.0, 78.0, -9.0), 0.0, (66.0, 42.0, 25.0, 18.0))
    neighbour, _ = _ray("next ", (20.0, 82.0, 16.0), 6.0, (64.0, 45.0, 28.0, 19.0))
    palm = shaft((6, 130, 4, 34, 26), (6, 60, 4, 27, 22), (6, 26, 3, 21, 18))
    skin = (palm, _sleeve(bones, 11.5, 7.8), _sleeve(neighbour, 11.5, 7.8))
    return Body(
        bones={**neighbour, **bones},
        skin=skin,
        sites=(Site("proximal", 0.3, 0.7), Site("middle", 0.35, 0.65), Site("proximal", 0.35, 0.65)),
        centre=(4, -23),
        field=(58, 116),
        turns=(0, 76, 40, 14),
        bone_mm=9.5,
        joints=(joints[2], joints[1]),
        flesh=0.36,
    )


def hand() -> Body:
    """The whole hand with the fingers spread."""
    bones, skin = _forearm_ends(), list(_palm())
    bones.update(_carpals())
    joints = []
    for name, origin, angle, lengths in zip(FINGERS, ORIGINS, ANGLES, LENGTHS, strict=True):
        ray, knuckles = _ray(f"{name} ", origin, angle, lengths)
        bones.update(ray)
        skin.append(_sleeve(ray, 10.5, 7.2))
        joints += knuckles[:2] if name != "thumb" else []
    sites = [Site(f"{name} metacarpal", 0.35, 0.65) for name in FINGERS[1:]]
    sites += [Site(f"{name} proximal", 0.4, 0.6) for name in FINGERS[1:4]]
    return Body(
        bones=bones,
        skin=tuple(skin),
        sites=tuple(sites),
        centre=(-4, -58),
        field=(158, 212),
        turns=(0, 32, 12, -14),
        bone_mm=12,
        joints=tuple(joints),
        flesh=0.4,
    )


def wrist() -> Body:
    """The carpus between the forearm and the metacarpals."""
    bones, skin = _forearm_ends(), list(_palm())
    carpals, moving = _carpals(), []
    for name, origin, angle, lengths in zip(FINGERS, ORIGINS, ANGLES, LENGTHS, strict=True):
        ray, _ = _ray(f"{name} ", origin, angle, lengths)
        bones[f"{name} metacarpal"] = ray[f"{name} metacarpal"]
        moving.append(f"{name} metacarpal")
    bones.update(carpals)
    radiocarpal = Joint(np.array([-8.0, 16.0, 0.0]), np.array([0.1, -1.0, 0.0]), (16.0, 9.0), 3.5, (*carpals, *moving))
    return Body(
        bones=bones,
        skin=tuple(skin),
        sites=(Site("radius", 0.12, 0.3), Site("radius", 0.15, 0.34), Site("ulna", 0.15, 0.34)),
        centre=(-3, 14),
        field=(96, 132),
        turns=(0, 82, 42, -12),
        bone_mm=19,
        joints=(radiocarpal,),
        flesh=0.4,
    )


def _forearm_ends() -> dict[str, Shaft]:
    radius = shaft(
        (-9, 18, 0, 14, 9), (-9, 23, 0, 15.5, 10), (-8.5, 31, 0, 13, 9.5), (-8, 43, 0, 8.6, 8), (-9, 62, 0, 7, 6.5),
        (-11, 100, 0, 7, 6.5), (-12, 140, 0, 7, 6.5), cortex=2.3,
    )  # fmt: skip
    ulna = shaft(
        (14, 20, -3, 6, 6), (13.5, 25, -3, 8.2, 7), (13, 33, -3, 7, 7), (12, 45, -2, 5.6, 6), (11, 65, -2, 6, 6),
        (10, 100, 0, 6.5, 7), (9, 140, 0, 7, 7), cortex=2.2,
    )  # fmt: skip
    return {"ulna": ulna, "radius": radius}


def _carpals() -> dict[str, Shaft]:
    blobs = {
        "scaphoid": ((-18, -1, 3, 3.6), (-15.5, 5, 2, 6.8), (-12.5, 10, 0, 6.2), (-12, 13, 0, 3.8)),
        "lunate": ((-2.5, 5, 0, 4), (-2, 9, 0, 6.9), (-1.8, 13, 0, 6.9), (-1.5, 16, 0, 4)),
        "triquetrum": ((9, 1, -3, 3.4), (10, 6, -3, 6.4), (10, 10, -3, 5.6), (9.5, 13, -3, 3)),
        "pisiform": ((13, 4, 6, 2.6), (13.5, 8, 6, 4.4), (13, 11.5, 6, 2.6)),
        "trapezium": ((-21, -12, 4, 4.2), (-20.5, -8.5, 4, 6.6), (-20, -5, 4, 6.2), (-19.5, -2.5, 3, 4)),
        "trapezoid": ((-11, -16.5, 1, 3.6), (-11, -11, 1, 5.2), (-10.5, -5.5, 1, 3.2)),
        "capitate": ((-1, -18, 0, 4.4), (-1, -13, 0, 6), (-1.4, -5, 0, 5.4), (-1.8, 0, 0, 5.6), (-2, 2.5, 0, 3.6)),
        "hamate": ((12, -14.5, 0, 5), (11, -10.5, 0, 7), (9.5, -5, 0, 5.4), (8, -0.5, 0, 2.6)),
    }
    return {name: shaft(*rows, cortex=1.5, marrow=0.6) for name, rows in blobs.items()}


def _palm() -> tuple[Shaft, ...]:
    palm = shaft(
        (2, 170, 0, 36, 24), (1, 100, 0, 34, 24), (0, 55, 0, 29, 21), (0, 15, 0, 29, 20), (-1, -20, 0, 36, 19),
        (1, -60, 0, 42, 16), (4, -88, 0, 40, 12),
    )  # fmt: skip
    thenar = shaft((-14, 8, 6, 12), (-26, -18, 8, 15), (-38, -42, 8, 13))
    return palm, thenar


def _ray(
    prefix: str, origin: tuple[float, float, float], angle: float, lengths: tuple[float, ...]
) -> tuple[dict[str, Shaft], list[Joint]]:
    """A metacarpal and its phalanges in a row, slightly curled; and the joints between them."""
    names = ("metacarpal", "proximal", *(("middle",) if len(lengths) == 4 else ()), "distal")
    radians = np.deg2rad(angle)
    at, depth, bones, joints = np.array(origin), (0.06, 0.1, 0.22, 0.3), {}, []
    for number, (name, length) in enumerate(zip(names, lengths, strict=True)):
        axis = np.array([np.sin(radians), -np.cos(radians), depth[number]])
        if number:
            moving = tuple(prefix + later for later in names[number:])
            joints.append(
                Joint(at - axis * GAP / 2, axis, (0.95 * WIDTHS[number], 0.8 * WIDTHS[number]), CARTILAGE, moving)
            )
        width = WIDTHS[number] if name != "distal" else WIDTHS[3]
        bones[prefix + name] = _phalanx(at, axis * length, width, name)
        at = at + axis * (length + GAP)
    return bones, joints


def _phalanx(start: Array, along: Array, width: float, name: str) -> Shaft:
    """Wide at the base, waisted, with a head; a distal phalanx ends in a tuft."""
    profile = {
        "metacarpal": (0.85, 1.0, 0.7, 0.55, 0.55, 0.68, 0.98, 0.95, 0.7),
        "distal": (0.9, 1.1, 0.85, 0.58, 0.46, 0.46, 0.6, 0.66, 0.45),
    }.get(name, (0.95, 1.04, 0.8, 0.62, 0.58, 0.6, 0.72, 0.8, 0.68))
    half = width * np.array(profile)
    length = float(np.linalg.norm(along))
    first, last = CAP * half[0] / length, 1 - CAP * half[-1] / length  # the bulging ends reach the joints
    position = first + (last - first) * np.array((0, 0.05, 0.17, 0.35, 0.55, 0.72, 0.87, 0.95, 1))
    points = start + np.outer(position, along)
    points[:, 2] -= 0.04 * np.hypot(*along[:2]) * np.sin(np.pi * position)  # bowed towards the back
    return Shaft(np.column_stack([points, half, 0.85 * half]), cortex=0.24 * width, marrow=0.8)


def _sleeve(ray: dict[str, Shaft], base: float, tip: float) -> Shaft:
    """The skin around one finger; its half width goes from `base` to `tip` (mm)."""
    first, *rest = ray.values()
    rows = [first.path[6]] + [bone.path[index] for bone in rest for index in (1, 5)] + [rest[-1].path[-1]]
    path = np.array(rows)
    path[:, 3:] = np.linspace(base, tip, len(path))[:, None]
    return Shaft(path)
