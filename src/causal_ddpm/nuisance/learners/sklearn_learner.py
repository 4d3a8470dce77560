"""Any scikit-learn regressor or classifier as a nuisance learner.

The estimator is cloned for every fit, so the object passed in is never changed; ``random_state``
is set through ``set_params`` wherever the estimator has one (nested ones too), and weights are
passed as ``sample_weight`` if ``fit`` accepts them.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.protocols import Array


def fit_clone(estimator: Any, x: Array, y: Array, weights: Array | None, seed: int) -> Any:
    """A fitted clone of a scikit-learn estimator.

    Raises
    ------
    DataError
        When weights are given and the estimator cannot use them.
    """
    from sklearn.base import clone
    from sklearn.utils.validation import has_fit_parameter

    model = clone(estimator)
    names = [k for k in model.get_params() if k == "random_state" or k.endswith("__random_state")]
    if names:
        model.set_params(**dict.fromkeys(names, seed))
    if weights is None:
        return model.fit(x, y)
    keyword = _weight_keyword(model, has_fit_parameter)
    if keyword is None:
        raise DataError(
            f"the data have weights but {type(estimator).__name__}.fit takes no sample_weight",
            "a learner that accepts sample weights",
            "Choose another learner or drop the weights.",
        )
    return model.fit(x, y, **{keyword: weights})


def _weight_keyword(model: Any, has_fit_parameter: Any) -> str | None:
    """Name under which ``fit`` takes sample weights; a pipeline passes them to its last step."""
    if has_fit_parameter(model, "sample_weight"):
        return "sample_weight"
    steps = getattr(model, "steps", None)
    if steps and has_fit_parameter(steps[-1][1], "sample_weight"):
        return f"{steps[-1][0]}__sample_weight"
    return None


def is_sklearn(model: Any) -> bool:
    """True for objects that follow scikit-learn's estimator interface."""
    return all(hasattr(model, name) for name in ("fit", "get_params", "set_params"))


@dataclass(frozen=True, eq=False)
class FittedSklearn:
    """One fitted estimator on (x, arm), or one an arm (``separate``)."""

    models: tuple[Any, ...]
    separate: bool

    def predict(self, x: Array) -> Array:
        """Means under each arm, shape (n, 2), or (n, 1) when separate and there is one."""
        if self.separate:
            columns = [model.predict(x) for model in self.models]
        else:
            designs = (np.column_stack([x, np.full(len(x), float(a))]) for a in (0, 1))
            columns = [self.models[0].predict(z) for z in designs]
        return np.column_stack([np.ravel(c) for c in columns]).astype(float)


@dataclass(frozen=True)
class SklearnLearner:
    """A scikit-learn regressor for the mean outcome.

    Parameters
    ----------
    estimator : scikit-learn regressor
        Cloned for every fit.
    name : str
        Name in a stack; the class name by default.
    arms : {"separate", "joint"}
        One fit an arm (T-learner) or one fit with the arm as last column (S-learner).
    """

    estimator: Any
    name: str = ""
    arms: Literal["separate", "joint"] = "separate"

    def __post_init__(self) -> None:
        if not is_sklearn(self.estimator):
            raise DataError(
                f"the learner is a {type(self.estimator).__name__}",
                "a scikit-learn regressor (fit, predict, get_params, set_params)",
            )
        if self.arms not in ("separate", "joint"):
            raise DataError(f"arms is {self.arms!r}", "'separate' or 'joint'")
        if not self.name:
            object.__setattr__(self, "name", type(self.estimator).__name__)

    def fit(
        self, x: Array, arm: NDArray[np.int64], y: Array, weights: Array | None, seed: int
    ) -> FittedSklearn:
        """Fit clones; ``seed`` becomes their random_state."""
        if self.arms == "joint":
            design = np.column_stack([x, arm])
            return FittedSklearn((fit_clone(self.estimator, design, y, weights, seed),), False)
        models = []
        for a in range(int(arm.max()) + 1):
            rows = arm == a
            w = None if weights is None else weights[rows]
            models.append(fit_clone(self.estimator, x[rows], y[rows], w, seed))
        return FittedSklearn(tuple(models), True)
