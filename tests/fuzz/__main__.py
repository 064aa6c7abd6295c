"""Fuzz one gate for some time: `python -m tests.fuzz TARGET --seconds 600 [--corpus DIR]`.

What is found stands in the current folder as `crash-…`; what was learned stays in the corpus folder.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import PLACES, gate_of


def main() -> None:
    """Hand the gate over to atheris, which ends the process."""
    try:
        import atheris
    except ImportError:
        sys.exit('fuzzing needs atheris: pip install "murace[fuzz]"')
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=sorted(PLACES))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path)
    given = parser.parse_args()
    with atheris.instrument_imports(include=["murace"]):
        gate = gate_of(given.target)
    corpus = given.corpus or Path(tempfile.mkdtemp(prefix=f"murace-{gate.name}-"))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(gate.seeds()):
        (corpus / f"seed-{number}").write_bytes(data)
    limits = [f"-max_total_time={given.seconds}", "-rss_limit_mb=4096", "-timeout=30", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, str(corpus)], gate.try_)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
