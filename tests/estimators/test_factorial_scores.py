"""Orthogonal scores of factorial effects: the formula by hand, robustness to mu, coverage."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.assignment import Assignment
from causal_ddpm.core.coding import all_cells, columns, conversion, terms_to
from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.estimators.factorial_ols import factorial_ols
from causal_ddpm.estimators.factorial_scores import factorial_scores

ABC = ("a", "b", "c")
P = {"a": 0.3, "b": 0.5, "c": 0.6}


def experiment(n: int = 400, seed: int = 0, noise: float = 1.0, **extra) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    z = (rng.random((n, 3)) < list(P.values())).astype(int)
    df = pd.DataFrame(z, columns=list(ABC)).assign(x=rng.normal(size=n), **extra)
    y = 1 + 2 * df.a - df.b + 1.5 * df.a * df.b + 0.5 * df.a * df.b * df.c + 2 * df.x
    return df.assign(y=y + noise * rng.normal(size=n))


def data_of(df: pd.DataFrame, probability=P, **roles) -> FactorialData:
    return FactorialData(df, ABC, "y", probability, **roles)


def truth(order: int) -> np.ndarray:
    """Coefficients of the average coding, the constant first, from all cells."""
    terms = terms_to(3, 3)
    beta = dict.fromkeys(terms, 0.0) | {(): 1, (0,): 2, (1,): -1, (0, 1): 1.5, (0, 1, 2): 0.5}
    values = conversion(terms, list(P.values()), "01", "ame") @ list(beta.values())
    return values[: len(terms_to(3, order))]


def test_scores_equal_the_formula_written_by_hand():
    df = experiment()
    cells = all_cells(3)
    mu = np.random.default_rng(1).normal(size=(len(df), 8))  # any function of the cell will do
    fit = factorial_scores(data_of(df), 2, cell_means=mu)
    p = np.array(list(P.values()))
    z, y = df[list(ABC)].to_numpy(), df["y"].to_numpy()
    own = mu[np.arange(len(df)), z @ [4, 2, 1]]
    share = np.prod(np.where(cells == 1, p, 1 - p), axis=1)
    for s, term in enumerate(fit.terms):
        contrast = share * np.prod([(cells[:, j] - p[j]) / (p[j] * (1 - p[j])) for j in term], 0)
        weight = np.prod([(z[:, j] - p[j]) / (p[j] * (1 - p[j])) for j in term], axis=0)
        psi = mu @ contrast + weight * (y - own)
        assert fit.coefficients.values[s] == pytest.approx(psi.mean(), abs=1e-10)
        variance = psi.var(ddof=1) / len(y)
        assert fit.coefficients.cov[s, s] == pytest.approx(variance, abs=1e-10)


@pytest.mark.parametrize("table", [False, True])
def test_scores_are_unbiased_whatever_mu_is(table):
    """Each cell as often as it is probable, without noise: the mean score is the truth."""
    counts = np.array([1, 4, 2, 3, 5, 1, 2, 2]) if table else np.full(8, 3)
    z = np.repeat(all_cells(3), counts, axis=0)
    df = pd.DataFrame(z, columns=list(ABC))
    df["y"] = np.array([0.0, 1.0, 5.0, 2.0, 7.0, 1.0, -3.0, 2.0])[z @ [4, 2, 1]]
    cells = dict(zip(map(tuple, all_cells(3).tolist()), counts / counts.sum(), strict=True))
    data = data_of(df, cells if table else 0.5)
    means = np.array([0.0, 1.0, 5.0, 2.0, 7.0, 1.0, -3.0, 2.0])
    exact = np.linalg.solve(columns(all_cells(3), terms_to(3, 3), data.p), means)
    for seed in range(3):
        mu = 10 * np.random.default_rng(seed).normal(size=8)
        fit = factorial_scores(data, 3, cell_means=np.tile(mu, (len(df), 1)))
        np.testing.assert_allclose(fit.coefficients.values, exact, atol=1e-10)
        np.testing.assert_allclose(fit.cell_means().values, means, atol=1e-10)


def test_covariates_narrow_intervals_and_a_wrong_mu_widens_them():
    df = experiment(1000)
    plain = factorial_scores(data_of(df)).effects()
    adjusted = factorial_scores(data_of(df, covariates=["x"])).effects()
    wrong = factorial_scores(data_of(df), cell_means=np.full((1000, 8), 20.0)).effects()
    assert (adjusted.std_error < 0.6 * plain.std_error).all()
    assert (wrong.std_error > 2 * plain.std_error).all()
    for estimate in (plain, adjusted, wrong):
        gap = np.abs(estimate.values - truth(2)[1:]) / estimate.std_error
        assert gap.max() < 3.5


def test_saturated_scores_agree_with_least_squares_to_sampling_error():
    data = data_of(experiment(4000, seed=3))
    scores, ols = factorial_scores(data, 3).effects("01"), factorial_ols(data, 3).effects("01")
    assert scores.labels == ols.labels
    assert (np.abs(scores.values - ols.values) < 0.3 * ols.std_error).all()
    np.testing.assert_allclose(scores.std_error, ols.std_error, rtol=0.05)


def test_intervals_cover_one_by_one_and_all_at_once():
    target, inside, together = truth(2)[1:], [], []
    for seed in range(50):
        effects = factorial_scores(data_of(experiment(300, seed=seed))).effects()
        low, high = effects.interval()
        inside.append((low <= target) & (target <= high))
        low, high = effects.interval(simultaneous=True)
        together.append(((low <= target) & (target <= high)).all())
    assert 0.905 < np.mean(inside) < 0.985
    assert 0.86 < np.mean(together) <= 1.0


def test_clusters_and_weights_enter_the_standard_errors():
    rng = np.random.default_rng(0)
    shocks = rng.normal(size=40)
    df = experiment(400, school=np.repeat(np.arange(40), 10))
    df["a"] = np.repeat(rng.integers(0, 2, 40), 10)  # assigned to whole schools
    df["y"] = df["a"] + 2 * shocks[df["school"]] + rng.normal(size=400)
    mu = np.zeros((400, 8))
    p = {**P, "a": 0.5}
    clustered = factorial_scores(data_of(df, p, clusters="school"), 1, cell_means=mu).effects()
    ignored = factorial_scores(data_of(df, p), 1, cell_means=mu).effects()
    assert clustered.std_error[0] > 2 * ignored.std_error[0]
    assert clustered.df == 39
    w = rng.uniform(1, 3, 400)
    weighted = factorial_scores(data_of(df.assign(w=w), p, weights="w"), 1, cell_means=mu)
    psi = 2 * df["y"] * np.where(df["a"] == 1, 1, -1)
    assert weighted.coefficients.values[1] == pytest.approx(np.average(psi, weights=w))


def test_a_restricted_assignment_is_handled_by_its_table():
    """b = 1 is rarer where a = 1: the table knows, independent probabilities do not."""
    cells = {(0, 0): 0.2, (0, 1): 0.4, (1, 0): 0.35, (1, 1): 0.05}
    rng = np.random.default_rng(4)
    z = np.array(list(cells))[rng.choice(4, 6000, p=list(cells.values()))]
    df = pd.DataFrame(z, columns=["a", "b"])
    df["y"] = 2 * df["b"] + rng.normal(size=6000)
    right = factorial_scores(FactorialData(df, ["a", "b"], "y", cells), 2).effects()
    # without a model of the outcome, what is wrong about the assignment shows
    flat = np.zeros((6000, 4))
    wrong = factorial_scores(
        FactorialData(df, ["a", "b"], "y", {"a": 0.4, "b": 0.45}), 2, cell_means=flat
    ).effects()
    assert np.abs(right.values - [0, 2, 0]).max() < 4 * right.std_error.max()
    assert np.abs(wrong.values[0]) > 5 * wrong.std_error[0]
    assert any(text.startswith("a:b: these factors occur together") for text in wrong.warnings)
    assert right.warnings == ()


def test_observed_shares_make_scores_nearly_least_squares():
    data = FactorialData(experiment(500), ABC, "y", "observed")
    scores, ols = factorial_scores(data, 2), factorial_ols(data, 2)
    np.testing.assert_allclose(
        scores.coefficients.values[1:], ols.coefficients.values[1:], atol=0.1
    )
    assert "each as tabled" in scores.coefficients.details["assignment"]


def test_same_seed_same_bits_and_another_fold_split_moves_little():
    data = data_of(experiment())
    first, again = (factorial_scores(data, random_state=1).coefficients for _ in range(2))
    np.testing.assert_array_equal(first.values, again.values)
    other = factorial_scores(data, random_state=2).coefficients
    assert np.abs(first.values - other.values).max() < 0.5 * first.std_error.max()


def test_refusals():
    df = experiment()
    fraction = {tuple(c): 0.25 for c in all_cells(3)[[0, 3, 5, 6]].tolist()}
    rows = df[(df[list(ABC)].sum(axis=1) % 2) == 0]
    with pytest.raises(NotIdentifiedError, match="cells that can occur cannot tell"):
        factorial_scores(data_of(rows, fraction), 2)
    with pytest.raises(DataError, match="probability zero"):
        factorial_scores(data_of(df, fraction), 1)
    with pytest.raises(DataError, match="the data have 30 rows"):
        factorial_scores(data_of(df.head(30)))
    with pytest.raises(DataError, match="the order of interactions is 4"):
        factorial_scores(data_of(df), 4)
    with pytest.raises(DataError, match="the assignment is one of x"):
        data_of(df, Assignment.independent(0.5, ["x"]))


def test_main_effects_of_a_fraction_are_estimated():
    fraction = {tuple(c): 0.25 for c in all_cells(3)[[0, 3, 5, 6]].tolist()}
    rng = np.random.default_rng(0)
    z = all_cells(3)[[0, 3, 5, 6]][rng.integers(0, 4, 2000)]
    df = pd.DataFrame(z, columns=list(ABC)).assign(y=z @ [1.0, 2.0, 0.0] + rng.normal(size=2000))
    effects = factorial_scores(data_of(df, fraction), 1).effects()
    np.testing.assert_allclose(effects.values, [1, 2, 0], atol=4 * effects.std_error.max())


def test_small_samples_are_marked():
    effects = factorial_scores(data_of(experiment(100))).effects()
    assert any("Small sample: 100 rows" in text for text in effects.warnings)
