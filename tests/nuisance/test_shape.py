"""What the networks are told about a row: columns side by side by confounder, the location last."""

import time

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.framework import CausalConfig, CausalInferenceFramework
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel, sample_of
from causal_ddpm.nuisance.shape import conditioning_of

GRAPH = {"income": ["age", "region"]}
QUICK = {
    "backbone": "attention", "dim": 8, "hidden_dim": 8, "n_members": 1, "n_steps": 10,
    "batch_size": 32,
}  # fmt: skip


@pytest.fixture(scope="module")
def data():
    """Level "d" of region lives in fold 0 only, so one encoder of three has a column less."""
    rng = np.random.default_rng(0)
    n = 90
    region = rng.choice(["a", "b", "c"], n)
    region[:3] = "d"
    frame = pd.DataFrame(
        {"age": rng.normal(size=n), "region": region, "income": rng.normal(size=n)}
    )
    frame["t"] = rng.integers(0, 2, n)
    frame["y"] = frame["age"] + frame["t"] + rng.normal(size=n)
    return CausalData(frame, "t", "y", ["age", "region", "income"])


@pytest.fixture(scope="module")
def sample(data):
    return sample_of(data, np.repeat([0, 1, 2], 30))


def test_columns_of_a_confounder_lie_side_by_side(sample):
    first = conditioning_of(sample, (0, 1, 2), use_location=True)[0].columns
    assert first.names == ("age", "region", "income", *first.summaries)
    assert first.source == (0, 1, 1, 1, 1, 2, 3, 4)
    assert len(first.summaries) == 2


def test_a_column_means_the_same_in_every_group(sample):
    """Where a group knows fewer levels a zero column stands in, and the location stays last."""
    conditions = conditioning_of(sample, (0, 1, 2), use_location=True)
    location = np.arange(180.0).reshape(90, 2)
    values = [c(sample.covariates, location) for c in conditions]
    for c, x in zip(conditions, values, strict=True):
        assert c.columns == conditions[0].columns
        encoded = c.encoder.transform(sample.covariates)
        for name in c.columns.names[:3]:
            own = [k for k, s in enumerate(c.columns.source) if c.columns.names[s] == name]
            made = [j for j, source in enumerate(c.encoder.sources) if source == name]
            np.testing.assert_array_equal(x[:, own[: len(made)]], encoded[:, made])
            assert not x[:, own[len(made) :]].any()
        np.testing.assert_array_equal(x[:, -2:], location)
    assert (values[0][:, 4] == 0).all()  # outside fold 0 nobody lives in "d"
    assert not (values[1][:, 4] == 0).all()


def test_without_the_location_there_are_no_summaries(sample):
    condition = conditioning_of(sample, (0, 1), use_location=False)[0]
    assert condition.columns.summaries == ()
    assert condition(sample.covariates, np.ones((90, 2))).shape == (90, 6)


def test_a_graph_over_confounders_reaches_the_mask(data, tmp_path):
    """By name, through the end-to-end model; the category is one token; the head answers."""
    model = PotentialOutcomeModel(
        location="none", n_folds=3,
        diffusion=DiffusionSettings(**QUICK, column_parents=GRAPH, arm_weight=1.0),
    )  # fmt: skip
    law = model.fit(data)
    roles = law.part.continuous.batches[0].diffusion.backbone.roles
    assert roles.looks_at == ((0,), (1,), (0, 1, 2))
    probability = law.arm_probability(data.covariates)
    assert probability.shape == (90, 2)
    np.testing.assert_allclose(probability.sum(1), 1.0)
    law.save(tmp_path / "law.zip")
    again = type(law).load(tmp_path / "law.zip")
    assert np.array_equal(again.arm_probability(data.covariates), probability)
    assert np.array_equal(again.mean(data.covariates, 1), law.mean(data.covariates, 1))


def test_a_law_without_the_head_says_so(data):
    law = PotentialOutcomeModel(
        location="none", n_folds=2, diffusion=DiffusionSettings(n_steps=2, n_members=1)
    ).fit(data)
    with pytest.raises(DataError, match="arm_weight=1"):
        law.arm_probability(data.covariates)


def test_unknown_confounders_are_refused_at_once(data):
    config = CausalConfig(column_parents={"incme": ["age"]})
    assert config.diffusion().backbone == "attention"
    start = time.process_time()
    with pytest.raises(DataError, match=r"'incme'.*age, region, income.*Did you mean 'income'"):
        CausalInferenceFramework(config).train(data)
    with pytest.raises(DataError, match="'incme'"):
        config.outcome_model().fit(data)
    assert time.process_time() - start < 1.0
    with pytest.raises(DataError, match="cycle"):
        CausalConfig(column_parents={"age": ["income"], "income": ["age"]})
