"""The tutorial runs as it stands, and its check holds."""

import re

import numpy as np


def test_the_table_tutorial_runs_and_its_check_holds(root, capsys):
    page = (root / "docs" / "tutorial_table.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    assert len([line for line in code.splitlines() if line.strip()]) <= 30
    space: dict[str, object] = {}
    exec(compile(code, "tutorial_table.md", "exec"), space)
    assert len(capsys.readouterr().out.splitlines()) >= 4
    men, rows, slopes = space["men"], space["rows"], space["slopes"]
    np.testing.assert_allclose(slopes(rows), slopes(men), atol=0.06)
    assert set(rows["nearc4"]) == {0, 1}
    assert space["near"].shape == (len(men),)
    assert np.median(space["wages"]) > men["lwage"].median()
