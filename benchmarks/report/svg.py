"""SVG figures as lists of marks. Colours come from the page's style sheet, so that figures fit its light and dark theme."""

import math
from collections.abc import Callable, Sequence
from html import escape

WIDTH = 360  # user units: the width of a phone, so that text stays readable there


def figure(marks: Sequence[str], *, height: float, title: str) -> str:
    body = "\n".join(marks)
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">\n{body}\n</svg>'


def file(marks: Sequence[str], *, width: float, height: float, style: str, title: str) -> str:
    """A picture that stands alone, with its own colours."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    body = "\n".join(marks)
    return f'{head} role="img" aria-label="{escape(title)}">\n<style>{style}</style>\n{body}\n</svg>\n'


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, *, kind: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def path(points: Sequence[tuple[float, float]], *, kind: str = "") -> str:
    return f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" class="{kind}"/>'


def dot(x: float, y: float, radius: float, *, kind: str = "", title: str = "") -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{kind}">{_title(title)}</circle>'


def bar(x: float, y: float, width: float, height: float, *, kind: str = "", title: str = "") -> str:
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:g}" rx="2"'
    return f'<rect {shape} class="{kind}">{_title(title)}</rect>'


def _title(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""


def log_scale(values: Sequence[float], start: float, end: float) -> tuple[Callable[[float], float], list[float]]:
    """A logarithmic axis around `values` (> 0): the position of a value between `start` and `end`, and the ticks."""
    low, high = min(values) / 1.25, max(values) * 1.25
    span = math.log(high / low)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if span < math.log(30) else (1, 3) if span < math.log(300) else (1,)
    ticks = [step * 10.0**power for power in decades for step in steps if low <= step * 10.0**power <= high]
    return lambda value: start + (end - start) * math.log(value / low) / span, ticks


def linear_scale(low: float, high: float, start: float, end: float) -> tuple[Callable[[float], float], list[float]]:
    """The same of a linear axis from `low` to `high`, with about four round ticks."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    first = math.ceil(low / step - 1e-9)
    ticks = [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]
    return lambda value: start + (end - start) * (value - low) / (high - low), ticks
