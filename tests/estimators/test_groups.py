"""Effects in groups: formulas, groups that no outcome has formed, refusals."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, NotIdentifiedError, SmallSampleWarning
from causal_ddpm.core.estimand import ATE, BLP, GATE
from causal_ddpm.dgp.confounded import GAUSS, LINEAR
from causal_ddpm.estimators.api import estimate_effects
from causal_ddpm.estimators.groups import GroupEffects
from causal_ddpm.estimators.registry import estimator_for

EXACT = 1e-10
DRAW = GAUSS.draw(600, seed=31)


def by_hand(data, mean, e):
    """psi, written out."""
    y, d = data.outcome, data.treatment
    c = min(0.02, 0.1 * min(d.mean(), 1 - d.mean()))
    treated = d * (y - mean[:, 1]) / np.maximum(e[:, 1], c)
    return mean[:, 1] - mean[:, 0] + treated - (1 - d) * (y - mean[:, 0]) / np.maximum(e[:, 0], c)


def test_a_group_is_the_mean_of_its_scores(small_sample, as_data, given):
    frame, mean, e, _ = small_sample(400)
    data = as_data(frame)
    psi = by_hand(data, mean, e)
    x = frame["x"].to_numpy()
    found = GroupEffects(GATE("x", cuts=[-0.5, 0.5], calibrated=False)).estimate(
        data, given(data, mean, e)
    )
    assert found.labels == ("GATE(x <= -0.5)", "GATE(-0.5 < x <= 0.5)", "GATE(x > 0.5)")
    groups = [x <= -0.5, (x > -0.5) & (x <= 0.5), x > 0.5]
    for j, group in enumerate(groups):
        assert found.values[j] == pytest.approx(psi[group].mean(), abs=EXACT)
        spread = ((psi[group] - psi[group].mean()) ** 2).sum() / group.sum() ** 2
        n = len(x)
        assert found.std_error[j] == pytest.approx((spread * n / (n - 1)) ** 0.5, abs=EXACT)
    rows = found.details["groups"]
    assert [g["n_treated"] for g in rows] == [int(data.treatment[g].sum()) for g in groups]


def test_groups_weighted_by_their_shares_make_the_average_effect(oracle):
    nuisances = oracle(DRAW)
    groups = GroupEffects(GATE("x1", n_groups=4)).estimate(DRAW.data, nuisances)
    line = estimator_for(BLP()).estimate(DRAW.data, nuisances)
    ate = estimator_for(ATE()).estimate(DRAW.data, nuisances)
    assert groups.values.mean() == pytest.approx(line.values[0], abs=EXACT)
    assert groups.values.mean() == pytest.approx(ate.value, abs=EXACT)
    together = groups.contrast([0.25] * 4)
    between = (groups.values @ groups.values / 4 - ate.value**2) / (DRAW.data.n - 1)
    assert ate.std_error**2 == pytest.approx(together.std_error**2 + between, rel=0.01)


def test_groups_by_effect_rank_within_folds(oracle):
    nuisances = oracle(DRAW)
    predicted = nuisances.mean[:, 1] - nuisances.mean[:, 0]
    psi = by_hand(DRAW.data, nuisances.mean, nuisances.propensity)
    found = GroupEffects(GATE(n_groups=4, calibrated=False)).estimate(DRAW.data, nuisances)
    codes = np.empty(600, dtype=int)
    for fold in range(5):
        own = np.flatnonzero(nuisances.fold_ids == fold)
        codes[own] = pd.qcut(predicted[own], 4, labels=False)
    np.testing.assert_allclose(found.values, [psi[codes == g].mean() for g in range(4)], atol=EXACT)
    details = found.details
    assert details["monotonised"]["value"] == sorted(found.values)
    gap = found.contrast([-1, 0, 0, 1])
    assert details["top_minus_bottom"]["value"] == pytest.approx(gap.value)
    assert details["top_minus_bottom"]["std_error"] == pytest.approx(gap.std_error)


def test_the_outcome_of_a_row_does_not_choose_its_group(oracle):
    nuisances = oracle(DRAW)
    frame = DRAW.frame.assign(y=np.random.default_rng(0).normal(size=600))
    shuffled = CausalData(frame, "d", "y", DRAW.data.confounder_names)
    a = GroupEffects(GATE()).estimate(DRAW.data, nuisances)
    b = GroupEffects(GATE()).estimate(shuffled, nuisances)
    assert a.details["groups"] == b.details["groups"]


@pytest.mark.parametrize("weights_type", ["frequency", "sampling"])
@pytest.mark.parametrize(
    "estimand", [GATE("x", cuts=0), GATE("x", n_groups=3), BLP(on=["x"]), BLP()], ids=repr
)
def test_weights_equal_row_duplication(estimand, weights_type, small_sample, as_data, given):
    frame, mean, e, _ = small_sample(200)
    index = np.repeat(np.arange(200), frame["w"])
    weighted = as_data(frame, weights="w", weights_type=weights_type)
    rows = frame.iloc[index].assign(origin=index).reset_index(drop=True)
    doubled = as_data(rows, clusters="origin" if weights_type == "sampling" else None)
    a = estimator_for(estimand).estimate(weighted, given(weighted, mean, e))
    copies = given(doubled, mean[index], e[index])
    copies.fold_ids[:] = index % 5
    b = estimator_for(estimand).estimate(doubled, copies)
    np.testing.assert_allclose(a.values, b.values, atol=EXACT)
    np.testing.assert_allclose(a.std_error, b.std_error, atol=EXACT)


def test_levels_missing_values_and_numbers_of_few_values_are_groups():
    rng = np.random.default_rng(5)
    n = 400
    frame = pd.DataFrame({
        "y": rng.normal(size=n), "d": rng.integers(0, 2, n), "size": rng.normal(size=n),
        "region": np.where(rng.random(n) < 0.1, None, rng.choice(["north", "south"], n)),
        "children": rng.integers(0, 3, n),
    })  # fmt: skip
    data = CausalData(frame, "d", "y", ["region", "children", "size"])
    from causal_ddpm.nuisance.crossfit import Nuisances

    nuisances = Nuisances(
        np.arange(n) % 5, rng.normal(size=(n, 2)), np.full((n, 2), 0.5), None, data.fingerprint
    )

    def labels(*args, **settings):
        return GroupEffects(GATE(*args, **settings)).estimate(data, nuisances).labels

    assert labels("region") == (
        "GATE(region = north)", "GATE(region = south)", "GATE(region missing)",
    )  # fmt: skip
    assert labels("children") == tuple(f"GATE(children = {k})" for k in range(3))
    assert labels("size") == tuple(f"GATE(size, group {g} of 4)" for g in range(1, 5))
    with pytest.raises(DataError, match="the confounder is categorical; expected a numeric one"):
        labels("region", n_groups=2)
    with pytest.raises(DataError, match=r"3 values are too few, or one too frequent, for 5"):
        labels("children", n_groups=5)


def test_small_groups_are_noted_and_tiny_ones_refused(small_sample, as_data, given):
    frame, mean, e, _ = small_sample(300)
    data = as_data(frame)
    with pytest.raises(DataError, match=r"GATE\(x > 3\) has 0 treated and \d untreated rows"):
        GroupEffects(GATE("x", cuts=3.0)).estimate(data, given(data, mean, e))
    found = GroupEffects(GATE("x", cuts=1.2)).estimate(data, given(data, mean, e))
    assert "Small groups: GATE(x > 1.2) with" in found.warnings[0]
    assert found.details["warning_categories"][0] == SmallSampleWarning.__name__


def test_predictions_that_do_not_differ_form_no_groups(small_sample, as_data, given):
    frame, _, e, _ = small_sample()
    data = as_data(frame)
    flat = given(data, np.zeros((len(frame), 2)), e)
    with pytest.raises(NotIdentifiedError, match="fill 1 of 5 groups"):
        GroupEffects(GATE()).estimate(data, flat)


def test_unknown_confounders_and_a_confounder_called_effect_are_refused(as_data, given):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["y", "effect"])
    frame["d"] = np.arange(60) % 2
    data = CausalData(frame, "d", "y", ["effect"])
    nuisances = given(data, rng.normal(size=(60, 2)), np.full((60, 2), 0.5))
    with pytest.raises(DataError, match="no confounder 'age'; expected one of effect"):
        GroupEffects(GATE("age")).estimate(data, nuisances)
    with pytest.raises(DataError, match="name that stands for the predicted effect"):
        GroupEffects(GATE()).estimate(data, nuisances)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"by": 3}, "by is 3"),
        ({"by": "x", "cuts": [1, 0]}, r"cut points are \[1.0, 0.0\]; expected finite numbers"),
        ({"by": "x", "cuts": []}, r"cut points are \[\]"),
        ({"by": "x", "cuts": [0], "n_groups": 3}, "cut points were given, and n_groups as well"),
        ({"by": "effect", "cuts": [0]}, "cut points were given, and by='effect'"),
        ({"n_groups": 1}, "n_groups is 1; expected a whole number from 2 to 50"),
        ({"by": "x", "cuts": list(range(60))}, "there are 60 cut points"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, sentence):
    with pytest.raises(DataError, match=sentence):
        GATE(**settings)


def test_the_mean_of_the_score_ignores_first_order_errors_of_the_nuisances(oracle):
    from dataclasses import replace

    draw = GAUSS.draw(60_000, seed=9)
    nuisances, x = oracle(draw), draw.data.covariates.values
    estimands = (GATE("x2", cuts=0.0), BLP(on=["x1", "x2"]))
    y = draw.mean[np.arange(len(x)), draw.data.treatment]  # no noise: the mean of the score
    frame = draw.frame.assign(y=y)
    data = CausalData(frame, "d", "y", draw.data.confounder_names)

    def at(t):
        mean = nuisances.mean + t * np.column_stack([np.sin(x[:, 0]), np.cos(x[:, 1])])
        shift = t * 0.2 * np.tanh(x[:, 2])
        e1 = nuisances.propensity[:, 1]
        e1 = e1 + shift * e1 * (1 - e1)
        moved = replace(nuisances, mean=mean, propensity=np.column_stack([1 - e1, e1]))
        return np.concatenate([
            estimator_for(e).estimate(data, moved).values for e in estimands
        ])  # fmt: skip

    step = 1e-3
    noise = 4 / np.sqrt(len(x))  # of the derivative, from the treatment drawn
    assert np.abs(at(step) - at(-step)).max() / (2 * step) < noise


@pytest.mark.filterwarnings("ignore::causal_ddpm.core.errors.SmallSampleWarning")
def test_intervals_cover_with_light_nuisances(light_models):
    """The effect is one for all: so it is in every group, whoever is put there."""
    hits, joint = [], []
    for seed in range(40):
        data = LINEAR.draw(400, seed=3000 + seed).data
        (found,) = estimate_effects(data, GATE(n_groups=4), random_state=seed, **light_models)
        low, high = found.interval()
        hits.append((low <= 1) & (high >= 1))
        low, high = found.interval(simultaneous=True)
        joint.append(bool(((low <= 1) & (high >= 1)).all()))
    assert 0.9 <= np.mean(hits) <= 0.99
    assert np.mean(joint) >= 0.85


def test_truths_by_integration_are_those_of_effects_drawn():
    draw = GAUSS.draw(100_000, seed=14)
    effect, x = draw.potential_outcomes @ [-1, 1], draw.data.covariates.values
    error = 5 * effect.std() / np.sqrt(len(effect) / 4)
    quarters = np.searchsorted(np.quantile(x[:, 1], [0.25, 0.5, 0.75]), x[:, 1])
    found = GAUSS.truth_of(GATE("x1", n_groups=4))
    brute = [effect[quarters == g].mean() for g in range(4)]
    np.testing.assert_allclose(list(found.values()), brute, atol=error)
    found = GAUSS.truth_of(GATE("x2", cuts=0.0))
    assert tuple(found) == GATE("x2", cuts=0.0).labels_by_cuts
    brute = [effect[x[:, 2] <= 0].mean(), effect[x[:, 2] > 0].mean()]
    np.testing.assert_allclose(list(found.values()), brute, atol=error)
    coef = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x[:, 1]]), effect, rcond=None)[0]
    np.testing.assert_allclose(list(GAUSS.truth_of(BLP(on=["x1"])).values()), coef, atol=error)
    for estimand in (GATE(), GATE("x1"), BLP()):
        with pytest.raises(DataError, match="depends on the data"):
            GAUSS.truth_of(estimand)
