"""The step finetune: a member for each group, its designated learner trained further on that group's images."""
