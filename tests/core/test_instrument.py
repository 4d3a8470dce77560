"""The instrument: how it is read, what is refused, and the rows with it as the treatment."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.instrument import require_instrument, under_instrument

N = 120
KNOWN_FINGERPRINT = "cccabb25416743467597ef9eee50b1b4c15e84d0796dd7189f5960f70398ae9b"


def frame(**columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    z = np.arange(N) % 2
    d = np.where(rng.random(N) < 0.3, 1 - z, z)
    df = pd.DataFrame({"x": rng.normal(size=N), "z": z, "d": d, "y": rng.normal(size=N)})
    return df.assign(**columns)


def read(df: pd.DataFrame | None = None, **roles: object) -> CausalData:
    given = {"instrument": "z"} | roles
    return CausalData(frame() if df is None else df, "d", "y", ["x"], **given)


def test_the_instrument_is_a_role_of_its_own():
    data = read()
    np.testing.assert_array_equal(data.instrument, frame()["z"])
    assert data.instrument_name == "z"
    assert data.confounder_names == ("x",)
    assert "instrument   z: 60 rows with 1, 60 with 0; treated" in repr(data)
    with pytest.raises(ValueError, match="read-only"):
        data.instrument[0] = 1


def test_data_without_an_instrument_keep_their_fingerprint():
    data = read(instrument=None)
    assert data.instrument is None
    assert data.fingerprint == KNOWN_FINGERPRINT
    assert "instrument" not in repr(data)


def test_the_fingerprint_sees_the_instrument():
    other = frame()
    other.loc[0, "z"] = 1 - other.loc[0, "z"]
    renamed = frame().rename(columns={"z": "lottery"})
    prints = {
        data.fingerprint
        for data in (
            read(),
            read(instrument=None),
            read(other),
            read(renamed, instrument="lottery"),
        )
    }
    assert len(prints) == 4


REFUSALS = {
    "constant": (frame(z=1), "column 'z': the instrument is constant (always 1)"),
    "three values": (frame(z=np.arange(N) % 3), "the instrument takes the values 0, 1, 2"),
    "missing": (frame(z=[np.nan] + [0.0, 1.0] * 59 + [1.0]), "1 of 120 instrument values"),
    "copy of the treatment": (frame(z=frame()["d"]), "the instrument is a copy of the treatment"),
    "its opposite": (frame(z=1 - frame()["d"]), "the instrument is a copy of the treatment"),
    "copied confounder": (frame(x=frame()["z"]), "column 'x': the confounder is a copy of the ins"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    df, words = REFUSALS[name]
    with pytest.raises(DataError) as refusal:
        read(df)
    assert words in str(refusal.value)


@pytest.mark.parametrize("taken", ["d", "y", "x"])
def test_an_instrument_with_another_role_is_refused(taken):
    with pytest.raises(DataError, match=f"column '{taken}': the column is given more than one"):
        read(instrument=taken)


def test_an_unknown_instrument_is_refused():
    with pytest.raises(DataError, match="no column 'zz'"):
        read(instrument="zz")


def test_the_instrument_takes_the_place_of_the_treatment():
    data = read(frame(w=1.5), weights="w")
    view, first_stage = under_instrument(data), under_instrument(data, of="treatment")
    np.testing.assert_array_equal(view.treatment, data.instrument)
    np.testing.assert_array_equal(view.outcome, data.outcome)
    np.testing.assert_array_equal(first_stage.outcome, data.treatment)
    assert first_stage.outcome_schema.kind == "binary"
    assert view.treatment_name == "z"
    assert view.instrument is None
    same = CausalData(frame(w=1.5), "z", "y", ["x"], weights="w")
    assert view.fingerprint == same.fingerprint
    assert data.treatment_name == "d"


def test_what_needs_an_instrument_says_so():
    with pytest.raises(DataError, match="have no instrument; expected a binary instrument for the"):
        require_instrument(read(instrument=None), "the LATE")
    arms = frame(d=np.arange(N) % 3)
    data = CausalData(arms, "d", "y", ["x"], treatment_kind="arms", instrument="z")
    with pytest.raises(DataError, match="expected a binary treatment"):
        require_instrument(data, "the LATE")
