"""Coefficients of the regression that a textbook would run, estimated again on generated rows.

    beta = (X' P X)^-1 X' P y,   P = Z (Z' Z)^-1 Z',   V = A (sum_i u_i^2 z^_i z^_i') A'

with z^ = P X, A = (X' P X)^-1: least squares where Z = X, two-stage least squares otherwise, with
heteroskedasticity-robust (HC1) standard errors. The truth is the population value of the same
formula: what the design states where it is structural, otherwise a draw of many rows. The error is
judged by the standard error of the real draw: allowance = 2.6 se.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.evaluation.fidelity import DISTINCT
from causal_ddpm.evaluation.recovery.generator import Roles
from causal_ddpm.evaluation.recovery.known import Encoding
from causal_ddpm.evaluation.recovery.report import Finding, Section

Array = NDArray[np.float64]
_Z95 = 1.959964


@dataclass(frozen=True, eq=False)
class Equation:
    """A linear equation of a design.

    Parameters
    ----------
    name : str
        What sentences call it; empty where there is one.
    response : callable
        Frame to the left side.
    regressors : callable
        Frame to the right side, a frame with names; a constant is added.
    instruments : callable, optional
        Frame to what stands in place of the regressors in the first stage.
    known : mapping of str to float
        Structural coefficients that the design states.
    """

    name: str
    response: Callable[[pd.DataFrame], Array]
    regressors: Callable[[pd.DataFrame], pd.DataFrame]
    instruments: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    known: Mapping[str, float] = field(default_factory=dict)

    def fit(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Coefficients and standard errors, one row a regressor (the constant is left out)."""
        right = self.regressors(frame)
        x = _with_constant(right)
        z = x if self.instruments is None else _with_constant(self.instruments(frame))
        beta, se = two_stage(x, z, self.response(frame))
        return pd.DataFrame({"coef": beta[1:], "se": se[1:]}, index=right.columns)

    def label(self, term: str) -> str:
        """A coefficient in words."""
        return f"the coefficient of {term}" + (f" in {self.name}" if self.name else "")


def two_stage(x: Array, z: Array, y: Array) -> tuple[Array, Array]:
    """Two-stage least squares and its HC1 standard errors; least squares where z is x."""
    fitted = x if z is x else z @ np.linalg.lstsq(z, x, rcond=None)[0]
    inverse = np.linalg.pinv(fitted.T @ fitted)
    beta = inverse @ (fitted.T @ y)
    scores = fitted * (y - x @ beta)[:, None]
    n, k = x.shape
    v = inverse @ (scores.T @ scores) @ inverse * n / max(n - k, 1)
    return beta, np.sqrt(np.diag(v))


def outcome_equation(roles: Roles, encoding: Encoding, labels: tuple[object, ...]) -> Equation:
    """The outcome on treatment indicators and covariates."""
    name = roles.treatments[0]

    def regressors(frame: pd.DataFrame) -> pd.DataFrame:
        arms = labels[1:]
        terms = {
            name if len(arms) == 1 else f"{name}={label}": (frame[name] == label).to_numpy(float)
            for label in arms
        }
        x = pd.DataFrame(encoding.matrix(frame), columns=list(encoding.names))
        x = x.drop(columns=[f"{c}={levels[0]}" for c, levels in encoding.levels.items()])
        return pd.concat([pd.DataFrame(terms), x.fillna(x.mean())], axis=1)

    return Equation("", lambda f: f[roles.outcome].to_numpy(float), regressors)


def coefficient_section(
    equations: tuple[Equation, ...], real: pd.DataFrame, generated: pd.DataFrame, many: pd.DataFrame
) -> Section:
    """Coefficients of every equation on generated rows, beside the real draw and the truth.

    Parameters
    ----------
    equations : tuple of Equation
    real, generated, many : DataFrame
        The draw that was learnt from, generated rows, and a draw of many rows.
    """
    findings = []
    for equation in equations:
        own, made, true = (equation.fit(rows) for rows in (real, generated, many))
        for term in own.index:
            truth = equation.known.get(term, float(true["coef"][term]))
            value, se = float(made["coef"][term]), float(own["se"][term])
            findings.append(
                Finding(
                    equation.label(term), value, abs(value - truth), truth, DISTINCT * se,
                    float(own["coef"][term]), value - _Z95 * se, value + _Z95 * se,
                )
            )  # fmt: skip
    return Section(
        "coefficients",
        "Regression coefficients",
        "The regression a textbook would run, on generated rows and in the population; allowed "
        "are 2.6 standard errors of the real draw.",
        tuple(findings),
    )


def _with_constant(x: pd.DataFrame) -> Array:
    return np.column_stack([np.ones(len(x)), x.to_numpy(dtype=float)])
