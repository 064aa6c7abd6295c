"""The benchmark's one entry point: python -m tests.benchmarks [--only a,b] [--quick] [--json FILE] [--gpu N].

Parts on the CPU, all by default: training, pipeline, prepare, cam, startup, evaluation, threads, predict, audit, rerun,
side-by-side.
With `--gpu N` the GPU part instead, in its sections; `--gpu cpu` tries its code with tiny nets.
"""

import argparse
import importlib
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import table
from tests.benchmarks.lines import Line

PARTS = (
    *("training", "pipeline", "prepare", "cam", "startup", "evaluation", "threads", "predict", "audit", "rerun"),
    "side-by-side",
)
LETTERS = dict(zip("abcdefghijk", PARTS, strict=True))


def main(words: list[str] | None = None) -> None:
    """Measure, print line by line, and write as it goes."""
    asked = _parser().parse_args(words)
    lines: list[Line] = []
    facts = table.facts(_device(asked.gpu))
    print(*(f"{name}: {value}" for name, value in facts.items()), "", table.head(), sep="\n", flush=True)
    for line in _gpu(asked) if asked.gpu else _cpu(asked):
        lines.append(line)
        print(table.row(line), flush=True)
        if asked.json:
            table.write(asked.json, lines, facts)
    print(table.FOOT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure murace against others.")
    parser.add_argument("--only", help=f"some of {', '.join(PARTS)} (or a to k); with --gpu some of its sections")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run, not how fast")
    parser.add_argument("--json", type=Path, help="write the lines into this file as they come")
    parser.add_argument("--gpu", help="the number of a GPU, or cpu: the GPU part instead")
    parser.add_argument("--minutes", type=float, default=9.5, help="time that the GPU part may take (default 9.5)")
    return parser


def _chosen(only: str | None, known: tuple[str, ...]) -> list[str]:
    """What to measure.

    Raises:
        SystemExit: there is no such part.
    """
    names = [LETTERS.get(name, name) for name in only.split(",")] if only else list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"--only: no part '{unknown[0]}'; there are {', '.join(known)}")
    return names


def _cpu(asked: argparse.Namespace) -> Iterator[Line]:
    """The lines of each part; one that fails is a line with its reason, and not the end."""
    for part in _chosen(asked.only, PARTS):
        try:
            yield from importlib.import_module(f"tests.benchmarks.{part.replace('-', '_')}").measure(quick=asked.quick)
        except Exception as error:
            yield table.failed(part, "all of it", f"{type(error).__name__}: {error}")


def _gpu(asked: argparse.Namespace) -> Iterator[Line]:
    from tests.benchmarks import gpu

    yield from gpu.measure(asked.gpu, only=_chosen(asked.only, tuple(gpu.SECTIONS)), limit=60 * asked.minutes)


def _device(gpu: str | None) -> str:
    """The device's name.

    Raises:
        SystemExit: there is no such GPU.
    """
    if gpu is None:
        return "cpu"
    from murace.config import Machine
    from murace.errors import MuraceError
    from murace.system.device import Place, choose

    try:
        return Place(choose(Machine(gpu=gpu))[0], "fp32").name
    except MuraceError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
