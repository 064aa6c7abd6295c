"""New studies and an ensemble: each study gets its group and that group's member's prediction."""
