"""Members in ONNX, the open format, for programs without murace; each is compared with the net that it comes from."""

from murace.steps.export.onnx_folder import Converted, OnnxEnsemble, convert_all, refuse_foreign
from murace.steps.export.onnx_graph import require_packages

__all__ = ["Converted", "OnnxEnsemble", "convert_all", "refuse_foreign", "require_packages"]
