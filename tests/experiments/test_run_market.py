"""The market experiment: what it refuses is one sentence."""

import pytest


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--n", "3"], "there are 3 markets; expected at least 50"),
        (["--tax", "nan"], "the tax is nan; expected a rate above -1"),
        (["--random-state", "-1"], "expected a non-negative integer"),
    ],
)
def test_bad_input_is_one_sentence(root, monkeypatch, capsys, words, sentence):
    monkeypatch.syspath_prepend(root / "experiments")
    import run_market

    assert run_market.main(words) == 2
    assert sentence in capsys.readouterr().err
