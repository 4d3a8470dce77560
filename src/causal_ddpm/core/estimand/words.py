"""Estimands in words, as the command line takes them: ``name`` or ``name:settings``.

ate att atu ato            average effects
trimmed                    the ATE where 0.1 < e < 0.8: trimmed:0.1,0.8 (Crump bounds without)
qte qtt qtu                quantile effects; qte:0.1,0.5,0.9 gives the levels
cdf share gini lorenz      whole distributions; cdf:10,20 share:12.5 lorenz:0.2,0.4
gate                       groups: gate:effect, gate:COLUMN or gate:COLUMN:1,2.5 (cut points)
blp                        the effect on its prediction, or blp:COLUMN,COLUMN
budget                     a rule that treats a share: budget:0.3
policy                     treat who is predicted to gain, or to gain more than policy:2.5
arms arm                   means of all arms; arm:B/A is B against A
dose slope                 dose-response and its derivative; dose:1,2,3 gives the doses
late itt                   with an instrument
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand.arms import ArmContrast, ArmMeans
from causal_ddpm.core.estimand.base import Estimand
from causal_ddpm.core.estimand.distributions import QTE, CDFDifference, ShareBelow
from causal_ddpm.core.estimand.dose import DoseResponse
from causal_ddpm.core.estimand.groups import BLP, GATE
from causal_ddpm.core.estimand.inequality import GiniEffect, LorenzEffect
from causal_ddpm.core.estimand.instrument import ITT, LATE
from causal_ddpm.core.estimand.means import ATE, ATO, ATT, ATU
from causal_ddpm.core.estimand.policies import BudgetRule, PolicyValue
from causal_ddpm.core.estimand.trimming import TrimmedATE

Maker = Callable[[str], Estimand]


def estimand_in_words(text: str) -> Estimand:
    """The estimand that a text names, such as ``"att"``, ``"qte:0.1,0.9"`` or ``"gate:region"``.

    Raises
    ------
    DataError
        If there is none of that name, or its settings cannot be read.
    """
    name, _, settings = text.strip().partition(":")
    maker = WORDS.get(name.strip().lower())
    if maker is None:
        close = difflib.get_close_matches(name.lower(), WORDS, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else ""
        raise DataError(f"there is no estimand '{name.strip()}'", ", ".join(WORDS), hint)
    return maker(settings.strip())


def _plain(kind: Callable[[], Estimand], settings: str) -> Estimand:
    """An estimand without settings."""
    estimand = kind()
    if settings:
        raise DataError(f"'{settings}' follows the {estimand.name}", "nothing after its name")
    return estimand


def _with_numbers(kind: Callable[..., Estimand], settings: str) -> Estimand:
    """An estimand whose one setting is a list of numbers, left out or given."""
    return kind(_numbers(settings)) if settings else kind()


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise DataError(f"'{text}' was given", "numbers separated by commas: 0.1,0.5") from None


def _trimmed(settings: str) -> Estimand:
    if not settings:
        return TrimmedATE()
    low, *rest = _numbers(settings)
    if len(rest) > 1:
        raise DataError(f"the bounds are '{settings}'", "one or two numbers: trimmed:0.1,0.8")
    return TrimmedATE((low, rest[0]) if rest else low)


def _share(settings: str) -> Estimand:
    if not settings:
        raise DataError("no line was given for the share below it", "share:VALUE")
    return ShareBelow(_numbers(settings))


def _gate(settings: str) -> Estimand:
    if not settings:
        raise DataError("no groups were given", "gate:effect or gate:COLUMN")
    column, _, cuts = settings.partition(":")
    return GATE(column, cuts=_numbers(cuts)) if cuts else GATE(column)


def _blp(settings: str) -> Estimand:
    return BLP([name.strip() for name in settings.split(",")]) if settings else BLP()


def _budget(settings: str) -> Estimand:
    numbers = _numbers(settings) if settings else []
    if len(numbers) != 1:
        raise DataError(f"the budget is '{settings}'", "a share of the units: budget:0.3")
    return BudgetRule(numbers[0])


def _policy(settings: str) -> Estimand:
    if not settings:
        return PolicyValue()
    numbers = _numbers(settings)
    if len(numbers) != 1:
        raise DataError(f"the threshold is '{settings}'", "one number: policy:2.5")
    return PolicyValue(threshold=numbers[0])


def _arm(settings: str) -> Estimand:
    arm, _, control = settings.partition("/")
    if not (arm and control):
        raise DataError(f"the contrast is '{settings}'", "two arms: arm:B/A for B against A")
    return ArmContrast(_label(arm), _label(control))


def _label(text: str) -> str | int:
    """A label as data frames have it: whole numbers are numbers."""
    word = text.strip()
    return int(word) if word.lstrip("-").isdigit() else word


def _dose(derivative: bool, settings: str) -> Estimand:
    doses = _numbers(settings) if settings else None
    return DoseResponse(doses, derivative=derivative)


WORDS: dict[str, Maker] = {
    "ate": partial(_plain, ATE),
    "att": partial(_plain, ATT),
    "atu": partial(_plain, ATU),
    "ato": partial(_plain, ATO),
    "trimmed": _trimmed,
    "qte": partial(_with_numbers, QTE),
    "qtt": partial(_with_numbers, partial(QTE, among="treated")),
    "qtu": partial(_with_numbers, partial(QTE, among="untreated")),
    "cdf": partial(_with_numbers, CDFDifference),
    "share": _share,
    "gini": partial(_plain, GiniEffect),
    "lorenz": partial(_with_numbers, LorenzEffect),
    "gate": _gate,
    "blp": _blp,
    "budget": _budget,
    "policy": _policy,
    "arms": partial(_plain, ArmMeans),
    "arm": _arm,
    "dose": partial(_dose, False),
    "slope": partial(_dose, True),
    "late": partial(_plain, LATE),
    "itt": partial(_plain, ITT),
}
"""From the name of an estimand to what makes it of the text behind the colon."""
