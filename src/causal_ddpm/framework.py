"""The one-minute door: settings by their historic names, and an object that remembers its training.

Everything is delegated: the nuisances to :func:`~causal_ddpm.nuisance.crossfit.fit_nuisances`, the
law to :class:`~causal_ddpm.nuisance.outcome.PotentialOutcomeModel`, the effects to
:func:`~causal_ddpm.estimators.api.estimate_with`. For full control use those directly.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import CausalDDPMError, DataError
from causal_ddpm.core.estimand import ATE, ATT, Estimand
from causal_ddpm.core.random import seed_sequence
from causal_ddpm.core.rows import frame_of
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER
from causal_ddpm.nuisance.crossfit import Nuisances, fit_nuisances

if TYPE_CHECKING:
    import pandas as pd

    from causal_ddpm.core.estimate import Estimate
    from causal_ddpm.diffusion.conditional import DiffusionSettings
    from causal_ddpm.nuisance.law import PotentialOutcomeLaw
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel

Array = NDArray[np.float64]

_LINEAR_FIELDS = ("beta_start", "beta_end", "diffusion_steps")
_ATTENTION_FIELDS = ("dim", "n_heads", "column_parents", "arm_weight")


class CausalConfig(BaseModel):
    """Settings of the framework. None means: what the recipe recommends for the data at hand.

    Parameters
    ----------
    n_epochs, batch_size, learning_rate : optional
        Training of the diffusion: n_epochs x ceil(n_train / batch_size) steps; the best held-out
        weights are kept.
    hidden_dim, n_layers : int, optional
        Width and depth of the network.
    dim, n_heads : int, optional
        Token width and heads of the attention backbone; giving one chooses that backbone.
    backbone : {"mlp", "attention"}, optional
    column_parents : mapping of name to names, optional
        For attention: the confounders that each confounder may look at, a graph without cycles;
        one without an entry looks at itself only.
    arm_weight : float, optional
        For attention: trains a second head that predicts the treatment from the confounders.
    schedule : {"edm", "linear", "cosine", "flow"}, optional
        "edm" by default.
    diffusion_steps, beta_start, beta_end : optional
        The classical linear schedule of the noise variances; giving one chooses that schedule.
    treatment_strength : float
        lambda: how far a unit's two potential outcomes are decoupled; 0 is rank invariance.
    treatment_noise : {"coupling", "direction", "independent"}
        The reading of lambda; "coupling" acts on counterfactuals, the other two are exact
        reparametrisations of the diffusion.
    location : {"stack", "none"}
        Diffuse the residual of a stack of regressions, or the outcome itself.
    constraints : None
        One outcome has none: several are learnt with ``VectorOutcomeModel(constraints=...)``.
    device : str
        "auto", "cpu", "cuda", ...
    n_folds, n_jobs, random_state, level
        Folds of the cross-fitting, worker processes, seed, confidence level.

    Raises
    ------
    DataError
        In one sentence, for unknown fields and for values that cannot be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_epochs: int | None = Field(None, ge=1)
    batch_size: int | None = Field(None, ge=1)
    learning_rate: float | None = Field(None, gt=0)
    hidden_dim: int | None = Field(None, ge=1)
    n_layers: int | None = Field(None, ge=1)
    dim: int | None = Field(None, ge=1)
    n_heads: int | None = Field(None, ge=1)
    backbone: Literal["mlp", "attention"] | None = None
    column_parents: dict[str, list[str]] | None = None
    arm_weight: float | None = Field(None, ge=0)
    schedule: Literal["edm", "linear", "cosine", "flow"] | None = None
    diffusion_steps: int | None = Field(None, ge=2)
    beta_start: float | None = Field(None, gt=0, lt=1)
    beta_end: float | None = Field(None, gt=0, lt=1)
    treatment_strength: float = Field(0.0, ge=0)
    treatment_noise: Literal["coupling", "direction", "independent"] = "coupling"
    location: Literal["stack", "none"] = "stack"
    constraints: Any = None
    device: str = "auto"
    n_folds: int = Field(5, ge=2)
    n_jobs: int = 1
    random_state: int = Field(0, ge=0)
    level: float = Field(0.95, gt=0, lt=1)

    def __init__(self, **fields: Any):
        unknown = [name for name in fields if name not in type(self).model_fields]
        if unknown:
            close = difflib.get_close_matches(unknown[0], type(self).model_fields, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else ""
            raise DataError(
                f"CausalConfig has no field '{unknown[0]}'",
                f"one of {', '.join(type(self).model_fields)}",
                hint,
            )
        try:
            super().__init__(**fields)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            raise DataError(f"{name} is {first['input']!r}", _expected(first["msg"])) from None
        self._check_together()
        self.diffusion()  # the engine checks what is its own

    def _check_together(self) -> None:
        if self.constraints is not None:
            raise DataError(
                f"constraints is {self.constraints!r}",
                "None",
                "One outcome has nothing to add up; give constraints to VectorOutcomeModel.",
            )
        for chosen, needed, fields in (
            (self.schedule, "linear", _LINEAR_FIELDS),
            (self.backbone, "attention", _ATTENTION_FIELDS),
        ):
            given = [name for name in fields if getattr(self, name) is not None]
            if given and chosen not in (None, needed):
                what = "schedule" if needed == "linear" else "backbone"
                raise DataError(
                    f"{given[0]} is given but {what} is '{chosen}'",
                    f"{what}='{needed}'",
                    f"Leave {given[0]} out, or leave {what} out: it then follows.",
                )

    def diffusion(self) -> DiffusionSettings:
        """The settings of the engine."""
        from causal_ddpm.diffusion.settings import DiffusionSettings

        linear = any(getattr(self, name) is not None for name in _LINEAR_FIELDS)
        attention = any(getattr(self, name) is not None for name in _ATTENTION_FIELDS)
        names = (
            "n_epochs", "batch_size", "learning_rate", "hidden_dim", "n_layers",
            *_LINEAR_FIELDS, *_ATTENTION_FIELDS,
        )  # fmt: skip
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return DiffusionSettings(
            schedule=self.schedule or ("linear" if linear else "edm"),
            backbone=self.backbone or ("attention" if attention else "mlp"),
            condition_strength=self.treatment_strength,
            condition_noise=self.treatment_noise,
            device=self.device,
            **given,
        )

    def outcome_model(self) -> PotentialOutcomeModel:
        """The outcome model with these settings."""
        from causal_ddpm.nuisance.outcome import PotentialOutcomeModel

        return PotentialOutcomeModel(
            location=self.location, diffusion=self.diffusion(), n_folds=self.n_folds
        )

    @property
    def coupling_strength(self) -> float:
        """lambda of the two potential outcomes; it acts under "coupling" only."""
        return self.treatment_strength if self.treatment_noise == "coupling" else 0.0


def _expected(message: str) -> str:
    """A validation message as the end of a sentence."""
    text = message.removeprefix("Input should be ").removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


@dataclass(frozen=True, eq=False)
class Trained:
    """What training leaves: nuisances of the training rows, and models for new rows.

    Parameters
    ----------
    config : mapping
        Fields of the configuration.
    nuisances : Nuisances
    row_hashes : ndarray of uint64, shape (n,)
        One hash a training row, to notice when rows come back.
    law : PotentialOutcomeLaw
    propensity : fitted propensity model
    """

    config: dict[str, Any]
    nuisances: Nuisances
    row_hashes: NDArray[np.uint64]
    law: PotentialOutcomeLaw
    propensity: Any


class CausalInferenceFramework:
    """Prepare, train, ask.

    Parameters
    ----------
    config : CausalConfig, optional

    Attributes
    ----------
    notes : list of str
        What a careful reader should know about the last calls.
    """

    def __init__(self, config: CausalConfig | None = None):
        self.config = config if config is not None else CausalConfig()
        self.notes: list[str] = []
        self._data: CausalData | None = None
        self._nuisances: Nuisances | None = None
        self._models: Trained | None = None

    def prepare_data(
        self,
        df: Any,
        treatment_col: str,
        outcome_col: str,
        confounder_cols: Sequence[str],
        **roles: Any,
    ) -> CausalData:
        """Give columns their roles; ``roles`` are weights, clusters, unit_id and weights_type."""
        return CausalData(df, treatment_col, outcome_col, confounder_cols, **roles)

    def train(self, dataset: CausalData) -> CausalInferenceFramework:
        """Cross-fit the nuisances on these rows; returns the framework itself.

        Raises
        ------
        DataError, SyntheticDataError
            If the rows cannot be used.
        """
        from causal_ddpm.core.estimate import refuse_synthetic
        from causal_ddpm.diffusion.settings import departures

        c = self.config
        _refuse_other(dataset)
        refuse_synthetic(dataset.n_synthetic)
        c.outcome_model().check_columns(dataset)
        self._nuisances = fit_nuisances(
            dataset,
            c.outcome_model(),
            n_folds=c.n_folds,
            random_state=c.random_state,
            n_jobs=c.n_jobs,
        )
        self._data, self._models = dataset, None
        n_train = dataset.n - dataset.n // c.n_folds
        self.notes = [
            f"{name} is {given:g}; the recipe for these data is {advised:g}."
            for name, (given, advised) in departures(n_train, c.diffusion()).items()
        ]
        return self

    def estimate_ate(self, dataset: CausalData) -> tuple[float, float]:
        """Average effect and its standard error, in units of the outcome."""
        return self._effect(dataset, ATE())

    def estimate_att(self, dataset: CausalData) -> tuple[float, float]:
        """Average effect on the treated and its standard error, in units of the outcome."""
        return self._effect(dataset, ATT())

    def estimate(self, dataset: CausalData, estimand: Estimand) -> Estimate:
        """The full record of any estimand."""
        from causal_ddpm.estimators.api import estimate_with

        nuisances = self._nuisances_for(dataset)
        return estimate_with(
            dataset, estimand, nuisances, self.config.level, self.config.random_state
        )[0]

    def estimate_cate(self, dataset: CausalData) -> Array:
        """Effect of each unit given its confounders, shape (n,); no interval comes with it.

        Rows of the training data are read by models that did not see them.
        """
        mean = self._nuisances_for(dataset).mean
        return mean[:, 1] - mean[:, 0]

    def generate_counterfactuals(self, dataset: CausalData, treatment: int) -> Array:
        """The outcome each row would have had under ``treatment`` (0 or 1), shape (n,).

        Rows that were under it keep what was observed. For the others the answer rests on
        ``treatment_strength``, the coupling of the two potential outcomes, which no data identify.
        """
        law = self._trained().law
        return law.counterfactual(
            dataset, treatment, self.config.coupling_strength, random_state=self.config.random_state
        )

    def augment(self, dataset: CausalData) -> pd.DataFrame:
        """The rows of ``dataset`` and, for each, its counterfactual under the other arm.

        The generated rows are marked in the column ``__synthetic__``; they add no information about
        the effect, and estimators refuse to count them.
        """
        import pandas as pd

        observed = frame_of(dataset)
        flipped = observed.copy()
        flipped[dataset.treatment_name] = 1 - dataset.treatment
        flipped[dataset.outcome_name] = np.where(
            dataset.treatment == 1,
            self.generate_counterfactuals(dataset, 0),
            self.generate_counterfactuals(dataset, 1),
        )
        return pd.concat(
            [
                observed.assign(**{SYNTHETIC_MARKER: False}),
                flipped.assign(**{SYNTHETIC_MARKER: True}),
            ],
            ignore_index=True,
        )

    def save(self, path: str | Path) -> Path:
        """Write everything that was trained to a file."""
        from causal_ddpm.diffusion.persistence import save_model

        return save_model(self._trained(), path)

    @classmethod
    def load(cls, path: str | Path) -> CausalInferenceFramework:
        """Read a trained framework back.

        Raises
        ------
        ModelFileError
            If the file is missing, damaged, or holds something else.
        """
        from causal_ddpm.diffusion.persistence import load_model

        trained = load_model(path, expected=Trained)
        framework = cls(CausalConfig(**trained.config))
        framework._nuisances, framework._models = trained.nuisances, trained
        return framework

    def _effect(self, dataset: CausalData, estimand: Estimand) -> tuple[float, float]:
        found = self.estimate(dataset, estimand)
        return found.value, found.std_error

    def _require_nuisances(self) -> Nuisances:
        if self._nuisances is None:
            raise CausalDDPMError("The framework is not trained yet; call train(dataset) first.")
        return self._nuisances

    def _trained(self) -> Trained:
        """Models for new rows, fitted on the training rows when they are first needed."""
        nuisances = self._require_nuisances()
        if self._models is None:
            from causal_ddpm.nuisance.propensity import PropensityMix

            data, c = self._data, self.config
            assert data is not None  # train() keeps the rows together with the nuisances
            root = seed_sequence(c.random_state, "new rows")
            self._models = Trained(
                config=c.model_dump(),
                nuisances=nuisances,
                row_hashes=_row_hashes(data),
                law=c.outcome_model().fit(data, root, n_jobs=c.n_jobs),
                propensity=PropensityMix().fit(data, root),
            )
        return self._models

    def _nuisances_for(self, dataset: CausalData) -> Nuisances:
        """The training nuisances for the training rows, predictions for any others."""
        _refuse_other(dataset)
        nuisances = self._require_nuisances()
        if nuisances.fingerprint == dataset.fingerprint:
            self._note("These are the training rows: scored with their out-of-fold nuisances.")
            return nuisances
        trained = self._trained()
        self._note(f"New rows: {dataset.n:,} rows scored with the nuisances of the training rows.")
        shared = int(np.isin(_row_hashes(dataset), trained.row_hashes).sum())
        if shared:
            self._note(
                f"{shared:,} of these rows were also trained on; standard errors are too small. "
                "Train on exactly the rows you score, or score rows that were held out."
            )
        return _predicted(trained, dataset)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _predicted(trained: Trained, dataset: CausalData) -> Nuisances:
    """Nuisances of rows that no model has seen."""
    covariates = dataset.covariates
    laws = tuple(trained.law.predictive(covariates, arm) for arm in (0, 1))
    return Nuisances(
        fold_ids=np.zeros(dataset.n, dtype=np.int64),
        mean=np.column_stack([law.mean() for law in laws]),
        propensity=trained.propensity.predict(covariates),
        laws=laws,
        fingerprint=dataset.fingerprint,
        method=trained.nuisances.method.replace("cross-fitted", "sample-split"),
    )


def _refuse_other(dataset: Any) -> None:
    if not isinstance(dataset, CausalData):
        raise DataError(
            f"the dataset is a {type(dataset).__name__}",
            "what prepare_data(...) returns",
            "Call framework.prepare_data(df, treatment_col=..., outcome_col=..., "
            "confounder_cols=[...]) first.",
        )


def _row_hashes(data: CausalData) -> NDArray[np.uint64]:
    """One hash a row over its outcome, treatment and confounders, whatever the schema's order."""
    import pandas as pd

    frame = frame_of(data)[[data.treatment_name, data.outcome_name, *sorted(data.confounder_names)]]
    return np.asarray(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64)
