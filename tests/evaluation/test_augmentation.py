"""Generated rows: marked, faithful where the law is, and never worth more than the real ones."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, SyntheticDataError
from causal_ddpm.core.estimand import ATE
from causal_ddpm.core.rows import frame_of, subset, with_generated
from causal_ddpm.dgp.confounded import LINEAR
from causal_ddpm.estimators.api import estimate_effects
from causal_ddpm.evaluation.augmentation import augment
from causal_ddpm.evaluation.augmentation_check import (
    COUNTED,
    IN_FOLDS,
    OLS_COUNTED,
    REAL,
    LinearGenerator,
    augmentation_check,
)
from causal_ddpm.evaluation.fidelity import fidelity_of
from causal_ddpm.nuisance.augmented import AugmentedOutcomeModel, generated_rows
from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel
from causal_ddpm.testing import check_outcome_model

DRAW = LINEAR.draw(300, seed=1)
DATA = DRAW.data
LAW = LinearGenerator().fit(DATA)


class Shifted:
    """A law whose treated outcomes are too large by one."""

    def sample(self, X, arm, n_samples=1, random_state=None):
        return LAW.sample(X, arm, n_samples, random_state) + float(arm)


def test_a_subset_keeps_roles_and_changes_the_fingerprint():
    rows = np.arange(0, 300, 2)
    part = subset(DATA, rows)
    direct = CausalData(DRAW.frame.iloc[rows], "d", "y", ["x0", "x1", "x2"])
    assert part.fingerprint == direct.fingerprint != DATA.fingerprint
    pd.testing.assert_frame_equal(frame_of(part), frame_of(direct))
    assert not part.outcome.flags.writeable


def test_generated_rows_borrow_weight_and_cluster_of_their_source():
    frame = DRAW.frame.assign(w=np.arange(300) + 1.0, g=np.arange(300) % 20)
    data = CausalData(frame, "d", "y", ["x0"], weights="w", clusters="g")
    both = with_generated(data, np.array([5, 5, 7]), np.array([0, 1, 1]), np.zeros(3))
    assert both.n == 303
    assert both.n_synthetic == 3
    np.testing.assert_array_equal(both.weights[-3:], [6, 6, 8])
    np.testing.assert_array_equal(both.clusters[-3:], data.clusters[[5, 5, 7]])


def test_augment_returns_each_row_and_its_other_arm():
    made = augment(LAW, DATA, factor=3, random_state=4)
    frame = made.frame
    assert len(frame) == 4 * 300
    assert (made.n, made.n_synthetic) == (300, 900)
    generated = frame[frame["__synthetic__"]]
    for copy in range(3):
        part = generated.iloc[np.r_[0:0]]
        part = generated[generated.groupby(["x0", "x1"]).cumcount() == copy]
        merged = part.merge(frame[~frame["__synthetic__"]], on=["x0", "x1", "x2"])
        assert len(merged) == 300
        assert (merged["d_x"] == 1 - merged["d_y"]).all()
    again = augment(LAW, DATA, factor=3, random_state=4)
    pd.testing.assert_frame_equal(frame, again.frame)
    assert "n stays 300" in repr(made)
    assert "not observations" in made._repr_html_()


def test_estimators_refuse_augmented_rows():
    frame = augment(LAW, DATA).frame
    with pytest.raises(SyntheticDataError, match="300 rows are marked as synthetic"):
        estimate_effects(CausalData(frame, "d", "y", ["x0", "x1", "x2"]), ATE())
    marked = with_generated(DATA, np.arange(5), np.zeros(5, dtype=int), np.zeros(5))
    with pytest.raises(SyntheticDataError, match="5 rows"):
        estimate_effects(marked, ATE())
    with pytest.raises(SyntheticDataError, match="rows that were observed"):
        augment(LAW, marked)


def test_arms_are_augmented_by_every_other_arm():
    frame = DRAW.frame.assign(d=np.array(["a", "b", "c"])[np.arange(300) % 3])
    data = CausalData(frame, "d", "y", ["x0", "x1"], treatment_kind="arms")
    made = augment(LinearGenerator().fit(data), data)
    counts = made.frame.groupby(["d", "__synthetic__"]).size()
    assert counts.to_dict() == {(a, s): 100 * (1 + s) for a in "abc" for s in (0, 1)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factor": 0}, "factor is 0; expected a whole number"),
        ({"factor": 1.5}, r"factor is 1\.5"),
        ({"data": CausalData(
            DRAW.frame.assign(d=DRAW.frame["x0"].rank()), "d", "y", ["x1"], treatment_kind="dose"
        )}, "draw from the law at the doses"),
    ],
)  # fmt: skip
def test_unusable_requests_are_refused(change, message):
    with pytest.raises(DataError, match=message):
        augment(**{"law": LAW, "data": DATA, **change})


def test_fidelity_knows_a_good_law_from_a_wrong_one():
    fresh = LINEAR.draw(1000, seed=2).data
    good, wrong = fidelity_of(LAW, fresh, True), fidelity_of(Shifted(), fresh, True)
    assert abs(good.z) < 2.6
    assert wrong.z > 5
    assert "cannot tell" in good.sentence()
    assert "tells generated outcomes" in wrong.sentence()
    table = wrong.marginals.set_index(["arm", "quantity"])
    gap = table["generated"] - table["real"]
    assert gap[1, "mean"] == pytest.approx(1, abs=0.25)
    assert gap[0, "mean"] == pytest.approx(0, abs=0.25)


def test_the_scheme_inside_the_folds_obeys_the_laws_of_an_outcome_model():
    check_outcome_model(AugmentedOutcomeModel(LinearRegression(), LinearGenerator(), 2))


def test_a_linear_learner_learns_nothing_new_from_a_linear_law_of_many_draws():
    """With many generated rows the fit tends to the generator's own, the real rows' fit."""
    folds = np.arange(300) % 3
    plain = LearnerOutcomeModel(LinearRegression()).cross_fit(DATA, folds, 0).mean
    many = AugmentedOutcomeModel(LinearRegression(), LinearGenerator(), 60)
    found = many.cross_fit(DATA, folds, 0)
    assert np.abs(found.mean - plain).max() < 0.1
    assert found.report["n_synthetic"] == 200 * 60


def test_generated_rows_do_not_count_in_an_estimate():
    from sklearn.linear_model import LogisticRegression

    model = AugmentedOutcomeModel(LinearRegression(), LinearGenerator(), 4)
    (estimate,) = estimate_effects(
        DATA, ATE(), outcome_model=model,
        propensity_model=LearnerPropensityModel(LogisticRegression()),
    )  # fmt: skip
    assert estimate.n == 300
    assert estimate.n_synthetic == 4 * 240
    assert len(estimate.influence) == 300


def test_counting_generated_rows_ruins_coverage_and_folds_keep_it():
    check = augmentation_check(n=100, factor=5, n_draws=40, random_state=5)
    table = check.table.set_index("analysis")
    assert table.loc[REAL, "coverage"] > 0.85
    assert table.loc[IN_FOLDS, "coverage"] > 0.85
    assert table.loc[OLS_COUNTED, "coverage"] < 0.75
    assert table.loc[COUNTED, "coverage"] < 0.8
    assert table.loc[COUNTED, "claimed_n"] > 2.5 * table.loc[COUNTED, "effective_n"]
    assert "Counting 5 generated rows for each of 100 real ones" in check.sentence()
    assert check.sentence() in repr(check)
    assert check.truth == pytest.approx(1, abs=1e-6)


def test_the_check_is_the_same_whatever_the_number_of_workers():
    one = augmentation_check(n=60, factor=1, n_draws=3)
    two = augmentation_check(n=60, factor=1, n_draws=3, n_jobs=2)
    pd.testing.assert_frame_equal(one.draws, two.draws)


def test_the_check_needs_two_draws():
    with pytest.raises(DataError, match="n_draws is 1"):
        augmentation_check(n_draws=1)


def test_generated_rows_are_drawn_for_the_other_arm_only():
    source, arm, outcome = generated_rows(LAW, DATA, 2, 0)
    assert (arm == 1 - DATA.treatment[source]).all()
    assert len(source) == 600
    assert np.isfinite(outcome).all()
