"""Coverage-guided fuzzing of the gates: `python -m tests.fuzz TARGET --seconds 600` (needs `pip install .[fuzz]`).

Through a gate comes what it lets in, or one of its own errors; anything else that escapes is a finding.
"""
