"""Time one whole process, from its start to its end.

    python -I -S edge/bench/process.py COMMAND ARGUMENT...

prints its milliseconds, peak MiB and CPU milliseconds. A child's peak memory includes what its parent held when it started
the child, so a larger process measures through this command (`measure_from_small`).
"""

import os
import signal
import sys
import time


def measure(argv: list[str]) -> tuple[float, float, float]:
    """Wall time in ms, peak memory in MiB and CPU time in ms of one run. Raises RuntimeError if the command fails."""
    null = os.open(os.devnull, os.O_WRONLY)
    started = time.perf_counter_ns()
    process = os.posix_spawn(argv[0], argv, dict(os.environ), file_actions=[(os.POSIX_SPAWN_DUP2, null, n) for n in (1, 2)])
    try:
        _, status, usage = os.wait4(process, 0)
    except BaseException:  # Ctrl-C
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        raise
    elapsed_ms = (time.perf_counter_ns() - started) / 1e6
    os.close(null)
    if status:
        raise RuntimeError(f"{argv} ended with {os.waitstatus_to_exitcode(status)}")
    return elapsed_ms, usage.ru_maxrss / 1024, 1e3 * (usage.ru_utime + usage.ru_stime)


def measure_from_small(argv: list[str]) -> tuple[float, float, float]:
    """The same as `measure`, from a process that holds less memory than any Python it starts."""
    from edge import child

    done = child.run([sys.executable, "-I", "-S", __file__, *argv])
    if done.returncode:
        raise RuntimeError(child.last_line(done, default="killed"))
    elapsed_ms, peak_mib, cpu_ms = map(float, done.stdout.split())
    return elapsed_ms, peak_mib, cpu_ms


def _end_with_parent() -> None:
    """On Linux, have this process end when its parent does, and with it the command that it measures."""
    if sys.platform == "linux":
        import ctypes

        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    _end_with_parent()
    print(*measure(sys.argv[1:]))
