"""Anderson-Rubin sets, which estimators use too: :mod:`causal_ddpm.core.anderson_rubin`."""

from causal_ddpm.core.anderson_rubin import anderson_rubin_set, robust_anderson_rubin_set

__all__ = ["anderson_rubin_set", "robust_anderson_rubin_set"]
