"""Every number of every truth is the mean of potential outcomes that only a simulator sees."""

import math
from dataclasses import dataclass, replace

import pytest

from causal_ddpm.dgp.catalog import describe, entries
from causal_ddpm.testing import check_truth

MIN_DRAWS = 20
every = pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)


def _check(entry, rows):
    """Brute force over at least ``rows`` rows (cells of a panel), a few thousand at a time."""
    size = entry.n if entry.counts == "units" else max(entry.n, 5_000)
    n_draws = math.ceil(rows / len(entry.draw(size).frame))
    check_truth(entry.design, size, max(n_draws, MIN_DRAWS))


@every
def test_the_truth_is_the_mean_of_potential_outcomes(entry):
    _check(entry, 10**5)


@pytest.mark.slow
@every
def test_the_truth_is_the_mean_of_a_million_potential_outcomes(entry):
    _check(entry, 10**6)


@dataclass(frozen=True)
class Misreported:
    """The linear design with a truth that has been tampered with."""

    population: dict
    sample: dict
    name: str = "misreported"

    def draw(self, n, seed):
        drawn = describe("linear").draw(n, seed)
        known = drawn.truth
        truth = replace(
            known,
            population={**known.population, **self.population},
            sample={**known.sample, **self.sample},
        )
        return replace(drawn, truth=truth)


def test_a_wrong_truth_is_found():
    check_truth(Misreported({}, {}), 1000, 20)
    with pytest.raises(AssertionError, match=r"of 'ATE' is 1\.1, but 20 draws say"):
        check_truth(Misreported({"ATE": 1.1}, {}), 1000, 20)
    with pytest.raises(AssertionError, match=r"value of 'ATT' is 1, but .* with standard error 0"):
        check_truth(Misreported({}, {"ATT": 1.00001}), 1000, 20)
    with pytest.raises(AssertionError, match="no sample value of 'LATE'"):
        check_truth(Misreported({"LATE": 1.0}, {}), 1000, 20)
