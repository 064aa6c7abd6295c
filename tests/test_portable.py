"""Every module can be imported on any system: what only POSIX has is asked for where it is used, or not at all."""

import ast
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import murace

PACKAGE = Path(murace.__file__).parent
POSIX_MODULES = frozenset(
    ("curses", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource", "spwd", "syslog", "termios", "tty")
)
# Names of os and signal that Windows lacks.
POSIX_NAMES = re.compile(
    r"os\.(O_(ACCMODE|ASYNC|CLOEXEC|DIRECT|DIRECTORY|DSYNC|NOATIME|NOCTTY|NOFOLLOW|NONBLOCK|PATH|SYNC|TMPFILE)"
    r"|chown|chroot|ctermid|eventfd|f?chmodat|fchdir|fchmod|fchown|fdatasync|fork\w*|getegid|geteuid|getgid\w*"
    r"|getgroups|getloadavg|getpgid|getpgrp|getpriority|getsid|getuid|killpg|lchown|lockf|memfd_create|mkfifo|mknod"
    r"|nice|openpty|pipe2|posix_\w+|pread\w*|pwrite\w*|readv|register_at_fork|sched_\w+|sendfile|setgid|setpgid"
    r"|setsid|setuid|statvfs|sync|sysconf|ttyname|uname|wait|wait3|wait4|writev)"
    r"|signal\.(SIG(ALRM|CHLD|CONT|HUP|IO|KILL|PIPE|PROF|QUIT|STOP|TSTP|TTIN|TTOU|USR1|USR2|WINCH)|alarm|pause"
    r"|pthread_\w+|setitimer|siginterrupt|sigwait\w*)"
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported: all of it but the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        yield child
        if isinstance(child, FUNCTIONS):
            outside = [*child.args.defaults, *(value for value in child.args.kw_defaults if value)]
            for part in [*outside, *getattr(child, "decorator_list", [])]:
                yield part
                yield from at_import(part)
        else:
            yield from at_import(child)


def imported(node: ast.AST) -> list[str]:
    names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
    return [*names, node.module or ""] if isinstance(node, ast.ImportFrom) else names


def faults(source: str) -> list[str]:
    """What a module does that fails on a system other than POSIX: while it is imported, or with its own C library."""
    tree, found = ast.parse(source), []
    for node in at_import(tree):
        found += [f"imports {name}" for name in imported(node) if name.partition(".")[0] in POSIX_MODULES]
        if isinstance(node, ast.Attribute) and POSIX_NAMES.fullmatch(ast.unparse(node)):
            found.append(f"asks for {ast.unparse(node)}")
        if isinstance(node, ast.ImportFrom):
            found += [name for item in node.names if POSIX_NAMES.fullmatch(name := f"{node.module}.{item.name}")]
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)] or [tree]:
        text = ast.unparse(function)
        opened = re.search(r"\b(CDLL|PyDLL|LoadLibrary)\((name=)?None\)", text)
        if opened and "sys.platform" not in text[: opened.start()]:
            found.append(f"{opened[0]} before a look at sys.platform")
    return found


def test_no_module_needs_posix_to_be_imported() -> None:
    sources = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}
    assert {name: found for name, source in sources.items() if (found := faults(source))} == {}


@pytest.mark.parametrize(
    "snippet",
    [
        "import fcntl",
        "from pwd import getpwuid",
        "if True:\n    import resource",
        "import os\nFLAGS = os.O_RDWR | os.O_NOFOLLOW",
        "from os import fork",
        "import os\nclass A:\n    cores = len(os.sched_getaffinity(0))",
        "import signal\ndef stop(number=signal.SIGKILL): ...",
        "import ctypes\ndef f():\n    return getattr(ctypes.CDLL(None), 'mallopt', None)",
        "import ctypes\nLIBRARY = ctypes.CDLL(None)",
    ],
)
def test_the_walk_bites(snippet: str) -> None:
    assert faults(snippet)


@pytest.mark.parametrize(
    "snippet",
    [
        "def f():\n    import fcntl",
        "import os\ndef f():\n    return os.open('a', os.O_NOFOLLOW)",
        "import os\nFLAGS = getattr(os, 'O_NOFOLLOW', 0)",
        "import signal\nSIGNALS = (signal.SIGINT, signal.SIGTERM)",
        "import ctypes, sys\ndef f():\n    if sys.platform == 'linux':\n        return ctypes.CDLL(None)",
    ],
)
def test_the_walk_leaves_the_harmless_alone(snippet: str) -> None:
    assert faults(snippet) == []


def test_every_module_is_imported_where_posix_has_nothing_to_offer() -> None:
    modules = [module.name for module in pkgutil.walk_packages(murace.__path__, "murace.")]
    assert {"murace.cli.app", "murace.steps.train", "murace.workspace.lock"} <= set(modules)
    program = (
        f"import sys, importlib\nfor name in {sorted(POSIX_MODULES - {'posix'})}: sys.modules[name] = None\n"
        f"for name in {modules}: importlib.import_module(name)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
