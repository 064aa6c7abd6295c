"""Figures of curves: ROC, reliability diagram, decision curve, training curves."""
