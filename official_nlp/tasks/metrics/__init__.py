"""Metrics of evaluation sets: numpy arrays and strings in, a dict of floats out.

The functions adapt scikit-learn, scipy and seqeval; SQuAD's and the minimal pairs' definitions are
written here. All scores are fractions from 0 to 1, correlations from -1 to 1, never percent. A
metric that is not defined for a set, such as a correlation with a constant, is 0, so that the
comparison of checkpoints needs no special case. The last word of a name states which direction is
better, see `training.best.parse`.
"""
