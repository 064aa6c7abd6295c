"""Members in ONNX, the open format, for programs without murace; each is compared with the net that it comes from."""

from murace.openformat.conversion import require_packages
from murace.openformat.folder import Converted, Ensemble, convert_all, refuse_foreign

__all__ = ["Converted", "Ensemble", "convert_all", "refuse_foreign", "require_packages"]
