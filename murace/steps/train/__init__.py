"""The step train: a learner on the training images of all groups."""
