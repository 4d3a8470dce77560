"""Checks of data, models and estimates; analyses and Monte Carlo studies."""
