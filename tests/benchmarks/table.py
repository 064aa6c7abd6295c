"""Measured lines as a table for people and as JSON for keeping."""

import json
import math
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.benchmarks.lines import Line

PACKAGES = ("murace", "torch", "torchvision", "numpy", "opencv-python", "pillow", "keras", "tensorflow-cpu", "grad-cam")
WIDTHS = (62, 10, 10, 9, 7, 7, 13)
HEADS = ("what", "ours", "theirs", "unit", "ratio", "bar", "peak MiB")
FOOT = "ratio: how many times better ours is, the median over the rounds' own ratios; ! below its bar"


def failed(part: str, what: str, reason: object) -> Line:
    """What could not be measured is a line too, and says why."""
    text = (str(reason).strip().splitlines() or [type(reason).__name__])[0]
    return Line(part, what, "", math.nan, None, None, note=text)


def head() -> str:
    """The first lines of the table."""
    return _cells(*HEADS) + "\n" + "-" * (sum(WIDTHS) + len(WIDTHS) - 1)


def row(line: Line) -> str:
    """One line of the table, and its remark below it."""
    ours, theirs = line.memory
    memory = f"{_number(ours)} / {_number(theirs)}" if ours is not None else ""
    verdict = "!" if line.ratio is not None and line.target is not None and line.ratio < line.target else ""
    shown = (_number(line.ours), _number(line.theirs), line.unit, _number(line.ratio) + verdict, _number(line.target))
    pieces = _broken(f"{line.part}: {line.what}", WIDTHS[0])
    rows = [_cells(pieces[0], *shown, memory), *pieces[1:]]
    return "\n".join([*rows, *([f"    {line.note}"] if line.note else [])])


def _broken(text: str, width: int) -> list[str]:
    """A long text over several lines, at spaces."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + 1 + len(word) > width and lines[-1]:
            lines.append("   ")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines


def _cells(first: str, *others: str) -> str:
    rest = (f"{cell:>{width}}" for cell, width in zip(others, WIDTHS[1:], strict=True))
    return " ".join((f"{first:<{WIDTHS[0]}}", *rest)).rstrip()


def _number(value: float | None) -> str:
    """Three or four digits."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def write(path: Path, lines: Sequence[Line], facts: dict[str, Any]) -> None:
    """The lines so far, whole: an end at any moment leaves what was measured. Unknown numbers are null."""
    rows = [{name: _plain(value) for name, value in asdict(line).items()} for line in lines]
    draft = path.with_name(f"{path.name}.part")
    draft.write_text(json.dumps({"facts": facts, "lines": rows}, indent=1, allow_nan=False) + "\n")
    draft.replace(path)


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def facts(device: str = "cpu") -> dict[str, Any]:
    """When, on what and with what this was measured."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "device": device,
        "processor": _processor(),
        "cores": cores,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "threads": os.environ.get("OMP_NUM_THREADS", "each way's own default"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "command": " ".join(["python -m tests.benchmarks", *sys.argv[1:]]),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    native = " with native bf16" if any("avx512_bf16" in line for line in lines) else ""
    return (named[0] if named else platform.processor() or "unknown") + native
