"""Escape text for LaTeX, csv cells, Markdown and the templates of HTML pages.

Own code: the escape of pandas' Styler leaves letters beyond ASCII, quotes, brackets and runs of hyphens as they are.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from murace.report.text.formats import DASH, MINUS

SPLIT_HYPHENS = "\u200b"  # between two hyphens, which LaTeX would join to a dash
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "]": "{]}", "*": "{*}", '"': "{''}", "`": "{`}", SPLIT_HYPHENS: "{}",
    DASH: "--", "\u2014": "---", MINUS: "$-$", "\u00b1": r"$\pm$", "\u00d7": r"$\times$", "\u00b7": r"$\cdot$",
    "\u2264": r"$\leq$", "\u2265": r"$\geq$", "\u2026": r"\ldots{}", "\u2018": "{`}", "\u2019": "{'}",
    "\u201c": "{``}", "\u201d": "{''}",
}  # fmt: skip
ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u030a": "r", "\u030c": "v",
    "\u0327": "c",
}  # fmt: skip
NUMBER = re.compile(r"[-+]?\d[\d .,%()+-]*")
GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+")
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four are full-width
HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
MARKS = re.compile(r"([\\`*_\[\]|~$]|(?<=[a-zA-Z]):(?=//)|(?<=www)\.|@)")
LEADING = re.compile(r"^([-+#=]|\d{1,9}(?=[.)](?:\s|$)))")


def templates(finalize: Callable[[Any], Any] | None = None) -> Environment:
    """The report's templates: every text set into one is escaped, after `finalize`, and an unknown name is refused."""
    return Environment(
        loader=PackageLoader("murace.report", "templates"),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def latex(text: str) -> str:
    """Text for LaTeX, in ASCII; a letter that LaTeX may not know is shown by its number, as in ``[U+4E2D]``."""
    return "".join(_latex_letter(letter) for letter in re.sub("-(?=-)", f"-{SPLIT_HYPHENS}", _one_line(text)))


def spreadsheet(text: str) -> str:
    """Text for a CSV cell: numbers as a program reads them, and nothing that a spreadsheet would run."""
    plain = re.sub(rf"{MINUS}(?=\d)", "-", _one_line(text))
    if GROUPED.fullmatch(plain):
        return plain.replace(",", "")
    return f"'{plain}" if plain.startswith(FORMULA) and not NUMBER.fullmatch(plain) else plain


def markdown(text: str) -> str:
    """Text for one place in a Markdown line or table: no markup, no HTML, no link, no new line."""
    marked = MARKS.sub(r"\\\1", _one_line(text))
    safe = "".join(HTML.get(letter, letter if letter.isprintable() else "\ufffd") for letter in marked)
    return LEADING.sub(lambda found: f"\\{found[0]}" if not found[0].isdigit() else f"{found[0]}\\", safe)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _latex_letter(letter: str) -> str:
    if letter in LATEX:
        return LATEX[letter]
    if " " <= letter <= "~":
        return letter
    base, *accents = list(unicodedata.normalize("NFD", letter))
    if base.isascii() and base.isalpha() and len(accents) == 1 and accents[0] in ACCENTS:
        return rf"\{ACCENTS[accents[0]]}{{{base}}}"
    return f"{{[}}U+{ord(letter):04X}{{]}}"
