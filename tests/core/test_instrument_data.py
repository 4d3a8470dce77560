"""A frame with a dose and instruments: read once, or refused in a sentence."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.instrument_data import InstrumentData


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(120, 4)), columns=["y", "d", "z", "x"]).assign(
        near=rng.choice(["yes", "no", "far"], 120),
        w=rng.uniform(0.5, 2, 120),
        g=np.arange(120) % 12,
    )


def test_roles_are_read(frame):
    data = InstrumentData(frame, "d", "y", ["z", "near"], ["x"], weights="w", clusters="g")
    assert (data.n, len(data), data.instrument_names) == (120, 120, ("z", "near"))
    assert data.instruments.values.shape == (120, 2)
    assert "instruments  z, near" in repr(data)
    assert "clusters     g: 12" in repr(data)
    other = InstrumentData(frame, "d", "y", "z", ["x"])
    assert other.fingerprint != data.fingerprint
    assert other.weights.sum() == 120


@pytest.mark.parametrize(
    ("roles", "change", "sentence"),
    [
        (("d", "y", []), {}, "no instrument was given"),
        (("d", "y", "q"), {}, "there is no column 'q'"),
        (("d", "y", "d"), {}, "more than one role"),
        (("d", "y", "z"), {"z": 1.0}, "the instrument does not vary"),
        (("d", "y", "z"), {"z": "copy"}, "the instrument is a copy of the dose"),
        (("d", "y", "z"), {"y": np.nan}, "outcome"),
        (("d", "y", "z"), {"d": "high"}, "dose"),
    ],
)
def test_refusals(frame, roles, change, sentence):
    for name, value in change.items():
        frame[name] = frame["d"] if isinstance(value, str) and value == "copy" else value
    with pytest.raises(DataError, match=sentence):
        InstrumentData(frame, *roles)


def test_few_rows_are_refused(frame):
    with pytest.raises(DataError, match="the data have 30 rows; expected at least 40"):
        InstrumentData(frame.iloc[:30], "d", "y", "z")
