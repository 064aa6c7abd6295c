"""Ten files that run code in whoever unpickles them; each would leave a marker. Nothing here is run by murace."""

import builtins
import io
import json
import os
import pickle
import runpy
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Call:
    """Pickled, it is a call of a function that unpickling makes."""

    def __init__(self, function: Callable[..., Any], *given: Any) -> None:
        self.function, self.given = function, given

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.given


def corpus(marker: Path) -> dict[str, bytes]:
    """Name -> bytes; whichever is unpickled, a file stands at `marker`."""
    shell = Call(os.system, f"touch {marker}")
    code = f"open({str(marker)!r}, 'w').close()"
    script, hub = marker.with_name("script.py"), marker.with_name("hub")
    script.write_text(code)
    hub.mkdir(exist_ok=True)
    (hub / "hubconf.py").write_text(f"def net():\n    {code}\n")
    chain = Call(_through, "os", "system", f"touch {marker}")
    state = {"net.weight": torch.zeros(3), "losses": torch.zeros(1), "best": torch.zeros(1)}
    return {
        "os.system": pickle.dumps(shell),
        "builtins.eval": pickle.dumps(Call(builtins.eval, code)),
        "in plain ASCII": pickle.dumps(Call(builtins.exec, code), protocol=0),
        "runpy": pickle.dumps(Call(runpy.run_path, str(script)), protocol=2),
        "torch.hub": pickle.dumps(Call(_hub, str(hub))),
        "numpy's constructor": _object_array(shell),
        "nested": pickle.dumps({"facts": [{"deep": (1, [shell])}]}),
        "in a state's random numbers": _saved({**state, "rng": shell}),
        "in a state's optimiser": _saved({**state, "optimizer": {"state": {0: {"exp_avg": shell}}}}),
        "a chain in JSON's clothes": b'{"groups": {}}\n' + pickle.dumps(chain),
    }  # fmt: skip


def _through(module: str, name: str, *given: Any) -> Any:
    return getattr(__import__(module), name)(*given)


def _hub(folder: str) -> Any:
    return torch.hub.load(folder, "net", source="local")


def _object_array(gadget: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([gadget], dtype=object), allow_pickle=True)
    return file.getvalue()


def _saved(state: object) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def fire(name: str, data: bytes) -> None:
    """What a careless program would do with it."""
    if name == "numpy's constructor":
        np.load(io.BytesIO(data), allow_pickle=True)
    elif zipfile.is_zipfile(io.BytesIO(data)):
        torch.load(io.BytesIO(data), weights_only=False)
    else:
        pickle.loads(data[data.rindex(b"\x80\x04") if data.startswith(b"{") else 0 :])


def in_safetensors(gadget: bytes) -> bytes:
    """A well-formed file of tensors whose metadata, and whose bytes, are the gadget."""
    body = gadget + b"\0" * (-len(gadget) % 4)
    entry = {"dtype": "U8", "shape": [len(body)], "data_offsets": [0, len(body)]}
    header = {"__metadata__": {"murace": gadget.decode("latin-1")}, "x": entry}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body
