"""Which model to ship: the choice among measured models under limits, and the trade-off drawn in characters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.96  # of a 95 % interval
COLUMNS, LINES = 56, 12  # of the drawing
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A model that could be shipped. `top1` from 0 to 1 on `n_images`, from its manifest; None if that states none."""

    name: str
    top1: float | None
    n_images: int
    model_bytes: int
    us: float
    low_us: float
    high_us: float
    peak_mib: float | None

    def __str__(self) -> str:
        accuracy = "accuracy not stated" if self.top1 is None else f"{100 * self.top1:.2f} % top-1 (n = {self.n_images:,})"
        memory = "" if self.peak_mib is None else f", {self.peak_mib:.0f} MiB"
        return f"{accuracy}, {self.model_bytes / 1000:,.1f} kB, {micros(self.us)}{memory}"


def micros(us: float) -> str:
    """µs to three significant digits, in µs or ms."""
    value, unit = (us, "µs") if us < 1000 else (us / 1000, "ms")
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def advise(choices: Sequence[Choice], *, max_us: float | None = None, max_kb: float | None = None) -> tuple[Choice | None, str]:
    """The model to ship, and why, in sentences; None if no model keeps the limits.

    A model keeps `max_us` if its whole 95 % interval does. Of those within the limits, any whose top-1 does not differ
    from the best by more than chance (two proportions, unpaired: the pictures may differ) counts as equally accurate; of
    these the fastest is advised, and among equally fast ones the smallest.
    """
    limits = [] if max_us is None else [f"at most {micros(max_us)}"]
    limits += [] if max_kb is None else [f"at most {max_kb:g} kB"]
    asked = f" with {' and '.join(limits)}" if limits else ""
    fast = [c for c in choices if max_us is None or c.high_us <= max_us]
    small = [c for c in choices if max_kb is None or c.model_bytes <= 1000 * max_kb]
    within = [c for c in fast if c in small and c.top1 is not None]
    if not within:
        return None, f"None of {len(choices)} models{asked}: {_nearest(choices, fast, small)}."
    best = max(within, key=lambda c: c.top1 or 0.0)
    equal = [c for c in within if not clearly_better(best, c)]
    quickest = min(equal, key=lambda c: c.us)
    chosen = min((c for c in equal if c.low_us <= quickest.high_us), key=lambda c: c.model_bytes)
    sentences = [f"Ship {chosen.name}{asked}: {chosen}."]
    if chosen is not best and best.top1 != chosen.top1:
        gain = 100 * ((best.top1 or 0) - (chosen.top1 or 0))
        slower = f"{best.us / chosen.us:.1f} times as long, {best.model_bytes / chosen.model_bytes:.1f} times the bytes"
        sentences.append(f"{best.name} has {gain:.2f} points more, which may be chance, for {slower}.")
    if lesser := [c for c in within if c.us < chosen.us and c not in equal]:
        faster = min(lesser, key=lambda c: c.us)
        loses = 100 * ((chosen.top1 or 0) - (faster.top1 or 0))
        sentences.append(f"{faster.name} takes {faster.us / chosen.us:.2f} times the time and has {loses:.2f} points less.")
    edge = [c for c in choices if max_us is not None and c.low_us <= max_us < c.high_us]
    sentences += [f"{c.name} may keep {micros(max_us or 0)} or not: {micros(c.low_us)} to {micros(c.high_us)}." for c in edge]
    return chosen, " ".join(sentences)


def clearly_better(one: Choice, other: Choice) -> bool:
    """Whether the top-1 of `one` is above that of `other` by more than chance, with 95 % confidence."""
    assert one.top1 is not None and other.top1 is not None
    variance = sum(c.top1 * (1 - c.top1) / max(c.n_images, 1) for c in (one, other) if c.top1 is not None)
    return one.top1 - other.top1 > Z * math.sqrt(variance)


def _nearest(choices: Sequence[Choice], fast: Sequence[Choice], small: Sequence[Choice]) -> str:
    if not any(c.top1 is not None for c in choices):
        return "no manifest states an accuracy"
    least = min(small or choices, key=lambda c: c.us)
    word = "the fastest that is small enough" if 0 < len(small) < len(choices) and not fast else "the fastest"
    between = f"{micros(least.us)} ({micros(least.low_us)} to {micros(least.high_us)})"
    return f"{word} is {least.name}, {between}, {least.model_bytes / 1000:,.1f} kB"


def drawn(choices: Sequence[Choice], chosen: Choice | None) -> list[str]:
    """The trade-off: a letter for each model, top-1 upwards, time to the right (logarithmic); and what each letter is.

    A letter in brackets is the advised model; a star beside a row, no other model is as good in all of accuracy, bytes, time.
    """
    order = sorted(choices, key=lambda c: c.us)
    known = [c for c in order if c.top1 is not None]
    lines = [*_plot(order, known, chosen), ""] if len(known) > 1 else []
    width = max(len(c.name) for c in order)
    for letter, c in zip(LETTERS, order, strict=False):
        mark = "→" if c is chosen else "*" if c in known and not any(_beats(o, c) for o in known) else " "
        interval = f"{micros(c.low_us)} to {micros(c.high_us)}"
        lines.append(f"{mark} {letter}  {c.name.ljust(width)}  {c}  ({interval})")
    return lines


def _plot(order: Sequence[Choice], known: Sequence[Choice], chosen: Choice | None) -> list[str]:
    tops = [100 * (c.top1 or 0) for c in known]
    low, high = min(tops), max(max(tops), min(tops) + 0.01)
    first, last = math.log(known[0].us), math.log(max(known[-1].us, known[0].us * 1.01))
    grid = [[" "] * (COLUMNS + 3) for _ in range(LINES)]
    for letter, c in zip(LETTERS, order, strict=False):
        if c.top1 is None:
            continue
        line = round((high - 100 * c.top1) / (high - low) * (LINES - 1))
        column = 1 + round((math.log(c.us) - first) / (last - first) * COLUMNS)
        for at, sign in enumerate(f"({letter})" if c is chosen else letter, column - (c is chosen)):
            if grid[line][at] == " " or c is chosen:
                grid[line][at] = sign
    marks = {0: f"{high:.2f} %", LINES - 1: f"{low:.2f} %"}
    lines = [f"{marks.get(at, ''):>8} │{''.join(row).rstrip()}" for at, row in enumerate(grid)]
    left, right = micros(known[0].us), micros(known[-1].us)
    return [*lines, f"{'top-1':>8} └{'─' * (COLUMNS + 2)}", f"{'':9} {left}{right:>{COLUMNS + 2 - len(left)}}"]


def _beats(one: Choice, other: Choice) -> bool:
    a, b = ((c.model_bytes, c.us, -(c.top1 or 0)) for c in (one, other))
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))
