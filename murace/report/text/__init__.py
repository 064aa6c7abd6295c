"""Text of tables: number formats, escaping for LaTeX, Markdown and csv, and setting tables in LaTeX."""
