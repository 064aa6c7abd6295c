"""Case 47: values that cannot be, one and several; and case 48: what may be typed to `cam`."""

from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from tests.cli.typed import CPU
from tests.corpus.case import Case
from tests.data.files import picture, png

LONG = "x" * 1_000_000

# What is typed, and what is said of it.
WRONG = [
    ("a nan rate", "train --lr nan", "--lr must be a positive number, not nan"),
    ("an endless rate", "train --lr inf", "--lr must be a positive number, not inf"),
    ("no rate", "train --lr 0", "--lr must be a positive number, not 0"),
    ("a word for a rate", "train --lr fast", "'--lr': Input should be a valid number"),
    ("epochs below zero", "train --epochs -1", "--epochs must be at least 1, not -1"),
    ("a part of an epoch", "train --epochs 1.5", "'--epochs': Input should be a valid integer"),
    ("no batch", "train --batch-size 0", "--batch-size must be at least 2, not 0"),
    ("too large a seed", f"train --seed {2**64}", r"--seed must be between 0 and 2\^63 - 1, not 18446744073709551616"),
    ("a seed below zero", "prepare . --seed -1", "--seed must be between 0 and"),
    ("no number of digits", "train --epochs \u0967x", "Input should be a valid integer"),
    ("a nan width", "train --width nan", "--width must be a positive number"),
    ("a width without end", "train --width 1e999", "--width must be a positive number"),
    ("a misspelt option", "train --epoch 3", "No such option: --epoch .*--epochs"),
    ("an option of another program", "train --learing-rate 1", "No such option: --learing-rate"),
    ("no learner", "train --arch ,", "--arch names no learner"),
    ("no group", "finetune --groups ,", "--groups names no group"),
    ("a misspelt learner", "train --arch desnet", "unknown learner 'desnet'; did you mean 'densenet'"),
    ("a misspelt metric", "calibrate --val-metrics auc,kapa", "unknown metric 'kapa'; did you mean 'kappa'"),
    ("a misspelt command", "evalute", "No such command 'evalute'.*'evaluate'"),
    ("an object", "train --arch !!python/object:os.system", "unknown learner '!!python/object:os.system'; known: "),
    ("a value that is an option", "train --arch --epochs", "--epochs"),
    ("huge", f"prepare . --fit {LONG}", "--fit: unknown value 'xxx"),
    ("a huge metric", f"calibrate --val-metrics {LONG}", "unknown metric 'xxx"),
    ("a huge number", f"train --epochs 1{'0' * 5000}", "--epochs"),
    ("huge images", "prepare . --size 100000", "--size must be at most 4096"),
    ("a million threads", "train --threads 1000000", "--threads 1000000 on"),
    ("an escape", "train --arch \x1b[31mred", r"unknown learner '\\x1b\[31mred'"),
]


def line(words: str) -> Callable[[Path], Sequence[object]]:
    """What is typed, cut at blanks."""
    return lambda folder: words.split(" ")


ARGUMENTS = [
    Case(
        number=f"47{'z' * (place // 26)}{ascii_lowercase[place % 26]}",
        name=name,
        build=line(words),
        exit_code=2,
        says=says,
    )
    for place, (name, words, says) in enumerate(WRONG)
]

NAMES = (
    "a b  c.png", "$(touch x).png", ";touch x;.png", "a|touch x.png", "a'b\"c.png", "-rf", "--out=y.png",
    "<img src=x onerror=alert(1)>.png", "{{7*7}}.png", "*.png", "\x1b[31mred.png", "a\nb.png",
)  # fmt: skip
DRAWN = ("overlays", "overlays/*")


def view(folder: Path, name: str = "a.png") -> str:
    """A picture of that name."""
    (folder / name).write_bytes(png(picture(3, 32, 32)))
    return name


def hostile(folder: Path) -> Sequence[object]:
    """Views of such names, each a study of its own."""
    return ("cam", "--group", "elbow", *CPU, "--", *(view(folder, name) for name in NAMES))


class Reader(HTMLParser):
    """The elements of a page with their attributes, as a browser sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def harmless(folder: Path, answer: dict[str, Any]) -> None:
    """The page holds no script, no handler, nothing from outside; nothing was started; no patient is named."""
    page = (folder / "overlays/index.html").read_text()
    assert len(answer["studies"]) == len(NAMES)
    for tag, attributes in Reader(page).elements:
        assert tag not in ("script", "iframe", "object", "embed")
        assert not any(name.startswith("on") for name in attributes)
        assert not any(
            (attributes.get(name) or "").startswith(("http", "//", "javascript")) for name in ("src", "href")
        )
    assert not (folder / "x").exists()
    assert "patient" not in page.replace("patients", "")


def patient(folder: Path) -> Sequence[object]:
    """A study of MURA's form whose patient has a name."""
    study = folder / "CANARY_SMITH/XR_ELBOW/patient00001/study1_positive"
    study.mkdir(parents=True)
    view(study, "image1.png")
    return ("cam", study, *CPU)


def unnamed(folder: Path, answer: dict[str, Any]) -> None:
    """What lay above the study is not told."""
    for path in (folder / "overlays").rglob("*"):
        assert b"CANARY_SMITH" not in (path.read_bytes() if path.is_file() else b"")


def foreign(name: str, content: str = "mine") -> Callable[[Path], Sequence[object]]:
    """Somebody else's file lies where `cam` would write."""

    def build(folder: Path) -> Sequence[object]:
        (folder / "overlays" / name).parent.mkdir(parents=True)
        (folder / "overlays" / name).write_text(content)
        study = folder / "XR_ELBOW/patient00001/study1_positive"
        study.mkdir(parents=True)
        view(study, "image1.png")
        return ("cam", study, *CPU)

    return build


def out(place: str) -> Callable[[Path], Sequence[object]]:
    """Draw into that place."""

    def build(folder: Path) -> Sequence[object]:
        (folder / "file").write_text("mine")
        return ("cam", view(folder), "--group", "elbow", *CPU, "--out", place)

    return build


def asked(*words: object) -> Callable[[Path], Sequence[object]]:
    """A view, and these words about it."""
    return lambda folder: ("cam", view(folder), *CPU, *words)


def only(*words: object) -> Callable[[Path], Sequence[object]]:
    """These words alone."""
    return lambda folder: words


STUDY = "elbow-patient00001-study1"
OVERLAYS = [
    Case(number="48a", name="hostile names", build=hostile, exit_code=0, leaves=DRAWN, check=harmless),
    Case(number="48k", name="a name above", build=patient, exit_code=0, leaves=DRAWN, check=unnamed),
    Case(number="48l", name="a dash without --", build=only("cam", "-rf"), exit_code=2, says="No such option: -r"),
    Case(
        number="48m", name="a URL", build=only("cam", "https://example.org/a.png", *CPU),
        says="no such file or folder",
    ),
    Case(
        number="48n", name="another layer", build=asked("--method", "layer4"),
        exit_code=2, says="unknown method 'layer4'",
    ),
    Case(number="48o", name="no group", build=asked("--group", "knee"), exit_code=2, says="elbow, wrist"),
    Case(
        number="48p", name="a page that is mine", build=foreign("index.html"),
        exit_code=2, says="index.html was not written",
    ),
    Case(
        number="48q", name="a picture that is mine", build=foreign(f"{STUDY}/image1.png"),
        exit_code=2, says="image1.png was not written by murace cam",
    ),
    Case(
        number="48r", name="a record that is mine", build=foreign(f"{STUDY}/study.json", '{"mine": 1}'),
        exit_code=2, says="study.json was not written by murace cam",
    ),
    Case(number="48s", name="a file as folder", build=out("file"), exit_code=5, says="cannot write file/.lock"),
    Case(
        number="48t", name="a folder nowhere", build=out("/proc/nowhere"),
        exit_code=5, says="cannot write /proc/nowhere",
    ),
    Case(
        number="48u", name="a file at home", build=out("elsewhere/deep"),
        exit_code=0, leaves=("elsewhere", "elsewhere/*"),
    ),
]  # fmt: skip
