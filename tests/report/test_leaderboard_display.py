"""The table of a leaderboard: means over fits, blanks where nothing was assessed."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.report.displays.leaderboard import LeaderboardDisplay


@pytest.fixture
def rows():
    return pd.DataFrame({
        "generator": ["b", "b", "a", "a"],
        "share_noise": [1.0, 0.5, np.nan, np.nan],
        "share_distance": [0.0, 0.5, 1.0, np.nan],
    })  # fmt: skip


def test_shares_are_means_over_fits_in_the_order_of_the_rows(rows):
    frame = LeaderboardDisplay.of(rows).frame()
    assert list(frame["generator"]) == ["b", "a"]
    assert list(frame.columns) == ["generator", "distance", "noise"]
    np.testing.assert_allclose(frame["distance"], [0.25, 1.0])
    np.testing.assert_allclose(frame["noise"], [0.75, np.nan])


def test_the_picture_says_each_share_and_leaves_the_others_blank(rows):
    figure, ax = plt.subplots()
    LeaderboardDisplay.of(rows).plot(ax)
    assert [t.get_text() for t in ax.texts] == ["25%", "75%", "100%"]
    plt.close(figure)


def test_rows_without_shares_are_refused():
    with pytest.raises(DataError, match="no shares of checks"):
        LeaderboardDisplay.of(pd.DataFrame({"generator": ["a"]}))
