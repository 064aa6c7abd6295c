"""The step evaluate: score every model on the test split."""
