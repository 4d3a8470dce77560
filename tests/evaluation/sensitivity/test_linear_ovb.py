"""Omitted-variable bias of a regression: published numbers, and the long regression itself."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from causal_ddpm import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.sensitivity.linear_ovb import linear_ovb
from causal_ddpm.evaluation.sensitivity.robustness import robustness_value

SHARED = Path(__file__).resolve().parents[4] / "shared"
DARFUR = SHARED / "data/econ/darfur.parquet"


@pytest.fixture(scope="module")
def rows():
    """A regression in which z is seen, to be omitted at will."""
    rng = np.random.default_rng(3)
    n = 200
    x, z = rng.normal(size=(2, n))
    kind = rng.integers(0, 3, n)
    d = (x + z + rng.normal(size=n) > 0).astype(int)
    y = d + x + 2 * z + kind + rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "d": d, "x": x, "z": z, "kind": np.array(list("abc"))[kind]})
    return frame.assign(w=rng.integers(1, 4, n), g=rng.integers(0, 20, n))


def _data(rows, confounders=("x", "kind"), **roles):
    return CausalData(rows, "d", "y", list(confounders), **roles)


def _fit(rows, response, columns):
    frame = pd.get_dummies(rows, columns=["kind"], drop_first=True, dtype=float)
    names = [c for c in frame if c in columns or c.split("_")[0] in columns]
    return sm.OLS(rows[response], sm.add_constant(frame[names])).fit()


def _partial_r2(rows, response, columns, added):
    without, within = _fit(rows, response, columns), _fit(rows, response, [*columns, *added])
    return 1 - within.ssr / without.ssr


@pytest.mark.skipif(not DARFUR.exists(), reason="the Darfur survey is not at hand")
def test_the_published_analysis_of_darfur_is_reproduced():
    # Cinelli and Hazlett (2020), section 5 and table 1; more digits from the authors' package.
    frame = pd.read_parquet(DARFUR)
    villages = pd.get_dummies(frame["village"], prefix="village")
    own = ["female", "age", "farmer_dar", "herder_dar", "pastvoted", "hhsize_darfur"]
    data = CausalData(
        pd.concat([frame, villages], axis=1), "directlyharmed", "peacefactor",
        [*own, *villages.columns],
    )  # fmt: skip
    found = linear_ovb(data, ["female"])
    assert found.df == 783
    assert found.estimate == pytest.approx(0.09731582, abs=1e-8)
    assert found.std_error == pytest.approx(0.02325654, abs=1e-8)
    assert found.partial_r2 == pytest.approx(0.02187309, abs=1e-8)
    assert found.rv == pytest.approx(0.1387764, abs=1e-7)
    assert found.rv_alpha == pytest.approx(0.07625797, abs=1e-8)
    table = found.to_frame()
    published = {
        "r2_treatment": [0.00916428667504862, 0.0183285733500972, 0.0274928600251459],
        "r2_outcome": [0.12464092303637, 0.249324064199975, 0.374050471038094],
        "estimate": [0.0752202712144491, 0.0529151723844518, 0.0303960234641548],
        "std_error": [0.0218733277437572, 0.0203500620779637, 0.0186700648170924],
    }
    for column, values in published.items():
        np.testing.assert_allclose(table[column], values, rtol=0, atol=1e-8)
    # The package takes the quantile at 783 degrees of freedom; one goes with the omitted variable.
    limits = {
        "ci_low": [0.032282966, 0.012968035, -0.006253282],
        "ci_high": [0.11815758, 0.09286231, 0.06704533],
    }
    for column, values in limits.items():
        np.testing.assert_allclose(table[column], values, rtol=0, atol=1e-6)
    for words in ("13.9 % of the residual", "7.6 % for its 95% interval", "2.2 % of the treatment"):
        assert words in found.sentence()


def test_coefficient_and_standard_error_are_those_of_least_squares(rows):
    found, fit = linear_ovb(_data(rows)), _fit(rows, "y", ["d", "x", "kind"])
    assert found.estimate == pytest.approx(fit.params["d"], rel=1e-10)
    assert found.std_error == pytest.approx(fit.bse["d"], rel=1e-10)
    assert found.df == fit.df_resid


def test_the_bias_formula_recovers_the_long_regression(rows):
    found, long = linear_ovb(_data(rows)), _fit(rows, "y", ["d", "x", "kind", "z"])
    r_d = _partial_r2(rows, "d", ["x", "kind"], ["z"])
    r_y = _partial_r2(rows, "y", ["d", "x", "kind"], ["z"])
    assert float(found.adjusted(r_d, r_y)) == pytest.approx(long.params["d"], rel=1e-9)
    ratio = np.sqrt((1 - r_y) / (1 - r_d) * found.df / (found.df - 1))
    assert found.std_error * ratio == pytest.approx(long.bse["d"], rel=1e-9)


def test_robustness_values_solve_what_they_say(rows):
    for null in (0.0, 1.0):
        found = linear_ovb(_data(rows), null=null)
        assert float(found.adjusted(found.rv, found.rv)) == pytest.approx(null, abs=1e-10)
        assert float(found.adjusted(found.extreme, 1.0)) == pytest.approx(null, abs=1e-10)
        v = found.rv_alpha
        se = found.std_error * np.sqrt(found.df / (found.df - 1))
        t = (float(found.adjusted(v, v)) - null) / se
        assert abs(t) == pytest.approx(found._critical(), rel=1e-8)
    assert robustness_value(0.0) == 0.0
    assert robustness_value(1e-9) == pytest.approx(1e-9, rel=1e-6)


def test_a_benchmark_is_the_bound_of_the_paper(rows):
    found = linear_ovb(_data(rows, ("x", "kind", "z")), ["kind"], multiples=[0.5])
    r_d = _partial_r2(rows, "d", ["x", "z"], ["kind"])
    r_y = _partial_r2(rows, "y", ["d", "x", "z"], ["kind"])
    h = 0.5 * r_d**2 / ((1 - 0.5 * r_d) * (1 - r_d))
    [benchmark] = found.benchmarks
    assert benchmark.r2_treatment == pytest.approx(0.5 * r_d / (1 - r_d), rel=1e-9)
    bound = ((0.5**0.5 + h**0.5) / (1 - h) ** 0.5) ** 2 * r_y / (1 - r_y)
    assert benchmark.r2_outcome == pytest.approx(min(bound, 1), rel=1e-9)
    assert "0.5 times as strong as kind" in found.sentence()


def test_frequency_weights_are_copies_and_other_designs_have_no_classical_interval(rows):
    copies = rows.loc[rows.index.repeat(rows["w"])].reset_index(drop=True)
    weighted = linear_ovb(_data(rows, weights="w", weights_type="frequency"))
    expected = linear_ovb(_data(copies))
    assert weighted.quantities() == pytest.approx(expected.quantities(), rel=1e-9)
    assert weighted.df == expected.df
    for roles in ({"weights": "w"}, {"clusters": "g"}):
        found = linear_ovb(_data(rows, **roles), ["x"], multiples=[0.5])
        assert found.rv_alpha is None
        assert found.benchmarks[0].ci_low is None
        assert "interval" not in found.sentence()
        assert "std error" not in found.quantities()


def test_missing_numbers_get_an_indicator(rows):
    with_gaps = rows.assign(x=rows["x"].where(rows["x"] > -1))
    filled = rows.assign(x=with_gaps["x"].fillna(0.0), gap=with_gaps["x"].isna().astype(float))
    found = linear_ovb(_data(with_gaps)).estimate
    assert found == pytest.approx(
        linear_ovb(_data(filled, ("x", "kind", "gap"))).estimate, rel=1e-9
    )


def test_unusable_benchmarks_and_designs_are_refused(rows):
    with pytest.raises(DataError, match="benchmark 'q' is no confounder"):
        linear_ovb(_data(rows), ["q"])
    strong = rows.assign(s=rows["d"] + 0.05 * rows["z"])
    with pytest.raises(DataError, match="3 times as strong as 's'"):
        linear_ovb(_data(strong, ("x", "s")), ["s"], multiples=[3.0])
    wide = pd.concat(
        [rows.head(60), pd.DataFrame(np.random.default_rng(0).normal(size=(60, 60)))], axis=1
    )
    wide.columns = [str(c) for c in wide]
    with pytest.raises(DataError, match="degrees of freedom"):
        linear_ovb(_data(wide, [str(j) for j in range(60)]))
