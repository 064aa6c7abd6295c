"""Data sets as they come: MURA folders, manifests, and the split into training, validation and test."""
