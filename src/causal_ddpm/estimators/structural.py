r"""The structural curve of a dose by instruments, what is known of it, and with what error.

    Y = g(D) + h(X) + U,    E[U | Z, X] = 0,    D moved by U as well as by (Z, X)

Asked for is the mean outcome if everybody got the dose d, E[Y(d)] = g(d) + E h(X). The first stage
is the law of D given (Z, X) by diffusion; the second a sieve with optimal instruments
(:mod:`causal_ddpm.estimators.sieve_iv`). Three kinds of answers come with three kinds of error:

- the **curve** is drawn *without* an interval: point by point its bias is of the order of its
  standard error;
- **linear functionals** (a difference g(b) - g(a), an average slope) have sieve standard errors,
  robust or clustered, which count the bias of the sieve as small (Chen and Christensen 2018);
- **Anderson-Rubin sets** hold their level however weak the instruments are: of the slope of a
  linear curve, or of a difference by projection (:mod:`causal_ddpm.core.anderson_rubin`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from causal_ddpm.core.errors import DataError, SmallSampleWarning, WeakInstrumentWarning
from causal_ddpm.core.estimate import refuse_synthetic
from causal_ddpm.core.instrument_data import InstrumentData
from causal_ddpm.core.natural_splines import NaturalSplines
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed
from causal_ddpm.estimators.api import issue_warnings
from causal_ddpm.estimators.inference import Note
from causal_ddpm.estimators.scores import Array
from causal_ddpm.estimators.sieve_iv import (
    TELLING_F,
    WEAK_F,
    fit_sieve,
    moments_of,
    most_terms,
    robust_f,
)
from causal_ddpm.estimators.structural_record import StructuralCurve, sampling_of
from causal_ddpm.nuisance.folds import FEW_CLUSTERS
from causal_ddpm.nuisance.structural import StructuralNuisances, fit_structural_nuisances

MAX_TERMS = 6


def structural_curve(  # noqa: PLR0913 - a public door, all but one have defaults
    data: InstrumentData,
    *,
    model: Any = None,
    n_terms: int | None = None,
    n_folds: int = 5,
    level: float = 0.95,
    random_state: Seed = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
    nuisances: StructuralNuisances | None = None,
) -> StructuralCurve:
    """The structural curve of a dose that instruments move.

    Parameters
    ----------
    data : InstrumentData
    model : PotentialOutcomeModel or Stages, optional
        Learns the dose given (z, x) and the outcome given x; the diffusion law by default.
    n_terms : int, optional
        Terms of the curve; as many as the instruments tell apart, up to six, by default.
    n_folds, level, random_state, n_jobs, progress
        As in :func:`~causal_ddpm.estimate_effects`.
    nuisances : StructuralNuisances, optional
        Those of the same data, instead of fitting them.

    Raises
    ------
    DataError
        For data, terms, folds or a level that cannot be used.
    NotIdentifiedError
        If the instruments do not move the dose at all.

    Warns
    -----
    WeakInstrumentWarning
        Where the first-stage F is below ten.

    Examples
    --------
    >>> from causal_ddpm import InstrumentData, NormalStages, structural_curve
    >>> from causal_ddpm.dgp.instrument_dose import INSTRUMENT_DOSE
    >>> from sklearn.linear_model import LinearRegression
    >>> drawn = INSTRUMENT_DOSE.draw(500, seed=1)
    >>> data = InstrumentData(drawn.frame, "d", "y", ["z"], ["x0", "x1", "x2"])
    >>> found = structural_curve(data, model=NormalStages(LinearRegression()), n_terms=1)
    >>> sorted(found.curve.interval.unique())
    ['no valid interval']
    """
    if not isinstance(data, InstrumentData):
        raise DataError(
            f"the data are a {type(data).__name__}", "InstrumentData",
            'Name the columns: InstrumentData(frame, "dose", "outcome", "instrument").',
        )  # fmt: skip
    refuse_synthetic(data.n_synthetic)
    if not 0 < level < 1:
        raise DataError(f"the confidence level is {level}", "a number between 0 and 1")
    weights = None if data.weights_name is None else data.weights
    bases = candidate_bases(data.dose, weights, n_terms)
    if nuisances is None:
        nuisances = fit_structural_nuisances(data, model, n_folds, random_state, n_jobs, progress)
    elif nuisances.fingerprint != data.fingerprint:
        raise DataError("the nuisances belong to other data", "those of the same rows")
    moments = moments_of(data.dose, data.outcome, data.weights, nuisances, bases)
    fits = tuple(fit_sieve(m) for m in moments)
    fit = most_terms(fits) if n_terms is None else fits[-1]
    f = robust_f(fits[0].moments, sampling_of(data))
    found = StructuralCurve(data, nuisances, fits, fit, f, level)
    found = replace(found, notes=tuple(_notes(found)))
    issue_warnings([found.average_slope()])
    return found


def candidate_bases(
    dose: Array, weights: Array | None, n_terms: int | None
) -> list[NaturalSplines]:
    """The line, and every longer basis that the values of the dose allow, up to six terms.

    Raises
    ------
    DataError
        If the number asked for is no number of terms, or the doses take too few values for it.
    """
    if n_terms is not None:
        line = NaturalSplines.of(dose, 1, weights)
        return [line] if n_terms == 1 else [line, NaturalSplines.of(dose, n_terms, weights)]
    found: list[NaturalSplines] = []
    for k in range(1, MAX_TERMS + 1):
        try:
            found.append(NaturalSplines.of(dose, k, weights))
        except DataError:
            break
    return found


def _notes(found: StructuralCurve) -> list[Note]:
    notes, f, ar = [], found.first_stage_f, found.slope_in_words
    weakest, sampling = found.fit.strength, sampling_of(found.data)
    trusted = f"the {found.level:.0%} Anderson-Rubin set of the slope of a line is {ar}"
    if f < WEAK_F:
        text = (
            f"Weak instrument: first-stage F = {f:.1f}, below {WEAK_F:.0f}; do not use intervals "
            f"or the curve, {trusted}."
        )
        notes.append(Note(WeakInstrumentWarning, text))
    elif weakest < TELLING_F:
        text = (
            f"Weak instrument for a curve of {found.n_terms} terms: F = "
            f"{weakest:.1f} in its weakest direction, below {TELLING_F:.0f}; {trusted}."
        )
        notes.append(Note(WeakInstrumentWarning, text))
    if sampling.clusters is not None and sampling.n_independent < FEW_CLUSTERS:
        text = (
            f"Few clusters: {sampling.n_independent:.0f}; with fewer than {FEW_CLUSTERS} "
            "cluster-robust intervals tend to be too narrow."
        )
        notes.append(Note(SmallSampleWarning, text))
    return notes
