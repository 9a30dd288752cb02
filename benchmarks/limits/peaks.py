"""The peaks of one core of this machine: bytes read, and multiply-adds, a second.

    python -m benchmarks.limits.peaks [BYTES...]

Prints one line of JSON (`Peaks`). It runs in its own process, because importing numpy fixes its number of threads. Bandwidth is
measured with the C library's memchr, which searches memory of the given size for an absent byte again and again, so from
whichever cache holds that memory. Multiply-adds are those of a product of two square matrices, in OpenBLAS (numpy) or MLAS
(ONNX Runtime), the faster of the two; in int8 in MLAS alone, unsigned times signed, for which all its kernels are made. Each
figure is the best of many.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edge import child, errors
from edge.errors import Refused, ToolchainError, UsageError

SIDES = (256, 512)
SECONDS = 0.15  # of measuring each figure
LEAST_READ = 32 << 10  # bytes: reading fewer takes less time than the call; the nearest cache holds these
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """Billions of multiply-adds a second; billions of bytes a second, by the number of bytes read."""

    float32_gmacs: float
    float32_by: str
    int8_gmacs: float
    int8_by: str
    bandwidth_gbs: dict[int, float]

    @property
    def int8_over_float32(self) -> float:
        """int8 multiply-adds in the time of one in float32; at most 4 where four byte products share a 32-bit lane."""
        return self.int8_gmacs / self.float32_gmacs

    def read_gbs(self, n_bytes: int) -> float:
        return self.bandwidth_gbs[n_bytes]


def measure(sizes: Sequence[int]) -> Peaks:
    """The peaks, measured in another process on one thread. Raises Refused if more than one core worked, ToolchainError."""
    one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
    argv = [sys.executable, "-m", "benchmarks.limits.peaks", *map(str, sizes)]
    done = subprocess.run(argv, env=os.environ | one, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        kind = Refused if done.returncode == 1 else ToolchainError
        raise kind(f"the machine's peaks: {child.last_line(done, default='killed')}")
    printed = json.loads(done.stdout)
    return Peaks(**printed | {"bandwidth_gbs": {int(size): rate for size, rate in printed["bandwidth_gbs"].items()}})


def best(several: Sequence[Peaks]) -> Peaks:
    """The highest of each figure, because every disturbance lowers a peak."""
    floats, ints = max(several, key=lambda p: p.float32_gmacs), max(several, key=lambda p: p.int8_gmacs)
    sizes = {size for peaks in several for size in peaks.bandwidth_gbs}
    return Peaks(
        float32_gmacs=floats.float32_gmacs,
        float32_by=floats.float32_by,
        int8_gmacs=ints.int8_gmacs,
        int8_by=ints.int8_by,
        bandwidth_gbs={size: max(p.bandwidth_gbs.get(size, 0.0) for p in several) for size in sorted(sizes)},
    )


def main() -> int:
    """Measure and print. Raises Refused if more than one core worked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits.peaks", description=__doc__.splitlines()[0])
    parser.add_argument("sizes", nargs="*", type=int, metavar="BYTES", help="also measure reading so many bytes")
    sizes = parser.parse_args().sizes
    if any(size < 1 for size in sizes):
        raise UsageError("BYTES wants 1 or more")
    started, used = time.perf_counter(), time.process_time()
    floats = {f"{library}, side {side}": rate for side in SIDES for library, rate in _float32(side).items()}
    ints = {f"MLAS, side {side}": _int8(side) for side in SIDES}
    peaks = Peaks(
        float32_gmacs=max(floats.values()),
        float32_by=max(floats, key=floats.__getitem__),
        int8_gmacs=max(ints.values()),
        int8_by=max(ints, key=ints.__getitem__),
        bandwidth_gbs={size: read_gbs(size) for size in sizes},
    )
    cores = (time.process_time() - used) / (time.perf_counter() - started)
    if cores > 1.15:
        raise Refused(f"refused: {cores:.1f} cores worked, wanted one")
    print(json.dumps(asdict(peaks)))
    return 0


def least_ns(call: Callable[[], object]) -> int:
    """The shortest of the calls in SECONDS, of at least ten."""
    times: list[int] = []
    end = time.perf_counter() + SECONDS
    while len(times) < 10 or time.perf_counter() < end:
        started = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - started)
    return min(times)


def read_gbs(n_bytes: int) -> float:
    """Bytes read a nanosecond over `n_bytes`, or over LEAST_READ if that is more.

    The time of a call that reads nothing is subtracted: it is that of ctypes.
    """
    n_bytes = max(n_bytes, LEAST_READ)
    search = ctypes.CDLL(None).memchr
    search.argtypes, search.restype = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t], ctypes.c_void_p
    memory = ctypes.create_string_buffer(b"\1" * n_bytes, n_bytes)  # written, or every page would be the same page of zeros
    address = ctypes.addressof(memory)
    empty = least_ns(lambda: search(address, 0, 0))
    return n_bytes / max(least_ns(lambda: search(address, 0, n_bytes)) - empty, 1)


def _float32(side: int) -> dict[str, float]:
    import numpy as np

    left, right = np.random.default_rng(0).random((2, side, side), np.float32)
    out = np.empty_like(left)
    session = _product(right, "MatMul")
    return {
        "OpenBLAS": side**3 / least_ns(lambda: np.matmul(left, right, out=out)),
        "MLAS": side**3 / least_ns(lambda: session.run(None, {"left": left})),
    }


def _int8(side: int) -> float:
    import numpy as np

    rng = np.random.default_rng(0)
    session = _product(rng.integers(-127, 128, (side, side), np.int8), "MatMulInteger")
    left = rng.integers(0, 256, (side, side), np.uint8)
    return side**3 / least_ns(lambda: session.run(None, {"left": left}))


def _product(right, kind: str):
    """A session of one operator that multiplies `left` by `right`, which is a constant, as weights are."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    types = {"MatMul": (TensorProto.FLOAT,) * 2, "MatMulInteger": (TensorProto.UINT8, TensorProto.INT32)}
    enters, leaves = types[kind]
    graph = helper.make_graph(
        [helper.make_node(kind, ["left", "right"], ["product"])],
        kind,
        [helper.make_tensor_value_info("left", enters, right.shape)],
        [helper.make_tensor_value_info("product", leaves, right.shape)],
        [onnx.numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.limits.peaks"))
