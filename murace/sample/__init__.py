"""Synthetic radiographs in MURA's layout, for trying murace out without data."""
