"""The law of the noise, apart from where it is centred.

Residuals are taken from the generator's own conditional mean, r = y - m_d(x), learnt out of fold.
Where the design states its law at any covariates, with mean m and quantiles q, they become

    v = (r + m - (q.1 + q.9) / 2) / ((q.9 - q.1) / 2)

so that the truth has the same scale everywhere (and a mixture's modes stand near -1 and 1);
otherwise v = r / (their sd in the true process). The v of generated rows are compared with those of
as many rows of the true process, read in the same way:

    shape     Kolmogorov-Smirnov distance
    spread    sd(v), as a multiple of the true one
    tails     (q.995 - q.005) / (q.75 - q.25), as a multiple of the true one
    modes     peaks of a Gaussian kernel density that rise a tenth of its height above their saddle
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import signal, stats

from causal_ddpm.evaluation.recovery.functions import SEPARATE_VALUES, Bench, discrete
from causal_ddpm.evaluation.recovery.known import LEVELS, Comparison
from causal_ddpm.evaluation.recovery.reading import (
    Reading,
    allowance,
    signed_allowance,
)
from causal_ddpm.evaluation.recovery.report import Finding, Section

Array = NDArray[np.float64]

TITLE = "Noise"
MEASURE = (
    "Residuals from the generator's own conditional mean, in units of the true law: their shape, "
    "spread, tails and modes."
)
_PROMINENCE = 0.1
_GRID = 256
_LEVELS = np.linspace(0.005, 0.995, 100)


def noise_section(
    bench: Bench,
    generated: pd.DataFrame,
    reference: tuple[Reading, pd.DataFrame],
    replicates: tuple[pd.DataFrame, ...],
) -> Section:
    """Compare the noise of generated rows with the true one.

    Parameters
    ----------
    bench : Bench
    generated : DataFrame
        The rows behind ``bench.generated``.
    reference : tuple of Reading and DataFrame
        As many rows of the true process.
    replicates : tuple of DataFrame
        Rows of the fresh draws, with their true means taken off.
    """
    if discrete(bench):
        return Section("noise", TITLE, MEASURE, not_assessed=SEPARATE_VALUES)
    comparison = bench.comparison
    scale = float(np.std(reference[0].residuals))
    true = standardised(comparison, reference[1], reference[0].residuals, scale)
    made = standardised(comparison, generated, bench.generated.residuals, scale)
    fresh = [
        standardised(comparison, rows.drop(columns=NOISE), rows[NOISE].to_numpy(), scale)
        for rows in replicates
    ]
    findings = (
        _shape(made, true, fresh), *_ratios(made, true, fresh), _modes(made, true)
    )  # fmt: skip
    curve = pd.DataFrame(
        {"level": _LEVELS, "truth": np.quantile(true, _LEVELS),
         "recovered": np.quantile(made, _LEVELS)}
    )  # fmt: skip
    curves = {"noise": curve, "density": _densities(made, true)}
    return Section("noise", TITLE, MEASURE, findings, curves=curves, words=_words(findings))


NOISE = "noise of the true process"
"""Column of the replicates that holds y - E[Y | x, d]."""


def standardised(
    comparison: Comparison, frame: pd.DataFrame, residuals: Array, scale: float
) -> Array:
    """v of the module page, shape (n,)."""
    if comparison.law is None:
        return residuals / scale
    codes, out = comparison.codes(frame), residuals.copy()
    kept = codes[codes >= 0]
    rows = frame[codes >= 0]
    for a in range(len(comparison.labels)):
        own = np.flatnonzero(kept == a)
        if len(own):
            m, q = comparison.law(rows.iloc[own], a)
            low, high = q[:, LEVELS.index(0.1)], q[:, LEVELS.index(0.9)]
            out[own] = (residuals[own] + m - (low + high) / 2) / np.maximum((high - low) / 2, 1e-9)
    return out


def _shape(made: Array, true: Array, fresh: list[Array]) -> Finding:
    value = float(stats.ks_2samp(made, true).statistic)
    limit = allowance([float(stats.ks_2samp(v, true).statistic) for v in fresh])
    what = "the Kolmogorov-Smirnov distance of the noise from its true law"
    return Finding(what, value, value, allowance=limit)


def _ratios(made: Array, true: Array, fresh: list[Array]) -> list[Finding]:
    findings = []
    for what, of in (("spread", _spread), ("length of the tails", _tails)):
        base = of(true)
        value, found = of(made) / base, [of(v) / base - 1 for v in fresh]
        quantity = f"the {what} of the noise, as a multiple of the true one,"
        findings.append(Finding(quantity, value, abs(value - 1), 1.0, signed_allowance(found)))
    return findings


def _modes(made: Array, true: Array) -> Finding:
    """Number of modes; nothing but the true number is allowed."""
    there, here = count_modes(true), count_modes(made)
    what = "the number of modes of the noise"
    error = 3.0 * abs(here - there)
    return Finding(what, float(here), error, float(there), 1.0)


def count_modes(v: Array) -> int:
    """Peaks of a kernel density that stand out from their saddle."""
    height = _density(v)[1]
    padded = np.concatenate([[0.0], height, [0.0]])
    return len(signal.find_peaks(padded, prominence=_PROMINENCE * height.max())[0])


def _density(v: Array) -> tuple[Array, Array]:
    low, high = np.quantile(v, [0.002, 0.998])
    grid = np.linspace(low, high, _GRID)
    inside = v[(v >= low) & (v <= high)]
    some = inside[:: max(1, len(inside) // 4000)]
    width = min(float(some.std()), float(stats.iqr(some) / 1.349)) or float(some.std())
    kernel = stats.gaussian_kde(some, 0.6 * width / float(some.std()) * len(some) ** -0.2)
    return grid, kernel(grid)


def _densities(made: Array, true: Array) -> pd.DataFrame:
    pieces = []
    for name, v in (("truth", true), ("recovered", made)):
        grid, height = _density(v)
        pieces.append(pd.DataFrame({"v": grid, "density": height, "law": name}))
    return pd.concat(pieces, ignore_index=True)


def _words(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    _, spread, tails, modes = findings
    words = []
    if (modes.ratio or 0) > 1:
        words.append(
            f"The noise has {_count(modes.recovered)}; the true noise has "
            f"{_count(modes.truth or 0)}."
        )
    if (tails.ratio or 0) > 1:
        words.append(f"Its tails are too {'short' if tails.recovered < 1 else 'long'}.")
    if (spread.ratio or 0) > 1:
        words.append(f"It is too {'small' if spread.recovered < 1 else 'large'}.")
    return tuple(words)


def _count(modes: float) -> str:
    return "one mode" if modes == 1 else f"{modes:.0f} modes"


def _spread(v: Array) -> float:
    return float(v.std())


def _tails(v: Array) -> float:
    q = np.quantile(v, [0.005, 0.25, 0.75, 0.995])
    return float((q[3] - q[0]) / max(q[2] - q[1], 1e-12))
