"""What every adapter to another library is and does.

An adapter is a frozen record of settings. It says what it assumes and whether it applies to given
data; ``estimate`` imports its library, asks it, and returns an
:class:`~causal_ddpm.core.estimate.Estimate` made by
:func:`~causal_ddpm.core.reported.reported_estimate`. The same protocol serves cross-sections
(:class:`~causal_ddpm.core.data.CausalData`) and panels: an adapter names the kind of data it takes
by refusing the others in ``applies``.

    class MyMethod:                                        # a frozen dataclass
        name: ClassVar[str] = "my-method"
        ...
        def applies(self, data, estimand): return None     # or why not, as a clause
        def estimate(self, data, estimand, random_state=0, level=0.95):
            check_applies(self, data, estimand)
            library = load(self.library, self.extra)
            with listening(self.library) as heard:
                fit = library.fit(..., seed=integer_seed(random_state, self.name))
            return reported_estimate(account(..., warnings=tuple(heard)), fit.att, fit.se, ["ATT"])
"""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import ModuleType
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from causal_ddpm.core.errors import (
    CausalDDPMError,
    ConvergenceError,
    MissingDependencyError,
    NotIdentifiedError,
)
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed

Data = TypeVar("Data")
Data_contra = TypeVar("Data_contra", contravariant=True)

_ABOUT_THE_CODE = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning)
"""Warnings for the authors of a library, not for who reads an estimate."""


@runtime_checkable
class Baseline(Protocol[Data_contra]):
    """A method of another library."""

    @property
    def name(self) -> str:
        """What methods are chosen by, e.g. ``"sdid"``."""
        ...

    @property
    def title(self) -> str:
        """What tables call it."""
        ...

    @property
    def assumes(self) -> str:
        """What carries its result, in words."""
        ...

    @property
    def library(self) -> str:
        """Import name of the library that computes it."""
        ...

    @property
    def extra(self) -> str:
        """The extra of this package that installs the library."""
        ...

    def applies(self, data: Data_contra, estimand: Estimand) -> str | None:
        """Why the method cannot answer, as a clause without full stop; None when it can.

        Decided from data and settings alone: the library is not imported.
        """
        ...

    def estimate(
        self, data: Data_contra, estimand: Estimand, random_state: Seed = 0, level: float = 0.95
    ) -> Estimate:
        """The library's estimate, standard error and interval.

        Raises
        ------
        NotIdentifiedError
            If the method does not apply.
        MissingDependencyError
            If the library is not installed.
        ConvergenceError
            If the library ended with an error of its own, or without finite numbers.
        """
        ...


class Adapter(ABC, Generic[Data]):
    """What the adapters of this package share: an ``estimate`` that refuses before it asks.

    A method fills the class attributes, ``applies`` and ``_answer``.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    assumes: ClassVar[str]
    library: ClassVar[str]
    extra: ClassVar[str] = "classics"

    @abstractmethod
    def applies(self, data: Data, estimand: Estimand) -> str | None:
        """Why the method cannot answer, as a clause; None when it can."""

    def estimate(
        self, data: Data, estimand: Estimand, random_state: Seed = 0, level: float = 0.95
    ) -> Estimate:
        """The library's estimate; see :class:`Baseline`.

        Raises
        ------
        NotIdentifiedError, MissingDependencyError, ConvergenceError
            As every baseline.
        """
        check_applies(self, data, estimand)
        return self._answer(data, estimand, random_state, level)

    @abstractmethod
    def _answer(self, data: Data, estimand: Estimand, random_state: Seed, level: float) -> Estimate:
        """The estimate, once it is known that the method applies."""


def check_applies(baseline: Baseline[Any], data: Any, estimand: Estimand) -> None:
    """Refuse data or an estimand that the method does not fit.

    Raises
    ------
    NotIdentifiedError
        With the method's reason.
    """
    reason = baseline.applies(data, estimand)
    if reason is not None:
        raise NotIdentifiedError(f"{baseline.title} does not apply: {reason}.")


def load(library: str, extra: str) -> ModuleType:
    """Import a library (or a module of it) when it is needed.

    Raises
    ------
    MissingDependencyError
        If it is not installed; names the extra to install.
    """
    top = library.partition(".")[0]
    try:
        importlib.import_module(top)  # a module of it may still be there when it is not
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != top:
            raise  # the library is there, and misses one of its own
        raise MissingDependencyError(top, extra) from None


@contextlib.contextmanager
def listening(library: str) -> Iterator[list[str]]:
    """Run a library's code: prints are silenced, warnings heard, errors named.

    Warnings about the code (deprecations) are dropped, the others listed once each. Warnings and
    prints of a call that fails are lost; its error stays as the cause of the one raised.

    Yields
    ------
    list of str
        Filled with the library's warnings when the block ends.

    Raises
    ------
    ConvergenceError
        If the library raised an error of its own.
    """
    heard: list[str] = []
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("always")
        try:
            yield heard
        except CausalDDPMError:
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}".strip().rstrip(".")
            raise ConvergenceError(f"{library} ended without a result ({text}).") from error
    said = [w for w in caught if not issubclass(w.category, _ABOUT_THE_CODE)]
    heard += dict.fromkeys(f"{library}: {' '.join(str(w.message).split())}" for w in said)
