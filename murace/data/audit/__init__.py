"""Audit of a data set: copies, contradictory labels, odd pictures."""
