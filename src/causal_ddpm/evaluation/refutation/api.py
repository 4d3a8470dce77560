"""One call for every check of an estimate that can be made without new data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from numpy.typing import ArrayLike

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE, ATT, ATU, Estimand
from causal_ddpm.core.estimate import Estimate, refuse_synthetic
from causal_ddpm.core.protocols import OutcomeModel, PropensityModel
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.core.treatment import require_binary
from causal_ddpm.estimators.inference import Sampling
from causal_ddpm.evaluation.refutation import checks as how
from causal_ddpm.evaluation.refutation.analysis import RepeatedAnalysis
from causal_ddpm.evaluation.refutation.record import Check, Refutation

CHECKS = ("placebo treatment", "placebo outcome", "random common cause", "random subsets")
ESTIMANDS: dict[str, Estimand] = {kind.name: kind for kind in (ATE(), ATT(), ATU())}


def refute(  # noqa: PLR0913 - the public door, all but two have defaults
    estimate: Estimate | Estimand,
    data: CausalData,
    *,
    checks: Sequence[str] | str = CHECKS,
    placebo_outcome: ArrayLike | str | None = None,
    outcome_model: OutcomeModel | None = None,
    propensity_model: PropensityModel | None = None,
    n_runs: int = 10,
    n_folds: int = 5,
    within_strata: bool = True,
    level: float = 0.95,
    random_state: Seed = 0,
    n_jobs: int = 1,
) -> Refutation:
    """Look for the effect where there is none, and for change where nothing of importance changed.

    Four checks, each with a p-value that is uniform where nothing is wrong: a permuted treatment,
    an outcome that the treatment cannot have changed, a confounder of pure noise, random subsets.
    Every run repeats the whole analysis, by default with light models (splines and logistic
    regression).

    Parameters
    ----------
    estimate : Estimate or Estimand
        ATE, ATT or ATU, estimated or merely asked for; or another estimand with one entry.
    data : CausalData
        With a binary treatment.
    checks : sequence of str
        Of :data:`CHECKS`.
    placebo_outcome : str or array_like, shape (n,), optional
        A confounder (which is then no confounder), or values, such as the outcome before treatment.
        By default outcomes are simulated from the untreated law.
    outcome_model, propensity_model : optional
        Pass the models of the estimate, such as ``PotentialOutcomeModel()``, to check these; each
        of the about ``4 * n_runs`` runs fits them anew.
    n_runs : int
        Runs of each check, at least 2.
    n_folds : int
        Folds of the cross-fitting.
    within_strata : bool
        Permute the treatment within fifths of the propensity, or else at random.
    level : float
    random_state : int, SeedSequence or None
    n_jobs : int
        Worker processes; the result does not depend on it.

    Raises
    ------
    DataError, OverlapError
        With one sentence.
    """
    estimand, given, wanted = _checked(estimate, data, checks, n_runs, level)
    outcome, propensity = _light_models(outcome_model, propensity_model)
    seed = seed_sequence(random_state)
    analysis = RepeatedAnalysis(estimand, outcome, propensity, n_folds, level, seed, n_jobs)
    nuisances = analysis.nuisances(data)
    base = analysis.estimate(data, nuisances)

    def on_an_outcome() -> Check:
        if placebo_outcome is not None:
            return how.placebo_outcome(analysis, data, base, placebo_outcome)
        return how.simulated_outcome(analysis, data, nuisances, base, n_runs)

    runs: dict[str, Callable[[], Check]] = {
        "placebo treatment": lambda: how.placebo_treatment(
            analysis, data, nuisances, base, n_runs, within_strata
        ),
        "placebo outcome": on_an_outcome,
        "random common cause": lambda: how.random_common_cause(analysis, data, base, n_runs),
        "random subsets": lambda: how.random_subsets(analysis, data, nuisances, base, n_runs),
    }
    return Refutation(
        estimand.name,
        float(base.value),
        float(base.std_error),
        given,
        base.method,
        tuple(runs[name]() for name in wanted),
        level,
    )


def _light_models(
    outcome_model: OutcomeModel | None, propensity_model: PropensityModel | None
) -> tuple[OutcomeModel, PropensityModel]:
    """The models given; in their place a bag of greedy splines and logistic regression."""
    from sklearn.linear_model import LogisticRegression

    from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel
    from causal_ddpm.nuisance.learners.greedy_splines import GreedySplines

    if outcome_model is None:
        outcome_model = LearnerOutcomeModel(GreedySplines())
    if propensity_model is None:
        propensity_model = LearnerPropensityModel(LogisticRegression(max_iter=1000))
    return outcome_model, propensity_model


def _checked(
    estimate: object, data: object, checks: Sequence[str] | str, n_runs: int, level: float
) -> tuple[Estimand, float | None, tuple[str, ...]]:
    """Refuse what cannot be checked; estimand, the value given, and the checks wanted."""
    if not isinstance(data, CausalData):
        raise DataError(
            f"the data are a {type(data).__name__}", "CausalData", "Write: refute(ATE(), data)."
        )
    require_binary(data.treatment_schema, "a refutation")
    refuse_synthetic(data.n_synthetic)
    if Sampling.of(data).frequency:
        raise DataError(
            "the rows have frequency weights",
            "one row a unit",
            "Repeat each row as often as it counts: its copies are drawn and permuted apart.",
        )
    wanted = (checks,) if isinstance(checks, str) else tuple(checks)
    unknown = [name for name in wanted if name not in CHECKS]
    if unknown or not wanted:
        raise DataError(f"the checks are {list(wanted)}", "some of " + ", ".join(CHECKS))
    if n_runs < 2:
        raise DataError(f"n_runs is {n_runs}", "at least 2")
    if not 0.0 < level < 1.0:
        raise DataError(f"the confidence level is {level}", "a number between 0 and 1, e.g. 0.95")
    return (*_estimand_of(estimate, data), tuple(dict.fromkeys(wanted)))


def _estimand_of(estimate: object, data: CausalData) -> tuple[Estimand, float | None]:
    """The estimand and, of an estimate, its value."""
    if isinstance(estimate, Estimand):
        return estimate, None
    if not isinstance(estimate, Estimate) or estimate.estimand not in ESTIMANDS:
        found = estimate.estimand if isinstance(estimate, Estimate) else type(estimate).__name__
        raise DataError(
            f"a {found} was given", "an estimate of ATE, ATT or ATU, or an estimand such as ATE()"
        )
    if estimate.fingerprint != data.fingerprint:
        raise DataError(
            "the estimate belongs to other data (their fingerprints differ)",
            "the data that it was made from",
        )
    return ESTIMANDS[estimate.estimand], float(estimate.values[0])
