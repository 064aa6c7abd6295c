"""Which group a picture shows, or that it looks like none: a linear model on a trained learner's pooled features.

Each group is a Gaussian cloud of features, all with one covariance (linear discriminant analysis), so that the shares
of the groups are those of a linear classifier, and the distance to the nearest cloud tells what is unlike them all
(Lee et al., A simple unified framework for detecting out-of-distribution samples, NeurIPS 2018). `fit` makes the model.
`recognise` asks the learner for its features; the other files but `look` need no torch.
"""
