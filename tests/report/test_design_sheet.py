"""Sheets about designs: their numbers are those of the draw, and the pages are up to date."""

import importlib.util

import numpy as np
import pytest

from causal_ddpm.dgp.catalog import FAMILIES, describe, entries
from causal_ddpm.report.design_sheet import DesignSheet, shown
from causal_ddpm.report.displays.design import MAX_POINTS, DesignDisplay
from causal_ddpm.report.text_picture import text_picture

FIRST_OF_FAMILY = [entries(family)[0].name for family in FAMILIES if entries(family)]
each = pytest.mark.parametrize("name", [*FIRST_OF_FAMILY, "staggered", "fractional-factorial"])


@pytest.fixture(scope="module")
def generator(root):
    """The script that writes the pages, as a module."""
    spec = importlib.util.spec_from_file_location("design_pages", root / "scripts/design_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_pages_are_those_the_script_writes(root, generator):
    texts = generator.pages([DesignSheet.of(entry) for entry in entries()])
    written = {path.relative_to(root) for path in (root / "docs/designs").glob("*.md")}
    assert written == set(texts), "run scripts/design_pages.py"
    for path, text in texts.items():
        assert (root / path).read_text(encoding="utf-8") == text, f"{path}: run the script again"


def test_every_design_has_a_small_picture(root):
    pictures = {path.stem: path for path in (root / "docs/images/designs").glob("*.png")}
    assert set(pictures) == {entry.name for entry in entries()}
    assert max(path.stat().st_size for path in pictures.values()) < 60_000


@each
def test_a_sheet_holds_the_numbers_of_its_draw(name):
    entry = describe(name)
    sheet = DesignSheet.of(entry, seed=1)
    truth = sheet.truth_frame().set_index("quantity")
    assert truth["population"].dropna().to_dict() == dict(sheet.draw.truth.population)
    assert truth["sample"].dropna().to_dict() == dict(sheet.draw.truth.sample)
    for label, sd in sheet.draw.truth.efficiency_sd.items():
        assert truth.loc[label, "bound"] == pytest.approx(sd / np.sqrt(len(sheet.draw.frame)))
    columns = sheet.columns_frame()
    assert columns["role"].ne("").all()
    assert columns["column"].str.split(", ").str[-1].iloc[-1] == sheet.draw.frame.columns[-1]
    assert len(sheet.lesson()) > 60
    assert "nan" not in sheet.lesson()


@each
def test_a_picture_shows_rows_and_truth(name, tmp_path):
    sheet = DesignSheet.of(describe(name))
    frame = sheet.display().frame()
    assert set(frame["kind"]) == {"row", "truth"}
    assert np.isfinite(frame[["x", "y"]].to_numpy()).all()
    path = sheet.save_picture(tmp_path / "p.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    text = text_picture(sheet.display(), width=40, height=8)
    lines = text.splitlines()
    assert all(len(line) == 42 for line in lines[1:11])
    assert all(series in lines[-1] for series in frame["series"].unique())


def test_the_picture_of_a_confounded_design_is_outcomes_against_propensities():
    entry = describe("gauss")
    draw = entry.draw(400, 2)
    frame = DesignDisplay.of(entry, draw).frame()
    treated = frame[(frame["kind"] == "row") & (frame["series"] == "treated")]
    rows = draw.data.treatment == 1
    np.testing.assert_array_equal(treated["x"], draw.propensity[rows, 1])
    np.testing.assert_array_equal(treated["y"], draw.data.outcome[rows])
    line = frame[frame["series"] == "mean if all were treated"]
    assert line["y"].mean() == pytest.approx(draw.mean[:, 1].mean(), abs=0.02)


def test_all_cells_are_drawn_however_many_rows_there_are():
    import matplotlib.figure

    entry = describe("factorial")
    display = DesignDisplay.of(entry, entry.draw(5 * MAX_POINTS))
    axes = display.plot(matplotlib.figure.Figure().add_subplot())
    points = axes.get_lines()[0].get_xdata()
    assert len(points) <= MAX_POINTS
    assert set(np.round(points)) == set(range(8))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(display.ticks)


def test_numbered_columns_are_one_row_and_missing_cells_are_told():
    columns = DesignSheet.of(describe("high-dimensional")).columns_frame()
    assert columns["column"].tolist() == ["x0, ..., x99", "d", "y"]
    mixed = DesignSheet.of(describe("mixed-table")).columns_frame().set_index("column")
    assert "% missing" in mixed.loc["savings", "values"]
    assert mixed.loc["region", "values"] == "north, south, west"


def test_naive_numbers_are_those_of_the_rows():
    sheet = DesignSheet.of(describe("ai-adoption"), seed=4)
    y, d = sheet.draw.data.outcome, sheet.draw.data.treatment
    assert f"mean outcome {y[d == 1].mean() - y[d == 0].mean():.4g} above" in sheet.lesson()
    panel = DesignSheet.of(describe("donor-pool"), seed=4)
    assert f"{panel.draw.truth.sample['ATT']:.4g}" in panel.lesson()


def test_numbers_are_shown_with_four_digits():
    assert [shown(v) for v in (1.23456, float("nan"), 0.0, 1e-7, "text", 12)] == [
        "1.235", "", "0", "1e-7", "text", "12",
    ]  # fmt: skip
