"""Radiographs on disk and in memory: where they come from, how they are cut, stored, gathered and augmented."""
