"""One picture: size against accuracy, latency as area."""

import json
import math
import re

import pytest

from benchmarks.report import picture
from benchmarks.report.picture import LEAST, MOST, draw, radius
from edge.errors import InputError
from tests.benchmarks.made_up import everything, report, row, speed


def test_areas_are_as_the_times_but_for_the_smallest():
    assert (radius(400.0, 400.0), radius(100.0, 400.0)) == (MOST, MOST / 2)
    assert radius(0.1, 400.0) == LEAST


def test_a_network_has_one_dot_in_its_fastest_format_with_its_name_and_time():
    slow = row("lenet5-wide", speed=speed(80.0), digest="s" * 64, model_bytes=3_000_000, format="onnx")
    fast = row("lenet5-wide", speed=speed(40.0), digest="f" * 64, model_bytes=3_000_001)
    drawn = draw(report(row(), slow, fast), "mnist")
    assert drawn.count("<circle") == 2
    assert "lenet5-wide int8, 40.0 µs" in drawn and "80.0 µs" not in drawn
    radii = sorted(float(r) for r in re.findall(r' r="([\d.]+)"', drawn))
    assert radii[0] / radii[1] == pytest.approx(math.sqrt(12.34 / 40.0), abs=1e-3)


def test_the_file_stands_alone_and_names_are_escaped():
    drawn = draw(report(row("<b>"), row("other", digest="o" * 64)), "mnist")
    assert drawn.startswith('<svg xmlns="http://www.w3.org/2000/svg"') and "<b>" not in drawn


def test_one_model_makes_no_picture():
    with pytest.raises(InputError, match="1 models for cifar10 with an accuracy and a time; a picture needs 2"):
        draw(everything(), "cifar10")


def test_the_command_draws_the_data_of_the_first_row(tmp_path, monkeypatch, capsys):
    (tmp_path / "report.json").write_text(json.dumps(everything().as_dict()))
    out = tmp_path / "pictures" / "trade-off.svg"
    monkeypatch.setattr("sys.argv", ["picture", str(tmp_path / "report.json"), "--out", str(out)])
    assert picture.main() == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert "Top-1 on mnist" in out.read_text()
