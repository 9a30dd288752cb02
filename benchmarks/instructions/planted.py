"""Do counted instructions find what they should? Equal code against itself, then code with a few more instructions.

    python -m benchmarks.instructions.planted [--equal 20] [--planted 10] [--log FILE] [--write docs/instructions.md]

Each comparison counts two installed trees, as `python -m benchmarks --compare BASE --instructions` does; each time the trees
lie in folders whose names have other lengths, and the environment is larger. The planted code is a loop of Python in every
answer, 3 % of the instructions. 90 s a comparison on a machine of its own: 45 minutes for 30. Every comparison is a line of
the log, and a second start goes on behind the last line.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import pages
from benchmarks.instructions import count
from benchmarks.regression import compare, sides
from edge import errors
from edge.device import host
from edge.errors import InputError
from train import markdown

PROGRAM = "benchmarks.instructions.planted"
SHARE = 0.03
COMPARISON_S = 90
PLANT = """

_answer = Predictor.answer


def _longer(self, pixels):
    for _ in range({turns}):
        pass
    return _answer(self, pixels)


Predictor.answer = _longer
"""


def plant(source: Path, turns: int) -> Path:
    """Let every answer in the tree `source` run `turns` of an empty loop first."""
    with (source / "edge" / "predictor.py").open("a") as file:
        file.write(PLANT.format(turns=turns))
    return source


def trial(number: int, turns: int, by: str) -> dict[str, object]:
    """One comparison, built anew; `turns` of the planted loop, 0 for equal code."""
    with tempfile.TemporaryDirectory(prefix="n" * (1 + number)) as folder:
        built = []
        for name in ("base", "now"):
            source = sides.export(None, Path(folder, name, "source"))
            if turns and name == "now":
                plant(source, turns)
            built.append(sides.install(source, Path(folder, name, "env"), name=name))
        os.environ["EDGEPROOF_PLANTED"] = "x" * (17 * number)
        base, now = (count.count("", python=side.python, by=by) for side in built)
    judged = compare.judge_instructions("model in the wheel", base, now)
    return {
        "planted": bool(turns), "base": base.per_prediction, "now": now.per_prediction, "verdict": judged.verdict,
        "kernels": now.kernels, "counter": now.counter,
    }  # fmt: skip


def turns_for(share: float, by: str) -> int:
    """How many turns of the planted loop are `share` of the instructions of an answer, counted with 1,000 turns."""
    with tempfile.TemporaryDirectory() as folder:
        counts = []
        for turns in (0, 1000):
            source = sides.export(None, Path(folder, f"source-{turns}"))
            if turns:
                plant(source, turns)
            side = sides.install(source, Path(folder, f"env-{turns}"), name=f"{turns} turns")
            counts.append(count.count("", python=side.python, by=by).per_prediction)
    return round(1000 * share * counts[0] / (counts[1] - counts[0]))


def page(lines: Sequence[dict], *, command: str) -> str:
    """The tables, as Markdown."""
    machine = host.read()
    where = f"{machine.machine}, {machine.cpu_model or 'processor unknown'}"
    parts = [f"`{command}`: {where}; {lines[0]['counter']}, {lines[0]['kernels']}; limit 1 %.", "", ""]
    rows = []
    for planted, title in ((False, "nothing"), (True, f"{100 * SHARE:.0f} %")):
        if of_kind := [line for line in lines if line["planted"] is planted]:
            changes = [100 * (line["now"] / line["base"] - 1) for line in of_kind]
            worse = sum(line["verdict"] == "worse" for line in of_kind)
            between = f"{min(changes):+.4f} to {max(changes):+.4f} %".replace("-", "−")
            rows.append((title, str(len(of_kind)), str(worse), between))
    return "\n".join(parts) + markdown.table(("planted", "comparisons", "called worse", "change found"), rows, align="r") + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {PROGRAM}", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--equal", type=int, default=20, metavar="N", help="comparisons of equal code (default: 20)")
    parser.add_argument("--planted", type=int, default=10, metavar="N", help="comparisons with planted code (default: 10)")
    parser.add_argument(
        "--log", type=Path, default=Path("reports/instructions.jsonl"), metavar="FILE", help="default: %(default)s"
    )
    pages.add_write(parser)
    flags = parser.parse_args()
    order = [False] * flags.equal + [True] * flags.planted
    lines = [json.loads(line) for line in flags.log.read_text().splitlines()] if flags.log.exists() else []
    if [line["planted"] for line in lines] != order[: len(lines)] or not order:
        raise InputError(f"{flags.log}: the log of another plan; finish it with the same numbers, or name another --log")
    by = count.able()
    about = (len(order) - len(lines)) * COMPARISON_S / 60
    errors.say(PROGRAM, f"{len(order)} comparisons, {len(lines)} of them done; about {about:.0f} min")
    turns = turns_for(SHARE, by) if True in order[len(lines) :] else 0
    flags.log.parent.mkdir(parents=True, exist_ok=True)
    for number, planted in enumerate(order[len(lines) :], len(lines)):
        lines.append(trial(number, turns if planted else 0, by))
        with flags.log.open("a") as file:
            file.write(json.dumps(lines[-1]) + "\n")
        errors.say(PROGRAM, f"{number + 1} of {len(order)}: {json.dumps(lines[-1])}")
    return pages.show(page(lines, command=" ".join([f"python -m {PROGRAM}", *sys.argv[1:]])), flags.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, PROGRAM))
