"""The panel report holds the numbers of its record, in sentences that fit them."""

import re
from dataclasses import replace

import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.truth import Truth
from causal_ddpm.evaluation.provenance import Reference
from causal_ddpm.report import panel_prose
from causal_ddpm.report.method_tables import methods_frame
from causal_ddpm.report.panel import (
    bases_frame,
    quantiles_frame,
    render,
    sections,
    write_panel_report,
)

MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def page(analysis):
    return render(analysis)


def with_placebo(analysis, **changes):
    placebo = replace(analysis.effect.placebo, **changes)
    return replace(analysis, effect=replace(analysis.effect, placebo=placebo))


def test_the_page_says_the_numbers_of_the_record(page):
    for text in (
        "What did taxed do to packs?", f"{MINUS}7.1", f"90 % interval {MINUS}9.6 to {MINUS}4.7",
        "89 %", "Measured on 11 placebos", "state 00", "packs a head", "1.38",
        "average of sdid and ridge", "diffusion of residual paths".capitalize(),
        "Few donors: the scale was pooled.",
        "state 00 would have moved as the base (average of sdid and ridge)",
        "states&lt;/b&gt;.csv; 192 cells",
    ):  # fmt: skip
        assert text in page, text


def test_sections_come_in_the_order_of_a_referees_questions(page):
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    order = ["The design", "Who is treated when", "The effect", "By time since treatment",
             "Where there is nothing to find", "What the untreated path rests on",
             "What each method says", "What carries each answer", "Without an answer",
             "What would overturn it", "What was assumed",
             "Provenance"]  # fmt: skip
    assert [t for t in titles if t in order] == order
    assert page.index('class="headline"') < page.index("The design")


def test_it_needs_nothing_from_outside_and_ids_are_unique(page):
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert page.count("<svg role=") == 11


def test_names_are_escaped(page):
    assert "<b>states" not in page
    assert "&lt;b&gt;states" in page


def test_a_folder_that_is_not_there_is_refused_before_anything_is_drawn(analysis, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        write_panel_report(analysis, tmp_path / "none" / "r.html")


def test_the_table_of_quantiles_holds_both_worlds(analysis):
    frame = quantiles_frame(analysis)
    row = frame[frame["Quantile over treated cells"] == "50%"].iloc[0]
    assert list(row)[1:] == ["85.0", "92.0", f"{MINUS}7.0", f"{MINUS}10.0 to {MINUS}4.0"]


def test_several_cohorts_have_captions_and_comparisons_of_their_own(make, counties):
    found = make.analysis_of(counties)
    assert "measured from its own mean before" in panel_prose.captions(found)["path"]
    card = dict(panel_prose.design(found))
    assert card["Compared with"].endswith("units treated later, until they are")


class TestVerdict:
    def test_an_interval_with_zero_settles_nothing(self, make, analysis):
        effect = replace(analysis.effect, att=make.estimate([-1.0], [2.0], ["ATT"]))
        first = panel_prose.verdict(replace(analysis, effect=effect))[0]
        assert "do not settle" in first
        assert f"{MINUS}1.0" in first

    def test_at_its_floor_the_p_value_says_so(self, analysis):
        assert "the smallest that so many can give" in panel_prose.verdict(analysis)[1]
        higher = panel_prose.verdict(with_placebo(analysis, p_value=0.25))[1]
        assert "p-value of 0.25 (none below 0.083 is possible)" in higher

    def test_coverage_is_judged_by_its_own_error(self, analysis):
        assert "as it should" in panel_prose.verdict(analysis)[1]
        low = with_placebo(analysis, coverage=0.7)
        assert "too narrow" in panel_prose.verdict(low)[1]
        assert any("too narrow" in text for text in panel_prose.warnings(low))
        high = with_placebo(analysis, coverage=0.99)
        assert "cautious" in panel_prose.verdict(high)[1]


class TestDiagnostics:
    def test_what_they_found_is_said_where_it_belongs(self, analysis, page):
        by_title = {s.title: " ".join(s.texts) for s in sections(analysis)}
        assert "rests on state 03 0.75" in by_title["What the untreated path rests on"]
        assert "sign of the average effect" in by_title["What would overturn it"]
        assert "not asked. The panel has gaps." in by_title["What would overturn it"]
        assert "zero enters at 0.88" in page
        assert "without state 07" in page

    def test_bases_in_use_come_by_weight(self, analysis):
        frame = bases_frame(analysis)
        assert list(frame["Base"]) == ["sdid", "ridge"]
        assert list(frame["Weight"]) == ["0.75", "0.25"]


class TestMethods:
    def test_the_table_holds_each_method_with_its_fit_before(self, analysis):
        frame = methods_frame(analysis.methods).set_index("Method")
        assert frame.loc["Synthetic control", "Estimate"] == f"{MINUS}15.2"
        assert frame.loc["Synthetic control", "Gap before"] == "0.62"
        assert list(frame.columns) == ["Estimate", "SE", "Interval", "Gap before", "CPU s"]

    def test_the_page_says_the_spread_and_who_is_left_out_and_why(self, analysis, page):
        spread = f"3 methods put the same effect between {MINUS}15.2 and {MINUS}6.5"
        assert spread in panel_prose.verdict(analysis)[2]
        assert spread in page
        assert "Augmented &lt;control&gt;" in page[page.index("Without an answer") :]
        assert "Callaway-Sant&#x27;Anna" in page
        assert "&amp;#x27;" not in page

    def test_without_other_methods_nothing_is_said_of_them(self, analysis):
        alone = replace(analysis, methods=None)
        assert len(panel_prose.verdict(alone)) == 2
        assert "What each method says" not in {s.title for s in sections(alone)}


class TestWarnings:
    def test_cautions_and_notes_are_among_them(self, make, analysis):
        found = panel_prose.warnings(analysis)
        assert any(text.startswith("One treated unit (state 00)") for text in found)
        assert "Few donors: the scale was pooled." in found
        early = make.analysis_of(make.staggered(cohorts=(0, 2003, 2006)))
        assert any("periods before" in text for text in panel_prose.warnings(early))

    def test_a_floor_above_the_level_cannot_reject(self, analysis):
        few = with_placebo(analysis, p_value_floor=0.2, n_placebos=4)
        assert any("no p-value below 0.2 is possible" in t for t in panel_prose.warnings(few))
        assert not any("is possible, whatever" in t for t in panel_prose.warnings(analysis))


def test_a_staggered_simulation_with_a_number_from_elsewhere(make, counties, tmp_path):
    truth = Truth("staggered adoption", {"ATT": -7.5}, {"ATT": -7.25}, seed=7)
    paper = Reference("Paper", -19.62, 4.0)
    found = make.analysis_of(counties, truth=truth, references=(paper,))
    text = write_panel_report(found, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "comes from a simulator (staggered adoption, seed 7)" in text
    assert "True effect in the simulation: -7.25" in text
    assert f"Paper: {MINUS}19.6 (SE 4.0)" in text
    assert "Cohort 2006" in text
    assert ">never treated (" in text


def test_a_treatment_without_a_telling_name_is_called_the_treatment(make, counties):
    assert panel_prose.question(counties) == ("the treatment", "employment")


def test_words_of_records_get_true_minus_signs():
    assert panel_prose.typeset("from -3.5 to -.2, two-way x-3") == (
        f"from {MINUS}3.5 to {MINUS}.2, two-way x-3"
    )
