"""Nuisance functions: outcome models, propensity models and their cross-fitting."""
