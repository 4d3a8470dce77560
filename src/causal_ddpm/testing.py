"""Conformance checks for nuisance models, denoisers and designs of your own.

Each check of a model runs it on a small simulated data set and raises ``AssertionError`` with a
sentence when it breaks a law that the estimators rely on: shapes, finite numbers, settings left
untouched, same seed same bits, no dependence on ``n_jobs``, and no leak from a fold into its own
predictions.
:func:`check_denoiser` asks of a denoising network what the samplers rely on.
:func:`check_design` and :func:`check_panel_design` compare what a design says of itself with its
own potential outcomes, :func:`check_truth` compares every number of its truth with brute force.

Examples
--------
>>> from sklearn.linear_model import LinearRegression
>>> from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel
>>> from causal_ddpm.testing import check_outcome_model
>>> check_outcome_model(LearnerOutcomeModel(LinearRegression()))
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.protocols import Design, Learner, OutcomeModel, PropensityModel
from causal_ddpm.dgp.panel_draw import PanelDraw
from causal_ddpm.nuisance.folds import draw_folds

Array = NDArray[np.float64]
_N_FOLDS = 3


def check_learner(learner: Learner, n: int = 120, seed: int = 0) -> None:
    """Check a member of the stack.

    Parameters
    ----------
    learner : Learner
    n : int
        Rows of the simulated data.
    seed : int

    Raises
    ------
    AssertionError
        With one sentence, at the first law that does not hold.
    """
    assert isinstance(getattr(learner, "name", None), str), "a learner needs a name"
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4))
    arm = (np.arange(n) % 3 == 0).astype(np.int64)
    y = x[:, 0] + arm + 0.5 * rng.standard_normal(n)
    kept = (x.copy(), arm.copy(), y.copy())
    first = learner.fit(x, arm, y, None, 1).predict(x)
    _check_matrix(first, n, "predict")
    for before, after in zip(kept, (x, arm, y), strict=True):
        assert np.array_equal(before, after), "fit or predict changed its inputs"
    again = learner.fit(x, arm, y, None, 1)
    assert np.array_equal(first, again.predict(x)), "the same seed gave different predictions"
    half = again.predict(x[: n // 2])
    assert np.allclose(half, first[: n // 2]), "a prediction depends on the other rows predicted"
    weighted = learner.fit(x, arm, y, rng.uniform(0.5, 2.0, n), 1).predict(x)
    _check_matrix(weighted, n, "predict after a weighted fit")
    shifted = learner.fit(x, arm, y + 3.0 * arm, None, 1).predict(x)
    effect = (first[:, 1] - first[:, 0]).mean()
    moved = (shifted[:, 1] - shifted[:, 0]).mean()
    assert moved > effect + 0.5, "a larger effect in the data did not show in the predictions"


def check_outcome_model(model: OutcomeModel, n: int = 150, seed: int = 0, n_jobs: int = 2) -> None:
    """Check an outcome model.

    Parameters
    ----------
    model : OutcomeModel
    n : int
        Rows of the simulated data.
    seed : int
    n_jobs : int
        Workers to compare with one worker.

    Raises
    ------
    AssertionError
        With one sentence, at the first law that does not hold.

    Notes
    -----
    Fold isolation is checked on the means of models without laws. A model with laws shares a few
    scalars across folds (stack weights, kappa, scale power), so its own tests hold those fixed.
    """
    data, folds = _example(n, seed)
    first = model.cross_fit(data, folds, 1, 1)
    _check_matrix(first.mean, n, "mean")
    if first.laws is not None:
        assert len(first.laws) == 2, "laws must hold one law an arm"
        assert all(len(law) == n for law in first.laws), "each law needs one row a unit"
        for a, law in enumerate(first.laws):
            close = np.allclose(law.mean(), first.mean[:, a], atol=0.05 * data.outcome.std())
            assert close, "the mean of the law is not the mean that was returned"
    again = model.cross_fit(data, folds, 1, 1).mean
    assert np.array_equal(first.mean, again), "the same seed gave different predictions"
    parallel = model.cross_fit(data, folds, 1, n_jobs).mean
    assert np.array_equal(first.mean, parallel), "predictions depend on n_jobs"
    if first.laws is None:
        _check_isolation(model, data, folds, first.mean)


def check_propensity_model(
    model: PropensityModel, n: int = 150, seed: int = 0, n_jobs: int = 2
) -> None:
    """Check a propensity model.

    Parameters
    ----------
    model : PropensityModel
    n : int
        Rows of the simulated data.
    seed : int
    n_jobs : int
        Workers to compare with one worker.

    Raises
    ------
    AssertionError
        With one sentence, at the first law that does not hold.
    """
    data, folds = _example(n, seed)
    e, report = model.cross_fit(data, folds, 1, 1)
    _check_matrix(e, n, "propensity")
    assert ((e > 0) & (e < 1)).all(), "probabilities must lie strictly between 0 and 1"
    assert np.allclose(e.sum(axis=1), 1, atol=1e-10), "rows of the propensity must sum to one"
    assert hasattr(report, "keys"), "the second value must be a mapping (a report)"
    again, _ = model.cross_fit(data, folds, 1, 1)
    assert np.array_equal(e, again), "the same seed gave different probabilities"
    parallel, _ = model.cross_fit(data, folds, 1, n_jobs)
    assert np.array_equal(e, parallel), "probabilities depend on n_jobs"
    swapped, _ = model.cross_fit(_with(data, treatment=_swap_in_fold(data, folds)), folds, 1, 1)
    own = folds == 0
    assert np.array_equal(e[own], swapped[own]), "a fold's treatments leak into its probabilities"


def check_denoiser(denoiser: Any, n_rows: int, seed: int = 0) -> None:
    """Check a denoiser of a standardised scalar, such as a network of your own.

    Parameters
    ----------
    denoiser : callable
        E[v | v_tau] for v_tau of shape (n_rows, M) and one noise level tau, a float; for example a
        :class:`~causal_ddpm.diffusion.parametrisation.ForeignDenoiser` around a network.
    n_rows : int
        Rows that the denoiser's condition has.
    seed : int

    Raises
    ------
    AssertionError
        With one sentence, at the first law that does not hold.

    Notes
    -----
    With v of mean 0 and variance 1 the conditional mean shrinks what it sees: little at tau = .05,
    to at most a few units at tau = 20. A network read under a schedule or a target that is not its
    own does not.
    """
    import torch

    from causal_ddpm.diffusion.sampler import SAMPLERS, crossing_share, decode

    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((n_rows, 16)))
    with torch.no_grad():
        for tau in (0.05, 1.0, 20.0):
            v = noise * np.sqrt(1 + tau**2)
            first = denoiser(v, tau)
            assert first.shape == v.shape, f"the answer has shape {tuple(first.shape)}"
            assert torch.isfinite(first).all(), "the answer is not finite everywhere"
            assert torch.equal(first, denoiser(v, tau)), "two calls differ: is dropout still on?"
            other = v.clone()
            other[n_rows // 2 :] += 1.0
            kept = denoiser(other, tau)[: n_rows // 2]
            assert torch.allclose(kept, first[: n_rows // 2], atol=1e-5), "rows see each other"
            reach = float((first - v).abs().mean() if tau < 1 else first.abs().mean())
            assert reach < (0.3 if tau < 1 else 5.0), (
                f"at noise level {tau:g} the answer is {reach:.2g} off: another schedule or target?"
            )
        sampler = SAMPLERS["adams"]
        values = decode(sampler, denoiser, noise.sort(dim=1).values, sampler.levels(40))
    share = crossing_share(values)
    assert share < 0.02, f"{share:.0%} of the quantiles cross"


def check_design(design: Design, n: int = 4_000, seed: int = 0) -> None:
    """Check a data-generating process.

    Its ``draw(n, seed)`` returns a :class:`~causal_ddpm.dgp.draw.Draw`.

    Parameters
    ----------
    design : Design
    n : int
        Rows of the draw that is compared with the design's truth, within four standard errors.
    seed : int

    Raises
    ------
    AssertionError
        With one sentence, at the first law that does not hold.
    """
    first, again, other = design.draw(60, seed), design.draw(60, seed), design.draw(60, seed + 1)
    assert first.data.fingerprint == again.data.fingerprint, "the same seed gave different rows"
    assert first.data.fingerprint != other.data.fingerprint, "two seeds gave the same rows"
    draw = design.draw(n, seed)
    outcomes, d = draw.potential_outcomes, draw.data.treatment
    assert draw.data.n == len(draw.frame) == n, "the draw has another number of rows"
    own = outcomes[np.arange(n), d]
    assert np.array_equal(draw.data.outcome, own), "the outcome is not the arm's potential outcome"
    effect = outcomes[:, 1] - outcomes[:, 0]
    for name, rows in {"ATE": d >= 0, "ATT": d == 1, "ATU": d == 0}.items():
        sample, population = draw.truth.sample[name], draw.truth.population[name]
        assert np.isclose(sample, effect[rows].mean()), f"the sample {name} is not that of the rows"
        centred = np.where(rows, effect - population, 0.0)
        _check_centred(centred, f"the effects around the population {name}", draw.data.clusters)
    _check_matrix(draw.propensity, n, "propensity")
    assert np.allclose(draw.propensity.sum(axis=1), 1.0), "propensities do not sum to one"
    assert draw.propensity.min() > 0.0, "a propensity is zero"
    _check_centred(d - draw.propensity[:, 1], "treatments around their propensities", None)
    for arm in (0, 1):
        residual = outcomes[:, arm] - draw.mean[:, arm]
        _check_centred(residual, f"outcomes around the mean of arm {arm}", draw.data.clusters)


def check_panel_design(design: Design, n: int = 400, seed: int = 0) -> None:
    """Check a data-generating process of panels.

    Its ``draw(n, seed)`` returns a :class:`~causal_ddpm.dgp.panel_draw.PanelDraw` of n units.

    Parameters
    ----------
    design : Design
    n : int
        Units of the draw that is compared with the design's truth, within four standard errors.
    seed : int

    Raises
    ------
    AssertionError
        With one sentence, at the first law that does not hold.
    """
    first, again, other = design.draw(30, seed), design.draw(30, seed), design.draw(30, seed + 1)
    assert first.frame.equals(again.frame), "the same seed gave different panels"
    assert not first.frame.equals(other.frame), "two seeds gave the same panel"
    draw = design.draw(n, seed)
    _check_cells(draw, n)
    mean = draw.unit_effect[:, None] + draw.period_effect + draw.structure
    assert np.allclose(draw.untreated, mean + draw.noise), "the parts do not add up to Y(0)"
    unit, period = np.nonzero(draw.treated)
    tau, cohort = draw.effect[unit, period], draw.cohort[unit]
    groups = {"ATT": np.ones(len(tau), dtype=bool)}
    groups |= {f"ATT(cohort={g})": cohort == g for g in np.unique(cohort)}
    groups |= {f"ATT(event_time={k})": period - cohort == k for k in np.unique(period - cohort)}
    assert draw.truth.sample.keys() == groups.keys(), "the truth has other groups than the cells"
    for name, cells in groups.items():
        sample, population = draw.truth.sample[name], draw.truth.population[name]
        assert np.isclose(sample, tau[cells].mean()), f"the sample {name} is not that of the cells"
        own = np.bincount(unit, np.where(cells, tau - population, 0.0), n)
        centred = np.asarray(own, dtype=float)
        _check_centred(centred, f"the effects around the population {name}", None)
    for t in (0, draw.noise.shape[1] - 1):
        levels = np.sort(draw.noise_law.cdf(draw.noise[:, t]))
        gap = np.abs(levels - (np.arange(n) + 0.5) / n).max()
        assert draw.noise_law.sd == 0 or gap < 2 / np.sqrt(n), "the noise has another law"


def _check_cells(draw: PanelDraw, n: int) -> None:
    """Check the frame of a panel against its cells."""
    frame, n_periods = draw.frame, draw.untreated.shape[1]
    assert draw.untreated.shape[0] == n, "the draw has another number of units"
    assert np.isfinite(frame.to_numpy(dtype=float)).all(), "the frame is not finite everywhere"
    order = (np.repeat(np.arange(n), n_periods), np.tile(np.arange(n_periods), n))
    balanced = all(
        np.array_equal(frame[c], v) for c, v in zip(("unit", "period"), order, strict=True)
    )
    assert balanced, "the frame is not balanced by unit and then period"
    assert (frame.groupby("unit")["cohort"].nunique() == 1).all(), "a unit changes its cohort"
    treated = (frame["cohort"] > 0) & (frame["period"] >= frame["cohort"])
    assert np.array_equal(frame["treated"], treated), "treated cells are not those of the cohorts"
    assert (draw.effect[~draw.treated] == 0).all(), "an untreated cell has an effect"
    y = frame["y"].to_numpy().reshape(n, n_periods)
    assert np.array_equal(y, draw.untreated + draw.effect), "y is not Y(0) plus the effect"


def check_truth(design: Design, size: int, n_draws: int, seed: int = 0) -> None:
    """Check the population values of a design by brute force.

    A draw's sample values are averages over its own rows, from potential outcomes that only a
    simulator has. Their mean over many draws is therefore the population value, up to a Monte Carlo
    error that the spread between the draws tells: a t test of every value, at one in 100,000.

    Parameters
    ----------
    design : Design
        Its draws have a ``truth`` with ``population`` and ``sample``.
    size : int
        Size of one draw; large, where a value is a quantile or a ratio.
    n_draws : int
        At least 10.
    seed : int
        Of the first draw; each further one adds one.

    Raises
    ------
    AssertionError
        With one sentence, at the first value that is not what the draws say.
    """
    from scipy.stats import t as student

    truths = [design.draw(size, seed + k).truth for k in range(n_draws)]
    for label, value in truths[0].population.items():
        found = np.array([truth.sample[label] for truth in truths if label in truth.sample])
        assert len(found) >= 10, f"the draws have no sample value of '{label}'"
        error = found.std(ddof=1) / np.sqrt(len(found))
        allowed = student.isf(0.5e-5, len(found) - 1) * error + 1e-9 * max(1.0, abs(value))
        assert abs(found.mean() - value) <= allowed, (
            f"the population value of '{label}' is {value:.6g}, but {len(found)} draws say "
            f"{found.mean():.6g} with standard error {error:.2g}"
        )


def _check_centred(values: Array, what: str, clusters: NDArray[np.int64] | None) -> None:
    """Compare the mean of values with zero; rows of a cluster count once, by their sum."""
    sums = values if clusters is None else np.bincount(clusters, values)
    error = sums.std() / np.sqrt(len(sums))
    assert abs(sums.mean()) <= 4 * error + 1e-10, f"{what} are not centred"


def _check_isolation(
    model: OutcomeModel, data: CausalData, folds: NDArray[np.int64], mean: Array
) -> None:
    for k in range(_N_FOLDS):
        y = data.outcome + np.where(folds == k, 5 * data.outcome.std(), 0)
        moved = model.cross_fit(_with(data, outcome=y), folds, 1, 1).mean
        own = folds == k
        assert np.array_equal(moved[own], mean[own]), "a fold's outcomes leak into its predictions"
        assert not np.array_equal(moved[~own], mean[~own]), "the outcomes play no part in the fit"


def _swap_in_fold(data: CausalData, folds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Treatments with those of fold 0 permuted."""
    swapped = data.treatment.copy()
    own = np.flatnonzero(folds == 0)
    swapped[own] = swapped[own[::-1]]
    return swapped


def _check_matrix(values: Any, n: int, what: str) -> None:
    shape = np.shape(values)
    assert shape == (n, 2), f"{what} has shape {shape}, expected ({n}, 2)"
    assert np.isfinite(values).all(), f"{what} is not finite everywhere"


def _example(n: int, seed: int) -> tuple[CausalData, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    treatment = (rng.random(n) < 1 / (1 + np.exp(-x[:, 0]))).astype(np.int64)
    y = x[:, 0] + x[:, 1] ** 2 + treatment + 0.5 * rng.standard_normal(n)
    data = _data(x, treatment, y)
    return data, draw_folds(data, _N_FOLDS, seed)


def _with(
    data: CausalData, treatment: NDArray[np.int64] | None = None, outcome: Array | None = None
) -> CausalData:
    return _data(
        data.covariates.values,
        data.treatment if treatment is None else treatment,
        data.outcome if outcome is None else outcome,
    )


def _data(x: Array, treatment: NDArray[np.int64], y: Array) -> CausalData:
    import pandas as pd

    frame = pd.DataFrame({"d": treatment, "y": y, "x0": x[:, 0], "x1": x[:, 1], "x2": x[:, 2]})
    return CausalData(frame, treatment="d", outcome="y", confounders=["x0", "x1", "x2"])
