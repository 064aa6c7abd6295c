"""What a command shows: console, progress bars, tables, and how it ends."""
