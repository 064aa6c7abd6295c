"""Explanations: class activation maps, overlays, and the pointing game."""
