"""Ratios to the bound: made-up peaks, real models."""

import pytest

from benchmarks.limits import peaks, work
from benchmarks.limits.peaks import Peaks
from benchmarks.report.limits import with_bounds
from edge import artifact
from edge.errors import ToolchainError
from edge.locate import shipped_model
from tests.benchmarks.made_up import row


@pytest.fixture
def of_shipped():
    model = artifact.read(shipped_model())
    return work.count(model), row(path=shipped_model(), digest=model.digest, bound_ratio=None)


def test_the_ratio_is_p50_over_the_bound(of_shipped, monkeypatch):
    counted, measured = of_shipped

    rates = {"float32_gmacs": 1.0, "float32_by": "", "int8_gmacs": 1.0, "int8_by": ""}
    monkeypatch.setattr(peaks, "measure", lambda sizes: Peaks(**rates, bandwidth_gbs=dict.fromkeys(sizes, 1e9)))
    (found,) = with_bounds([measured], lambda line: None)
    # A billion multiply-adds a second, and reading for nothing: as many ns as there are multiply-adds.
    macs = counted.macs_in("int8") + counted.macs_in("float32")
    assert found.bound_ratio == pytest.approx(12.34 / (macs / 1e3), rel=1e-6)


def test_without_peaks_there_is_a_reason_and_no_ratio(of_shipped, monkeypatch):
    def fail(sizes):
        raise ToolchainError("the machine's peaks: killed")

    monkeypatch.setattr(peaks, "measure", fail)
    said = []
    (found,) = with_bounds([of_shipped[1]], said.append)
    assert (found.bound_ratio, said) == (None, ["no bounds: the machine's peaks: killed"])


def test_rows_without_a_time_need_no_peaks(monkeypatch):
    monkeypatch.setattr(peaks, "measure", None)
    unsteady = row(path="nowhere.tflite", speed=None)
    assert with_bounds([unsteady], lambda line: None) == (unsteady,)
