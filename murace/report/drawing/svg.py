"""SVG figures by matplotlib: the same bytes every time, with ids that do not clash where many stand on one page."""

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from murace.system.plotting import Figure, mpl
from murace.vocabulary import is_group

INK = "#1f2328"
MUTED = "#6b7280"
GRID = "#e5e7eb"
STYLE: dict[str, Any] = {
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": 10,
    "font.family": "DejaVu Sans",  # comes with matplotlib: measured the same on every machine
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}
FAMILIES = re.compile(r"'DejaVu Sans'[^;\"]*sans-serif")
METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
IDENTIFIER = re.compile(r'\s+id="([^"]*)"')
REFERENCE = re.compile(r'(url\(#|href="#)([^")]+)')
STANDALONE = re.compile(r'\s+(?:xmlns(?::xlink)?|version|width|height)="[^"]*"')
GLOBAL_STYLE = re.compile(r"\s*<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)


@contextmanager
def style(name: str) -> Iterator[None]:
    """Draw in the report's style, whatever matplotlibrc says; `name` seeds the figure's ids."""
    settings: Any = {**STYLE, "svg.hashsalt": name}
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield


def to_svg(figure: Figure, name: str) -> bytes:
    """Write a figure as an SVG file without date, metadata or document type.

    Ids stay only where they are used, and begin with `name`: figures can share a page.
    """
    buffer = io.BytesIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing, facecolor="none")
    text = buffer.getvalue().decode()
    text = METADATA.sub("", text[text.index("<svg") :])
    used = {identifier for _, identifier in REFERENCE.findall(text)}
    text = IDENTIFIER.sub(lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", text)
    text = REFERENCE.sub(lambda match: f"{match[1]}{name}-{match[2]}", text)
    return FAMILIES.sub("sans-serif", text).encode()


def inline(svg: bytes) -> str:
    """The same figure for the inside of a page: no namespaces, no size of its own, no style that reaches outside."""
    text = GLOBAL_STYLE.sub("", svg.decode().strip())
    end = text.index(">")
    head = STANDALONE.sub("", text[:end])
    return f'{head} aria-hidden="true"{text[end:]}'.replace("xlink:href=", "href=")


def slug(name: str) -> str:
    """A learner's or group's name as part of a file name; names that are not plain become a hash."""
    return name if is_group(name) else hashlib.sha256(name.encode()).hexdigest()[:12]
