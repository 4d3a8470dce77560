"""What can go wrong, by name.

Every refusal is one sentence that says what was found, what was expected and what to do next. The
command line turns :class:`CausalDDPMError` into that sentence and an exit code: 2 for bad usage or
input, 3 for an effect that the data cannot identify, 1 for anything else.
"""

from __future__ import annotations


class CausalDDPMError(Exception):
    """Root of every error raised on purpose by this package."""

    exit_code = 1


class DataError(CausalDDPMError, ValueError):
    """The input cannot be used as it is.

    Parameters
    ----------
    found : str
        What was found, in words.
    expected : str
        What is needed instead.
    hint : str
        What to do next.
    column : str, optional
        The column at fault, when there is one.
    """

    exit_code = 2

    def __init__(self, found: str, expected: str = "", hint: str = "", column: str | None = None):
        self.found, self.expected, self.hint, self.column = found, expected, hint, column
        parts = [found if column is None else f"column '{column}': {found}"]
        if expected:
            parts.append(f"expected {expected}")
        sentence = "; ".join(parts) + "."
        super().__init__(f"{sentence} {hint}".strip())


class OverlapError(CausalDDPMError):
    """Treated and untreated rows are not comparable at all: no effect can be read."""

    exit_code = 3


class NotIdentifiedError(CausalDDPMError):
    """The design at hand does not identify the requested estimand."""

    exit_code = 3


class ConvergenceError(CausalDDPMError):
    """A fit ended without a usable solution."""


class MissingDependencyError(CausalDDPMError, ImportError):
    """An optional library is needed.

    Parameters
    ----------
    library : str
        Name of the missing library.
    extra : str
        The extra of this package that installs it.
    """

    exit_code = 2

    def __init__(self, library: str, extra: str):
        self.library, self.extra = library, extra
        super().__init__(
            f"'{library}' is not installed; install it with: pip install 'causal-ddpm[{extra}]'."
        )


class ModelFileError(CausalDDPMError):
    """A saved model cannot be read: wrong format, wrong version or damaged."""

    exit_code = 2


class SyntheticDataError(CausalDDPMError):
    """Rows marked as synthetic would be counted as observations."""

    exit_code = 2


class CausalDDPMWarning(UserWarning):
    """Root of the warnings of this package."""


class OverlapWarning(CausalDDPMWarning):
    """Some rows have hardly any comparable row in the other arm."""


class WeakInstrumentWarning(CausalDDPMWarning):
    """The instrument moves so few units that the usual interval may cover less than it says."""


class SmallSampleWarning(CausalDDPMWarning):
    """So few rows or clusters that intervals are known to cover less than they say."""


class ConvergenceWarning(CausalDDPMWarning):
    """A fit ended early or unstable, with a usable result."""


class NotCalibratedWarning(CausalDDPMWarning):
    """The band shown has no proven coverage."""
