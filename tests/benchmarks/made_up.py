"""A report nobody measured, for tests of how reports are told."""

import struct
import zlib
from dataclasses import replace

from benchmarks.instructions.count import Instructions
from benchmarks.report.row import Accuracy, LostThumbnail, Operation, Report, ReportRow, Speed
from edge.bench.percentiles import LatencySummary


def figure(p50_us: float, *, calls: int = 1000) -> LatencySummary:
    return LatencySummary(
        calls=calls,
        windows=5,
        least_us=0.9 * p50_us,
        p50_us=p50_us,
        p90_us=1.1 * p50_us if calls >= 64 else None,
        p99_us=1.5 * p50_us if calls >= 662 else None,
        p50_lowest_us=0.98 * p50_us,
        p50_highest_us=1.02 * p50_us,
        p99_bound_us=1.6 * p50_us if calls >= 662 else None,
    )


def speed(p50_us: float, *, cold_ms: float = 25.0) -> Speed:
    return Speed(
        figures={
            "edge-predict": {"process": figure(1e3 * cold_ms, calls=10), "whole": figure(1e3 * cold_ms, calls=10)},
            "start": {
                "load": figure(4000.0, calls=10),
                "first call": figure(900.0, calls=10),
                "whole": figure(4900.0, calls=10),
            },
            "pixels": {"inference": figure(p50_us), "decision": figure(1.0), "whole": figure(p50_us + 1)},
        },
        peak_mib=18.4,
    )


def unsteady(network: str = "lenet5-wide", **changes: object) -> ReportRow:
    """A row that was measured on an unsteady machine, with its instructions."""
    restless = {"pace_varied": 0.84, "low_us": 30.2, "high_us": 34.1}
    figures = {
        name: {stage: replace(each, **restless) if name == "pixels" else each for stage, each in stages.items()}
        for name, stages in speed(31.9).figures.items()
    }
    counted = Instructions(per_prediction=836_462.0, predictions=1000, counter="callgrind", kernels="XNNPACK, AVX2")
    why = "pixels: window 1 was measured 6 times, and each time the calibration loop drifted by more than 2%"
    return row(network, speed=Speed(figures=figures, peak_mib=19.0), unsteady=why, instructions=counted, **changes)


def row(network: str = "lenet5-relu", **changes: object) -> ReportRow:
    made = ReportRow(
        network=network,
        data="mnist",
        format="tflite",
        precision="int8",
        engine="litert-c",
        ran="2.3.0, XNNPACK",
        path=f"artifacts/{network}-mnist-int8.tflite",
        digest=network.ljust(64, "0"),
        model_bytes=105_896,
        file_bytes=122_835,
        shipped=False,
        accuracy=Accuracy(
            top1=0.9936, float_top1=0.9935, drop_points=-0.01, interval_points=(-0.06, 0.04), limit_points=0.5,
            lost=1, gained=2, n_images=10_000,
        ),
        speed=speed(12.34),
        bound_ratio=1.94,
    )  # fmt: skip
    return replace(made, **changes)


def report(*rows: ReportRow, **changes: object) -> Report:
    machine = {"machine": "x86_64", "cpu_model": "Made-up Processor", "n_cpus": 2, "governor": None, "board": None}
    return replace(Report(version="0.1.0", commit="c0ffee" * 6 + "c0ff", machine=machine, rows=rows or (row(),)), **changes)


def comparison(verdict: str = "worse") -> dict:
    cells = ("model in the wheel: pixels to label", "12.34 µs", "14.20 µs", "+15.1 % (+14.2 % to +16.0 %)", "±1.0 %", verdict)
    same = ("model in the wheel: answers", "99.36 %", "99.36 %", "0 lost, 0 gained of 10,000", "none", "same")
    return {
        "base": "0123456789abcdef",
        "verdict": verdict,
        "why": "Worse than 0123456789ab beyond limit and noise: model in the wheel: pixels to label +15.1 %.",
        "figures": [{"cells": cells}, {"cells": same}],
    }


def png(size: int = 28) -> bytes:
    """A grey picture of a diagonal."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    lines = b"".join(b"\0" + bytes(max(0, 255 - 60 * abs(x - y)) for x in range(size)) for y in range(size))
    header = struct.pack(">2L5B", size, size, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def everything() -> Report:
    """A report with something of each kind, of the size of a real one."""

    def accuracy(top1: float, lost: int, gained: int) -> Accuracy:
        drop = (lost - gained) / 100
        return Accuracy(
            top1=top1, float_top1=top1 + drop / 100, drop_points=drop, interval_points=(drop - 0.06, drop + 0.07),
            limit_points=0.5, lost=lost, gained=gained, n_images=10_000,
        )  # fmt: skip

    lost = (
        LostThumbnail(index=1226, label="7", answer="2", png=png()),
        LostThumbnail(index=92, label="9", answer="4", png=png()),
    )
    rows = (
        row(shipped=True, lost=lost, digest="a" * 64),
        row(engine="litert", shipped=True, lost=lost, digest="a" * 64, speed=speed(14.1, cold_ms=96)),
        row(
            "deep-mnist", accuracy=accuracy(0.9953, 4, 3), model_bytes=3_308_944, speed=speed(66.0, cold_ms=35),
            digest="b" * 64,
        ),
        row(
            "deep-mnist", format="onnx", engine="onnxruntime", ran="1.31.1, MLAS", accuracy=accuracy(0.9953, 4, 3),
            model_bytes=3_306_360, speed=speed(101.0, cold_ms=160), digest="c" * 64,
        ),
        row(
            "deep-mnist", precision="float32", accuracy=accuracy(0.9954, 0, 0), model_bytes=13_100_000,
            speed=speed(210.0, cold_ms=44), digest="d" * 64,
        ),
        row("mnist-tiny", accuracy=accuracy(0.9921, 9, 4), model_bytes=14_500, speed=None, bound_ratio=None, digest="e" * 64,
            refused="the device throttled its clock, now: under-voltage (0x1)", no_bound="operators unknown"),
        unsteady(digest="9" * 64),
        row(
            "cifar-lrn", data="cifar10", accuracy=accuracy(0.6890, 61, 52), model_bytes=1_100_000, speed=speed(73.0),
            digest="f" * 64,
        ),
    )  # fmt: skip
    operations = (
        Operation(name="inference[litert-c]", median_us=12.1, iqr_us=0.4, rounds=40_112),
        Operation(name="seal check", median_us=81.0, iqr_us=1.7, rounds=9_211),
    )
    return report(*rows, operations=operations, comparison=comparison())
