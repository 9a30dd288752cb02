"""The simulation of the gate's error rates, against enumeration and algebra; and the page that shows it."""

import math
import re

import pytest
from scipy.stats import binom

from benchmarks.pages import BEGIN, END
from benchmarks.studies import gate_errors, unlabelled_errors
from benchmarks.studies.gate_errors import N_IMAGES, Cell, Rates, draw, most_lost, outcome, simulate, wilson_percent
from conftest import ROOT, call
from convert.judging.gate import Gate
from convert.judging.verify import Verification

PAGE = ROOT / "docs/gate.md"


def section(heading: str) -> list[list[str]]:
    """The lines of the first table under `heading` on the page, without its head."""
    text = PAGE.read_text().partition(f"### {heading}")[2].partition("\n### ")[0]
    table = text.partition("| --: |")[2].partition("\n\n")[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|") and "--:" not in line]


@pytest.mark.parametrize(("drop", "disagreement"), [(0.0, 0.003), (0.01, 0.01), (0.01, 0.04)])
def test_the_draw_has_the_drop_and_the_disagreement_asked_for(drop, disagreement):
    n, candidates = 1_000, 20_000
    lost, gained = draw(Cell(n, 1.0, drop, disagreement), candidates=candidates, seed=3).T
    # One picture's (lost - gained) and (lost + gained) have variances of at most `disagreement`: five standard errors.
    tolerance = 5 * math.sqrt(disagreement / (n * candidates))
    assert (lost - gained).mean() / n == pytest.approx(drop, abs=tolerance)
    assert (lost + gained).mean() / n == pytest.approx(disagreement, abs=tolerance)
    assert drop < disagreement or not gained.any()


def test_a_seed_repeats_its_draw_and_another_does_not():
    cell = Cell(600, 2.0, 0.02, 0.04)
    first, again, other = (draw(cell, candidates=50, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


def test_the_rates_are_those_of_enumerating_every_candidate():
    n, limit, drop, disagreement, candidates = 60, 10.0, 0.1, 0.2, 50_000
    lost_share, gained_share = 0.15, 0.05
    exact = dict.fromkeys(("passed", "failed", "undecided"), 0.0)
    for lost in range(n + 1):
        for gained in range(n + 1 - lost):
            ways = math.comb(n, lost) * math.comb(n - lost, gained)
            chance = ways * lost_share**lost * gained_share**gained * 0.8 ** (n - lost - gained)
            if chance > 1e-9:  # 1,891 pairs in all: what is left out adds up to under 2e-6
                seen = Verification(n, lost, gained, agreeing=n - lost - gained, float_top1=1.0, top1=1.0)
                exact[Gate(limit).judge(seen).decision] += chance
    rates = simulate(Cell(n, limit, drop, disagreement), candidates=candidates, seed=0)
    assert min(exact.values()) > 0.01
    for name, chance in exact.items():
        four_errors = 4 * math.sqrt(chance * (1 - chance) / candidates)
        assert rates.percent(name) / 100 == pytest.approx(chance, abs=four_errors)


@pytest.mark.parametrize(("lost", "gained"), [(2, 5), (3, 0), (0, 0), (9, 4), (12, 0)])
def test_leaving_out_the_advice_leaves_the_verdict(lost, gained):
    seen = Verification(600, lost, gained, agreeing=600 - lost - gained, float_top1=1.0, top1=1.0)
    assert outcome(1.0, 600, lost, gained) == Gate(1.0).judge(seen).decision


def test_every_candidate_has_one_outcome():
    rates = simulate(Cell(500, 1.0, 0.005, 0.02), candidates=1_000, seed=0)
    assert rates.candidates == 1_000
    assert rates.passed and rates.failed and rates.undecided
    assert sum(rates.percent(name) for name in gate_errors.OUTCOMES) == pytest.approx(100)
    assert Rates(passed=1, failed=0, undecided=3).percent("passed") == 25


def test_no_disagreement_is_smaller_than_the_drop_it_holds():
    assert gate_errors.disagreements(0.02) == [0.02, 0.024, 0.04]
    assert gate_errors.disagreements(0.0025) == [0.0025, 0.003, 0.01, 0.02, 0.04]  # 0.003 once
    assert gate_errors.disagreements(0.0) == list(gate_errors.DISAGREEMENTS)


def test_the_most_that_can_be_lost():
    assert most_lost(2.0, 600) == 5
    # z² / (n + z²) ≤ 0.01 from n = 99 z² = 380.3 on.
    assert (most_lost(1.0, 380), most_lost(1.0, 381)) == (None, 0)


def test_wilsons_interval():
    # Of 10 none: 0 to z² / (n + z²) = 3.8415 / 13.8415.
    assert wilson_percent(0, 10) == (pytest.approx(0, abs=1e-9), pytest.approx(27.753, abs=1e-3))
    # Half of 10: 50 ± 100 z sqrt(0.025 + z² / 400) / (1 + z² / 10), worked by hand.
    assert wilson_percent(5, 10) == (pytest.approx(23.66, abs=0.01), pytest.approx(76.34, abs=0.01))


def test_it_prints_its_tables_and_writes_only_where_it_is_told_to(tmp_path, monkeypatch):
    monkeypatch.setattr(gate_errors, "N_IMAGES", (60,))
    monkeypatch.setattr(unlabelled_errors, "N_IMAGES", (500,))
    command = ("benchmarks.studies.gate_errors", "--candidates", "20", "--seed", "7")
    printed = call(*command, cwd=tmp_path).stdout
    assert printed.startswith(f"`python -m {' '.join(command)}`: 20 candidates a cell.\n")
    assert not list(tmp_path.iterdir())
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    assert call(*command, "--write", page, cwd=tmp_path).returncode == 0
    assert page.read_text() == f"before\n{BEGIN}\n{printed}{END}\nafter\n"


def test_no_candidates_are_refused():
    done = call("benchmarks.studies.gate_errors", "--candidates", "0", cwd=ROOT)
    assert done.returncode == 2 and "--candidates 0: wanted 1 or more" in done.stderr


def test_the_page_says_how_it_was_made():
    command = "python -m benchmarks.studies.gate_errors --candidates 200000 --seed 0"
    assert f"{BEGIN}\n`{command}`: 200,000 candidates" in PAGE.read_text()
    assert gate_errors.most_lost_table() in PAGE.read_text()


def test_the_page_names_the_highest_figures_of_its_tables():
    text = PAGE.read_text()
    stated = re.search(r"highest of (\d+) figures is \*\*(.*?) %\*\*", text, re.DOTALL)
    figures = [
        float(figure.split()[0]) for row in section("Wrongly published: the true drop is the limit") for figure in row[2:]
    ]
    assert (len(figures), max(figures)) == (int(stated[1]), float(stated[2]))
    worst = text.partition("at the worst sizes")[2].partition("\n###")[0]
    assert "nothing passes there" in text
    assert {float(figure) for figure in re.findall(r"\| (\S+) \(", worst)} == {0.0}


def test_where_nothing_is_gained_the_page_has_the_binomials_figures():
    rows = [row for row in section("Wrongly published: the true drop is the limit") if float(row[0]) == float(row[1])]
    assert len(rows) == len(gate_errors.LIMITS_POINTS)
    for row in rows:
        limit = float(row[0])
        for n, figure in zip(N_IMAGES, row[2:], strict=True):
            most = most_lost(limit, n)
            chance = binom.cdf(-1 if most is None else most, n, limit / 100)
            # Four standard errors at 200,000 candidates, and the last digit.
            tolerance = 400 * math.sqrt(chance * (1 - chance) / 200_000) + 0.005
            assert float(figure.split()[0]) == pytest.approx(100 * chance, abs=tolerance)
