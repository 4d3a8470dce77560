"""Which estimator to trust on data like yours: a Monte Carlo study on the twin of a data set."""
