"""What an estimator returns: a labelled vector with its influence functions.

With theta_hat the estimate of theta and psi_i the influence of row i (centred, weighted),

    theta_hat - theta ~ (1/n) sum_i psi_i,
    cov = N/(N-1) (1/n^2) sum_g (sum_{i in g} psi_i)(sum_{i in g} psi_i)'

where g runs over clusters (or over rows, when there are none) and N is the number of independent
units. Any linear combination of estimates on the same rows follows from the joint psi.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from causal_ddpm.core.errors import DataError, SyntheticDataError
from causal_ddpm.core.multiplicity import (
    Adjustment,
    adjusted_p_values,
    null_draws,
    on_normal_scale,
    t_tests,
)

Array = NDArray[np.float64]
SCHEMA_VERSION = 1


def influence_covariance(
    influence: Array, clusters: NDArray[np.int64] | None = None, n_independent: float | None = None
) -> Array:
    """Covariance of an estimate from its influence functions, shape (p, p).

    Parameters
    ----------
    influence : ndarray, shape (n, p)
        Centred influence values; with frequency weights w they carry sqrt(w).
    clusters : ndarray of int, shape (n,), optional
        Cluster codes; influence is summed within clusters first.
    n_independent : float, optional
        Number of independent units N in the N/(N-1) correction; rows or clusters by default, the
        sum of the weights for frequency weights.
    """
    n = len(influence)
    if clusters is not None:
        sums = np.zeros((int(clusters.max()) + 1, influence.shape[1]))
        np.add.at(sums, clusters, influence)
        influence = sums[np.bincount(clusters, minlength=len(sums)) > 0]
    big_n = float(len(influence)) if n_independent is None else n_independent
    return influence.T @ influence / n**2 * big_n / max(big_n - 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A vector of estimates with everything needed to test and combine them.

    Parameters
    ----------
    values : ndarray, shape (p,)
        Point estimates in units of the outcome.
    cov : ndarray, shape (p, p)
        Covariance of the estimates.
    labels : tuple of str
        One label an entry.
    influence : ndarray, shape (n, p)
        Influence values, centred; see the module page.
    row_ids : ndarray, shape (n,)
        Identifiers of the rows that were scored.
    fingerprint : str
        Hash of the data; equal fingerprints mean equal rows in equal order.
    estimand, population, method : str
        What was estimated, for whom, and how.
    n, n_synthetic : int
        Rows scored; synthetic rows that helped to train nuisances (never counted in n).
    level : float
        Default confidence level of the intervals.
    df : float, ndarray of shape (p,), or None
        Degrees of freedom of the t intervals (clusters minus one), of all entries or of each; None
        means normal.
    clusters : ndarray of int, shape (n,), or None
        Cluster codes.
    n_independent : float or None
        See :func:`influence_covariance`.
    bootstrap : ndarray, shape (B, p), or None
        Bootstrap draws of the estimates; when present, intervals are their percentiles.
    bounds : ndarray, shape (2, p), or None
        Ends of the interval at ``level`` where the method has an interval of its own, which need
        not be symmetric (:mod:`causal_ddpm.core.reported`); other levels follow the covariance.
    assumptions, warnings : tuple of str
        What carries the result, and what to worry about.
    details : mapping
        Further numbers of the estimator, JSON-ready.
    """

    values: Array
    cov: Array
    labels: tuple[str, ...]
    influence: Array
    row_ids: NDArray[Any]
    fingerprint: str
    estimand: str
    population: str
    method: str
    n: int
    n_synthetic: int = 0
    level: float = 0.95
    df: float | Array | None = None
    clusters: NDArray[np.int64] | None = None
    n_independent: float | None = None
    bootstrap: Array | None = None
    bounds: Array | None = None
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    # -- reading ---------------------------------------------------------------------------
    def __len__(self) -> int:
        return len(self.values)

    def __float__(self) -> float:
        if len(self) != 1:
            raise DataError(
                f"the estimate has {len(self)} entries", "one entry", "Read .value or .to_frame()."
            )
        return float(self.values[0])

    def _scalar(self, x: Array) -> Any:
        return float(x[0]) if len(self) == 1 else x

    @property
    def value(self) -> Any:
        """Point estimate: a float at length 1, else an array of shape (p,)."""
        return self._scalar(self.values)

    @property
    def std_error(self) -> Any:
        """Standard error, same shape as :attr:`value`."""
        return self._scalar(np.sqrt(np.diag(self.cov)))

    def interval(self, level: float | None = None, simultaneous: bool = False) -> tuple[Any, Any]:
        """Confidence interval.

        Parameters
        ----------
        level : float, optional
            Confidence level; the estimate's own by default.
        simultaneous : bool
            If True all entries are covered at once with probability ``level`` (the largest absolute
            t over the joint normal or bootstrap law); otherwise each entry on its own.

        Returns
        -------
        lower, upper : float or ndarray
        """
        level = _checked_level(self.level if level is None else level)
        if self.bounds is not None and not simultaneous and level == self.level:
            return self._scalar(self.bounds[0]), self._scalar(self.bounds[1])
        se = np.sqrt(np.diag(self.cov))
        if self.bootstrap is not None and not simultaneous:
            low, high = np.quantile(self.bootstrap, [(1 - level) / 2, (1 + level) / 2], axis=0)
            return self._scalar(low), self._scalar(high)
        c = self._critical_simultaneous(level) if simultaneous else self._critical(level)
        return self._scalar(self.values - c * se), self._scalar(self.values + c * se)

    def _critical(self, level: float) -> float | Array:
        q = (1 + level) / 2
        if isinstance(self.df, np.ndarray):
            return np.asarray(stats.t.ppf(q, self.df))
        return float(stats.norm.ppf(q) if self.df is None else stats.t.ppf(q, self.df))

    def _critical_simultaneous(self, level: float) -> float | Array:
        draws = null_draws(self.values, self.cov, self.df, self.bootstrap)
        c = float(np.quantile(draws.max(axis=1), level))
        if isinstance(self.df, np.ndarray) and self.bootstrap is None:
            return np.asarray(stats.t.isf(stats.norm.sf(c), self.df))
        return c

    def test(self, null: ArrayLike = 0.0, adjust: Adjustment | None = None) -> pd.DataFrame:
        """t statistics and two-sided p-values of value = null, one row an entry.

        Parameters
        ----------
        null : array_like
            One value, or one an entry.
        adjust : {"holm", "benjamini-hochberg", "max-t", "romano-wolf"}, optional
            Adds ``p_adjusted``, for many questions; see :mod:`causal_ddpm.core.multiplicity`.

        Raises
        ------
        DataError
            If ``adjust`` is unknown.
        """
        t, p_values = t_tests(self.values, self.cov, self.df, null)
        table = pd.DataFrame({"statistic": t, "p_value": p_values}, index=list(self.labels))
        if adjust is not None:
            draws = null_draws(self.values, self.cov, self.df, self.bootstrap)
            own_df = isinstance(self.df, np.ndarray) and self.bootstrap is None
            size = on_normal_scale(t, np.asarray(self.df)) if own_df else t
            table["p_adjusted"] = adjusted_p_values(size, p_values, draws, adjust)
        return table

    # -- combining -------------------------------------------------------------------------
    def contrast(self, matrix: ArrayLike, labels: Sequence[str] | None = None) -> Estimate:
        """Linear combinations ``matrix @ value`` with their covariance.

        Parameters
        ----------
        matrix : array_like, shape (q, p) or (p,)
        labels : sequence of str, optional
        """
        c = np.atleast_2d(np.asarray(matrix, dtype=float))
        if c.shape[1] != len(self) or not np.isfinite(c).all():
            raise DataError(
                f"the contrast has {c.shape[1]} columns", f"{len(self)} of finite numbers"
            )
        names = tuple(labels) if labels else tuple(f"contrast {i + 1}" for i in range(len(c)))
        draws = None if self.bootstrap is None else self.bootstrap @ c.T
        return replace(
            self,
            values=c @ self.values,
            cov=c @ self.cov @ c.T,
            labels=names,
            influence=self.influence @ c.T,
            df=_least_df(self.df, c),
            bootstrap=draws,
            bounds=None,
        )

    def combine(self, other: Estimate, sign: float, independent: bool = False) -> Estimate:
        """``self + sign * other`` entry by entry, with the joint covariance.

        Raises
        ------
        DataError
            If the two rest on different rows and ``independent`` is False, or differ in length.
        """
        if len(self) != len(other):
            raise DataError(
                f"the estimates have {len(self)} and {len(other)} entries", "equal lengths"
            )
        labels = tuple(
            f"{a} {'-' if sign < 0 else '+'} {b}"
            for a, b in zip(self.labels, other.labels, strict=True)
        )
        values = self.values + sign * other.values
        common: dict[str, Any] = {
            "values": values,
            "labels": labels,
            "bootstrap": None,
            "bounds": None,
            "details": {},
            "estimand": labels[0] if len(labels) == 1 else f"{self.estimand} and {other.estimand}",
            "assumptions": tuple(dict.fromkeys(self.assumptions + other.assumptions)),
            "warnings": tuple(dict.fromkeys(self.warnings + other.warnings)),
        }
        if _on_same_rows(self, other):
            influence = self.influence + sign * other.influence
            cov = influence_covariance(influence, self.clusters, self.n_independent)
            return replace(self, influence=influence, cov=cov, **common)
        if not independent:
            _refuse_unknown_correlation(self, other)
        return replace(
            self,
            cov=self.cov + other.cov,
            influence=np.vstack([self.influence, sign * other.influence]),
            row_ids=np.concatenate([self.row_ids, other.row_ids]),
            n=self.n + other.n,
            fingerprint=f"{self.fingerprint}+{other.fingerprint}",
            clusters=None,
            **common,
        )

    def __sub__(self, other: Estimate) -> Estimate:
        return self.combine(other, -1.0)

    def __add__(self, other: Estimate) -> Estimate:
        return self.combine(other, 1.0)

    # -- writing ---------------------------------------------------------------------------
    def to_frame(self, level: float | None = None) -> pd.DataFrame:
        """One row an entry, with the columns of :meth:`records`."""
        return pd.DataFrame(self.records(level))

    def records(self, level: float | None = None) -> list[dict[str, Any]]:
        """One dictionary an entry, as in the JSON of the command line.

        Keys: estimand, label, value, std_error, ci_low, ci_high, level, n, method.
        """
        lev = self.level if level is None else level
        low, high = (np.atleast_1d(x) for x in self.interval(lev))
        se = np.sqrt(np.diag(self.cov))
        return [
            {
                "estimand": self.estimand,
                "label": label,
                "value": float(self.values[j]),
                "std_error": float(se[j]),
                "ci_low": float(low[j]),
                "ci_high": float(high[j]),
                "level": lev,
                "n": self.n,
                "method": self.method,
            }
            for j, label in enumerate(self.labels)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-ready; :meth:`from_dict` reads it back."""
        out: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
        for name, value in self.__dict__.items():
            out[name] = value.tolist() if isinstance(value, np.ndarray) else value
        out["labels"], out["assumptions"] = list(self.labels), list(self.assumptions)
        out["warnings"], out["details"] = list(self.warnings), dict(self.details)
        return out

    @classmethod
    def from_dict(cls, source: Mapping[str, Any]) -> Estimate:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        DataError
            If the schema version is unknown.
        """
        return cls(**_read_fields(source))

    def __repr__(self) -> str:
        lines = [f"{self.estimand} ({self.population}), {self.method}, n = {self.n:,}"]
        low, high = (np.atleast_1d(x) for x in self.interval())
        se = np.sqrt(np.diag(self.cov))
        lines += [
            f"  {label}: {v:.6g}  (SE {s:.4g}; {self.level:.0%} CI {a:.6g} to {b:.6g})"
            for label, v, s, a, b in zip(self.labels, self.values, se, low, high, strict=True)
        ]
        lines += [f"  warning: {w}" for w in self.warnings]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, border=0, float_format=lambda v: f"{v:.5g}")
        notes = "".join(f"<li>{html.escape(w)}</li>" for w in self.warnings)
        return table + (f"<ul>{notes}</ul>" if notes else "")


@dataclass(frozen=True, eq=False)
class EffectCurve:
    """An estimate along a grid, with its band.

    Parameters
    ----------
    grid : ndarray, shape (G,)
        Points at which the curve was estimated.
    estimate : Estimate
        Its G entries belong to the grid points.
    lower, upper : ndarray, shape (G,)
        The band.
    uniform : bool
        True when the band covers the whole curve at once, False when point by point.
    """

    grid: Array
    estimate: Estimate
    lower: Array
    upper: Array
    uniform: bool

    def to_frame(self) -> pd.DataFrame:
        """Columns grid, value, lower, upper."""
        return pd.DataFrame(
            {
                "grid": self.grid,
                "value": self.estimate.values,
                "lower": self.lower,
                "upper": self.upper,
            }
        )


def refuse_synthetic(n_synthetic: int) -> None:
    """Refuse to count synthetic rows as observations.

    Raises
    ------
    SyntheticDataError
        If any row carries the synthetic marker.
    """
    if n_synthetic:
        raise SyntheticDataError(
            f"{n_synthetic:,} rows are marked as synthetic; expected observed rows only. "
            "Synthetic rows add no information about the effect: drop them before estimating."
        )


def _checked_level(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise DataError(
            f"the confidence level is {level}", "a number between 0 and 1, such as 0.95"
        )
    return float(level)


def _read_fields(source: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of :class:`Estimate` from its dictionary."""
    fields = dict(source)
    version = fields.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise DataError(f"schema_version is {version!r}", str(SCHEMA_VERSION))
    for name in ("values", "cov", "influence", "bootstrap", "bounds"):
        if fields.get(name) is not None:
            fields[name] = np.asarray(fields[name], dtype=float)
    if isinstance(fields.get("df"), list):
        fields["df"] = np.asarray(fields["df"], dtype=float)
    fields["influence"] = fields["influence"].reshape(-1, len(fields["values"]))
    if fields.get("clusters") is not None:
        fields["clusters"] = np.asarray(fields["clusters"], dtype=np.int64)
    fields["row_ids"] = np.asarray(fields["row_ids"])
    for name in ("labels", "assumptions", "warnings"):
        fields[name] = tuple(fields[name])
    return fields


def _least_df(df: float | Array | None, matrix: Array) -> float | Array | None:
    """Degrees of freedom of combinations: the least of the entries that a row combines."""
    if not isinstance(df, np.ndarray):
        return df
    return np.asarray(np.where(matrix != 0, df, np.inf).min(axis=1))


def _on_same_rows(a: Estimate, b: Estimate) -> bool:
    """Whether the correlation of two estimates follows from their influence functions."""
    alike = a.fingerprint == b.fingerprint and a.influence.shape == b.influence.shape
    return alike and len(a.influence) > 0


def _refuse_unknown_correlation(a: Estimate, b: Estimate) -> None:
    known = len(a.influence) > 0 and len(b.influence) > 0
    raise DataError(
        "the two estimates rest on different rows"
        if known
        else "an estimate has no influence functions: its correlation with the other is unknown",
        "the same data (equal fingerprints)" if known else "estimates of this package",
        "If the samples are independent, use a.combine(b, -1, independent=True).",
    )
