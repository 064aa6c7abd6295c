"""What Python tells its auditors while something runs: sockets, other programs, code out of pickles (PEP 578)."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

NETWORK = (
    "socket.",
    "urllib.",
    "http.",
    "ftplib.",
    "smtplib.",
    "imaplib.",
    "poplib.",
    "nntplib.",
    "telnetlib.",
    "webbrowser.",
)
PROGRAMS = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.")
CODE = "pickle.find_class"
OWN_NAME = "socket.gethostname"

_heard: list[str] | None = None


def _listen(event: str, given: tuple[object, ...]) -> None:
    """Note what is watched; a socket is refused besides, so that nothing depends on an answer."""
    if _heard is None or event == OWN_NAME:
        return
    is_network = event.startswith(NETWORK)
    if is_network or event.startswith((*PROGRAMS, CODE)):
        _heard.append(f"{event} {given!r:.200}")
    if is_network:
        raise PermissionError(f"{event}: there is no network here")


sys.addaudithook(_listen)  # there is no way to take it off again


@contextmanager
def watched() -> Iterator[list[str]]:
    """The events of a block, as they come."""
    global _heard
    _heard = events = []
    try:
        yield events
    finally:
        _heard = None
