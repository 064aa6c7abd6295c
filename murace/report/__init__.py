"""The report: an HTML page, a model card, figures and tables of an evaluation; no file, no path, no workspace."""
