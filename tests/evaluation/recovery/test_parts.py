"""The arithmetic of a recovery against other libraries and by hand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.diffusion.joint import JointDiffusion
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.evaluation.recovery.builtin import (
    Bootstrap,
    ConditionalGenerator,
    JointGenerator,
    generator_by_name,
)
from causal_ddpm.evaluation.recovery.coefficients import two_stage
from causal_ddpm.evaluation.recovery.generator import (
    FittedGenerator,
    Generator,
    Interventional,
    Roles,
)
from causal_ddpm.evaluation.recovery.known import comparison_of
from causal_ddpm.evaluation.recovery.noise import count_modes
from causal_ddpm.evaluation.recovery.reading import allowance, read, signed_allowance, weighted
from causal_ddpm.evaluation.recovery.report import Finding, Section


def test_least_squares_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(80), rng.standard_normal((80, 2))])
    y = x @ [1.0, 2.0, -1.0] + rng.standard_normal(80) * (1 + np.abs(x[:, 1]))
    peer = sm.OLS(y, x).fit(cov_type="HC1")
    beta, se = two_stage(x, x, y)
    np.testing.assert_allclose(beta, peer.params, rtol=1e-10)
    np.testing.assert_allclose(se, peer.bse, rtol=1e-10)


def test_two_stages_undo_a_hidden_cause() -> None:
    rng = np.random.default_rng(1)
    z, u = rng.standard_normal((2, 4000))
    d = z + u
    y = 0.5 * d + 2 * u + rng.standard_normal(4000)
    one = np.ones(4000)
    x, w = np.column_stack([one, d]), np.column_stack([one, z])
    assert two_stage(x, x, y)[0][1] > 1.3
    beta, se = two_stage(x, w, y)
    assert abs(beta[1] - 0.5) < 3 * se[1] < 0.3


@pytest.mark.parametrize(("gap", "modes"), [(0.0, 1), (2.0, 2)])
def test_modes_are_counted(gap: float, modes: int) -> None:
    rng = np.random.default_rng(2)
    v = rng.standard_normal(3000) + gap * rng.choice([-1.0, 1.0], 3000)
    assert count_modes(v) == modes


def test_weighted_quantiles_are_those_of_repeated_rows() -> None:
    y, w = np.array([3.0, 1.0, 2.0, 5.0]), np.array([1.0, 4.0, 2.0, 3.0])
    repeated = np.repeat(y, w.astype(int))
    assert weighted(y, w, [0.35])[0] == pytest.approx(1 + (0.35 - 0.2) / 0.3)
    assert weighted(repeated, np.ones(10), [0.95])[0] == 5.0


def test_copies_of_a_row_do_not_explain_each_other() -> None:
    comparison = comparison_of(design_by_name("linear"))
    frame = comparison.draw(200, 0).frame
    copied = pd.concat([frame] * 10, ignore_index=True)
    found = read(copied, comparison, comparison.encoding.matrix(frame), 0, quantiles=False)
    assert found.residuals.std() > 0.9  # the noise has a standard deviation of one


def test_allowances() -> None:
    assert signed_allowance([1.0, -1.0]) == pytest.approx(2.6)
    assert allowance([1.0, 3.0]) == pytest.approx(2 + 2.6 * np.sqrt(2))


@pytest.mark.parametrize(
    ("error", "verdict"), [(0.5, "recovered"), (1.5, "in part"), (2.5, "not recovered")]
)
def test_verdicts(error: float, verdict: str) -> None:
    finding = Finding("the ATE", 1 + error, error, 1.0, 1.0)
    assert finding.verdict == verdict
    section = Section("s", "S", "", (Finding("x", 0.0, 0.0, 0.0, 1.0), finding))
    assert section.verdict == verdict
    said = section.not_recovered(500)
    assert bool(said) == (verdict != "recovered")
    assert all("a fresh draw of 500 rows stays within 1 of it" in text for text in said)
    assert Finding("x", 1.0, 1.0).verdict == "not judged"


_QUICK = DiffusionSettings(n_steps=30)


@pytest.mark.parametrize("name", ["linear", "three-arms"])
@pytest.mark.parametrize("model", [Bootstrap(), JointGenerator(JointDiffusion(_QUICK))])
def test_generators_return_what_they_were_given(name: str, model: Generator) -> None:
    draw = design_by_name(name).draw(120, 0)
    roles = Roles.of(draw.data)
    fitted = model.fit(draw.frame, roles, 0)
    assert isinstance(model, Generator)
    assert isinstance(fitted, FittedGenerator)
    rows = fitted.sample(50, 1)
    assert rows.dtypes.to_dict() == draw.frame[list(roles.columns)].dtypes.to_dict()
    assert rows.equals(fitted.sample(50, 1))
    assert not rows.equals(fitted.sample(50, 2))
    if isinstance(fitted, Interventional):
        drawn = fitted.interventional(draw.frame.head(4), draw.data.arms[1], 3, 0)
        assert drawn.shape == (4, 3)


@pytest.mark.slow
def test_the_conditional_generator_draws_instrument_treatment_and_outcome() -> None:
    draw = design_by_name("instrument").draw(300, 0)
    fitted = ConditionalGenerator().fit(draw.frame, Roles.of(draw.data), 0)
    rows = fitted.sample(3000, 1)
    assert list(rows) == list(Roles.of(draw.data).columns)
    made, true = (f.groupby(["z", "d"])["y"].mean() for f in (rows, draw.frame))
    np.testing.assert_allclose(made, true, atol=0.4)


def test_the_names_of_the_command_line_are_generators() -> None:
    for name in ("joint", "conditional", "end-to-end", "bootstrap"):
        assert isinstance(generator_by_name(name), Generator)


def test_the_examples_of_the_page_run(root: Path) -> None:
    page = (root / "docs/recovery.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    assert len(blocks) == 2
    for code in blocks:
        exec(compile(code, "docs/recovery.md", "exec"), {})
