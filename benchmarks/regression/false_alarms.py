"""Does the comparison find what it should? Equal code again and again, then code made slower on purpose.

    python -m benchmarks.regression.false_alarms [--equal 20] [--planted 10] [--rounds N] [--write docs/regression.md]

The slower code is this tree with a busy loop behind every answer, until it has lasted what it usually does and a share more:
the same share on any machine. Every comparison is the one that `python -m benchmarks --compare` makes, in another random order.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import pages
from benchmarks.regression import compare, sides
from benchmarks.regression.compare import RevisionComparison, Settings
from benchmarks.regression.sides import Side
from edge import errors
from edge.device import host
from edge.errors import UsageError

PLANTED = (0.15, 0.05)
# Behind the module: once it is known what an answer usually takes, each is made to last that times (1 + share), the call of
# what makes it last included. Not a loop of `share` after each: running it between two answers slows the next one down too,
# and then 15 % planted were 22 measured. Nothing is imported but a built-in module: an import would slow whole processes down.
SLOWER = """

from time import perf_counter_ns as _now

_answer, _taken = Predictor.answer, []


def _median(values):
    return sorted(values)[len(values) // 2]


def _lasting(answer, ns):
    def last(self, pixels):
        until = _now() + ns
        found = answer(self, pixels)
        while _now() < until:
            pass
        return found

    return last


def _timed(answer, self, pixels, taken):
    started = _now()
    found = answer(self, pixels)
    taken.append(_now() - started)
    return found


def _own_ns():
    def nothing(self, pixels):
        pass

    times = {{call: [] for call in (nothing, _lasting(nothing, 0))}}
    for _ in range(200):
        for call, taken in times.items():
            _timed(call, None, None, taken)
    bare, wrapped = map(_median, times.values())
    return wrapped - bare


def _measured(self, pixels):
    found = _timed(_answer, self, pixels, _taken)
    if len(_taken) == 150:  # the first 50 warm up
        Predictor.answer = _lasting(_answer, (1 + {share}) * _median(_taken[50:]) - _own_ns())
    return found


Predictor.answer = _measured
"""


@dataclass(frozen=True, kw_only=True)
class PlantedComparison:
    """One comparison: what was planted, and what came of it."""

    planted: float
    found: RevisionComparison

    @property
    def alarmed(self) -> bool:
        return self.found.verdict == "worse"

    @property
    def noticed(self) -> bool:
        """Said to be slower beyond the noise, over the limit or not."""
        return any(figure.verdict in ("worse", "slower") for figure in self.found.figures)


def plant(source: Path, share: float) -> Path:
    """Make the predictor of the tree `source` slower by `share`."""
    with (source / "edge" / "predictor.py").open("a") as file:
        file.write(SLOWER.format(share=share))
    return source


def build(folder: Path) -> dict[float, Side]:
    """This tree installed: as it is (0.0), and with each of PLANTED."""
    built = {}
    for share in (0.0, *PLANTED):
        errors.say("false_alarms", f"building this tree, {100 * share:.0f} % slower")
        source = sides.export(None, folder / f"source-{share}")
        built[share] = sides.install(plant(source, share) if share else source, folder / f"env-{share}", name=f"+{share:.0%}")
    return built


def trials(built: dict[float, Side], *, equal: int, planted: int, rounds: int) -> Iterator[PlantedComparison]:
    """`equal` comparisons of the tree with itself, `planted` of each slower one with it."""
    given = Settings(base="itself", rounds=rounds)
    wanted = [0.0] * equal + [share for share in PLANTED for _ in range(planted)]
    for seed, share in enumerate(wanted):
        found = compare.hold(built[0.0], built[share], given, tell=lambda _: None, seed=seed)
        first = found.figures[0]
        errors.say(
            "false_alarms", f"{seed + 1} of {len(wanted)}, {share:.0%} planted: {found.verdict}; {' '.join(first.cells)}"
        )
        yield PlantedComparison(planted=share, found=found)


def page(found: list[PlantedComparison], *, command: str, rounds: int) -> str:
    """The tables, as Markdown."""
    here = host.read()
    machine = f"{here.machine}, {here.cpu_model or 'processor unknown'}, {here.n_cpus} cores"
    often = f"{rounds} rounds a comparison, undecided ones up to {compare.LOOKS * rounds}"
    lines = [f"`{command}`: {often}; limit 10 %; {machine}.", ""]
    lines += ["| planted | comparisons | alarms | slower beyond the noise | change found, pixels to label | noise, the worst |"]
    lines += ["| --: | --: | --: | --: | --: | --: |"]
    for share in dict.fromkeys(trial.planted for trial in found):
        lines.append("| " + " | ".join(_line(share, [trial for trial in found if trial.planted == share])) + " |")
    lines += ["", "Every comparison of equal code, its worst figure:", "", "| n | figure | change (95 %) | noise | verdict |"]
    lines += ["| --: | --- | --: | --: | --- |"]
    for number, trial in enumerate((trial for trial in found if not trial.planted), 1):
        timed = [figure for figure in trial.found.figures if figure.noise is not None]
        worst = max(timed, key=lambda figure: figure.change or 0.0)
        lines.append(f"| {number} | {worst.cells[0]} | {worst.cells[3]} | {worst.cells[4]} | {worst.verdict} |")
    return "\n".join(lines) + "\n"


def _line(share: float, of_share: list[PlantedComparison]) -> tuple[str, ...]:
    changes = [trial.found.figures[0].change or 0.0 for trial in of_share]
    noises = [trial.found.figures[0].noise or 0.0 for trial in of_share]
    return (
        f"{100 * share:.0f} %",
        str(len(of_share)),
        str(sum(trial.alarmed for trial in of_share)),
        str(sum(trial.noticed for trial in of_share)),
        f"{100 * min(changes):+.1f} to {100 * max(changes):+.1f} %".replace("-", "−"),
        f"±{100 * max(noises):.1f} %",
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.regression.false_alarms", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--equal", type=int, default=20, metavar="N", help="comparisons of equal code (default: 20)")
    parser.add_argument("--planted", type=int, default=10, metavar="N", help="of each slowdown (default: 10)")
    parser.add_argument("--rounds", type=int, default=compare.ROUNDS, metavar="N", help=f"default: {compare.ROUNDS}")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables between the marks on this page, too")
    flags = parser.parse_args()
    if min(flags.equal, flags.planted) < 1:
        raise UsageError("--equal and --planted want 1 or more")
    compare.check_rounds(flags.rounds, n_models=1)
    with tempfile.TemporaryDirectory() as folder:
        found = list(trials(build(Path(folder)), equal=flags.equal, planted=flags.planted, rounds=flags.rounds))
    command = " ".join(["python -m benchmarks.regression.false_alarms", *sys.argv[1:]])
    text = page(found, command=command, rounds=flags.rounds)
    print(text, end="")
    if flags.write:
        pages.write(flags.write, text)
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.regression.false_alarms"))
