"""ATE, ATT and ATU with oracle or fixed nuisances: exact properties and reported numbers."""

import numpy as np
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import ConvergenceError
from causal_ddpm.core.estimand import ATE, ATT, ATU, QTE, PotentialDistributions
from causal_ddpm.dgp.confounded import GAUSS
from causal_ddpm.estimators.ate import MeanEffect
from causal_ddpm.estimators.registry import estimator_for

MEANS = (ATE(), ATT(), ATU())
DRAW = GAUSS.draw(800, seed=21)

means = pytest.mark.parametrize("estimand", MEANS, ids=lambda e: e.name)


@means
def test_estimate_is_centred_at_the_truth(estimand, oracle):
    draw = GAUSS.draw(20_000, seed=22)
    estimate = MeanEffect(estimand).estimate(draw.data, oracle(draw))
    truth = draw.truth.value(estimand.name)
    assert abs(estimate.value - truth) < 4 * estimate.std_error
    bound = draw.truth.efficiency_sd[estimand.name] / np.sqrt(draw.data.n)
    assert estimate.std_error == pytest.approx(bound, rel=0.1)
    assert estimate.population == estimand.population
    assert estimate.labels == (estimand.name,)
    assert estimate.n == 20_000
    assert estimate.warnings == ()


def test_ate_is_the_mixture_of_att_and_atu(oracle):
    att, atu, ate = (
        MeanEffect(e).estimate(DRAW.data, oracle(DRAW)).value for e in (ATT(), ATU(), ATE())
    )
    p = DRAW.data.treatment.mean()
    assert p * att + (1 - p) * atu == pytest.approx(ate, abs=1e-10)


@means
def test_row_order_does_not_matter(estimand, small_sample, as_data, given):
    frame, mean, e, _ = small_sample()
    order = np.random.default_rng(3).permutation(len(frame))
    first = as_data(frame, weights="w", clusters="g")
    second = as_data(frame.iloc[order].reset_index(drop=True), weights="w", clusters="g")
    a = MeanEffect(estimand).estimate(first, given(first, mean, e))
    b = MeanEffect(estimand).estimate(second, given(second, mean[order], e[order]))
    assert a.value == pytest.approx(b.value, abs=1e-12)
    assert a.std_error == pytest.approx(b.std_error, abs=1e-12)


@means
@pytest.mark.parametrize("scale", [3.0, -0.5])
def test_shift_and_scale_of_the_outcome(estimand, scale, small_sample, as_data, given):
    frame, mean, e, _ = small_sample()
    data, moved = as_data(frame), as_data(frame.assign(y=7 + scale * frame["y"]))
    a = MeanEffect(estimand).estimate(data, given(data, mean, e))
    b = MeanEffect(estimand).estimate(moved, given(moved, 7 + scale * mean, e))
    assert b.value == pytest.approx(scale * a.value, abs=1e-10)
    assert b.std_error == pytest.approx(abs(scale) * a.std_error, abs=1e-10)


@pytest.mark.parametrize(("one", "other"), [(ATE(), ATE()), (ATT(), ATU())], ids=["ATE", "ATT"])
def test_relabelling_the_arms_flips_the_sign(one, other, small_sample, as_data, given):
    frame, mean, e, _ = small_sample()
    data, flipped = as_data(frame), as_data(frame.assign(d=1 - frame["d"]))
    a = MeanEffect(one).estimate(data, given(data, mean, e))
    b = MeanEffect(other).estimate(flipped, given(flipped, mean[:, ::-1], e[:, ::-1]))
    assert b.value == pytest.approx(-a.value, abs=1e-12)
    assert b.std_error == pytest.approx(a.std_error, abs=1e-12)


def test_details_report_the_bound_and_its_neighbours(small_sample, as_data, given):
    frame, mean, e, _ = small_sample(n=400)
    e1 = e[:, 1].copy()
    e1[:20] = 0.995
    e = np.column_stack([1 - e1, e1])
    data = as_data(frame)
    details = MeanEffect(ATT(calibrated=False)).estimate(data, given(data, mean, e)).details
    c = details["clip_bound"]
    assert c == 0.02
    y, d = data.outcome, data.treatment
    assert details["n_clipped"] == ((1 - e1 < c) & (d == 0)).sum() > 0

    def at(bound):
        odds = e1 / np.maximum(1 - e1, bound)
        return ((d - (1 - d) * odds) * (y - mean[:, 0])).sum() / d.sum()

    assert details["value_half_bound"] == pytest.approx(at(c / 2))
    assert details["value_double_bound"] == pytest.approx(at(2 * c))
    assert at(c / 2) != pytest.approx(at(2 * c), rel=1e-3)


def test_difference_of_two_effects_uses_their_joint_influence(oracle):
    nuisances = oracle(DRAW)
    att, ate = (MeanEffect(e).estimate(DRAW.data, nuisances) for e in (ATT(), ATE()))
    gap = att - ate
    assert gap.value == pytest.approx(att.value - ate.value)
    psi = (att.influence - ate.influence)[:, 0]
    assert gap.std_error == pytest.approx(psi.std(ddof=1) / np.sqrt(DRAW.data.n))
    # strongly correlated estimates: the difference is known better than as if independent
    assert gap.std_error < 0.6 * np.hypot(att.std_error, ate.std_error)


def test_assumptions_name_the_confounders_and_the_side_of_overlap(small_sample, as_data, given):
    frame, mean, e, laws = small_sample()
    data = as_data(frame, clusters="g")
    nuisances = given(data, mean, e, laws)
    texts = {
        k.name: " ".join(estimator_for(k).estimate(data, nuisances).assumptions)
        for k in (*MEANS, QTE(), PotentialDistributions())
    }
    assert all("Unconfoundedness: among units with equal x" in t for t in texts.values())
    assert all("does not depend on the treatment of others" in t for t in texts.values())
    assert all("clusters of g are independent" in t for t in texts.values())
    assert "every treated unit could have gone untreated" in texts["ATT"]
    assert "every untreated unit could have been treated" in texts["ATU"]
    assert "treated or untreated" in texts["QTE"]


def test_estimate_carries_its_rows(small_sample, given):
    frame, mean, e, _ = small_sample()
    frame = frame.assign(id=[f"u{i}" for i in range(len(frame))])
    data = CausalData(frame, "d", "y", ["x"], unit_id="id")
    estimate = MeanEffect(ATE()).estimate(data, given(data, mean, e), level=0.9)
    assert estimate.row_ids.tolist() == frame["id"].tolist()
    assert estimate.fingerprint == data.fingerprint
    assert estimate.method == "given nuisances"
    assert estimate.level == 0.9
    assert estimate.details["n_folds"] == 5


def test_nuisances_that_are_no_numbers_are_refused(small_sample, as_data, given):
    frame, mean, e, _ = small_sample()
    mean[3] = np.nan
    data = as_data(frame)
    with pytest.raises(ConvergenceError, match=r"ATT is not a finite number: the nuisances"):
        MeanEffect(ATT()).estimate(data, given(data, mean, e))
