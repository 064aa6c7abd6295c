"""matplotlib, quiet and with murace's own settings; every module of murace imports it from here.

Each notebook exports MPLBACKEND for a module that murace's environment need not have, and a setting that matplotlib
cannot read fails while it loads. Figures are files here: no backend is needed, and `style` sets how they look.
"""

import logging
import os
from contextlib import suppress

from murace.errors import MachineError
from murace.system.failures import machine_error

# It tells of a home that it cannot write to, and keeps its list of fonts among the temporary files then.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

_backend = os.environ.pop("MPLBACKEND", None)
try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except (ImportError, OSError, ValueError) as error:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    raise machine_error(error, saves=False) or MachineError(
        f"matplotlib cannot be loaded ({reason}): mend its settings (./matplotlibrc), or pip install matplotlib"
    ) from error
finally:
    if _backend is not None:
        os.environ["MPLBACKEND"] = _backend
if _backend:
    with suppress(ValueError):  # what else this process draws, in a notebook for example, goes where it would have gone
        mpl.rcParams["backend"] = _backend

__all__ = ["Axes", "Figure", "MaxNLocator", "mpl"]
