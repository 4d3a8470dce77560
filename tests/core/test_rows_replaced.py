"""Other values in the same rows make other data, and leave the first untouched."""

import numpy as np

from causal_ddpm import catalog
from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.rows import replaced


def test_replaced_values_are_in_the_copy_only():
    data = catalog()["linear"].draw(60, seed=0).data
    before = (data.fingerprint, data.treatment.copy(), data.confounder_names)
    flipped = replaced(data, treatment=1 - data.treatment)
    shifted = replaced(data, outcome=(data.outcome + 1, data.outcome_schema))
    first = Covariates(data.covariates.columns[:1], data.covariates.values[:, :1])
    fewer = replaced(data, covariates=first)
    np.testing.assert_array_equal(flipped.treatment, 1 - data.treatment)
    np.testing.assert_array_equal(shifted.outcome, data.outcome + 1)
    assert fewer.confounder_names == data.confounder_names[:1]
    assert before[0] == data.fingerprint
    np.testing.assert_array_equal(before[1], data.treatment)
    assert before[2] == data.confounder_names
    assert len({d.fingerprint for d in (data, flipped, shifted, fewer)}) == 4
