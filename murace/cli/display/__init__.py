"""The output of a command: console, progress bars, tables, and how the command ends."""
