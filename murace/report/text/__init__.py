"""Text of tables: number formats, escaping, LaTeX."""
