"""(e) Start-up: every help and a Tab press against a bare Typer and rich program; `murace status`."""

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.lines import Line
from tests.benchmarks.workers import ROOT, environment

BARE = '''
import typer
from typing import Annotated
from rich.console import Console

app = typer.Typer(rich_markup_mode="markdown")

@app.command()
def hello(name: Annotated[str, typer.Option(help="Whom to greet.")] = "world") -> None:
    """Greet somebody."""
    Console().print(f"hello {name}")

@app.command()
def bye() -> None:
    """Take leave."""

if __name__ == "__main__":
    app(prog_name="bare")
'''
COMMANDS = ("prepare", "train", "calibrate", "finetune", "evaluate", "cam", "status", "score", "sample", "demo")
HELP_BAR, STATUS_BAR = 1.3, 0.5  # times the bare program; seconds
HELP, COMMAND, TAB = "bare Typer + rich --help", "bare Typer + rich COMMAND --help", "its Tab press"


@dataclass
class Program:
    """A command line, timed again and again."""

    words: list[str]
    folder: Path = ROOT
    variables: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def run(self, *, counts: bool = True) -> None:
        """Run it once and wait for its end."""
        began = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-m", *self.words],
            capture_output=True,
            cwd=self.folder,
            env=environment(self.variables),
            check=False,
        )
        if ended.returncode or not ended.stdout:
            raise RuntimeError(f"{' '.join(self.words)}: {ended.stderr.decode(errors='replace').strip()[-200:]}")
        if counts:
            self.seconds.append(time.perf_counter() - began)


def measure(*, quick: bool = False) -> list[Line]:
    """All of them in turn; medians."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "bare.py").write_text(BARE)
        bare = {
            HELP: Program(["bare", "--help"], place),
            COMMAND: Program(["bare", "hello", "--help"], place),
            TAB: Program(["bare"], place, _tab("bare hello --na", "BARE")),
        }
        ours = {"murace --help": (Program(["murace", "--help"]), HELP)}
        for name in COMMANDS[1:2] if quick else COMMANDS:
            ours[f"murace {name} --help"] = Program(["murace", name, "--help"]), COMMAND
        ours["a Tab press"] = Program(["murace"], variables=_tab("murace train --arch r", "MURACE")), TAB
        status = [] if quick else [_status(place / "workspace")]
        for number in range(2 if quick else 16):
            for program in (*bare.values(), *(program for program, _ in ours.values()), *status):
                program.run(counts=number > 0)
    lines = [_against(f"{name}, against {other}", program, bare[other]) for name, (program, other) in ours.items()]
    return lines + [_within(program) for program in status]


def _tab(typed: str, program: str) -> dict[str, str]:
    """What bash tells a program at a Tab press."""
    return {f"_{program}_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}


def _status(root: Path) -> Program:
    from tests.workshop import tiny_chain, tiny_workspace

    tiny_chain(tiny_workspace(root))
    return Program(["murace", "status", "-w", str(root)])


def _against(what: str, ours: Program, bare: Program) -> Line:
    """Bars are for the times' ratio ours/bare; a line's ratio is how many times better ours is."""
    ratio = statistics.median(b / a for a, b in zip(ours.seconds, bare.seconds, strict=True))
    note = f"{1 / ratio:.2f} times its time, bar {HELP_BAR}"
    return Line("startup", what, "s", *_medians(ours, bare), ratio, 1 / HELP_BAR, note=note)


def _within(status: Program) -> Line:
    median = statistics.median(status.seconds)
    what = "murace status of a finished workspace (small), against its bar"
    return Line("startup", what, "s", median, STATUS_BAR, STATUS_BAR / median, 1.0)


def _medians(*programs: Program) -> tuple[float, ...]:
    return tuple(statistics.median(program.seconds) for program in programs)
