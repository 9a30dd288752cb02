"""Predict for long and from many threads: the answers stay the same and the memory stays where it was.

    python -m tests.promises.steady threads --count 10000
    python -m tests.promises.steady process --count 1000000

`threads`: eight threads load a predictor each, at once, and each makes `--count` predictions of the small examples in turn,
in an order of its own; every output must equal one thread's to the bit, and stdout and stderr must still be heard.
`process`: `--count` predictions in one process; resident memory may grow by 1 MiB at most after the first twentieth. Every
hundredth picture takes Pillow's path, and every thousandth is one that is refused.
"""

import itertools
import os
import resource
import sys
import threading

from edge import predictor
from edge.errors import InputError
from tests.promises.asking import EXAMPLES, SHIPPED, Tally, examples, flags

N_THREADS, MAX_GROWTH_MIB = 8, 1.0
SMALL_BYTES = 2000
PAGES = ("seven-page", "five-palette", "three-alpha")  # Pillow's path


def main() -> int:
    parser = flags("steady", __doc__, count=10_000, seed=None)
    parser.add_argument("what", choices=("threads", "process"))
    given = parser.parse_args()
    return threads(given.count) if given.what == "threads" else process(given.count)


def threads(count: int) -> int:
    tally = Tally()
    paths = [path for path, _ in examples() if os.path.getsize(path) < SMALL_BYTES and not any(p in path for p in PAGES)]
    ready = predictor.load(SHIPPED, trusted=True)
    wanted = {path: ready.predict(path).logits for path in paths}
    together = threading.Barrier(N_THREADS)
    n_right = [0] * N_THREADS

    def work(number: int) -> None:
        together.wait()
        own = predictor.load(SHIPPED, trusted=True)
        for path in itertools.islice(itertools.cycle(paths[number:] + paths[:number]), count):
            n_right[number] += own.predict(path).logits == wanted[path]

    before = [os.fstat(stream).st_ino for stream in (1, 2)]
    workers = [threading.Thread(target=work, args=(number,)) for number in range(N_THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if [os.fstat(stream).st_ino for stream in (1, 2)] != before:
        tally.broken.append("stdout or stderr leads elsewhere since the models were loaded")
    if sum(n_right) != N_THREADS * count:
        tally.broken.append(f"{N_THREADS * count - sum(n_right)} answers differ from one thread's")
    return tally.tell(f"{N_THREADS} threads, {count:,} predictions each with {ready.engine.name}: {sum(n_right):,} identical")


def process(count: int) -> int:
    tally = Tally()
    ready = predictor.load(SHIPPED, trusted=True)
    plain = [(path, wanted) for path, wanted in examples() if os.path.basename(path).count("-") == 0 and path.endswith(".png")]
    others = [(path, wanted) for path, wanted in examples() if any(p in path for p in PAGES)]
    no_picture = os.path.join(EXAMPLES, "draw.py")
    start_mib = n_wrong = n_refused = 0.0
    for number in range(count):
        if number == count // 20:
            start_mib = resident_mib()
        if number % 1000 == 999:
            try:
                ready.predict(no_picture)
            except InputError:
                n_refused += 1
            continue
        path, wanted = others[number // 100 % len(others)] if number % 100 == 99 else plain[number % len(plain)]
        n_wrong += ready.predict(path).label != wanted
    growth_mib = resident_mib() - start_mib
    if n_wrong or n_refused != count // 1000:
        tally.broken.append(f"{n_wrong} wrong answers, {n_refused} of {count // 1000} refused")
    if growth_mib > MAX_GROWTH_MIB:
        tally.broken.append(f"memory grew by {growth_mib:.2f} MiB from {start_mib:.1f}")
    return tally.tell(
        f"{count:,} predictions with {ready.engine.name}: {start_mib:.1f} MiB, and {growth_mib:.2f} more at the end"
    )


def resident_mib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / (1 << 20)


if __name__ == "__main__":
    sys.exit(main())
