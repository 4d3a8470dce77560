"""What is no panel is refused at every door of panels, in one sentence."""

import pandas as pd
import pytest

from causal_ddpm import (
    PanelDiffusion,
    analyse_panel,
    bacon_weights,
    clustered_effects,
    compare_panel,
)  # fmt: skip
from causal_ddpm.core.errors import DataError


@pytest.mark.parametrize(
    "door",
    [analyse_panel, compare_panel, clustered_effects, bacon_weights, PanelDiffusion().estimate],
)
def test_a_frame_is_no_panel(door):
    with pytest.raises(DataError, match=r"a DataFrame was given; expected a PanelData\. Wrap"):
        door(pd.DataFrame({"unit": [1], "period": [1], "y": [0.0]}))
