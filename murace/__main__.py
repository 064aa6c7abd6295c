"""`python -m murace`, and the console script."""

from murace.cli import app


def main() -> None:
    """Run the command line."""
    app(prog_name="murace")


if __name__ == "__main__":
    main()
