"""Predict with 64 MiB of memory, one real process after another, every example in turn: every answer comes, and is right.

    python -m tests.promises.memory --count 1000

The limit is RLIMIT_DATA: the kernel then refuses the process any private writable memory beyond it, heap and mappings,
touched or not, and needs no privilege for that. A control group would kill rather than refuse and count the pages of
shared libraries too; so the peak of resident memory, which holds those, is measured beside it and held to the same 64 MiB.
"""

import sys
import tempfile

from tests.promises.asking import COMMAND, Tally, ask, environment, examples, flags, in_lanes

LIMIT_MIB = 64
LIMITED = ["/bin/sh", "-c", 'ulimit -d "$0" && exec "$@"', str(LIMIT_MIB << 10), COMMAND]


def main() -> int:
    given = flags("memory", __doc__, count=1000).parse_args()
    pictures, tally = list(examples()), Tally()
    with tempfile.TemporaryDirectory() as scratch:
        surroundings = environment(scratch)

        def case(number: int, folder: str) -> None:
            path, wanted = pictures[number % len(pictures)]
            ended = ask([*LIMITED, path], surroundings)
            tally.add(ended, "killed" if ended.code < 0 else "ended")
            if ended.code or not ended.out.startswith(f"{path}: {wanted} (") or ended.err or ended.peak_mib > LIMIT_MIB:
                tally.broken.append(f"{path}: {ended}")

        in_lanes(case, given.count, lanes=given.lanes)
    said = f"{given.count:,} predictions, {tally.seen['killed']} killed, at most {tally.peak_mib:.0f} MiB resident"
    return tally.tell(said)


if __name__ == "__main__":
    sys.exit(main())
