"""Several estimates as one vector: joint covariance, labels, clusters, repeats, refusals."""

import json

import numpy as np
import pandas as pd
import pytest

from causal_ddpm import ATE, ATO, ATT, ATU, QTE, CausalData, combine_estimates, estimate_effects
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import Estimate, influence_covariance


def _estimate(values=(1.0,), n=200, seed=0, **fields):
    rng = np.random.default_rng(seed)
    psi = rng.normal(size=(n, len(values)))
    psi -= psi.mean(axis=0)
    defaults = {
        "values": np.array(values), "cov": influence_covariance(psi),
        "labels": tuple(f"theta{j}" for j in range(len(values))), "influence": psi,
        "row_ids": np.arange(n), "fingerprint": "abc", "estimand": "ATE",
        "population": "all units", "method": "AIPW", "n": n,
    }  # fmt: skip
    return Estimate(**(defaults | fields))


def test_differences_agree_with_subtraction():
    a, b = _estimate((3.0, 1.0), seed=1), _estimate((2.0, 5.0), seed=2)
    joint = combine_estimates([a, b])
    gap = joint.contrast([[1, 0, -1, 0], [0, 1, 0, -1]])
    np.testing.assert_allclose(gap.values, (a - b).values)
    np.testing.assert_allclose(gap.cov, (a - b).cov, rtol=1e-12)
    np.testing.assert_allclose(joint.cov[:2, :2], a.cov, rtol=1e-12)
    np.testing.assert_allclose(joint.cov[2:, 2:], b.cov, rtol=1e-12)
    assert joint.cov[0, 2] == pytest.approx(a.influence[:, 0] @ b.influence[:, 0] / 200 / 199)


def test_estimates_of_any_length_join_and_simultaneous_intervals_cover_them():
    a, b = _estimate((3.0,), seed=1), _estimate((2.0, 5.0), seed=2, estimand="ATT")
    joint = combine_estimates([a, b], labels=["one", "two", "three"])
    assert joint.labels == ("one", "two", "three")
    assert joint.estimand == "ATE and ATT"
    assert joint.details == {"parts": ["ATE", "ATT"]}
    single, wide = joint.interval(), joint.interval(simultaneous=True)
    assert ((wide[1] - wide[0]) > 1.1 * (single[1] - single[0])).all()
    back = Estimate.from_dict(json.loads(json.dumps(joint.to_dict())))
    assert (back - joint).std_error == pytest.approx([0, 0, 0])
    assert len(combine_estimates([a])) == 1


def test_clusters_and_their_degrees_of_freedom_are_kept():
    clusters = np.arange(200) % 10
    fields = {"clusters": clusters, "n_independent": 10.0, "df": 9.0}
    parts = []
    for seed in (1, 2):
        plain = _estimate((1.0,), seed=seed)
        cov = influence_covariance(plain.influence, clusters)
        parts.append(_estimate((1.0,), seed=seed, cov=cov, **fields))
    joint = combine_estimates(parts)
    both = np.hstack([part.influence for part in parts])
    np.testing.assert_allclose(joint.cov, influence_covariance(both, clusters))
    assert joint.df == 9.0


def test_every_entry_keeps_its_own_standard_error():
    # a bootstrap, or repeats, may have found another one than the influence values
    a = _estimate((1.0,), seed=1, cov=np.array([[0.04]]), bootstrap=np.zeros((9, 1)))
    b = _estimate((1.0,), seed=2)
    joint = combine_estimates([a, b])
    np.testing.assert_allclose(joint.std_error, [0.2, b.std_error])
    plain = influence_covariance(np.hstack([a.influence, b.influence]))
    correlation = plain[0, 1] / np.sqrt(plain[0, 0] * plain[1, 1])
    assert joint.cov[0, 1] / (0.2 * b.std_error) == pytest.approx(correlation)
    assert joint.bootstrap is None
    np.testing.assert_allclose(influence_covariance(joint.influence), joint.cov)
    silent = _estimate((1.0,), influence=np.zeros((200, 1)), cov=np.array([[0.09]]))
    np.testing.assert_allclose(combine_estimates([silent, b]).std_error, [0.3, b.std_error])


def test_equal_labels_name_their_population():
    a = _estimate((1.0, 2.0))
    b = _estimate((1.0,), population="treated units")
    assert combine_estimates([a, b]).labels == (
        "theta0, all units", "theta1", "theta0, treated units",
    )  # fmt: skip
    assert combine_estimates([b, b]).labels == (
        "theta0, treated units [1]", "theta0, treated units [2]",
    )  # fmt: skip


def test_warnings_and_assumptions_are_gathered_once():
    a = _estimate(assumptions=("A", "B"), warnings=("careful",), n_synthetic=2)
    b = _estimate(assumptions=("B", "C"), warnings=("careful", "weak"))
    joint = combine_estimates([a, b])
    assert joint.assumptions == ("A", "B", "C")
    assert joint.warnings == ("careful", "weak")
    assert joint.n_synthetic == 2


def test_what_does_not_belong_together_is_refused():
    a = _estimate()
    with pytest.raises(DataError, match="no estimate was given"):
        combine_estimates([])
    with pytest.raises(DataError, match=r"rest on different rows; .*independent=True"):
        combine_estimates([a, _estimate(fingerprint="xyz")])
    with pytest.raises(DataError, match="rest on different rows"):
        combine_estimates([a, _estimate(n=100)])
    with pytest.raises(DataError, match="1 labels were given; expected 2, one an entry"):
        combine_estimates([a, a], labels=["a"])
    with pytest.raises(DataError, match="one of the estimates is a ndarray"):
        combine_estimates([a, np.ones(2)])


@pytest.mark.parametrize("n_repeats", [1, 3])
def test_effects_of_one_analysis_join(n_repeats):
    from sklearn.linear_model import LinearRegression, LogisticRegression

    from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel

    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    d = (rng.random(400) < 1 / (1 + np.exp(-x))).astype(int)
    frame = pd.DataFrame({"x": x, "d": d, "y": x + d * (1 + x) + rng.normal(size=400),
                          "g": np.arange(400) % 40})  # fmt: skip
    found = estimate_effects(
        CausalData(frame, "d", "y", ["x"], clusters="g"),
        [ATE(), ATT(), ATU(), ATO()],
        outcome_model=LearnerOutcomeModel(LinearRegression()),
        propensity_model=LearnerPropensityModel(LogisticRegression()),
        n_repeats=n_repeats,
    )
    joint = combine_estimates(found)
    assert joint.labels == ("ATE", "ATT", "ATU", "ATO")
    np.testing.assert_allclose(joint.std_error, [e.std_error for e in found])
    gap = joint.contrast([0, 1, -1, 0], ["ATT - ATU"])
    assert gap.std_error == pytest.approx((found[1] - found[2]).std_error)
    assert gap.test().loc["ATT - ATU", "p_value"] < 1e-4  # the effect grows with x
    # the ATE is the mixture of the other two, but for what the propensity model misses
    mixture = joint.contrast([1, -d.mean(), d.mean() - 1, 0])
    assert abs(mixture.value) < 0.05
    assert mixture.std_error < 0.2 * found[0].std_error
    assert joint.df == 39.0


def test_quantile_effects_join_average_effects():
    from causal_ddpm.core.distribution import ConditionalLaw
    from causal_ddpm.estimators.api import estimate_with
    from causal_ddpm.nuisance.crossfit import Nuisances

    rng = np.random.default_rng(1)
    d = np.arange(400) % 2
    frame = pd.DataFrame({"x": rng.normal(size=400), "d": d, "y": d + rng.normal(size=400)})
    data = CausalData(frame, "d", "y", ["x"])
    law = ConditionalLaw(np.tile(np.linspace(-2, 2, 16), (400, 1)))
    nuisances = Nuisances(
        np.arange(400) % 5, np.tile([0.0, 1.0], (400, 1)), np.full((400, 2), 0.5), (law, law),
        data.fingerprint,
    )  # fmt: skip
    ate, qte, qtt = estimate_with(
        data, [ATE(), QTE([0.25, 0.5]), QTE(0.5, among="treated")], nuisances
    )
    joint = combine_estimates([ate, qte, qtt])
    assert joint.labels == ("ATE", "QTE(0.25)", "QTE(0.5)", "QTT(0.5)")
    np.testing.assert_allclose(joint.std_error, [ate.std_error, *qte.std_error, qtt.std_error])
    assert np.linalg.eigvalsh(joint.cov).min() > -1e-12
    gap = joint.contrast([1, 0, -1, 0], ["mean - median"])
    assert 0 < gap.std_error < ate.std_error + qte.std_error[1]
