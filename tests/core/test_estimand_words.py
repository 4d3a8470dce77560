"""Estimands as texts, as the command line takes them."""

import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import (
    ATE,
    ATO,
    ATT,
    BLP,
    GATE,
    ITT,
    LATE,
    QTE,
    ArmContrast,
    ArmMeans,
    CDFDifference,
    DoseResponse,
    GiniEffect,
    LorenzEffect,
    ShareBelow,
    TrimmedATE,
    estimand_in_words,
)  # fmt: skip
from causal_ddpm.core.estimand.words import WORDS


@pytest.mark.parametrize(
    ("text", "estimand"),
    [
        ("ate", ATE()), (" ATT ", ATT()), ("ato", ATO()), ("qte", QTE()),
        ("qte:0.1,0.9", QTE([0.1, 0.9])), ("qtt:0.5", QTE(0.5, among="treated")),
        ("cdf", CDFDifference()), ("cdf:1,2", CDFDifference([1, 2])),
        ("share:12.5", ShareBelow(12.5)),
        ("gini", GiniEffect()), ("lorenz:0.2", LorenzEffect(0.2)), ("gate:effect", GATE()),
        ("gate:region", GATE("region")), ("gate:age:30,50", GATE("age", cuts=[30, 50])),
        ("blp", BLP()), ("blp:age, region", BLP(["age", "region"])), ("arms", ArmMeans()),
        ("arm:B/A", ArmContrast("B", "A")), ("arm:2/0", ArmContrast(2, 0)),
        ("dose", DoseResponse()), ("slope:1,2", DoseResponse([1, 2], derivative=True)),
        ("trimmed", TrimmedATE()), ("trimmed:0.1", TrimmedATE(0.1)),
        ("trimmed:0.1,0.8", TrimmedATE((0.1, 0.8))), ("late", LATE()), ("itt", ITT()),
    ],
)  # fmt: skip
def test_texts_name_estimands(text, estimand):
    assert estimand_in_words(text) == estimand


def test_policies_in_words():
    assert estimand_in_words("policy").threshold == 0
    assert estimand_in_words("policy:2.5").threshold == 2.5
    assert estimand_in_words("budget:0.3").budget == 0.3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attt", r"no estimand 'attt'; expected ate, .*Did you mean 'att'"),
        ("ate:1", "nothing after its name"),
        ("qte:half", "numbers separated by commas"),
        ("qte:1.5", "strictly between 0 and 1"),
        ("share", "share:VALUE"),
        ("gate", "gate:effect or gate:COLUMN"),
        ("trimmed:0.1,0.5,0.9", "one or two numbers"),
        ("budget", "a share of the units"),
        ("budget:0.1,0.2", "a share of the units"),
        ("policy:1,2", "one number"),
        ("arm:B", "two arms"),
        ("arm:B/B", "two different arms"),
    ],
)
def test_texts_that_name_none_are_refused(text, message):
    with pytest.raises(DataError, match=message):
        estimand_in_words(text)


def test_every_kind_of_estimand_has_a_word():
    from causal_ddpm.estimators.registry import ESTIMATORS

    settings = {"share": ":1", "gate": ":effect", "budget": ":0.5", "arm": ":1/0"}
    named = {type(estimand_in_words(word + settings.get(word, ""))) for word in WORDS}
    assert {kind.__name__ for kind in ESTIMATORS} - {kind.__name__ for kind in named} == {
        "PotentialDistributions"  # drawn in every report
    }
