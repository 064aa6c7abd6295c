"""Measures of how well probabilities agree with labels."""
