"""A staggered panel cohort by cohort: synthetic control beside methods for staggered adoption.

The mean path of a cohort is set against the never-treated units: synthetic control finds weights of
donors that track it before treatment. With few periods before treatment and many donors almost any
target can be tracked, so a good fit is no evidence. Placebos say so in numbers: groups of
never-treated units, as large as the cohort, are treated as if they were the cohort, and what each
method then gets wrong is measured where the true effect is zero.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm import PanelData
from causal_ddpm.baselines.panel.staggered import CallawaySantAnna, Imputation
from causal_ddpm.core.estimand import ATTByCohort
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import stream
from causal_ddpm.nuisance.panel.completion import two_way_tables
from causal_ddpm.nuisance.panel.synthetic_control import SyntheticControl

Array = NDArray[np.float64]
PLACEBOS = 40


@dataclass(frozen=True, eq=False)
class CohortFits:
    """Effects by cohort and how well paths were tracked.

    Parameters
    ----------
    frame : DataFrame
        One row a cohort: cohort, n_units, n_before, the effect by diffusion, Callaway-Sant'Anna,
        imputation and synthetic control; pre_fit (root mean squared gap of synthetic control before
        treatment); sc_error and did_error (root mean squared error of the average effect on
        placebo groups).
    n_donors : int
    """

    frame: pd.DataFrame
    n_donors: int

    def words(self) -> str:
        """Why synthetic control does not lead here."""
        f = self.frame
        fits = ", ".join(f"{v:.4f}" for v in f["pre_fit"])
        missed = ", ".join(
            f"{row.sc_error:.3f} against {row.did_error:.3f} with {row.n_before} before"
            for row in f.itertuples()
        )
        worst = f.loc[(f["sc_error"] / f["did_error"]).idxmax()]
        few, many = f["n_before"].min(), f["n_before"].max()
        return (
            f"{few} to {many} periods lie before treatment, and there are {self.n_donors} donors: "
            "synthetic control tracks every cohort (root mean squared "
            f"gap {fits}), and would track nearly any other path as well, so the fit is no "
            "evidence, and no period is left over to check it. On groups of never-treated units, "
            "where the effect is zero, its average effect misses by (a difference in differences "
            f"beside it) {missed}: at worst {worst['sc_error'] / worst['did_error']:.1f} times as "
            "much. So methods for staggered adoption and the diffusion lead here, and synthetic "
            "control follows."
        )


def cohort_fits(panel: PanelData, diffusion: Estimate, random_state: int = 0) -> CohortFits:
    """Effects of each cohort by four methods, with fit before treatment and placebo errors.

    Parameters
    ----------
    panel : PanelData
    diffusion : Estimate
        Ours by cohort.
    random_state : int
    """
    by_cohort = ATTByCohort()
    cs = _by_label(CallawaySantAnna().estimate(panel, by_cohort, random_state))
    bjs = _by_label(Imputation().estimate(panel, by_cohort, random_state))
    ours = _by_label(diffusion)
    controls = panel.y[panel.is_control]
    rows = []
    for first in panel.cohorts:
        label = str(panel.periods[first])
        target = np.nanmean(panel.y[panel.first == first], axis=0)
        n_units = int((panel.first == first).sum())
        effect, fit = _synthetic_control(target, controls, int(first))
        wrong = _placebo_errors(controls, int(first), n_units, random_state)
        rows.append({
            "cohort": label, "n_units": n_units, "n_before": int(first), "diffusion": ours[label],
            "callaway_santanna": cs[label], "imputation": bjs[label],
            "synthetic_control": effect, "pre_fit": fit, "sc_error": wrong[0],
            "did_error": wrong[1],
        })  # fmt: skip
    return CohortFits(pd.DataFrame(rows), len(controls))


def _by_label(estimate: Estimate) -> dict[str, float]:
    return dict(zip(estimate.labels, estimate.values.tolist(), strict=True))


def _synthetic_control(target: Array, donors: Array, first: int) -> tuple[float, float]:
    """Mean gap after, and root mean squared gap before treatment."""
    gap = target - SyntheticControl().complete(*_table(target, donors, first))[0, 0]
    return float(gap[first:].mean()), float(np.sqrt(np.mean(gap[:first] ** 2)))


def _placebo_errors(controls: Array, first: int, n_units: int, seed: int) -> Array:
    """Errors of the average effect on placebo groups: synthetic control, parallel trends."""
    rng = stream(seed, "placebo groups", first)
    found = []
    for _ in range(PLACEBOS):
        chosen = np.zeros(len(controls), dtype=bool)
        chosen[rng.choice(len(controls), n_units, replace=False)] = True
        target, donors = controls[chosen].mean(axis=0), controls[~chosen]
        parallel = two_way_tables(*_table(target, donors, first))[0, 0]
        gap = float((target - parallel)[first:].mean())
        found.append((_synthetic_control(target, donors, first)[0], gap))
    return np.sqrt(np.mean(np.square(found), axis=0))


def _table(target: Array, donors: Array, first: int) -> tuple[Array, NDArray[np.bool_]]:
    """Outcomes with the target on top, and the mask that hides its path after treatment."""
    y = np.vstack([target, donors])
    seen = np.isfinite(y)
    seen[0, first:] = False
    return y, seen[None]
