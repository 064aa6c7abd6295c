"""The report of `murace evaluate`: pure functions from tables to one self-contained page."""
