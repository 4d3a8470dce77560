"""A design learnt from a data set, with a truth that the user sets.

    x      one of N learnt units                                   (units.py)
    D      1 with probability e_k(x),  logit e_k = b_k + k logit e(x), e the learnt propensity
    Y(0)   the learnt law given x
    Y(1)   Y(0) and the effect that was set                        (effects.py)

k is the overlap: 0 is an experiment, 1 the selection that was learnt, 2 twice as strong on the log
odds; b_k keeps the share of treated units at that of the data. In the twin treatment depends on x
and on nothing else, so unconfoundedness holds by construction, whether or not it holds in the data.
Effects and propensities of all units are known, so population effects are exact averages over them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.outcome import AS_ASKED, Outcome
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.draw import (
    Draw,
    checked_size,
    efficiency_sds,
    mean_effects,
    sample_effects,
    seed_number,
)
from causal_ddpm.diffusion.persistence import load_model, save_model
from causal_ddpm.evaluation.twin.checks import check_fit_for_twin, checked_overlap
from causal_ddpm.evaluation.twin.effects import LEARNT, Effect, SetEffect, set_effect
from causal_ddpm.evaluation.twin.fit import TwinSettings, fit_units
from causal_ddpm.evaluation.twin.likeness import Likeness, likeness_of
from causal_ddpm.evaluation.twin.units import Units
from causal_ddpm.nuisance.logistic import expit

Array = NDArray[np.float64]

_REACH = 1000.0


@dataclass(frozen=True)
class TwinRoles:
    """What a draw is called and like: names, kind of outcome, rows and treated share of the data.

    Parameters
    ----------
    treatment, outcome : str
    outcome_schema : Outcome
    n : int
    share_treated : float
        By weight.
    fingerprint : str
        Of the data.
    covariates : str
        Where units come from, "joint" or "rows".
    """

    treatment: str
    outcome: str
    outcome_schema: Outcome
    n: int
    share_treated: float
    fingerprint: str
    covariates: str


@dataclass(frozen=True, eq=False)
class TwinDesign:
    """A design learnt from data; made by :meth:`fit`.

    Parameters
    ----------
    units : Units
    roles : TwinRoles
    effect : SetEffect
    overlap : float
        k of the module page.
    likeness : Likeness
        How like the data the twin is as it was learnt.
    """

    units: Units
    roles: TwinRoles
    effect: SetEffect
    overlap: float
    likeness: Likeness

    @classmethod
    def fit(
        cls,
        data: CausalData,
        effect: Effect = LEARNT,
        overlap: float = 1.0,
        settings: TwinSettings | None = None,
        random_state: Seed = 0,
        progress: Progress = silent,
    ) -> TwinDesign:
        """Learn a twin of the data and set its truth.

        Parameters
        ----------
        data : CausalData
            With a binary treatment and independent rows.
        effect : float, str or callable
            A constant; "learnt"; an expression such as ``"0.5 + 0.2 * (age > 40)"``; or a function
            of the frame of confounders that gives one number a row.
        overlap : float
            Factor of the log odds of treatment, from 0.
        settings : TwinSettings, optional
        random_state : int, SeedSequence or None
        progress : callable
            Called with a stage name and the share done.

        Raises
        ------
        DataError
            If the data have no twin, or the effect or overlap cannot be used.
        SyntheticDataError
            If rows are marked as synthetic.
        """
        check_fit_for_twin(data)
        checked_overlap(overlap)
        root = seed_sequence(random_state)
        units = fit_units(data, settings or TwinSettings(), root, progress)
        roles = TwinRoles(
            data.treatment_name, data.outcome_name, data.outcome_schema, data.n,
            float(np.average(data.treatment, weights=data.weights)), data.fingerprint,
            (settings or TwinSettings()).covariates,
        )  # fmt: skip
        learnt = cls(units, roles, set_effect(LEARNT, units), 1.0, Likeness(0.5, 1.0, ()))
        drawn = learnt.draw(data.n, seed_sequence(root, "likeness")).data
        likeness = likeness_of(data, drawn, seed_sequence(root, "classifier"))
        return replace(learnt, likeness=likeness).with_truth(effect, overlap)

    def with_truth(self, effect: Effect | None = None, overlap: float | None = None) -> TwinDesign:
        """The same units under another truth; what is left out stays as it is.

        Raises
        ------
        DataError
            If the effect or overlap cannot be used.
        """
        return replace(
            self,
            effect=self.effect if effect is None else set_effect(effect, self.units),
            overlap=self.overlap if overlap is None else checked_overlap(overlap),
        )

    # -- drawing ---------------------------------------------------------------------------
    @property
    def name(self) -> str:
        """What tables call the design."""
        return f"twin of {self.roles.n:,} rows"

    def draw(self, n: int | None = None, seed: Seed = 0) -> Draw:
        """Draw n rows (as many as the data have by default); same seed, same rows.

        Raises
        ------
        DataError
            If n is below one, or so small that an arm or a confounder stays empty.
        """
        n = self.roles.n if n is None else checked_size(n)
        rng = stream(seed, "twin")
        rows = rng.integers(len(self.units), size=n)
        e = self.probability[rows]
        d = (rng.random(n) < e).astype(np.int64)
        outcomes = self.effect.outcomes(self.units, rows, rng)
        y = outcomes[np.arange(n), d]
        frame = self.units.frame.iloc[rows].reset_index(drop=True)
        schema, known = self.roles.outcome_schema, self.truth()
        frame = frame.assign(**{self.roles.treatment: d, self.roles.outcome: schema.named(y)})
        data = CausalData(
            frame, self.roles.treatment, self.roles.outcome, [c.name for c in self.units.columns],
            outcome_kind=schema.kind if schema.why == AS_ASKED else "auto",
        )  # fmt: skip
        truth = replace(known, sample=sample_effects(outcomes, d), seed=seed_number(seed))
        return Draw(frame, data, truth, outcomes, self.means[rows], np.column_stack([1 - e, e]))

    # -- what is true ----------------------------------------------------------------------
    @cached_property
    def probability(self) -> Array:
        """P(D = 1 | x) of each unit, shape (N,)."""
        slope, share = self.overlap * self.units.log_odds, self.roles.share_treated

        def surplus(b: float) -> float:
            return float(expit(b + slope).mean()) - share

        return np.asarray(expit(brentq(surplus, -_REACH, _REACH, xtol=1e-12) + slope))

    @cached_property
    def means(self) -> Array:
        """E[Y(a) | x] of each unit, shape (N, 2)."""
        base = self.units.means[:, 0]
        return np.column_stack([base, base + self.effect.values])

    def truth(self) -> Truth:
        """Population effects, exact averages over the units, and efficiency bounds."""
        return self._truth

    @cached_property
    def _truth(self) -> Truth:
        effect, e = self.effect.values, self.probability
        h = e * (1 - e)
        return Truth(
            design=self.name,
            population={**mean_effects(effect, e), "ATO": float(h @ effect / h.sum())},
            efficiency_sd=efficiency_sds(effect, self.effect.variances(self.units), e),
            equations=self.equations,
        )

    def truth_of(self, estimand: Estimand) -> dict[str, float]:
        """Population value of an average effect by the label of its estimate.

        Raises
        ------
        DataError
            For estimands other than ATE, ATT, ATU and ATO.
        """
        return {estimand.name: self.truth().value(estimand.name)}

    @property
    def equations(self) -> tuple[str, ...]:
        """The design in words and formulas."""
        roles, set_to = self.roles, self.effect
        source = "generated by a joint diffusion" if roles.covariates == "joint" else "of the data"
        names = ", ".join(c.name for c in self.units.columns)
        last = "Y(1) ~ the law learnt from the treated" if set_to.learnt else (
            f"Y(1) is Y(0) with mean effect {set_to.words} ({set_to.kind})"
        )  # fmt: skip
        cut = f"; cut to what the outcome allows at {set_to.cut:.1%} of units"
        return (
            f"({names}) is one of {len(self.units):,} units {source}",
            f"{roles.treatment} ~ Bernoulli(e), logit e = b + {self.overlap:g} logit of the learnt "
            f"propensity, b such that {roles.share_treated:.1%} are treated",
            "Y(0) ~ the law learnt from the untreated, given the confounders",
            last + (cut if set_to.cut else ""),
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of units and truth: equal for twins that draw the same rows."""
        digest = hashlib.sha256(self.units.fingerprint.encode())
        digest.update(repr((self.roles, self.overlap, self.effect.kind)).encode())
        digest.update(f"{self.effect.learnt}".encode() + self.effect.values.tobytes())
        return digest.hexdigest()

    # -- writing ---------------------------------------------------------------------------
    def save(self, path: str | Path) -> Path:
        """Write the twin to a file (JSON and arrays in a zip, no pickle)."""
        return save_model(self, path)

    @classmethod
    def load(cls, path: str | Path) -> TwinDesign:
        """Read a twin back.

        Raises
        ------
        ModelFileError
            If the file is missing, damaged, or holds something else.
        """
        twin: TwinDesign = load_model(path, cls)
        return twin

    def __repr__(self) -> str:
        known = ", ".join(f"{k} {v:.5g}" for k, v in self.truth().population.items())
        lines = [f"TwinDesign: {self.name}, effect {self.effect.words}, overlap {self.overlap:g}"]
        return "\n".join(
            [*lines, f"  truth     {known}", f"  likeness  {self.likeness.sentence()}"]
        )
