"""The command line: parsers with plain twins below, and the console, the only place that prints."""

from murace.cli.app import app

__all__ = ["app"]
