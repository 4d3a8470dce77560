import sys
import warnings
from dataclasses import dataclass
from typing import ClassVar

import pytest

from causal_ddpm.baselines.base import Baseline, check_applies, listening, load
from causal_ddpm.core.errors import (
    ConvergenceError,
    DataError,
    MissingDependencyError,
    NotIdentifiedError,
)
from causal_ddpm.core.estimand import ATT


@dataclass(frozen=True)
class Stubborn:
    name: ClassVar[str] = "stubborn"
    title: ClassVar[str] = "Stubborn method"
    assumes: ClassVar[str] = "nothing"
    library: ClassVar[str] = "json"
    extra: ClassVar[str] = "classics"

    def applies(self, data, estimand):
        return None if data else "there are no data"

    def estimate(self, data, estimand, random_state=0, level=0.95):
        raise AssertionError


def test_an_adapter_meets_the_protocol_and_refuses_in_its_own_words():
    assert isinstance(Stubborn(), Baseline)
    check_applies(Stubborn(), [1], ATT())
    with pytest.raises(NotIdentifiedError, match="Stubborn method does not apply: there are no"):
        check_applies(Stubborn(), [], ATT())


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "diff_diff", None)
    with pytest.raises(MissingDependencyError, match=r"'diff_diff'.*causal-ddpm\[classics\]"):
        load("diff_diff.bacon", "classics")
    assert load("json", "classics").loads("1") == 1


def test_a_library_that_misses_one_of_its_own_says_so_itself(monkeypatch, tmp_path):
    (tmp_path / "half_a_library.py").write_text("import surely_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="surely_not_installed") as caught:
        load("half_a_library", "classics")
    assert not isinstance(caught.value, MissingDependencyError)


def test_prints_are_silenced_and_warnings_are_heard_once(capsys):
    with listening("peer") as heard:
        print("a banner")  # noqa: T201
        for _ in range(3):
            warnings.warn("the  fit is\nweak", RuntimeWarning, stacklevel=1)
        warnings.warn("an old name", FutureWarning, stacklevel=1)
    assert heard == ["peer: the fit is weak"]
    assert capsys.readouterr() == ("", "")


def test_an_error_of_the_library_is_named_and_one_of_ours_is_left_alone():
    named = r"peer ended without a result \(ZeroDivisionError"
    with pytest.raises(ConvergenceError, match=named), listening("peer"):
        1 / 0  # noqa: B018
    with pytest.raises(DataError, match="ours"), listening("peer"):
        raise DataError("ours")
