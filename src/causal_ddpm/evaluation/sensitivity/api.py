"""One call for every sensitivity analysis that applies to an estimate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, OverlapError
from causal_ddpm.core.estimate import Estimate, refuse_synthetic
from causal_ddpm.core.treatment import require_binary
from causal_ddpm.evaluation.sensitivity.dml_ovb import dml_ovb
from causal_ddpm.evaluation.sensitivity.e_value import e_value
from causal_ddpm.evaluation.sensitivity.linear_ovb import linear_ovb
from causal_ddpm.evaluation.sensitivity.msm import marginal_bounds
from causal_ddpm.evaluation.sensitivity.record import Part, Sensitivity
from causal_ddpm.evaluation.sensitivity.rosenbaum import matched_bounds
from causal_ddpm.evaluation.sensitivity.settings import Strengths
from causal_ddpm.nuisance.crossfit import Nuisances

METHODS = ("linear_ovb", "dml_ovb", "e_value", "rosenbaum", "msm")
AVERAGE_EFFECTS = ("ATE", "ATT", "ATU")


def sensitivity(
    estimate: Estimate,
    data: CausalData,
    nuisances: Nuisances | None = None,
    *,
    methods: Sequence[str] | str | None = None,
    null: float = 0.0,
    benchmarks: Sequence[str] = (),
    pairs: object = None,
    strengths: Strengths | None = None,
) -> Sensitivity:
    """How strong hidden confounding must be to change the conclusion of an average effect.

    Parameters
    ----------
    estimate : Estimate
        ATE, ATT or ATU under a binary treatment, from ``estimate_effects``.
    data : CausalData
        The data it was made from.
    nuisances : Nuisances, optional
        Those it was made with; "dml_ovb" and "msm" need them, "msm" with laws, and so does
        "e_value" for a binary outcome.
    methods : sequence of str, optional
        Of "linear_ovb" (omitted variables in a linear regression, with benchmarks), "dml_ovb" (of
        the doubly robust estimate), "e_value", "rosenbaum" (matched pairs) and "msm" (marginal
        sensitivity model). By default all that apply; the record says why one was left out.
    null : float
        Effect that hidden confounding would have to explain the estimate down to, in units of the
        outcome.
    benchmarks : sequence of str
        Confounders that give omitted ones a scale, in "linear_ovb".
    pairs : array_like of int, shape (m, 2), optional
        Row positions of matched pairs, the treated first, for "rosenbaum"; by default nearest
        neighbours on the propensity without replacement.
    strengths : Strengths, optional
        Scenarios and grids.

    Raises
    ------
    DataError
        If the estimate is no average effect of these data, or a method asked for does not apply.

    Examples
    --------
    >>> from causal_ddpm import ATE, catalog, estimate_effects, sensitivity
    >>> data = catalog()["linear"].draw(400, seed=0).data
    >>> [ate] = estimate_effects(data, ATE())  # doctest: +SKIP
    >>> print(sensitivity(ate, data, benchmarks=["x0"]))  # doctest: +SKIP
    """
    wanted = _checked(estimate, data, nuisances, methods)
    s = Strengths() if strengths is None else strengths
    level = estimate.level

    def with_nuisances(method: str) -> Nuisances:
        if nuisances is None:
            raise DataError(
                f"no nuisances were given, which '{method}' needs",
                "the nuisances of the estimate",
                "Pass nuisances=fit_nuisances(data).",
            )
        return nuisances

    runs: dict[str, Callable[[], Part]] = {
        "linear_ovb": lambda: linear_ovb(data, benchmarks, s.multiples, level, null),
        "dml_ovb": lambda: dml_ovb(
            estimate, data, with_nuisances("dml_ovb"), s.r2_outcome, s.r2_treatment, s.rho, null
        ),
        "e_value": lambda: e_value(estimate, data, nuisances, null),
        "rosenbaum": lambda: matched_bounds(data, nuisances, pairs, s.gammas, 1 - level, null),
        "msm": lambda: marginal_bounds(estimate, data, with_nuisances("msm"), s.lambdas, null),
    }
    parts: dict[str, Part] = {}
    left_out: dict[str, str] = {}
    for method in wanted:
        try:
            parts[method] = runs[method]()
        except (DataError, OverlapError) as error:
            if methods is not None or (method == "linear_ovb" and benchmarks):
                raise
            left_out[method] = str(error)
    low, high = estimate.interval()
    return Sensitivity(
        estimate.estimand, float(estimate.values[0]), (low, high), level, null, parts, left_out
    )


def _checked(
    estimate: object,
    data: object,
    nuisances: Nuisances | None,
    methods: Sequence[str] | str | None,
) -> tuple[str, ...]:
    """Refuse what cannot be analysed; the methods that are wanted."""
    if not isinstance(estimate, Estimate) or not isinstance(data, CausalData):
        raise DataError(
            f"a {type(estimate).__name__} and a {type(data).__name__} were given",
            "an Estimate and the CausalData it was made from",
            "Write: [ate] = estimate_effects(data, ATE()); sensitivity(ate, data).",
        )
    if estimate.estimand not in AVERAGE_EFFECTS or len(estimate) != 1:
        raise DataError(
            f"the estimate is the {estimate.estimand} with {len(estimate)} entries",
            "one ATE, ATT or ATU",
        )
    if not float(estimate.std_error) > 0:
        raise DataError("the standard error of the estimate is zero", "outcomes that vary")
    require_binary(data.treatment_schema, "a sensitivity analysis")
    refuse_synthetic(data.n_synthetic)
    fingerprints = {estimate.fingerprint, data.fingerprint}
    if nuisances is not None:
        fingerprints.add(nuisances.fingerprint)
    if len(fingerprints) > 1:
        raise DataError(
            "estimate, data and nuisances do not belong together (their fingerprints differ)",
            "the data that the estimate was made from",
        )
    wanted = METHODS if methods is None else (methods,) if isinstance(methods, str) else methods
    unknown = [method for method in wanted if method not in METHODS]
    if unknown or not wanted:
        raise DataError(f"the methods are {list(wanted)}", "some of " + ", ".join(METHODS))
    return tuple(dict.fromkeys(wanted))
