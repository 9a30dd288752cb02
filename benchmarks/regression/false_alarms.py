"""How often --compare is wrong: comparisons of equal code, then of code made slower on purpose.

    python -m benchmarks.regression.false_alarms [--equal 20] [--planted 10] [--rounds N] [--write docs/regression.md]

The slower code is this tree with a busy loop after every answer, which ends when the answer has taken a fixed share longer than
usual: the same share on any machine. Every comparison is that of `python -m benchmarks --compare`, in another random order.
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
from train import markdown

PROGRAM = "benchmarks.regression.false_alarms"
PLANTED = (0.15, 0.05)
# Appended to the module. Once the usual time of an answer is known, each answer takes (1 + share) times that, the wrapper's own
# call included. A loop of fixed length also slows the next answer: with it, 15 % planted were 22 % measured. Only a built-in
# module is imported: any other import would slow down whole processes.
SLOWER = """

from time import perf_counter_ns as _now

_answer, _taken = Predictor.answer, []


def _median(values):
    return sorted(values)[len(values) // 2]


def _lasting(answer, ns):
    def last(self, pixels):
        until = _now() + ns
        prediction = answer(self, pixels)
        while _now() < until:
            pass
        return prediction

    return last


def _timed(answer, self, pixels, taken):
    started = _now()
    prediction = answer(self, pixels)
    taken.append(_now() - started)
    return prediction


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
    prediction = _timed(_answer, self, pixels, _taken)
    if len(_taken) == 150:  # the first 50 warm up
        Predictor.answer = _lasting(_answer, (1 + {share}) * _median(_taken[50:]) - _own_ns())
    return prediction


Predictor.answer = _measured
"""


@dataclass(frozen=True, kw_only=True)
class PlantedComparison:
    """One comparison of this tree with a tree made slower by the share `planted`."""

    planted: float
    comparison: RevisionComparison

    @property
    def alarmed(self) -> bool:
        return self.comparison.verdict == "worse"

    @property
    def noticed(self) -> bool:
        """Whether a figure was found slower beyond the noise, over the limit or not."""
        return any(figure.verdict in ("worse", "slower") for figure in self.comparison.figures)


def plant(source: Path, share: float) -> Path:
    """Make the predictor in the tree `source` slower by `share`."""
    with (source / "edge" / "predictor.py").open("a") as file:
        file.write(SLOWER.format(share=share))
    return source


def build(folder: Path) -> dict[float, Side]:
    """This tree installed unchanged (0.0), and slower by each of PLANTED."""
    built = {}
    for share in (0.0, *PLANTED):
        errors.say(PROGRAM, f"building this tree, {100 * share:.0f} % slower")
        source = sides.export(None, folder / f"source-{share}")
        built[share] = sides.install(plant(source, share) if share else source, folder / f"env-{share}", name=f"+{share:.0%}")
    return built


def trials(built: dict[float, Side], *, equal: int, planted: int, rounds: int) -> Iterator[PlantedComparison]:
    """`equal` comparisons of the tree with itself, `planted` of each slower one with it."""
    given = Settings(base="itself", rounds=rounds)
    planned = [0.0] * equal + [share for share in PLANTED for _ in range(planted)]
    for seed, share in enumerate(planned):
        comparison = compare.compare_sides(built[0.0], built[share], given, tell=lambda _: None, seed=seed)
        first = comparison.figures[0]
        errors.say(PROGRAM, f"{seed + 1} of {len(planned)}, {share:.0%} planted: {comparison.verdict}; {' '.join(first.cells)}")
        yield PlantedComparison(planted=share, comparison=comparison)


def page(done: list[PlantedComparison], *, command: str, rounds: int) -> str:
    """The tables, as Markdown."""
    device = host.read()
    machine = f"{device.machine}, {device.cpu_model or 'processor unknown'}, {device.n_cpus} cores"
    often = f"{rounds} rounds a comparison, undecided ones up to {compare.LOOKS * rounds}"
    lines = [f"`{command}`: {often}; limit 10 %; {machine}.", ""]
    shares = dict.fromkeys(trial.planted for trial in done)
    rows = [_row(share, [trial for trial in done if trial.planted == share]) for share in shares]
    head = ("planted", "comparisons", "alarms", "slower beyond the noise", "change found, pixels to label", "noise, the worst")
    worst_of_equal = []
    for number, trial in enumerate((trial for trial in done if not trial.planted), 1):
        timed = [figure for figure in trial.comparison.figures if figure.noise is not None]
        worst = max(timed, key=lambda figure: figure.change or 0.0)
        worst_of_equal.append((str(number), worst.cells[0], worst.cells[3], worst.cells[4], worst.verdict))
    lines += [markdown.table(head, rows, align="r"), "", "Every comparison of equal code, its worst figure:", ""]
    lines += [markdown.table(("n", "figure", "change (95 %)", "noise", "verdict"), worst_of_equal, align="rlrrl")]
    return "\n".join(lines) + "\n"


def _row(share: float, of_share: list[PlantedComparison]) -> tuple[str, ...]:
    changes = [trial.comparison.figures[0].change or 0.0 for trial in of_share]
    noises = [trial.comparison.figures[0].noise or 0.0 for trial in of_share]
    return (
        f"{100 * share:.0f} %",
        str(len(of_share)),
        str(sum(trial.alarmed for trial in of_share)),
        str(sum(trial.noticed for trial in of_share)),
        f"{100 * min(changes):+.1f} to {100 * max(changes):+.1f} %".replace("-", "−"),
        f"±{100 * max(noises):.1f} %",
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {PROGRAM}", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--equal", type=int, default=20, metavar="N", help="comparisons of equal code (default: 20)")
    parser.add_argument("--planted", type=int, default=10, metavar="N", help="of each slowdown (default: 10)")
    parser.add_argument("--rounds", type=int, default=compare.ROUNDS, metavar="N", help=f"default: {compare.ROUNDS}")
    pages.add_write(parser)
    flags = parser.parse_args()
    if min(flags.equal, flags.planted) < 1:
        raise UsageError("--equal and --planted want 1 or more")
    compare.check_rounds(flags.rounds, n_models=1)
    with tempfile.TemporaryDirectory() as folder:
        done = list(trials(build(Path(folder)), equal=flags.equal, planted=flags.planted, rounds=flags.rounds))
    command = " ".join(["python -m benchmarks.regression.false_alarms", *sys.argv[1:]])
    text = page(done, command=command, rounds=flags.rounds)
    return pages.show(text, flags.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, PROGRAM))
