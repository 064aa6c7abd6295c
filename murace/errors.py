"""The exceptions a user may see.

MuraceError
  UsageError       2  the command line asks for something impossible
  DataError        3  the radiographs or their csv files are not fit for use
  WorkspaceError   4  a previous step is missing, stale, unfinished, damaged or locked; DamagedError: a record is
  MachineError     5  no such GPU, out of memory, disk full; PeerLostError, DismissedError: of several processes
  Interrupted  130/143  Ctrl-C, or SIGTERM or what --stop-on names; the state is saved

Each message says what, where, and which command mends it, in one line.
"""

import signal


class MuraceError(Exception):
    """Anything that is reported to the user in one line instead of a traceback."""

    exit_code = 1


class UsageError(MuraceError):
    """The command line or a configuration value is wrong."""

    exit_code = 2


class DataError(MuraceError):
    """The input data is wrong."""

    exit_code = 3


class WorkspaceError(MuraceError):
    """The workspace is not in the state that this step needs."""

    exit_code = 4


class DamagedError(WorkspaceError):
    """A small record is not, to the byte, what was written."""


class MachineError(MuraceError):
    """The machine cannot do it: device, memory or disk."""

    exit_code = 5


class PeerLostError(MachineError):
    """Another process of this run has ended before its time."""


class DismissedError(MachineError):
    """The leading process has ended of its own accord, and says why."""


class Interrupted(MuraceError):  # noqa: N818 - an event, not a mistake
    """A signal asked the step to stop; what was finished is saved."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(f"interrupted by {signal.Signals(signum).name}")

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """The shell's convention, 128 + signal number; what `--stop-on` names counts as SIGTERM."""
        return 128 + (signal.SIGINT if self.signum == signal.SIGINT else signal.SIGTERM)
