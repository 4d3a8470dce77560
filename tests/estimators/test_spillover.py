"""Direct and indirect effects: formulas by hand, dependence, refusals."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, eye_array
from sklearn.linear_model import LinearRegression, LogisticRegression

from causal_ddpm import ATE, CausalData, DataError, Network, estimate_effects, spillover_effects
from causal_ddpm.dgp.spillovers import SPILLOVERS
from causal_ddpm.estimators.spillover import ARMS, EFFECTS, network_covariance
from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel

LIGHT = {
    "outcome_model": LearnerOutcomeModel(LinearRegression()),
    "propensity_model": LearnerPropensityModel(LogisticRegression(max_iter=500)),
}


@pytest.fixture(scope="module")
def drawn():
    return SPILLOVERS.draw(1500, seed=4)


@pytest.fixture(scope="module")
def found(drawn):
    return spillover_effects(drawn.data, drawn.network, **LIGHT)


def test_the_effects_are_contrasts_of_the_four_means(found):
    mean = found.details["means"]
    assert found.labels == tuple(EFFECTS)
    by_hand = [
        mean["1, low"] - mean["0, low"], mean["1, high"] - mean["0, high"],
        mean["0, high"] - mean["0, low"], mean["1, high"] - mean["1, low"],
        mean["1, high"] - mean["0, low"],
    ]  # fmt: skip
    np.testing.assert_allclose(found.values, by_hand, atol=1e-12)


def test_the_truth_of_the_design_is_found_where_the_plain_comparison_fails(drawn, found):
    truth = np.array(list(drawn.truth.population.values()))
    assert (np.abs(found.values - truth) < 3 * found.std_error).all()
    d, y = drawn.data.treatment, drawn.data.outcome
    assert y[d == 1].mean() - y[d == 0].mean() > 2  # the direct effect is 1 or 1.4
    ate = estimate_effects(drawn.data, ATE(), **LIGHT)[0]
    total = found.values[found.labels.index("total effect")]
    assert ate.value < total - 0.5  # treating everyone does much more than an ATE says


def test_the_order_of_arms_does_not_depend_on_the_alphabet(found):
    assert set(found.details["means"]) == set(ARMS)
    assert found.details["means"]["1, low"] > found.details["means"]["0, low"] + 0.5


def test_covariance_with_all_pairs_by_hand():
    rng = np.random.default_rng(0)
    psi = rng.standard_normal((6, 2))
    links = (rng.random((6, 6)) < 0.4).astype(float)
    near = np.clip(links + links.T + np.eye(6), 0, 1)
    alone = psi.T @ psi / 36
    excess = sum(
        near[i, j] * np.outer(psi[i], psi[j]) for i in range(6) for j in range(6)
    ) / 36 - alone  # fmt: skip
    values, vectors = np.linalg.eigh(excess)
    assert values.min() < 0  # so that dropping negative parts is tested
    wanted = 6 / 5 * (alone + vectors @ np.diag(np.maximum(values, 0)) @ vectors.T)
    np.testing.assert_allclose(network_covariance(psi, csr_array(near)), wanted, atol=1e-12)


def test_independent_rows_have_the_usual_covariance():
    psi = np.random.default_rng(1).standard_normal((50, 3))
    near = csr_array(eye_array(50, format="csr"))
    np.testing.assert_allclose(network_covariance(psi, near), psi.T @ psi / 50 / 49, atol=1e-12)


def test_copies_of_a_unit_count_once():
    psi = np.repeat(np.random.default_rng(2).standard_normal((40, 1)), 5, axis=0)
    blocks = csr_array(np.kron(np.eye(40), np.ones((5, 5))))
    wide = network_covariance(psi, blocks)
    np.testing.assert_allclose(wide, 200 / 199 * 5 * psi.T @ psi / 200**2, rtol=1e-10)


def test_intervals_widen_with_reach_and_never_narrow(drawn, found):
    alone = spillover_effects(drawn.data, drawn.network, reach=0, **LIGHT)
    np.testing.assert_allclose(alone.values, found.values)
    assert (found.std_error >= alone.std_error - 1e-12).all()
    assert found.std_error.max() > 1.1 * alone.std_error.max()
    assert min(found.details["widened_by_dependence"].values()) >= 1


def test_clusters_join_the_pairs_that_may_depend(drawn, found):
    block = (drawn.frame["east"] // 5 * 10 + drawn.frame["north"] // 5).astype(int)
    data = CausalData(drawn.frame.assign(block=block), "d", "y", ["x0", "x1"], clusters="block")
    clustered = spillover_effects(data, drawn.network, **LIGHT)
    assert clustered.std_error.shape == (5,)
    assert np.isfinite(clustered.std_error).all()


def test_units_without_neighbours_are_left_out_and_counted(drawn):
    alone = drawn.frame.iloc[:3].assign(east=-100.0 * np.arange(1, 4))
    frame = pd.concat([drawn.frame, alone], ignore_index=True)
    data = CausalData(frame, "d", "y", ["x0", "x1"])
    network = Network.within(frame[["east", "north"]], 1.4)
    more = spillover_effects(data, network, **LIGHT)
    before = int((drawn.network.degree == 0).sum())
    assert more.details["units_without_neighbours"] == before + 3
    np.testing.assert_allclose(
        more.values, spillover_effects(drawn.data, drawn.network, **LIGHT).values
    )


def test_categories_of_neighbours_become_shares(drawn):
    frame = drawn.frame.assign(region=np.where(drawn.frame["x1"] > 0, "hot", "cold"))
    data = CausalData(frame, "d", "y", ["x0", "x1", "region"])
    assert np.isfinite(spillover_effects(data, drawn.network, **LIGHT).values).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cut": 0.0}, "cut is 0.0"),
        ({"cut": 1.0 + 1e-9}, "cut is 1"),
        ({"reach": -1}, "reach is -1 links"),
        ({"network": Network.of(np.zeros((1500, 1500)))}, "no unit has a neighbour"),
        ({"network": Network.of(np.ones((3, 3)))}, "the network has 3 units and the data 1500"),
        ({"network": Network.of(np.ones((1500, 1500)))}, "have treatment and exposure"),
    ],
)
def test_what_cannot_be_answered_gets_a_sentence(drawn, change, sentence):
    asked = {"network": drawn.network, **change}
    network = asked.pop("network")
    with pytest.raises(DataError, match=sentence):
        spillover_effects(drawn.data, network, **asked, **LIGHT)


def test_a_dose_is_refused(drawn):
    data = CausalData(drawn.frame, "x1", "y", ["x0"], treatment_kind="dose")
    with pytest.raises(DataError, match="the treatment is of kind 'dose'"):
        spillover_effects(data, drawn.network, **LIGHT)


@pytest.mark.slow
def test_intervals_cover():
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer, StandardScaler

    def spline(last):
        return make_pipeline(StandardScaler(), SplineTransformer(5, extrapolation="linear"), last)

    models = {
        "outcome_model": LearnerOutcomeModel(spline(RidgeCV())),
        "propensity_model": LearnerPropensityModel(spline(LogisticRegression(max_iter=500))),
    }
    truth = np.array(list(SPILLOVERS.truth().population.values()))
    held, alone = [], []
    for seed in range(100):
        drawn = SPILLOVERS.draw(1000, seed)
        for reach, held_by in ((2, held), (0, alone)):
            low, high = spillover_effects(
                drawn.data, drawn.network, reach=reach, **models
            ).interval()
            held_by.append((low <= truth) & (truth <= high))
    assert np.mean(held) > 0.90
    assert np.mean(alone) < np.mean(held) - 0.03


@pytest.mark.slow
def test_the_example_of_the_page_runs(root):
    page = (root / "docs/spillovers.md").read_text(encoding="utf-8")
    [code] = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    session = {}
    exec(compile(code, "docs/spillovers.md", "exec"), session)
    assert len(session["effects"]) == len(EFFECTS)
