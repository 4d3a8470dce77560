"""The whole analysis of a panel: one record, the same whoever computes it, as JSON."""

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from causal_ddpm import PanelData, analyse_panel
from causal_ddpm.baselines.panel.method import PanelBaseline, PanelScope, account
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.reported import reported_estimate
from causal_ddpm.core.truth import Truth
from causal_ddpm.estimators.panel.diffusion import PanelDiffusion
from causal_ddpm.evaluation.provenance import Source
from causal_ddpm.nuisance.panel.two_way import TwoWay


@pytest.fixture(scope="module")
def panel():
    """Five controls and one unit treated from the eighth period on, with a gap."""
    rng = np.random.default_rng(4)
    unit, period = np.divmod(np.arange(66), 11)
    frame = pd.DataFrame({"unit": unit, "period": period, "y": rng.normal(unit, 0.3)})
    frame["d"] = ((unit == 0) & (period >= 7)).astype(int)
    frame["y"] += 2.0 * frame["d"]
    frame.loc[frame.index == 30, "y"] = np.nan
    return PanelData(frame, "unit", "period", "y", "d")


@pytest.fixture(scope="module")
def analysis(panel):
    source = Source("file.csv", "points", Truth("made up", {}, {"ATT": 2.0}))
    return analyse_panel(panel, methods=(), source=source, random_state=3)


def test_parts_belong_to_the_panel(analysis, panel):
    assert analysis.effect.fingerprint == panel.fingerprint == analysis.provenance.data_hash
    assert float(analysis.effect.att) == pytest.approx(2.0, abs=0.5)
    assert analysis.methods is None
    assert analysis.level == 0.9
    assert analysis.outcome_label == "y (points)"
    assert analysis.truth.sample["ATT"] == 2.0
    assert any("not observed" in note for note in analysis.notes)
    assert len(set(analysis.notes)) == len(analysis.notes)


def test_json_holds_everything_and_only_json(analysis):
    found = json.loads(analysis.to_json())
    assert found["panel"]["periods"] == [str(t) for t in range(11)]
    assert found["panel"]["observed_cells"] == 65
    assert found["effect"]["att"][0]["value"] == pytest.approx(float(analysis.effect.att))
    assert found["effect"]["placebo"]["n_placebos"] == 5
    assert set(found["diagnostics"]["parts"]) == set(analysis.diagnostics.parts)
    assert found["simulated"]["sample"]["ATT"] == 2.0
    settings = found["provenance"]["settings"]
    assert settings["methods"] == []
    assert settings["base"] == "auto"


def test_settings_and_progress(panel):
    told = []
    estimator = PanelDiffusion(base=TwoWay(), level=0.8, diffusion=None)
    analysis = analyse_panel(
        panel, estimator, (), progress=lambda stage, share: told.append((stage, share))
    )
    shares = [share for _, share in told]
    assert shares == sorted(shares), told
    assert told[-1] == ("done", 1.0)
    assert analysis.level == 0.8
    assert analysis.provenance.settings["base"] == "unit and period effects"
    assert analysis.provenance.settings["diffusion"] is False


def test_seeds_decide_and_nothing_else(analysis, panel):
    again = analyse_panel(panel, methods=(), random_state=3)
    assert again.effect.to_dict() == analysis.effect.to_dict()
    assert again.diagnostics.to_dict() == analysis.diagnostics.to_dict()


def test_unknown_methods_are_refused_before_the_work(panel):
    with pytest.raises(DataError, match="the method is 'magic'"):
        analyse_panel(panel, methods=["magic"])


@dataclass(frozen=True)
class RawDifference(PanelBaseline):
    """Treated less untreated cells, whoever they are."""

    name: ClassVar[str] = "raw"
    title: ClassVar[str] = "Raw difference"
    assumes: ClassVar[str] = "cells are alike"
    library: ClassVar[str] = "numpy"
    scope: ClassVar[PanelScope] = PanelScope()

    def _answer(self, panel, estimand, random_state, level):
        y, d = panel.y[panel.observed], panel.treated[panel.observed]
        about = account(self, panel, estimand, np, {})
        return reported_estimate(about, [y[d].mean() - y[~d].mean()], [1.0], ["ATT"])


def test_other_methods_join(panel):
    analysis = analyse_panel(panel, PanelDiffusion(diffusion=None), [RawDifference()])
    assert [row.name for row in analysis.methods.rows] == ["diffusion", "raw"]
    found = analysis.to_dict()["methods"]
    y, d = panel.y[panel.observed], panel.treated[panel.observed]
    assert found["methods"][1]["value"] == pytest.approx(y[d].mean() - y[~d].mean())
    assert found["level"] == 0.9
    assert analysis.provenance.settings["methods"] == ["raw"]
