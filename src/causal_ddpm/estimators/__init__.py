"""Estimators: scores of nuisances and data, one family of estimands a file."""
