"""Generate the files in `completions/`, the completion script of each shell.

After a change of the command's name, or with another typer: python -m murace.cli.completion completions
"""

import sys
from pathlib import Path

from typer._completion_shared import get_completion_script

from murace.system.files import write_text

PROGRAM, VARIABLE = "murace", "_MURACE_COMPLETE"
FILES = {"bash": "murace.bash", "zsh": "_murace", "fish": "murace.fish", "powershell": "murace.ps1"}

# zsh runs a file of its function path at the first Tab, and expects that run to complete. typer's last line only
# registers the function for the second Tab; and `source` must still work.
ZSH_REGISTERS = "compdef _murace_completion murace"
ZSH_COMPLETES = (
    f'if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n  _murace_completion "$@"\nelse\n  {ZSH_REGISTERS}\nfi'
)


def script(shell: str) -> str:
    """Generate the completion script for a shell: one of the keys of `FILES`."""
    text = get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell)
    if shell == "zsh":
        body, registers, rest = text.rpartition(ZSH_REGISTERS)
        assert registers, "typer's zsh script has changed"
        text = body + ZSH_COMPLETES + rest
    return text.rstrip() + "\n"


def write(folder: Path) -> None:
    """Write the file of every shell into `folder`."""
    for shell, name in FILES.items():
        write_text(folder / name, script(shell))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
