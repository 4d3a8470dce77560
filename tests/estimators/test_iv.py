"""LATE and intention to treat: formulas, coverage, weak instruments, refusals."""

import time

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import (
    DataError,
    NotIdentifiedError,
    OverlapError,
    WeakInstrumentWarning,
)
from causal_ddpm.core.estimand import ATE, ITT, LATE
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.dgp.instrument_design import INSTRUMENT, ONE_SIDED, InstrumentDesign
from causal_ddpm.dgp.population import normal_points
from causal_ddpm.diffusion.persistence import load_model, save_model
from causal_ddpm.estimators import scores
from causal_ddpm.estimators.api import estimate_effects, estimate_with
from causal_ddpm.estimators.iv import InstrumentEffect, anderson_rubin, fieller_set
from causal_ddpm.nuisance.instrument import InstrumentNuisances, fit_instrument_nuisances

EXACT = 1e-10
BOTH = (LATE(), ITT())


def given(data, outcome, take_up, propensity):
    """Nuisances with the arrays given."""
    return InstrumentNuisances(
        fold_ids=np.arange(data.n) % 5,
        outcome=outcome,
        take_up=take_up,
        propensity=propensity,
        fingerprint=data.fingerprint,
    )


def oracle(design, data):
    """True nuisances of a draw."""
    x = data.covariates.values
    return given(data, design.outcome(x), design.take_up(x), design.propensity(x))


def arbitrary(n=150, seed=0):
    """Any numbers: formulas must hold for all of them."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.3, 0.7, n)
    z = (rng.random(n) < p).astype(int)
    d = np.where(rng.random(n) < 0.7, z, rng.random(n) < 0.3).astype(int)
    frame = pd.DataFrame({
        "y": rng.normal(size=n) + d, "d": d, "z": z, "x": rng.normal(size=n),
        "w": rng.integers(0, 4, n), "g": rng.integers(0, 12, n),
    })  # fmt: skip
    arrays = (rng.normal(size=(n, 2)), rng.uniform(0.1, 0.9, (n, 2)), np.column_stack([1 - p, p]))
    return frame, arrays


def read(frame, **roles):
    return CausalData(frame, "d", "y", ["x"], instrument="z", **roles)


def test_equal_to_the_formula_written_by_hand():
    frame, (m, r, p) = arbitrary()
    data = read(frame)
    late, itt = (InstrumentEffect(e).estimate(data, given(data, m, r, p)) for e in BOTH)
    z, d, y = frame["z"].to_numpy(), frame["d"].to_numpy(), frame["y"].to_numpy()
    psi_y = m[:, 1] - m[:, 0] + z / p[:, 1] * (y - m[:, 1]) - (1 - z) / p[:, 0] * (y - m[:, 0])
    psi_d = r[:, 1] - r[:, 0] + z / p[:, 1] * (d - r[:, 1]) - (1 - z) / p[:, 0] * (d - r[:, 0])
    theta = psi_y.mean() / psi_d.mean()
    phi = (psi_y - theta * psi_d) / psi_d.mean()
    assert late.value == pytest.approx(theta, abs=EXACT)
    assert late.std_error == pytest.approx(phi.std(ddof=1) / np.sqrt(len(y)), abs=EXACT)
    np.testing.assert_allclose(itt.values, [psi_y.mean(), psi_d.mean()], atol=EXACT)
    np.testing.assert_allclose(itt.cov, np.cov(psi_y, psi_d) / len(y), atol=EXACT)
    assert itt.labels == ("ITT", "complier share")
    assert late.details["complier_share"] == pytest.approx(psi_d.mean(), abs=EXACT)
    assert late.details["complier_means"]["x"]["compliers"] == pytest.approx(
        (frame["x"] * psi_d).mean() / psi_d.mean(), abs=EXACT
    )


@pytest.mark.parametrize(
    ("weights_type", "clusters", "doubled_clusters"),
    [("frequency", None, None), ("sampling", None, "origin"), ("frequency", "g", "g")],
)
@pytest.mark.parametrize("estimand", BOTH, ids=lambda e: e.name)
def test_weights_equal_row_duplication(estimand, weights_type, clusters, doubled_clusters):
    frame, arrays = arbitrary()
    index = np.repeat(np.arange(len(frame)), frame["w"])
    rows = frame.iloc[index].assign(origin=index).reset_index(drop=True)
    weighted = read(frame, weights="w", weights_type=weights_type, clusters=clusters)
    doubled = read(rows, clusters=doubled_clusters)
    a = InstrumentEffect(estimand).estimate(weighted, given(weighted, *arrays))
    b = InstrumentEffect(estimand).estimate(doubled, given(doubled, *(v[index] for v in arrays)))
    np.testing.assert_allclose(a.values, b.values, atol=EXACT)
    np.testing.assert_allclose(a.cov, b.cov, atol=EXACT)
    for name in ("itt", "first_stage_t", "clip_bound"):
        assert a.details[name] == pytest.approx(b.details[name], abs=1e-8)


def test_the_score_is_insensitive_to_errors_of_the_nuisances():
    x = normal_points(5)
    p = INSTRUMENT.propensity(x)
    truth = INSTRUMENT.truth().value("LATE")
    bumps = [np.column_stack([np.cos(x[:, k]), np.sin(x[:, k + 1])]) for k in (0, 1)]
    bump_p = 0.2 * p[:, 0] * p[:, 1] * np.tanh(x[:, 0])

    def mean_effect(seen, learnt, learnt_p):
        """E[psi] where rows follow ``seen`` and p, by the two values of the instrument."""
        total = 0.0
        for z in (0, 1):
            at = np.full(len(x), z)
            omega = scores.ate_weights(at, learnt_p, 1e-6)
            total += p[:, z] @ scores.ate_score(seen[:, z], at, learnt, omega).psi_b
        return total / len(x)

    def theta(t):
        learnt_p = p + t * np.column_stack([-bump_p, bump_p])
        m, r = INSTRUMENT.outcome(x), INSTRUMENT.take_up(x)
        itt = mean_effect(m, m + t * bumps[0], learnt_p)
        return itt / mean_effect(r, r + 0.1 * t * bumps[1], learnt_p)

    assert theta(0.0) == pytest.approx(truth, abs=0.01)
    h = 1e-3
    assert abs(theta(h) - theta(-h)) / (2 * h) < 1e-3
    assert abs(theta(1.0) - theta(0.0)) > 0.001  # errors of both at once do matter


@pytest.mark.parametrize("design", [INSTRUMENT, ONE_SIDED], ids=lambda d: d.name)
def test_intervals_cover_with_oracle_nuisances(design):
    truth, covered, values, errors = design.truth().value("LATE"), [], [], []
    for seed in range(120):
        data = design.draw(400, seed=seed).data
        late = InstrumentEffect(LATE()).estimate(data, oracle(design, data))
        low, high = late.interval()
        covered.append(low <= truth <= high)
        values.append(late.value)
        errors.append(late.std_error)
    assert 0.9 <= np.mean(covered) <= 0.992
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)
    bound = design.truth().efficiency_sd["LATE"] / np.sqrt(400)
    assert np.std(values) == pytest.approx(bound, rel=0.2)


def test_intervals_cover_with_light_nuisances(light_models):
    truth, covered, found = INSTRUMENT.truth_of(ITT()), [], []
    for seed in range(50):
        data = INSTRUMENT.draw(600, seed=seed).data
        late, itt = estimate_effects(data, BOTH, **light_models, random_state=seed)
        ends = [late.interval(), *zip(*itt.interval(), strict=True)]
        wanted = (INSTRUMENT.truth().value("LATE"), *truth.values())
        covered.append([low <= t <= high for (low, high), t in zip(ends, wanted, strict=True)])
        found.append(late.value)
    assert (np.mean(covered, axis=0) > 0.86).all()
    assert abs(np.mean(found) - wanted[0]) < 3 * np.std(found) / np.sqrt(len(found))


def test_ignoring_the_instrument_is_biased_where_the_type_is_hidden():
    draw = INSTRUMENT.draw(20_000, seed=3)
    mean = np.column_stack([draw.data.outcome[draw.data.treatment == a].mean() for a in (0, 1)])
    assert mean[0, 1] - mean[0, 0] > INSTRUMENT.truth().value("ATE") + 0.3
    late = InstrumentEffect(LATE()).estimate(draw.data, oracle(INSTRUMENT, draw.data))
    assert abs(late.value - INSTRUMENT.truth().value("LATE")) < 4 * late.std_error
    x = normal_points(5)
    share = INSTRUMENT.type_probability(x)[:, 2]
    expected = share @ x[:, 1] / share.sum()
    assert late.details["complier_means"]["x1"]["compliers"] == pytest.approx(expected, abs=0.05)
    assert late.details["complier_means"]["x1"]["all"] == pytest.approx(0.0, abs=0.05)


# ------------------------------------------------------------------------------ weak instruments


def test_the_anderson_rubin_set_is_what_the_test_does_not_reject():
    close = np.array([[0.04, 0.01], [0.01, 0.0025]]) + 1e-4 * np.eye(2)
    apart = np.diag([0.04, 0.0025])
    cases = [([0.5, 0.4], close), ([0.5, 0.09], close), ([-0.9, 0.02], close), ([0.1, 0.05], apart)]
    grid = np.linspace(-30, 30, 30_001)
    shapes = set()
    for values, cov in cases:
        found = fieller_set(np.array(values), cov, 1.96, 0.95)
        spread = np.sqrt(cov[0, 0] - 2 * grid * cov[0, 1] + grid**2 * cov[1, 1])
        kept = np.abs(values[0] - grid * values[1]) <= 1.96 * spread
        inside = np.array([g in found for g in grid])
        edges = [e for pair in found.intervals for e in pair if np.isfinite(e)]
        near = np.any([np.abs(grid - e) < 3e-3 for e in edges], axis=0) if edges else False
        assert (kept == inside)[~np.broadcast_to(near, grid.shape)].all()
        assert found.bounded == (abs(values[1]) > 1.96 * np.sqrt(cov[1, 1]))
        shapes.add((len(found.intervals), found.bounded))
        str(found)
    assert shapes == {(1, True), (2, False), (1, False)}


def test_the_anderson_rubin_set_holds_its_level_where_the_usual_interval_does_not():
    rng = np.random.default_rng(8)
    share, effect = 0.1, 0.0
    cov = np.array([[1.0, 0.95], [0.95, 1.0]]) * 0.05**2  # first-stage t of 2, strongly confounded
    usual, robust = [], []
    for _ in range(2000):
        a, b = rng.multivariate_normal([effect * share, share], cov)
        robust.append(effect in fieller_set(np.array([a, b]), cov, 1.959964, 0.95))
        gradient = np.array([1.0, -a / b]) / b
        usual.append(abs(a / b - effect) <= 1.96 * np.sqrt(gradient @ cov @ gradient))
    assert np.mean(robust) == pytest.approx(0.95, abs=0.015)
    assert np.mean(usual) < 0.9


def test_a_strong_instrument_makes_both_intervals_agree():
    data = ONE_SIDED.draw(4000, seed=2).data
    late, itt = estimate_with(data, BOTH, oracle(ONE_SIDED, data))
    assert not any("First-stage" in w or "Weak" in w for w in late.warnings)
    (low, high), (a, b) = late.interval(), anderson_rubin(itt).intervals[0]
    assert low == pytest.approx(a, abs=0.02)
    assert high == pytest.approx(b, abs=0.02)
    assert late.details["anderson_rubin"]["intervals"] == [[a, b]]
    wider = anderson_rubin(itt, level=0.99).intervals[0]
    assert wider[0] < a < b < wider[1]


@pytest.mark.parametrize(
    ("strength", "n", "words"),
    [(-0.5, 600, "First-stage F = .*Anderson-Rubin set is"), (-1.5, 600, "Weak instrument: first")],
)
def test_a_weak_instrument_is_warned_of(strength, n, words):
    design = InstrumentDesign("weak", strength=strength)
    data = design.draw(n, seed=4).data
    with pytest.warns(WeakInstrumentWarning, match=words):
        (late,) = estimate_with(data, LATE(), oracle(design, data))
    assert "WeakInstrumentWarning" in late.details["warning_categories"]


def test_no_first_stage_is_refused_and_its_set_reported():
    design = InstrumentDesign("weaker", strength=-7.0)
    data = design.draw(400, seed=1).data
    nuisances = oracle(design, data)
    with pytest.raises(NotIdentifiedError, match=r"'z' moves .* of the units.*Anderson-Rubin set"):
        estimate_with(data, LATE(), nuisances)
    (itt,) = estimate_with(data, ITT(), nuisances)
    assert not anderson_rubin(itt).bounded
    assert itt.details["anderson_rubin"]["bounded"] is False
    assert None in np.ravel(itt.details["anderson_rubin"]["intervals"])
    Estimate.from_dict(itt.to_dict())


def test_an_instrument_against_the_treatment_changes_its_name_only():
    frame, (m, r, p) = arbitrary(n=400)
    data, flipped = read(frame), read(frame.assign(z=1 - frame["z"]))
    (late,) = estimate_with(data, LATE(), given(data, m, r, p))
    with pytest.warns(WeakInstrumentWarning, match="keeps units from the treatment"):
        (other,) = estimate_with(
            flipped, LATE(), given(flipped, m[:, ::-1], r[:, ::-1], p[:, ::-1])
        )
    assert other.value == pytest.approx(late.value, abs=EXACT)
    assert other.std_error == pytest.approx(late.std_error, abs=EXACT)


# ------------------------------------------------------------------------------------- nuisances


def test_one_sided_non_compliance_is_exact(light_models, tmp_path):
    data = ONE_SIDED.draw(300, seed=0).data
    nuisances = fit_instrument_nuisances(data, **light_models)
    np.testing.assert_array_equal(nuisances.take_up[:, 0], 0.0)
    assert (nuisances.take_up[:, 1] > 0).all()
    assert (nuisances.take_up <= 1).all()
    assert nuisances.fingerprint == data.fingerprint
    assert "interactive IV" in nuisances.method
    again = load_model(save_model(nuisances, tmp_path / "late.nuisances"), InstrumentNuisances)
    np.testing.assert_array_equal(again.outcome, nuisances.outcome)


def test_each_row_is_read_by_models_that_never_saw_it(light_models):
    data = INSTRUMENT.draw(200, seed=0).data
    first = fit_instrument_nuisances(data, **light_models)
    own = first.fold_ids == 0
    frame = INSTRUMENT.draw(200, seed=0).frame
    frame.loc[own, "y"] += 5.0
    names = [f"x{j}" for j in range(5)]
    moved = fit_instrument_nuisances(
        CausalData(frame, "d", "y", names, instrument="z"), **light_models
    )
    np.testing.assert_array_equal(moved.outcome[own], first.outcome[own])
    assert not np.array_equal(moved.outcome[~own], first.outcome[~own])
    np.testing.assert_array_equal(moved.take_up, first.take_up)


def test_one_call_answers_questions_of_both_kinds(light_models):
    data = INSTRUMENT.draw(400, seed=9).data
    late, ate = estimate_effects(data, [LATE(), ATE()], **light_models, n_repeats=3, random_state=1)
    assert late.details["n_repeats"] == 3
    assert "compliers" in late.population
    assert any("Exclusion: z" in a for a in late.assumptions)
    assert any("Unconfoundedness" in a for a in ate.assumptions)
    assert not any("Unconfoundedness" in a for a in late.assumptions)
    gap = late - ate
    psi = (late.influence - ate.influence)[:, 0]
    assert gap.std_error == pytest.approx(np.sqrt(psi @ psi / (400 * 399)))


# -------------------------------------------------------------------------------------- refusals


def test_refusals_come_before_any_fit():
    frame, arrays = arbitrary()
    start = time.process_time()
    plain = CausalData(frame, "d", "y", ["x"])
    with pytest.raises(DataError, match="the data have no instrument"):
        estimate_effects(plain, LATE())
    dose = frame.assign(d=np.linspace(0, 1, len(frame)))
    data = CausalData(dose, "d", "y", ["x"], treatment_kind="dose", instrument="z")
    with pytest.raises(DataError, match="a treatment of kind 'binary' for the LATE"):
        estimate_effects(data, LATE())
    assert time.process_time() - start < 1.0
    data = read(frame)
    with pytest.raises(DataError, match="expected InstrumentNuisances for the LATE"):
        estimate_with(data, LATE(), object())
    other = read(frame.assign(y=0.5 * frame["y"]))
    with pytest.raises(DataError, match="belong to other data"):
        estimate_with(other, LATE(), given(data, *arrays))
    with pytest.raises(DataError, match=r"expected those of ITT\(\)"):
        anderson_rubin(InstrumentEffect(LATE()).estimate(data, given(data, *arrays)))


def test_instruments_without_overlap_are_refused_in_their_own_words():
    frame, (m, r, _) = arbitrary(n=200)
    data = read(frame)
    p = np.where(frame["z"] == 1, 0.9999, 0.0001)
    with pytest.raises(OverlapError, match=r"No overlap for the LATE.*expected z = 0 rows"):
        estimate_with(data, LATE(), given(data, m, r, np.column_stack([1 - p, p])))
    weighted = read(frame.assign(w=frame["z"]), weights="w")
    p = np.full((200, 2), 0.5)
    with pytest.raises(DataError, match="has weight zero"):
        estimate_with(weighted, LATE(), given(weighted, m, r, p))


# ------------------------------------------------------------------------------------------ peers


@pytest.mark.peers
@pytest.mark.parametrize("design", [INSTRUMENT, ONE_SIDED], ids=lambda d: d.name)
def test_equal_to_doubleml_at_the_same_nuisances(design):
    dml = pytest.importorskip("doubleml")
    from doubleml.utils import DMLDummyClassifier, DMLDummyRegressor

    data = design.draw(500, seed=12).data
    nuisances = oracle(design, data)
    x = data.covariates.values
    dml_data = dml.DoubleMLData.from_arrays(x, data.outcome, data.treatment, z=data.instrument)
    peer = dml.DoubleMLIIVM(
        dml_data, DMLDummyRegressor(), DMLDummyClassifier(), DMLDummyClassifier(),
        subgroups={"always_takers": design.always_takers, "never_takers": True},
    )  # fmt: skip
    columns = {
        "ml_g0": nuisances.outcome[:, [0]], "ml_g1": nuisances.outcome[:, [1]],
        "ml_m": nuisances.propensity[:, [1]],
        "ml_r0": nuisances.take_up[:, [0]], "ml_r1": nuisances.take_up[:, [1]],
    }  # fmt: skip
    if not design.always_takers:
        del columns["ml_r0"]
    peer.fit(external_predictions={"d": columns})
    late = InstrumentEffect(LATE()).estimate(data, nuisances)
    assert nuisances.propensity.min() > late.details["clip_bound"]
    assert late.value == pytest.approx(float(peer.coef[0]), abs=1e-8)
    small_sample = np.sqrt(data.n / (data.n - 1))
    assert late.std_error == pytest.approx(float(peer.se[0]) * small_sample, abs=1e-8)


@pytest.mark.slow
def test_the_default_models_answer():
    data = ONE_SIDED.draw(400, seed=0).data
    late, itt = estimate_effects(data, BOTH)
    assert abs(late.value - ONE_SIDED.truth().value("LATE")) < 4 * late.std_error
    assert late.std_error < 1.5 * ONE_SIDED.truth().efficiency_sd["LATE"] / np.sqrt(400)
    assert late.value in anderson_rubin(itt)
    assert "diffusion law" in late.method
