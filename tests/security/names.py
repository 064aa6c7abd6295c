"""What a module's source refers to, by full dotted names: aliases, `getattr` and `import_module` are seen through."""

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property

ANY = "*"  # stands for a receiver whose type is not known: `*.extractall`
WRITING = frozenset("wax+")


@dataclass(frozen=True)
class Use:
    """A reference to a name; `open-for-writing` and the like are named as calls of their own."""

    name: str
    line: int

    @cached_property
    def path(self) -> tuple[str, ...]:
        """The name and every one above it: `torch.load` and `torch`."""
        parts = self.name.split(".")
        return tuple(".".join(parts[:count]) for count in range(1, len(parts) + 1))


@cache
def uses(source: str) -> tuple[Use, ...]:
    """Everything that a module imports, refers to or calls."""
    tree = ast.parse(source)
    aliases = dict(_aliases(tree))
    return tuple(Use(name, line) for node in ast.walk(tree) for name, line in _of(node, aliases))


def _aliases(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Local name -> full name, of imports anywhere in the module and of names that are given to a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                yield (item.asname, item.name) if item.asname else (item.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            for item in node.names:
                name = f"{'.' * node.level}{node.module or ''}.{item.name}"
                yield item.asname or item.name, name.removeprefix("murace.system.opencv.")


def _of(node: ast.AST, aliases: dict[str, str]) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Import):
        yield from ((item.name, node.lineno) for item in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = f"{'.' * node.level}{node.module or ''}"
        yield from ((name, node.lineno) for name in (module, *(f"{module}.{item.name}" for item in node.names)))
    elif isinstance(node, ast.Attribute) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)):
        if (name := _dotted(node, aliases)) is not None:
            yield name, node.lineno
        if isinstance(node, ast.Attribute) and not (name or "").startswith("murace."):
            yield f"{ANY}.{node.attr}", node.lineno
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
        yield f"'{node.value}'", node.lineno
    elif isinstance(node, ast.ExceptHandler):
        yield from ((name, node.lineno) for name in _handler(node))
    elif isinstance(node, ast.Call):
        yield from ((name, node.lineno) for name in _call(node, aliases))


def _dotted(node: ast.expr, aliases: dict[str, str]) -> str | None:
    """The full name of `a.b.c`; what is not imported is a builtin or the module's own."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id, f"{'builtins' if hasattr(builtins, node.id) else 'local'}.{node.id}")
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value, aliases)
        return None if before is None else f"{before}.{node.attr}"
    return None


def _handler(node: ast.ExceptHandler) -> Iterator[str]:
    """A bare `except:`, and one of everything that says nothing: `except Exception: pass`."""
    if node.type is None:
        yield "except-everything"
    is_broad = isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
    if is_broad and all(isinstance(line, ast.Pass | ast.Continue) or _is_text(line) for line in node.body):
        yield "except-Exception-pass"


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


def _call(node: ast.Call, aliases: dict[str, str]) -> Iterator[str]:
    """What can be told from a call alone, under names of our own: `open-for-writing`, `shell=True`, ..."""
    name = _dotted(node.func, aliases) or ""
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    given = {word.arg: word.value for word in node.keywords if word.arg}
    is_ours = name.startswith("murace.")
    found = {
        "open-for-writing": _is_writing_open(name, method, node, given),
        # Of a Path with one argument; of a text with two, of a table by keyword.
        f"Path.{method}": method in ("replace", "rename") and len(node.args) == 1 and not given and not is_ours,
        "to_csv-to-a-file": method == "to_csv" and bool(node.args or "path_or_buf" in given),
        # Of pandas; a net's `eval` has no argument.
        "eval-of-a-table": method in ("eval", "query") and bool(node.args or given) and not is_ours,
        "shell=True": _says_other(given, "shell", False),
        "suppress(Exception)": name == "contextlib.suppress"
        and any(_dotted(word, aliases) in ("builtins.Exception", "builtins.BaseException") for word in node.args),
        "trust_repo": _says_other(given, "trust_repo", False),
        "verify=False": _says_other(given, "verify", True),
        "allow_pickle=True": _says_other(given, "allow_pickle", False),
        "weights_only=False": _says_other(given, "weights_only", True),
        "numpy.load-without-allow_pickle": name == "numpy.load" and "allow_pickle" not in given,
        "torchvision-weights": name.startswith("torchvision.models.") and _says_other(given, "weights", None),
    }
    if name.endswith("jinja2.Environment"):
        found["Environment-without-autoescape"] = "autoescape" not in given
        found["autoescape=False"] = _says_other(given, "autoescape", True)
        undefined = given.get("undefined")
        strict = undefined is not None and _dotted(undefined, aliases) == "jinja2.StrictUndefined"
        found["Environment-without-StrictUndefined"] = not strict
    yield from (what for what, is_so in found.items() if is_so)
    if name in ("builtins.getattr", "importlib.import_module", "importlib.__import__"):
        yield from _indirect(name, node, aliases)


def _indirect(name: str, node: ast.Call, aliases: dict[str, str]) -> Iterator[str]:
    """`getattr(module, "load")` and `import_module("pickle")` are the names that they lead to."""
    words = [word.value if isinstance(word, ast.Constant) else None for word in node.args]
    if name == "builtins.getattr" and len(words) > 1:
        before = _dotted(node.args[0], aliases)
        if isinstance(words[1], str):
            yield f"{before}.{words[1]}" if before else f"{ANY}.{words[1]}"
    elif words and isinstance(words[0], str):
        yield words[0]
    elif name != "builtins.getattr":
        yield "import-of-a-computed-name"


def _is_writing_open(name: str, method: str, node: ast.Call, given: dict[str, ast.expr]) -> bool:
    """`open(path, "w")`, `path.open("w")`, `os.fdopen(.., "w")`, and any whose mode is not a plain text."""
    if name in ("builtins.open", "io.open", "os.fdopen", "codecs.open"):
        mode = given.get("mode", node.args[1] if len(node.args) > 1 else None)
    elif method == "open" and name != "os.open" and not name.startswith("murace."):
        mode = given.get("mode", node.args[0] if node.args else None)
    else:
        return False
    if mode is None:
        return False
    is_text = isinstance(mode, ast.Constant) and isinstance(mode.value, str)
    return not is_text or bool(WRITING & set(mode.value))


def _says_other(given: dict[str, ast.expr], name: str, wanted: bool | None) -> bool:
    """Whether an argument is there and is not plainly `wanted`."""
    value = given.get(name)
    return value is not None and not (isinstance(value, ast.Constant) and value.value is wanted)
