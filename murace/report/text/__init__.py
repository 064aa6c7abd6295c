"""Text of the report: formats of numbers, escaping, tables as data, LaTeX and csv."""
