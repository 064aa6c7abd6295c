"""`python -m murace`, and the console script."""

import os
import sys
from pathlib import Path

from murace.cli import app
from murace.system.launch import launch


def main() -> None:
    """Run the command line."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell: what goes there is lost, as was asked for
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for as long as the program runs
        getattr(sys, name).reconfigure(errors="backslashreplace")  # a folder in letters that this terminal lacks
    if launch().rank:  # of several processes the first prints, help included
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    app(prog_name="murace")


if __name__ == "__main__":
    main()
