"""Names of the estimators that are shipped; known without importing any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from causal_ddpm.core.errors import DataError

TITLES: Mapping[str, str] = MappingProxyType({
    "difference": "difference in means",
    "ols": "OLS with confounders",
    "lin": "regression adjustment (Lin)",
    "ipw": "IPW (Hajek)",
    "aipw": "AIPW, ridge and logistic",
    "diffusion": "AIPW, diffusion (default)",
})  # fmt: skip
"""What tables call each."""


def check_shipped(name: str) -> str:
    """The name, if there is such an estimator.

    Raises
    ------
    DataError
    """
    if name not in TITLES:
        raise DataError(f"there is no estimator '{name}'", ", ".join(TITLES))
    return name


def check_different(names: Sequence[str]) -> None:
    """Refuse no name, and a name that occurs twice.

    Raises
    ------
    DataError
    """
    twice = [name for name in names if names.count(name) > 1]
    if not names or twice:
        raise DataError(
            f"the estimator '{twice[0]}' occurs twice" if twice else "no estimator was named",
            "different estimators, at least one",
        )
