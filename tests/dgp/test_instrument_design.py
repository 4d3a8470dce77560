"""Encouragement designs: what is known of them is true of their draws."""

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE, ITT, LATE, QTE
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.dgp.instrument_design import (
    DEFIERS,
    FIRST_STAGE,
    INSTRUMENT,
    ONE_SIDED,
    WEAK_INSTRUMENT,
    InstrumentDesign,
)

N = 60_000
designs = pytest.mark.parametrize("design", [INSTRUMENT, ONE_SIDED], ids=lambda d: d.name)
every = pytest.mark.parametrize(
    "design", [INSTRUMENT, ONE_SIDED, WEAK_INSTRUMENT, DEFIERS], ids=lambda d: d.name
)


def _centred(values):
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))


@every
def test_what_is_known_given_x_and_z_is_true_of_the_rows(design):
    data = design.draw(N, seed=5).data
    x, z = data.covariates.values, data.instrument
    rows = np.arange(N)
    _centred(z - design.instrument_probability(x))
    for known, seen in ((design.outcome(x), data.outcome), (design.take_up(x), data.treatment)):
        residual = seen - known[rows, z]
        for part in (residual, residual * z, residual * x[:, 0], residual * x[:, 1]):
            _centred(part)
    mean, variance = design.moments(x, 1.3)
    w = data.outcome - 1.3 * data.treatment
    _centred((w - mean[rows, z]) ** 2 - variance[rows, z])


@designs
def test_the_late_is_that_of_the_compliers(design):
    draw = design.draw(N, seed=6)
    data, known = draw.data, design.truth()
    x, z, d = data.covariates.values, data.instrument, data.treatment
    p = design.instrument_probability(x)
    share = known.value("complier share")
    # inverse-probability weighting of the instrument, without any model of the outcome
    weight = z / p - (1 - z) / (1 - p)
    _centred(weight * d - share)
    _centred(weight * data.outcome - known.value("ITT"))
    assert known.value("LATE") == pytest.approx(known.value("ITT") / share)
    assert design.truth_of(LATE()) == {"LATE": known.value("LATE")}
    assert design.truth_of(ITT()) == {"ITT": known.value("ITT"), "complier share": share}
    assert abs(known.value("ATE") - known.value("LATE")) > 0.05


@designs
def test_the_bound_is_the_spread_of_the_oracle_score(design):
    data, known = design.draw(N, seed=7).data, design.truth()
    x, z = data.covariates.values, data.instrument
    w = data.outcome - known.value("LATE") * data.treatment
    mean, _ = design.moments(x, known.value("LATE"))
    p = design.instrument_probability(x)
    psi = (
        mean[:, 1] - mean[:, 0] + z / p * (w - mean[:, 1]) - (1 - z) / (1 - p) * (w - mean[:, 0])
    ) / known.value("complier share")
    _centred(psi)
    _centred(psi**2 - known.efficiency_sd["LATE"] ** 2)


def test_one_sided_means_that_nobody_else_is_treated():
    data = ONE_SIDED.draw(2000, seed=1).data
    assert data.treatment[data.instrument == 0].sum() == 0
    np.testing.assert_array_equal(ONE_SIDED.take_up(data.covariates.values)[:, 0], 0.0)
    assert INSTRUMENT.draw(2000, seed=1).data.treatment[data.instrument == 0].sum() > 0


def test_strength_decides_the_share_of_compliers():
    weak = InstrumentDesign("weak", strength=-3.0).truth().value("complier share")
    assert weak < 0.05 < INSTRUMENT.truth().value("complier share")


def test_in_the_catalogue_and_honest_about_what_it_knows():
    assert design_by_name("instrument") is INSTRUMENT
    assert INSTRUMENT.truth_of(ATE()).keys() == {"ATE"}
    with pytest.raises(DataError, match="no truth of QTE"):
        INSTRUMENT.truth_of(QTE())


@every
def test_the_first_stage_is_as_strong_as_it_says(design):
    """Against the F of statsmodels, whose mean over draws is about 1 + n lambda."""
    import statsmodels.api as sm

    found, scaled = [], []
    for seed in range(60):
        draw = design.draw(1000, seed)
        frame = draw.frame.drop(columns="y")
        fit = sm.OLS(frame["d"], sm.add_constant(frame.drop(columns="d"))).fit()
        found.append(fit.tvalues["z"] ** 2)
        scaled.append(draw.truth.sample[FIRST_STAGE])
    known = design.truth().value(FIRST_STAGE)
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(known, abs=4 * error + 0.01 * known)
    assert np.corrcoef(found, scaled)[0, 1] > 0.999
    assert (known < 10) == (design is WEAK_INSTRUMENT)


def test_defiers_take_the_wald_ratio_away_from_the_late():
    data, known = DEFIERS.draw(N, seed=8).data, DEFIERS.truth()
    x, z = data.covariates.values, data.instrument
    p = DEFIERS.instrument_probability(x)
    weight = z / p - (1 - z) / (1 - p)
    _centred(weight * data.outcome - known.value("ITT"))
    moved = known.value("complier share") - known.value("defier share")
    _centred(weight * data.treatment - moved)
    assert known.value("Wald") == pytest.approx(known.value("ITT") / moved)
    assert known.value("LATE") > 5 * known.value("Wald")
    assert not known.efficiency_sd
    assert DEFIERS.n_types == 4
    np.testing.assert_allclose(DEFIERS.type_probability(x).sum(axis=1), 1)


def test_a_draw_without_compliers_has_no_late_of_its_rows():
    drawn = InstrumentDesign("none", strength=-9.0).draw(60, seed=1).truth
    assert "LATE" not in drawn.sample
    assert drawn.sample["complier share"] == 0.0
    assert np.isfinite(list(drawn.sample.values())).all()
