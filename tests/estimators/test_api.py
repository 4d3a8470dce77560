"""The public door: one fit for many estimands, repeats, refusals, and honest coverage."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, OverlapError, SmallSampleWarning, SyntheticDataError
from causal_ddpm.core.estimand import ATE, ATT, ATU, QTE, Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import seed_sequence
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER
from causal_ddpm.dgp.confounded import LINEAR
from causal_ddpm.estimators import needs
from causal_ddpm.estimators.api import estimate_effects, estimate_with, median_of_repeats
from causal_ddpm.nuisance.crossfit import fit_nuisances

DRAW = LINEAR.draw(400, seed=1)
DATA = DRAW.data


def test_one_estimand_or_several(light_models_with_laws):
    (alone,) = estimate_effects(DATA, ATE(), **light_models_with_laws)
    several = estimate_effects(DATA, [QTE(0.5), ATT(), ATE()], **light_models_with_laws)
    assert [e.estimand for e in several] == ["QTE", "ATT", "ATE"]
    assert all(isinstance(e, Estimate) for e in several)
    assert several[2].value == alone.value
    low, high = alone.interval()
    assert low < 1.0 < high


def test_nuisances_are_fitted_once_a_repeat(light_models, monkeypatch):
    calls = []

    def counted(*args, **kwargs):
        calls.append(kwargs["random_state"])
        return fit_nuisances(*args, **kwargs)

    monkeypatch.setitem(needs.FITS, "arms", counted)
    estimate_effects(DATA, [ATE(), ATT(), ATU()], n_repeats=3, random_state=4, **light_models)
    assert len(calls) == 3
    assert len({seed.generate_state(1)[0] for seed in calls}) == 3


def test_given_nuisances_give_the_same_estimates(light_models):
    nuisances = fit_nuisances(DATA, random_state=4, **light_models)
    (direct,) = estimate_effects(DATA, ATT(), random_state=4, **light_models)
    (reused,) = estimate_with(DATA, ATT(), nuisances)
    assert direct.value == reused.value
    np.testing.assert_array_equal(direct.influence, reused.influence)


def test_same_seed_same_answer_and_another_seed_another(light_models):
    values = [
        estimate_effects(DATA, ATE(), random_state=seed, **light_models)[0].value
        for seed in (1, 1, 2)
    ]
    assert values[0] == values[1] != values[2]


def test_repeats_are_combined_by_medians(light_models):
    (combined,) = estimate_effects(DATA, ATE(), n_repeats=3, random_state=4, **light_models)
    seeds = [seed_sequence(4), *(seed_sequence(4, "repeat", r) for r in (1, 2))]
    single = [estimate_effects(DATA, ATE(), random_state=s, **light_models)[0] for s in seeds]
    theta = np.median([s.value for s in single])
    variance = np.median([s.std_error**2 + (s.value - theta) ** 2 for s in single])
    assert combined.value == pytest.approx(theta)
    assert combined.std_error == pytest.approx(np.sqrt(variance))
    assert combined.details["n_repeats"] == 3
    # the influence values carry the same standard error into contrasts
    spread = combined.influence.std(ddof=1) / np.sqrt(DATA.n)
    assert spread == pytest.approx(combined.std_error, rel=1e-6)


def test_repeats_of_vectors_have_a_covariance_and_a_bootstrap(light_models_with_laws):
    estimand = QTE([0.25, 0.5, 0.75])
    (combined,) = estimate_effects(DATA, estimand, n_repeats=3, **light_models_with_laws)
    assert np.linalg.eigvalsh(combined.cov).min() > 0
    spread = combined.bootstrap.std(axis=0, ddof=1)
    np.testing.assert_allclose(spread, combined.std_error, rtol=1e-10)
    low, high = combined.interval()
    assert (low < combined.value).all()
    assert (combined.value < high).all()
    low, high = combined.interval(simultaneous=True)
    assert (high - low > 2 * 1.96 * combined.std_error).all()


def test_a_single_repeat_is_returned_as_it_is(light_models):
    found = estimate_effects(DATA, ATE(), **light_models)
    assert median_of_repeats(found) is found[0]


def test_repeats_gather_warnings_once(light_models):
    small = LINEAR.draw(120, seed=2).data
    with pytest.warns(SmallSampleWarning, match="Small sample: 120 rows") as caught:
        ate, att = estimate_effects(small, [ATE(), ATT()], n_repeats=3, **light_models)
    sample_warnings = [w for w in caught if w.category is SmallSampleWarning]
    assert len(sample_warnings) == 1
    assert len(set(ate.warnings)) == len(ate.warnings)
    assert att.warnings[-1] == str(sample_warnings[0].message)


def test_progress_runs_from_start_to_end(light_models):
    seen = []
    estimate_effects(
        DATA, ATE(), n_repeats=2, progress=lambda stage, share: seen.append(share), **light_models
    )
    assert seen == sorted(seen)
    assert seen[0] < 0.1
    assert seen[-1] == 1.0


def test_other_data_are_refused(light_models):
    nuisances = fit_nuisances(DATA, **light_models)
    changed = DRAW.frame.assign(y=lambda t: t["y"] + 1)
    other = CausalData(changed, "d", "y", ["x0", "x1", "x2"])
    with pytest.raises(DataError, match=r"belong to other data .*fingerprints differ"):
        estimate_with(other, ATE(), nuisances)


def test_synthetic_rows_are_refused_at_both_doors(light_models):
    marked = DRAW.frame.assign(**{SYNTHETIC_MARKER: np.arange(400) < 7})
    data = CausalData(marked, "d", "y", ["x0", "x1", "x2"])
    with pytest.raises(SyntheticDataError, match="7 rows are marked as synthetic"):
        estimate_effects(data, ATE(), **light_models)
    with pytest.raises(SyntheticDataError, match="7 rows are marked as synthetic"):
        estimate_with(data, ATE(), fit_nuisances(data, **light_models))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"estimands": []}, "no estimand was given"),
        ({"estimands": [ATE]}, r"is no estimand .*an instance: ATE\(\), not ATE"),
        ({"estimands": [Estimand()]}, "is no estimand that can be estimated"),
        ({"level": 95}, "the confidence level is 95"),
        ({"n_repeats": 0}, "n_repeats is 0"),
        ({"data": DRAW.frame}, r"the data are a DataFrame; expected CausalData. Wrap the frame"),
    ],
)
def test_unusable_requests_are_refused_before_any_fit(arguments, message, monkeypatch):
    monkeypatch.setitem(needs.FITS, "arms", lambda *a, **k: pytest.fail("a model was fitted"))
    given = {"data": DATA, "estimands": ATE(), **arguments}
    with pytest.raises(DataError, match=message):
        estimate_effects(given.pop("data"), given.pop("estimands"), **given)


def test_too_few_clusters_are_refused_before_any_fit(monkeypatch):
    monkeypatch.setitem(needs.FITS, "arms", lambda *a, **k: pytest.fail("a model was fitted"))
    frame = DRAW.frame.assign(g=np.arange(400) % 3)
    data = CausalData(frame, "d", "y", ["x0"], clusters="g")
    with pytest.raises(DataError, match="only 3 clusters"):
        estimate_effects(data, ATE())


def test_polars_and_pandas_frames_agree(light_models):
    polars = pytest.importorskip("polars", reason="needs the extra 'test' (polars)")
    other = CausalData(polars.from_pandas(DRAW.frame), "d", "y", ["x0", "x1", "x2"])
    (a,) = estimate_effects(DATA, ATE(), **light_models)
    (b,) = estimate_effects(other, ATE(), **light_models)
    assert a.value == b.value


@pytest.mark.filterwarnings("ignore::causal_ddpm.core.errors.CausalDDPMWarning")
def test_intervals_cover_at_their_level(light_models):
    """Light nuisances, 400 draws: coverage within 2.6 Monte Carlo errors of .95."""
    names, rows = ("ATE", "ATT", "ATU"), []
    for seed in range(400):
        data = LINEAR.draw(250, seed).data
        for estimate in estimate_effects(data, [ATE(), ATT(), ATU()], **light_models):
            low, high = estimate.interval()
            rows.append((estimate.estimand, estimate.value, estimate.std_error, low <= 1 <= high))
    table = pd.DataFrame(rows, columns=["name", "value", "se", "covered"]).groupby("name")
    error = 2.6 * np.sqrt(0.95 * 0.05 / 400)
    for name in names:
        found = table.get_group(name)
        assert found["covered"].mean() == pytest.approx(0.95, abs=error)
        assert found["se"].mean() == pytest.approx(found["value"].std(), rel=0.1)
        assert abs(found["value"].mean() - 1) < 4 * found["value"].std() / 20


class NeverFitted:
    """An outcome model that must not be asked."""

    def cross_fit(self, *args, **kwargs):
        raise AssertionError("the outcome model was fitted although there is no overlap")


def test_no_overlap_is_refused_before_the_outcome_model_is_fitted():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-2, -1, 100), rng.uniform(1, 2, 100)])
    frame = pd.DataFrame({"x": x, "d": (x > 0).astype(int), "y": rng.normal(size=200)})
    data = CausalData(frame, treatment="d", outcome="y", confounders=["x"])
    with pytest.raises(OverlapError, match="No overlap for the ATT"):
        estimate_effects(data, ATT(), outcome_model=NeverFitted())
