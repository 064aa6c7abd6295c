"""A reading process: takes a job and then chunks as lines of JSON on stdin, and answers each on stdout.

It is a program of its own rather than a fork: no threads of the parent are copied, nothing heavy is loaded (the
parent's main module may well import torch), and when the parent dies in whatever way, stdin ends and so does this.
"""

import json
import sys
import traceback
from dataclasses import asdict

from murace.data.chunks import Chunk, Job, run_chunk
from murace.errors import MachineError


def main() -> None:
    """Serve until stdin ends."""
    job = Job(**json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        print(json.dumps(_answer(job, line)), flush=True)  # noqa: T201 - stdout is the pipe to the parent


def _answer(job: Job, line: str) -> dict[str, object]:
    values = json.loads(line)
    try:
        outcomes = run_chunk(job, Chunk(values["number"], values["first"], tuple(values["paths"])))
    except MachineError as error:
        return {"error": str(error)}
    except Exception:  # a bug of ours must reach the parent, whose log can be read
        return {"bug": traceback.format_exc()}
    return {"outcomes": [asdict(outcome) for outcome in outcomes]}


if __name__ == "__main__":
    main()
