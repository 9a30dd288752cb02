"""The arithmetic of the bounds, this machine's peaks, and the page; no figure of time is judged."""

import dataclasses
import json
import math
import re

import pytest

from benchmarks.limits import bounds, breakdown, peaks, work
from benchmarks.limits.boards import BOARDS, Board
from benchmarks.limits.bounds import Bound, MeasuredNetwork, bound
from benchmarks.limits.peaks import Peaks
from benchmarks.limits.work import OperatorWork, Work
from benchmarks.pages import BEGIN, END
from conftest import ROOT
from edge import predictor
from edge.bench.percentiles import summarize
from edge.bench.timing import Refusal, TimingPlan
from edge.errors import InputMissing

# 2 G float32 and 8 G int8 multiply-adds a second, 4 GB/s.
CORE = Board(
    name="", core="", ghz=1.0, float32_a_cycle=2, int8_a_cycle=8, load_bytes_a_cycle=4, cache_bytes=1 << 20, memory_gbs=4.0
)


def operator(macs: int, data_type: str, weight_bytes: int) -> OperatorWork:
    return OperatorWork("CONV_2D", macs, data_type, weight_bytes, 100, (1, 4, 4, 8), depth=9, input_channels=1)


def machine(**rates: float) -> Peaks:
    known = {"float32_gmacs": 2.0, "float32_by": "a", "int8_gmacs": 8.0, "int8_by": "b", "bandwidth_gbs": {1000: 4.0}}
    return Peaks(**known | rates)


def test_the_bound_is_the_greater_of_reading_and_multiplying():
    heavy = Work((operator(1000, "float32", 90_000),), ends_bytes=10_000)
    assert bound(heavy, CORE) == Bound(reading_us=25.0, multiplying_us=0.5)
    assert (bound(heavy, CORE).us, bound(heavy, CORE).by) == (25.0, "bytes")
    busy = Work((operator(800_000, "int8", 900),), ends_bytes=100)
    assert bound(busy, CORE) == Bound(reading_us=0.25, multiplying_us=100.0)
    assert (bound(busy, CORE).us, bound(busy, CORE).by) == (100.0, "multiply-adds")


def test_float_islands_are_multiplied_at_the_float_peak():
    mixed = Work((operator(800_000, "int8", 0), operator(100_000, "float32", 0)), ends_bytes=4)
    assert bound(mixed, CORE).multiplying_us == 100 + 50


def test_what_lies_between_operators_is_not_in_the_bound():
    assert Work((operator(1, "int8", 7),), ends_bytes=3).least_bytes == 10


def test_a_board_reads_what_fits_its_cache_at_its_ports_and_the_rest_at_its_memorys_rate():
    zero = BOARDS[0]
    assert zero.read_gbs(512 << 10) == 16.0  # 16 bytes a cycle at 1 GHz
    assert zero.read_gbs((512 << 10) + 1) == 3.6  # 900 million transfers of 4 bytes
    pi5 = BOARDS[2]
    # Two pipes of 4 float32, or of 16 bytes; 2.4 GHz.
    assert (pi5.float32_gmacs, pi5.int8_gmacs) == (pytest.approx(19.2), pytest.approx(76.8))


def test_only_the_core_with_byte_dot_products_gains_four_times_by_int8():
    gains = {board.core: board.int8_a_cycle / board.float32_a_cycle for board in BOARDS}
    assert gains == {"Cortex-A53": 2, "Cortex-A72": 2, "Cortex-A76": 4}
    page = (ROOT / "docs/bounds.md").read_text().partition("## Where the predictions come from")[2]
    assert all(board.core in page and board.name in page for board in BOARDS)


def test_the_best_of_several_peaks_is_taken_figure_by_figure():
    first = machine(float32_gmacs=2.5, bandwidth_gbs={10: 1.0, 20: 5.0})
    second = machine(int8_gmacs=9.0, int8_by="c", bandwidth_gbs={10: 3.0})
    best = peaks.best([first, second])
    assert best == machine(float32_gmacs=2.5, int8_gmacs=9.0, int8_by="c", bandwidth_gbs={10: 3.0, 20: 5.0})
    assert best.int8_over_float32 == pytest.approx(3.6)


@pytest.mark.parametrize(("n_bytes", "rate"), [(10, 327.68), (65_536, 655.36)])
def test_a_few_bytes_are_not_timed_by_themselves(monkeypatch, n_bytes, rate):
    """A call takes as long as reading them, and the difference of two calls may be nothing, or less."""
    took = iter((50, 150))
    monkeypatch.setattr(peaks, "least_ns", lambda call: next(took))
    assert peaks.read_gbs(n_bytes) == rate


def test_this_machines_peaks_come_from_one_core(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")  # is overruled
    measured = peaks.measure([50_000])
    assert min(measured.float32_gmacs, measured.int8_gmacs, measured.bandwidth_gbs[50_000]) > 0
    assert json.loads(json.dumps(dataclasses.asdict(measured)))["bandwidth_gbs"].keys() == {"50000"}


def test_the_time_of_a_model_is_that_of_its_operators_and_of_an_empty_call(tflite):
    model = predictor.load(str(tflite)).artifact
    empty, *taken = breakdown.operator_us(model)
    assert empty > 0 and len(taken) == len(work.count(model).operators)
    assert all(math.isfinite(us) and us >= 0 for us in taken)


def test_a_convolution_can_be_timed_with_other_channels(tflite):
    us = breakdown.channels_us(predictor.load(str(tflite)).artifact, 0, (1, 8))
    assert len(us) == 2 and min(us) > 0


@pytest.fixture
def row(tflite) -> MeasuredNetwork:
    """LeNet-5 with a bound of 10 µs and a median of 45."""
    ready = predictor.load(str(tflite))
    return MeasuredNetwork(ready, work.count(ready.artifact), Bound(2.0, 10.0), summarize([[45_000]] * 5, [45_000]))


def page_of(row: MeasuredNetwork) -> str:
    return bounds.page([row], machine(bandwidth_gbs={row.work.least_bytes: 4.0}), TimingPlan(percentile=50))


def test_a_network_further_off_than_its_goal_gets_a_sentence(row):
    assert (row.ratio, row.misses_goal) == (4.5, True)
    text = page_of(row)
    assert "int8 tflite** takes 4.5 times its bound; the goal is at most 4. Its " in text
    assert "a call without operators" in text
    assert "| 10.0 (multiply-adds) | 45.0 | 4.50 | ≤ 4 |" in text
    assert "### Predictions\n\nNot measured:" in text


def test_idle_lanes_are_named_where_more_channels_cost_hardly_more(row, monkeypatch):
    monkeypatch.setattr(breakdown, "channels_us", lambda model, at, channels: [10.0, 14.0])
    assert bounds._channels(row, 0).strip().startswith("With 8 input channels instead of 1 it takes 1.4 times")
    assert bounds._channels(row, 1) == ""  # pooling
    monkeypatch.setattr(breakdown, "channels_us", lambda model, at, channels: [10.0, 80.0])
    assert bounds._channels(row, 0) == ""


def test_a_network_within_its_goal_gets_none(row):
    near = dataclasses.replace(row, bound=Bound(30.0, 20.0))
    assert (near.ratio, near.misses_goal) == (1.5, False)
    text = page_of(near)
    assert "times its bound" not in text and "| 30.0 (bytes) | 45.0 | 1.50 | ≤ 2 |" in text


def test_a_network_faster_than_its_bound_is_flagged(row):
    beaten = dataclasses.replace(row, bound=Bound(50.0, 20.0))
    assert "is faster than its bound: the peak was measured too low" in page_of(beaten)


def test_a_refused_latency_is_no_ratio(row, monkeypatch):
    def refuse(*_):
        raise Refusal("unsteady", "the machine is busy")

    monkeypatch.setattr(bounds.protocol, "measure", refuse)
    assert bounds._latency(row.ready, TimingPlan(percentile=50), calls=5) == (None, "the machine is busy")
    silent = dataclasses.replace(row, figure=None, refused="the machine is busy")
    text = page_of(silent)
    assert "- lenet5-relu-digits-int8 tflite: refused: the machine is busy" in text
    assert "| refused |  | ≤ 4 |" in text


def test_the_command_writes_what_it_prints(tflite, tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    monkeypatch.setattr("sys.argv", ["bounds", "--models", str(tflite), "--calls", "20", "--write", str(page)])
    assert bounds.main() == 0
    printed = capsys.readouterr().out
    assert page.read_text() == f"before\n{BEGIN}\n{printed}{END}\nafter\n"
    assert re.search(r"\| lenet5-relu-digits-int8 tflite \| litert \| 0\.6\d \|", printed)
    assert "| Pi" not in printed.splitlines()[0]


def test_a_model_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("sys.argv", ["bounds", "--models", "nowhere.tflite"])
    with pytest.raises(InputMissing, match=r"nowhere\.tflite: No such file"):
        bounds.main()
