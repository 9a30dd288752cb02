"""The experiment on the intervals: its order, its log, and how misses are told."""

import json
from itertools import pairwise

import pytest

from benchmarks.studies import coverage
from edge.errors import InputError


def line(hogs: int, p50_us: float, half: float, unsteady: str = "drifted") -> dict:
    figure = {"p50_us": p50_us, "low_us": p50_us * (1 - half), "high_us": p50_us * (1 + half), "least_us": 79.0}
    figures = {name: figure | {"pace_varied": 0.5} for name in coverage.FIGURES}
    return {"kind": "run", "hogs": hogs, "load": 1.0, "figures": figures, "unsteady": unsteady, "seconds": 18.2}


def quiet(us: float) -> dict:
    return {"kind": "quiet", "hogs": 0, "load": 0.1, "medians_us": dict.fromkeys(coverage.FIGURES, us)}


def test_quiet_runs_are_spread_over_the_experiment():
    order = coverage.plan(30, 10)
    assert len(order) == 100 and order.count(("quiet", 0)) == 10
    assert [order.count(("run", hogs)) for hogs in coverage.HOGS] == [30, 30, 30]
    at = [number for number, (kind, _) in enumerate(order) if kind == "quiet"]
    assert at[0] == 0 and max(b - a for a, b in pairwise(at)) <= 11


def test_what_misses_and_what_is_too_wide_is_said():
    lines = [quiet(80.0), quiet(82.0), quiet(84.0), line(0, 82.5, 0.04, ""), line(1, 90.0, 0.04), line(2, 85.0, 0.30)]
    text = coverage.page(lines, command="command")
    assert "Quiet: 82.0 µs, the median of 3 medians (80.0 µs to 84.0 µs)." in text
    assert "| 0 | 1 | 1 | 82.5 µs to 82.5 µs | ±4.0 % | ±4.0 % | ±10 % | 1 | up to 18 |" in text
    assert "| 1 | 1 | 0 | 90.0 µs to 90.0 µs | ±4.0 % | ±4.0 % | ±25 % | 0 | up to 18 |" in text
    assert "±30.0 % | ±25 % (missed) |" in text
    assert "| 1 | 82.5 (79.2 to 85.8) | 90.0 (86.4 to 93.6) **missed** | 85.0 (59.5 to 110.5) |" in text
    assert "claim nothing" not in text
    assert "These figures claim nothing" in coverage.page([*lines, line(2, 82.0, 0.1) | {"load": 9.0}], command="command")


def test_a_second_start_goes_on_behind_the_last_line_and_another_plan_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(coverage, "quiet_run", lambda: {"medians_us": dict.fromkeys(coverage.FIGURES, 82.0)})
    monkeypatch.setattr(
        coverage, "one_run", lambda hogs: {k: v for k, v in line(hogs, 82.0, 0.04).items() if k not in ("kind", "hogs", "load")}
    )
    log, order = tmp_path / "log.jsonl", coverage.plan(1, 1)
    log.write_text(json.dumps(quiet(99.0)) + "\n")
    lines = coverage.run(order, log)
    assert [each["kind"] for each in lines] == ["quiet", "run", "run", "run"] and lines[0]["medians_us"] == quiet(99.0)[
        "medians_us"
    ]
    assert len(log.read_text().splitlines()) == 4
    with pytest.raises(InputError, match="the log of another plan"):
        coverage.run([("run", 0)], log)
