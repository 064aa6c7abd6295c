"""The step export: the ensemble as one file, or its members as ONNX graphs for programs without murace."""
