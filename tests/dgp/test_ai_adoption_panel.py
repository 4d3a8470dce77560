"""The panel of AI adoption misleads naive comparisons as promised, on paper and on disk."""

import json

import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.dgp.ai_adoption_panel import AI_ADOPTION_PANEL, COLUMNS, write


def test_users_are_better_anyway_and_all_firms_grow():
    drawn = AI_ADOPTION_PANEL.draw(20_000, 1)
    ever = drawn.cohort > 0
    gap = drawn.untreated[ever].mean() - drawn.untreated[~ever].mean()
    assert gap == pytest.approx((5 + 2 + 0) / 3 + 3, abs=0.5)
    growth = [AI_ADOPTION_PANEL.draw(4, s).period_effect[-1] for s in range(300)]
    assert pd.Series(growth).mean() == pytest.approx(16 * 0.4, abs=0.4)
    share = pd.Series(drawn.cohort).value_counts(normalize=True)
    assert share[[0, 6, 9, 12]].tolist() == pytest.approx([0.4, 0.2, 0.2, 0.2], abs=0.015)


def test_a_file_is_a_panel_with_quarters_and_its_truth(tmp_path):
    path = tmp_path / "firms.csv"
    drawn = write(path, 40, seed=2)
    frame = pd.read_csv(path)
    assert tuple(frame.columns) == COLUMNS
    panel = PanelData(frame, "firm_id", "quarter", "productivity", cohort="adoption_quarter")
    cells = PanelData(frame, "firm_id", "quarter", "productivity", treated="uses_ai")
    assert panel.shape == (40, 16)
    assert (panel.first == cells.first).all()
    assert [str(panel.periods[g]) for g in panel.cohorts] == ["2022Q3", "2023Q2", "2024Q1"]
    assert panel.treated.sum() == drawn.treated.sum()
    truth = json.loads((tmp_path / "firms.csv.truth.json").read_text(encoding="utf-8"))
    assert truth["provenance"] == "simulated"
    assert truth["sample"]["ATT"] == drawn.truth.sample["ATT"]


def test_too_few_firms_are_refused(tmp_path):
    with pytest.raises(DataError, match="at least 4, one for each group"):
        write(tmp_path / "firms.csv", 3)
