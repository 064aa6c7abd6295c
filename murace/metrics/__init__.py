"""Metrics: scores, confidence intervals, paired tests, calibration, and the choice of learners by them."""
