"""Predictions to be counted, in a process of their own.

    PYTHONHASHSEED=0 python -P -s benchmarks/instructions/predictions.py MODEL-or-nothing ENGINE-or-nothing N [counters]

Prints the engine, its version and its kernels. With `counters` it prints on a second line the instructions of one prediction,
averaged over N after the first, by the processor's counter. Like regression/worker.py it uses only names that all versions
have.
"""

import ctypes
import os
import platform
import struct
import sys
from pathlib import Path

SYSCALL = {"x86_64": 298, "aarch64": 241}  # perf_event_open
# struct perf_event_attr, version 0: the hardware event 1 (instructions retired) of this process and its threads, in user mode.
INHERIT, EXCLUDE_KERNEL, EXCLUDE_HYPERVISOR = 1 << 1, 1 << 5, 1 << 6
ATTRIBUTES = struct.pack("=2L5Q2LQ", 0, 64, 1, 0, 0, 0, INHERIT | EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR, 0, 0, 0)


def open_counter() -> int | None:
    """A file descriptor that reads how many instructions this process ran; None where the kernel or the machine has none."""
    number = SYSCALL.get(platform.machine())
    if not sys.platform.startswith("linux") or number is None:
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(number, ctypes.create_string_buffer(ATTRIBUTES, 64), 0, -1, -1, 0)
    return descriptor if descriptor >= 0 else None


def main() -> None:
    from edge import predictor

    model, engine, n = sys.argv[1:4]
    model = model or str(next(Path(predictor.__file__).parent.glob("models/*.tflite")))
    counter = open_counter() if "counters" in sys.argv else None  # before the engine starts threads
    ready = predictor.load(model, trusted=True, **({"engine_name": engine} if engine else {}))
    images = [image for image, _ in ready.artifact.goldens()]
    print(ready.engine.name, ready.engine.version, ready.engine.kernels, sep="\t", flush=True)

    def predict(n: int) -> None:
        for number in range(n):
            _ = ready.answer(images[number % len(images)]).index

    if counter is None:
        predict(int(n))
        return
    predict(1)
    started = read(counter)
    predict(int(n))
    print((read(counter) - started) / int(n))


def read(descriptor: int) -> int:
    return struct.unpack("=Q", os.read(descriptor, 8))[0]


if __name__ == "__main__":
    main()
