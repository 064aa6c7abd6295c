"""The command line: a parser for each command, and the console, the only place that prints."""

from murace.cli.app import app

__all__ = ["app"]
