"""The law of an outcome in every cell: means, quantiles, cells never run, covariates, files."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causal_ddpm.core.coding import all_cells
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.nuisance.factor_law import FactorLaw, fit_factor_law
from causal_ddpm.nuisance.factorial_folds import factorial_folds
from causal_ddpm.nuisance.law import PotentialOutcomeLaw

LIGHT = DiffusionSettings(n_members=1, n_steps=60, hidden_dim=16)
LEVELS = [0.1, 0.5, 0.9]


def heteroskedastic(n: int = 1600, seed: int = 0) -> pd.DataFrame:
    """y = 1 + 2a + b + ab + (1 + 2a) e: the first factor moves the spread; (1, 1) is never run."""
    rng = np.random.default_rng(seed)
    z = all_cells(3)[rng.choice(np.flatnonzero(all_cells(3)[:, :2].sum(axis=1) < 2), n)]
    df = pd.DataFrame(z, columns=["a", "b", "c"])
    return df.assign(y=1 + 2 * df.a + df.b + (1 + 2 * df.a) * rng.normal(size=n))


@pytest.fixture(scope="module")
def law() -> FactorLaw:
    return fit_factor_law(FactorialData(heteroskedastic(), ["a", "b", "c"], "y"), diffusion=LIGHT)


def test_quantiles_of_heteroskedastic_cells_are_found(law):
    for cell in ((0, 0, 0), (0, 1, 1), (1, 0, 0)):
        a, b, _ = cell
        truth = 1 + 2 * a + b + (1 + 2 * a) * stats.norm.ppf(LEVELS)
        np.testing.assert_allclose(law.quantile(cell, LEVELS), truth, atol=0.35 * (1 + 2 * a))


def test_contrasts_of_quantiles_differ_where_spreads_do(law):
    contrast = law.quantile_contrast({"a": 1, "b": 0, "c": 0}, (0, 0, 0), LEVELS)
    truth = 2 + 2 * stats.norm.ppf(LEVELS)
    np.testing.assert_allclose(contrast, truth, atol=0.8)
    assert contrast[2] - contrast[0] > 3.5
    assert law.mean_contrast((1, 0, 0), (0, 0, 0)) == pytest.approx(2, abs=0.5)
    below = law.cdf_contrast((1, 0, 0), (0, 0, 0), [0.0, 8.0])
    # P(Y <= 0) hardly differs; P(Y <= 8) does
    expected = stats.norm.cdf((np.array([0, 8]) - 3) / 3) - stats.norm.cdf(np.array([0, 8]) - 1)
    np.testing.assert_allclose(below, expected, atol=0.08)


def test_cells_never_run_are_predicted_and_marked(law):
    assert law.was_run((1, 0, 1))
    assert not law.was_run((1, 1, 0))
    assert law.mean((1, 1, 0)) == pytest.approx(4, abs=1.0)
    table = law.cells(LEVELS).set_index("cell")
    assert table["run"].sum() == 6
    never = table.loc["mean(a=1,b=1,c=0)"]
    assert never["note"] == "prediction: no valid interval; never run"
    assert never["mean"] == pytest.approx(law.mean((1, 1, 0)), abs=1e-9)
    np.testing.assert_allclose(table["mean"], law.cell_means())
    assert (table["q0.1"] < table["q0.9"]).all()


def test_coefficients_are_those_of_the_cell_means(law):
    table = law.coefficients(3, "01").set_index("term")
    means = law.cell_means()
    # saturated 0/1 coefficients are differences of cells; the last factor changes fastest
    assert table.loc["1", "value"] == pytest.approx(means[0])
    assert table.loc["a", "value"] == pytest.approx(means[4] - means[0])
    assert table.loc["b:c", "value"] == pytest.approx(means[3] - means[2] - means[1] + means[0])
    assert set(table["note"]) == {"prediction: no valid interval"}
    average = law.coefficients(1, "ame").set_index("term")["value"]
    assert average["a"] == pytest.approx(means[4:].mean() - means[:4].mean())


def test_draws_follow_the_law_and_the_file_gives_it_back(law, tmp_path):
    draws = law.sample((1, 0, 0), 4000, random_state=1)
    np.testing.assert_allclose(
        np.quantile(draws, LEVELS), law.quantile((1, 0, 0), LEVELS), atol=0.25
    )
    np.testing.assert_array_equal(draws, law.sample((1, 0, 0), 4000, random_state=1))
    again = PotentialOutcomeLaw.load(law.law.save(tmp_path / "law"))
    cell = again.quantile(law.covariates, (1, 0, 0), LEVELS)[0]
    np.testing.assert_allclose(cell, law.quantile((1, 0, 0), LEVELS), rtol=1e-6)


def test_covariates_are_averaged_over():
    rng = np.random.default_rng(0)
    z, x = rng.integers(0, 2, (300, 2)), rng.normal(size=300)
    df = pd.DataFrame(z, columns=["a", "b"]).assign(x=x)
    df["y"] = df.a + 2 * x + 0.3 * rng.normal(size=300)
    data = FactorialData(df, ["a", "b"], "y", covariates=["x"])
    law = fit_factor_law(data, 1, diffusion=LIGHT)
    rows = law.covariates.values[:, 0]
    assert law.mean((1, 0)) - law.mean((0, 0)) == pytest.approx(1, abs=0.2)
    assert law.mean((1, 0)) == pytest.approx(1 + 2 * rows.mean(), abs=0.2)
    quantiles = law.quantile((0, 1), LEVELS)  # the law of 2 x + noise, over x
    np.testing.assert_allclose(quantiles, 2.02 * stats.norm.ppf(LEVELS), atol=0.4)
    np.testing.assert_allclose(law.cdf((0, 1), quantiles), LEVELS, atol=0.03)


def test_two_values_are_read_as_probabilities():
    rng = np.random.default_rng(1)
    z = rng.integers(0, 2, (800, 2))
    y = (rng.random(800) < np.where(z[:, 0] == 1, 0.7, 0.2)).astype(int)
    df = pd.DataFrame(z, columns=["a", "b"]).assign(y=y)
    law = fit_factor_law(FactorialData(df, ["a", "b"], "y"))
    assert law.mean((1, 0)) == pytest.approx(0.7, abs=0.08)
    assert law.mean((0, 1)) == pytest.approx(0.2, abs=0.08)


def test_folds_keep_clusters_whole_and_cells_even():
    df = heteroskedastic(200).assign(g=np.repeat(np.arange(20), 10))
    clustered = FactorialData(df, ["a", "b"], "y", clusters="g")
    folds = factorial_folds(clustered, 5, 0)
    assert all(len(np.unique(folds[df["g"] == g])) == 1 for g in range(20))
    plain = FactorialData(df, ["a", "b"], "y")
    counts = pd.crosstab(plain.cell_of_row, factorial_folds(plain, 5, 0)).to_numpy()
    assert (np.ptp(counts, axis=1) <= 1).all()


def test_refusals(law):
    data = FactorialData(heteroskedastic(30), ["a", "b"], "y")
    with pytest.raises(DataError, match="the data have 30 rows"):
        fit_factor_law(data)
    with pytest.raises(DataError, match="the order of interactions is 3"):
        fit_factor_law(data, 3)
    few = FactorialData(
        heteroskedastic(60).assign(g=np.repeat([1, 2, 3], 20)), ["a"], "y", clusters="g"
    )
    with pytest.raises(DataError, match="there are 3 clusters"):
        fit_factor_law(few, 1)
    with pytest.raises(DataError, match=r"the cell is \(2, 0, 0\)"):
        law.mean((2, 0, 0))
    with pytest.raises(DataError, match="quantile levels"):
        law.quantile((0, 0, 0), [1.0])
