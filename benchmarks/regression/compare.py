"""Is this tree worse than another revision? Both are built, measured in turns, and compared within limits.

A time is worse if its change exceeds the limit (10 %) and the noise: the lower bound of the change must be above the bound of
the base's difference from itself. With these bounds at most one comparison of equal code in a hundred fails, all its times
and looks together (docs/regression.md); the limit makes that rarer. Rounds are added while a time is undecided. Sizes
and, with --instructions, counts (limit 1 %) are exact. Answers are judged by the gate, image by image.
"""

import argparse
import math
import random
import statistics
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import signed_ranks
from benchmarks.instructions import count
from benchmarks.instructions.count import Instructions
from benchmarks.regression import answers, rounds, sides
from benchmarks.regression.rounds import Round
from benchmarks.regression.sides import ROOT, Side
from benchmarks.signed_ranks import Change
from edge.errors import UsageError

FALSE_ALARMS = 0.01  # the highest share of comparisons of equal code that may fail
MAX_MORE_BYTES = 0.01
MAX_MORE_INSTRUCTIONS = 0.01
BEYOND_BELIEF = 0.5  # of the base: below that a broken measurement is more likely than a better program
ROUNDS, SHORT_ROUNDS = 15, 10
LOOKS = 3  # each after more rounds: a busy machine needs more of them than a quiet one
PICTURE = str(ROOT / "examples" / "seven.png")
TITLES = {"pixels": "pixels to label", "file": "file to label", "process": "whole edge-predict"}
# The worst first: the worst of the figures is the verdict of the comparison.
VERDICTS = ("worse", "suspicious", "not comparable", "not shown", "undecided", "slower", "fewer right", "better", "same")
WITHIN_LIMITS = ("slower", "fewer right")  # worse, but within the limit


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is compared, and the limits, as fractions."""

    base: str  # a commit
    max_slower: float = 0.10
    rounds: int = ROUNDS
    models: tuple[str, ...] = ()  # besides the one in each side's wheel
    data_dir: str | None = None
    count_by: str = ""  # `counters` or `valgrind`; "": instructions are not counted


@dataclass(frozen=True, kw_only=True)
class FigureVerdict:
    """The verdict on one figure of both sides; `cells` is its table row."""

    name: str
    verdict: str
    cells: tuple[str, ...]
    change: float | None = None  # a fraction of the base
    interval: tuple[float, float] | None = None  # 95 %, at the last look
    noise: float | None = None  # the 95 % bound of the base's difference from itself


@dataclass(frozen=True, kw_only=True)
class RevisionComparison:
    """Every figure, and the verdict on all of them with its reason."""

    base: str
    verdict: str
    why: str
    figures: tuple[FigureVerdict, ...]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that `settings` reads."""
    group = parser.add_argument_group("comparison with another revision")
    base_help = "build this git revision, measure it in turns with this tree, and fail if this tree is worse"
    group.add_argument("--compare", metavar="BASE", help=base_help)
    group.add_argument("--max-slower", type=float, default=10.0, metavar="PERCENT", help="the limit on times (default: 10)")
    usual = f"default: {ROUNDS}, with --short {SHORT_ROUNDS}; more with many models"
    rounds_help = f"rounds of measuring; up to {LOOKS} times as many while a time is undecided ({usual})"
    group.add_argument("--rounds", type=int, metavar="N", help=rounds_help)


def settings(flags: argparse.Namespace) -> Settings:
    """The settings in `flags`. Raises UsageError for an unknown base, or an impossible limit or number of rounds."""
    if not 0 < flags.max_slower <= 1000:
        raise UsageError(f"--max-slower {flags.max_slower:g}: wanted a percentage above 0, up to 1000")
    models = () if flags.short else tuple(path for path in _tflite_files(flags.models))
    n = flags.rounds
    if n is None:
        n = max(SHORT_ROUNDS if flags.short else ROUNDS, _fewest_rounds(1 + len(models)))
    check_rounds(n, n_models=1 + len(models))
    return Settings(
        base=sides.commit_of(flags.compare), max_slower=flags.max_slower / 100, rounds=n, models=models,
        data_dir=flags.data_dir, count_by=count.able() if flags.instructions else "",
    )  # fmt: skip


def check_rounds(n: int, *, n_models: int) -> None:
    """Raise UsageError if `n` rounds can show nothing at the level left for each of so many times."""
    if n < (fewest := _fewest_rounds(n_models)):
        raise UsageError(f"--rounds {n}: {n_models * len(TITLES)} times need at least {fewest} rounds to show anything")


def compare(given: Settings, *, tell: Callable[[str], None]) -> RevisionComparison:
    """Build both sides, measure and judge them. Raises ToolchainError if a side cannot be built or measured."""
    with tempfile.TemporaryDirectory() as folder:
        built = []
        for name, revision in (("base", given.base), ("now", None)):
            tell(f"building {name} ({revision or 'this tree'})")
            source = sides.export(revision, Path(folder, name, "source"))
            built.append(sides.install(source, Path(folder, name, "env"), name=name))
        return compare_sides(*built, given, tell=tell)


def compare_sides(base: Side, now: Side, given: Settings, *, tell: Callable[[str], None], seed: int = 0) -> RevisionComparison:
    """Measure and judge two installed sides; `seed` draws the order of turns."""
    draw = random.Random(seed)
    judged = []
    for model in ("", *given.models):
        title = Path(model).name if model else "model in the wheel"
        judged += _judge_times(title, base, now, model, given, draw=draw, tell=tell)
        compared = answers.compare(base, now, model=model, picture=PICTURE, data_dir=given.data_dir)
        cells = (f"{title}: answers", compared.base, compared.now, compared.change, "none", compared.verdict)
        judged.append(FigureVerdict(name=cells[0], verdict=compared.verdict, cells=cells))
        if given.count_by:
            tell(f"{title}: instructions of both sides, by {given.count_by}")
            counts = [count.count(model, python=side.python, by=given.count_by) for side in (base, now)]
            judged.append(judge_instructions(title, *counts))
    for title, part in (("model in the wheel: bytes", "edge/models"), ("installed, with dependencies: bytes", "")):
        judged.append(judge_bytes(title, *(_bytes(side.packages() / part) for side in (base, now))))
    return conclude(judged, commit=given.base)


def _judge_times(
    title: str, base: Side, now: Side, model: str, given: Settings, *, draw: random.Random, tell: Callable[[str], None]
) -> list[FigureVerdict]:
    measured: dict[str, list[Round]] = {figure: [] for figure in TITLES}
    alpha = _alpha(1 + len(given.models))
    for look in range(LOOKS):
        tell(f"{title}: {given.rounds} {'more ' if look else ''}rounds")
        more = rounds.measure(base, now, model=model, picture=PICTURE, rounds=given.rounds, draw=draw)
        for figure, each in more.items():
            measured[figure] += each
        judged = [
            judge_time(f"{title}: {TITLES[name]}", each, given.max_slower, alpha=alpha) for name, each in measured.items()
        ]
        if all(each.verdict != "undecided" for each in judged):
            break
    return judged


def judge_time(name: str, measured: list[Round], max_slower: float, *, alpha: float) -> FigureVerdict:
    """The verdict on one time."""
    moved = signed_ranks.change([each.change for each in measured], alpha=alpha)
    itself = signed_ranks.change([each.noise for each in measured], alpha=alpha)
    noise = max(abs(itself.lower), abs(itself.upper))
    verdict = time_verdict(moved, noise, math.log1p(max_slower))
    interval = (math.expm1(moved.lower), math.expm1(moved.upper))
    base_ns, now_ns = (statistics.median(getattr(each, side) for each in measured) for side in ("base_ns", "now_ns"))
    change, noise = math.expm1(moved.estimate), math.expm1(noise)
    shown = f"{_percent(change)} ({_percent(interval[0])} to {_percent(interval[1])})"
    cells = (name, _time(base_ns), _time(now_ns), shown, f"±{100 * noise:.1f} %", verdict)
    return FigureVerdict(name=name, verdict=verdict, cells=cells, change=change, interval=interval, noise=noise)


def time_verdict(moved: Change, noise: float, limit: float) -> str:
    """One of VERDICTS. All arguments are logarithms of ratios."""
    slower, faster = moved.surely_above > noise, moved.surely_below < -noise
    if slower and moved.estimate > limit:
        return "worse"
    if faster and moved.estimate < math.log(BEYOND_BELIEF):
        return "suspicious"
    if noise > limit or moved.estimate > limit:
        return "undecided"  # the machine is too busy to show a change of that size
    return "slower" if slower else "better" if faster else "same"


def judge_bytes(name: str, base: int, now: int) -> FigureVerdict:
    """The verdict on a size, which has no noise."""
    change = now / base - 1 if base else 0.0  # nothing to compare with
    verdict = "worse" if base and now > base * (1 + MAX_MORE_BYTES) else "suspicious" if change < -BEYOND_BELIEF else "same"
    cells = (name, f"{base:,} B", f"{now:,} B", f"{100 * change:+.2f} %".replace("-", "−"), "none", verdict)
    return FigureVerdict(name=name, verdict=verdict, cells=cells, change=change)


def judge_instructions(title: str, base: Instructions, now: Instructions) -> FigureVerdict:
    """The verdict on a count, which has next to no noise; the kernels are in its name, because they decide it."""
    name = f"{title}: instructions a prediction ({now.kernels})"
    if base.kernels != now.kernels:
        cells = (name, base.kernels, now.kernels, "other kernels", "none", "not comparable")
        return FigureVerdict(name=name, verdict="not comparable", cells=cells)
    change = now.per_prediction / base.per_prediction - 1
    better = "suspicious" if change < -BEYOND_BELIEF else "better" if change < -MAX_MORE_INSTRUCTIONS else "same"
    verdict = "worse" if change > MAX_MORE_INSTRUCTIONS else better
    cells = (name, f"{base.per_prediction:,.0f}", f"{now.per_prediction:,.0f}", f"{100 * change:+.2f} %".replace("-", "−"))
    return FigureVerdict(name=name, verdict=verdict, cells=(*cells, "none", verdict), change=change)


def conclude(judged: Iterable[FigureVerdict], *, commit: str) -> RevisionComparison:
    """The worst verdict, and a sentence with its reason."""
    figures = tuple(judged)
    worst = next(word for word in VERDICTS if any(figure.verdict == word for figure in figures))
    alike = WITHIN_LIMITS if worst in WITHIN_LIMITS else (worst,)
    named = [f"{figure.name} {figure.cells[3]}" for figure in figures if figure.verdict in alike]
    listed = "; ".join(named)
    within = f"No worse than {commit[:12]} beyond the limits; within them: {listed}."
    why = {
        "worse": f"Worse than {commit[:12]} beyond limit and noise: {listed}.",
        "suspicious": f"Implausibly better than {commit[:12]}; check that it still measures the same: {listed}.",
        "not comparable": f"Not comparable with {commit[:12]}, which has another model: {listed}.",
        "not shown": f"No worse than {commit[:12]}, as far as the test images show: {listed}.",
        "undecided": f"No worse than {commit[:12]}, as far as this machine shows; too noisy for: {listed}.",
        **dict.fromkeys(WITHIN_LIMITS, within),
    }.get(worst, f"No worse than {commit[:12]}.")
    plain = worst in (*WITHIN_LIMITS, "better", "same")
    return RevisionComparison(base=commit, verdict="no worse" if plain else worst, why=why, figures=figures)


def _fewest_rounds(n_models: int) -> int:
    return signed_ranks.fewest_rounds(_alpha(n_models))


def _alpha(n_models: int) -> float:
    # Bonferroni's correction for all times and looks.
    return FALSE_ALARMS / (n_models * len(TITLES) * LOOKS)


def _tflite_files(named: Iterable[str]) -> Iterable[str]:
    # The installed sides have no ONNX Runtime.
    for path in map(Path, named):
        yield from map(str, sorted(path.glob("*.tflite")) if path.is_dir() else [path] if path.suffix == ".tflite" else [])


def _bytes(folder: Path) -> int:
    """The size of every file below `folder` except Python's caches, pip and setuptools."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc")
    return sum(file.stat().st_size for file in files if not file.relative_to(folder).parts[0].startswith(("pip", "setuptools")))


def _percent(fraction: float) -> str:
    return f"{100 * fraction:+.1f} %".replace("-", "−")


def _time(ns: float) -> str:
    return f"{ns / 1e3:.2f} µs" if ns < 1e6 else f"{ns / 1e6:.2f} ms"
