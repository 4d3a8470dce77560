"""Effects on panels: exact without noise, calibrated with it, the same whatever the order."""

import json
from dataclasses import replace

import numpy as np
import pytest

from causal_ddpm import PanelDiffusion
from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.estimators.panel.averages import averages
from causal_ddpm.estimators.panel.bands import placebo_bands
from causal_ddpm.estimators.panel.diffusion import controls_move_together
from causal_ddpm.estimators.panel.error_law import fit_error_law
from causal_ddpm.estimators.panel.placebo_coverage import measure, rank_p_value, ratios
from causal_ddpm.estimators.panel.placebos import panel_paths
from causal_ddpm.nuisance.panel.two_way import TwoWay

PLAIN = PanelDiffusion(base=TwoWay(), diffusion=None, n_draws=400, leads=False)


def one_treated(n, t, start):
    return np.where(np.arange(n) == 0, start, t)


def test_effects_without_noise_are_exact(make_panel, make_outcomes):
    y, first = make_outcomes(0, noise=0.0), np.full(24, 14)
    first[:4] = 8, 8, 9, 11
    k = np.arange(14) - first[:, None]
    effect = np.where(k >= 0, 1.0 + 0.5 * k, 0.0)
    found = replace(PLAIN, leads=True).estimate(make_panel(y + effect, first))
    cells = effect[k >= 0]
    assert found.att.value == pytest.approx(cells.mean(), abs=1e-8)
    np.testing.assert_allclose(found.att.interval(), cells.mean(), atol=1e-8)
    after = [float(v) for v, s in zip(found.event_study.values, found.event_study.labels,
                                      strict=True) if int(s) >= 0]  # fmt: skip
    np.testing.assert_allclose(after, 1.0 + 0.5 * np.arange(len(after)), atol=1e-8)
    np.testing.assert_allclose(found.unit_paths["counterfactual"],
                               y[found.unit_paths["unit"], found.unit_paths["period"]],
                               atol=1e-8)  # fmt: skip
    assert found.placebo.coverage == 1.0
    assert found.pre_fit_error < 1e-8


def test_chosen_base_is_exact_without_noise(make_panel, make_outcomes):
    y = make_outcomes(1, n=16, t=12, noise=0.0)
    panel = make_panel(y + 2.0 * (np.arange(12) >= 8) * (np.arange(16) == 0)[:, None],
                       one_treated(16, 12, 8))  # fmt: skip
    found = PanelDiffusion(n_draws=200).estimate(panel)
    assert found.att.value == pytest.approx(2.0, abs=1e-8)


def test_controls_that_move_exactly_together_leave_no_doubt(make_panel):
    y = 5.0 + np.zeros((8, 10)) + np.arange(10)
    panel = make_panel(y + 2.0 * (np.arange(10) >= 6) * (np.arange(8) == 0)[:, None],
                       one_treated(8, 10, 6))  # fmt: skip
    assert controls_move_together(panel)
    found = PanelDiffusion(n_draws=200).estimate(panel)
    assert found.att.value == pytest.approx(2.0, abs=1e-8)
    np.testing.assert_allclose(found.att.interval(), 2.0, atol=1e-8)
    assert "move exactly together" in found.base.why


def test_tables_agree_with_each_other(make_panel, make_outcomes):
    first = np.full(24, 14)
    first[:3] = 8, 8, 10
    found = PLAIN.estimate(make_panel(make_outcomes(2), first))
    path = found.path
    np.testing.assert_allclose(path["observed"] - path["counterfactual"], path["effect"])
    after = path[path["treated"]]
    assert (after["low"] < after["counterfactual"]).all()
    assert (after["counterfactual"] < after["high"]).all()
    assert (after["low_uniform"] <= after["low"]).all()
    np.testing.assert_allclose(found.cumulative["effect"], after["effect"].cumsum())
    assert found.draws.shape == (400, len(after))
    assert len(found.draw_periods) == len(after)
    np.testing.assert_allclose(found.draws.mean(axis=0), after["counterfactual"], atol=1e-8)
    fan = found.fan.pivot(index="period", columns="level", values="high")
    assert (fan.diff(axis=1).iloc[:, 1:] >= 0).all().all()
    own = found.unit_paths[(found.unit_paths["event_time"] >= 0)]
    assert found.att.value == pytest.approx(own["effect"].mean())
    shares = found.unit_effects["n_cells"] / found.unit_effects["n_cells"].sum()
    assert (found.unit_effects["effect"] * shares).sum() == pytest.approx(found.att.value)
    assert found.placebo.p_value >= found.placebo.p_value_floor
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert "placebo" in found.summary()


def test_cover_of_exchangeable_panels_is_nominal(make_panel, make_outcomes):
    inside, means, p_values = [], [], []
    for seed in range(30):
        panel = make_panel(make_outcomes(100 + seed, n=20, t=10), one_treated(20, 10, 6))
        own, placebos = panel_paths(panel, TwoWay(), many=False, random_state=seed)
        law = fit_error_law(placebos, 1.0, None, seed)
        wanted = averages(own.error, own.first, np.ones(1))
        bands = placebo_bands(law, wanted, law.draws(own, 200))
        for family, found in (("period", inside), ("att", means)):
            low, high = bands.interval(family, 0.9)
            error = wanted.of(family, own.error)
            found.append(((low <= error) & (error <= high)).mean())
        p_values.append(rank_p_value(ratios(own)[0], ratios(placebos)))
    assert abs(np.mean(inside) - 0.9) < 2.6 * np.std(inside) / np.sqrt(30)
    assert abs(np.mean(means) - 0.9) < 2.6 * np.sqrt(0.09 / 30)
    assert np.mean(np.array(p_values) <= 0.2) < 0.2 + 2.6 * np.sqrt(0.16 / 30)


def test_order_and_names_of_units_do_not_matter(make_panel, make_outcomes):
    y, first = make_outcomes(3), one_treated(24, 14, 9)
    order = np.random.default_rng(0).permutation(24)
    a = PLAIN.estimate(make_panel(y, first))
    b = PLAIN.estimate(make_panel(y[order], first[order], [f"u{k:02d}" for k in range(24)]))
    np.testing.assert_allclose(a.event_study.values, b.event_study.values, atol=1e-10)
    np.testing.assert_allclose(a.path["effect"], b.path["effect"], atol=1e-10)
    wide = [float(np.subtract(*e.att.interval())) for e in (a, b)]
    assert wide[0] == pytest.approx(wide[1], rel=0.2)


def test_labels_of_periods_do_not_matter(make_panel, make_outcomes):
    y, first = make_outcomes(4), one_treated(24, 14, 9)
    a = PLAIN.estimate(make_panel(y, first))
    b = PLAIN.estimate(make_panel(y, first, periods=1990 + 5 * np.arange(14)))
    numbers = [e.path.drop(columns="period").to_numpy(dtype=float) for e in (a, b)]
    np.testing.assert_allclose(*numbers)
    assert list(b.path["period"]) == list(1990 + 5 * np.arange(14))
    assert a.event_study.labels == b.event_study.labels
    assert b.by_cohort.labels == ("2035",)


def test_a_seed_settles_everything(make_panel, make_outcomes):
    panel = make_panel(make_outcomes(5), one_treated(24, 14, 9))
    a, b, c = (PLAIN.estimate(panel, seed) for seed in (1, 1, 2))
    assert np.array_equal(a.draws, b.draws)
    assert not np.array_equal(a.draws, c.draws)


@pytest.mark.slow
def test_seeds_and_workers(make_panel, make_outcomes):
    quick = DiffusionSettings(n_steps=10, hidden_dim=16, n_sampling_steps=4)
    ours = PanelDiffusion(base=TwoWay(), diffusion=quick, n_draws=100, leads=False)
    panel = make_panel(make_outcomes(5, n=26), one_treated(26, 14, 9))
    a, b, c = ours.estimate(panel, 1), ours.estimate(panel, 1, n_jobs=2), ours.estimate(panel, 2)
    assert np.array_equal(a.draws, b.draws)
    assert np.array_equal(a.att.interval(), b.att.interval())
    assert not np.array_equal(a.draws, c.draws)
    assert set(a.details["law"]["scores"]) == {
        "normal law", "placebo paths drawn again", "diffusion of the path"
    }  # fmt: skip


def test_gaps_and_missing_ends(make_panel, make_outcomes):
    y, first = make_outcomes(6), np.full(24, 14)
    first[:2] = 9
    keep = np.random.default_rng(0).random(y.shape) < 0.85
    keep[:2, 8:10] = True
    panel = make_panel(y, first, keep=keep)
    found = PLAIN.estimate(panel)
    assert np.isfinite([found.att.value, *found.att.interval()]).all()
    assert any("not observed" in note for note in found.notes)
    n_cells = int((panel.observed & panel.treated).sum())
    assert found.unit_effects["n_cells"].sum() == n_cells


def test_many_treated_units_have_clustered_intervals(make_panel, make_outcomes):
    y, first = make_outcomes(7, n=40), np.full(40, 14)
    first[:16] = np.repeat([8, 10], 8)
    found = PLAIN.estimate(make_panel(y + (np.arange(14) >= first[:, None]), first))
    assert found.inference == "clusters"
    assert found.by_cohort.labels == ("8", "10")
    after = found.unit_paths[found.unit_paths["event_time"] >= 0]
    assert after["effect"].mean() == pytest.approx(found.att.value)
    low, high = found.att.interval(0.9)
    assert low < 1 < high
    width = found.draws.mean(axis=1).std()
    assert 0.5 < width / found.att.std_error < 2.0


def test_a_short_past_and_few_controls_are_told(make_panel, make_outcomes):
    found = PLAIN.estimate(make_panel(make_outcomes(8, n=7, t=5), one_treated(7, 5, 3)))
    assert any("Short past: 3 periods" in note for note in found.notes)
    assert any("Few controls: 6" in note for note in found.notes)
    assert np.isfinite(found.att.interval()).all()


@pytest.mark.parametrize("n_controls", [1, 2])
def test_a_panel_with_hardly_a_donor_is_refused(make_panel, make_outcomes, n_controls):
    n = 1 + n_controls
    with pytest.raises(DataError, match=f"^{n_controls} units? (is|are) never treated; expected"):
        PanelDiffusion().estimate(make_panel(make_outcomes(9, n=n), one_treated(n, 14, 9)))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"base": "best"}, "base is 'best'; expected 'auto'"),
        ({"level": 90}, "the level is 90; expected a number between 0 and 1"),
        ({"n_draws": 3}, "n_draws is 3; expected at least 100"),
        ({"inference": "exact"}, "inference is 'exact'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, sentence):
    with pytest.raises(DataError, match=sentence):
        PanelDiffusion(**settings)


def test_a_frame_is_refused(make_panel, make_outcomes):
    panel = make_panel(make_outcomes(0), one_treated(24, 14, 9))
    with pytest.raises(DataError, match="a DataFrame was given; expected a PanelData"):
        PLAIN.estimate(panel.frame())


def test_a_placebo_has_no_part_in_its_own_band(make_panel, make_outcomes):
    panel = make_panel(make_outcomes(10), one_treated(24, 14, 9))
    placebos = panel_paths(panel, TwoWay(), many=False)[1]
    other = placebos.error.copy()
    other[4] *= -1.3
    found = [
        measure(fit_error_law(replace(placebos, error=e), 1.0, None, 0), 0.9)
        for e in (placebos.error, other)
    ]
    np.testing.assert_allclose(found[0].low[4], found[1].low[4])
    np.testing.assert_allclose(found[0].high[4], found[1].high[4])
    assert not np.allclose(found[0].low[5], found[1].low[5])
