"""A calibrated deep learning ensemble for musculoskeletal radiographs (He, Wang, Zhao, Scientific Reports 2021)."""

__version__ = "0.1.0"
