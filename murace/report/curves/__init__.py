"""Curves as figures: ROC, reliability diagrams, decision curves."""
