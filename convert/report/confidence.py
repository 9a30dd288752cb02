"""What a report says of an answer's worth: do probabilities mean what they say, what is rejected, what do sets hold?"""

import io
from collections.abc import Sequence

from convert.confidence import SEED, Judged
from convert.confidence.temperature import Reliability
from convert.pictures.evidence import interval
from convert.results import ConversionResult
from train import markdown

_HEADER = ("file", "temperature", "calibration error before, points", "after", "genuine rejected (95 % interval)",
          "right answers withheld", "top-1 of all", "of those answered")  # fmt: skip
_SETS = ("file", "coverage promised", "measured (95 % interval)", "classes in a set, mean")


def summary(results: Sequence[ConversionResult], *, drawn: str = "") -> str:
    """The section of a report on these candidates, as Markdown; "" where none was judged. `drawn` is the folder of diagrams."""
    known = [(result, result.evaluation.judged) for result in results if result.evaluation and result.evaluation.judged]
    if not known:
        return ""
    sets = [
        (result.file_name, f"{100 * each.level:g} %", f"{100 * each.coverage:.2f} % "
         f"({100 * each.interval[0]:.2f} to {100 * each.interval[1]:.2f})", f"{each.mean_size:.3f}")
        for result, judged in known for each in judged.coverages
    ]  # fmt: skip
    parts = [
        "## What an answer is worth",
        markdown.table(_HEADER, [_cells(result, judged) for result, judged in known], align="lr"),
        "\n".join(f"- `{result.file_name}`: {_account(judged)}" for result, judged in known),
    ]
    if sets:
        parts.append(markdown.table(_SETS, sets, align="lr"))
    parts += [f"![reliability]({drawn}/{result.file_name}.png)" for result, _ in known if drawn]
    return "\n\n".join(parts) + "\n"


def _cells(result: ConversionResult, judged: Judged) -> tuple[str, ...]:
    """A candidate as a row under _HEADER."""
    row = (
        result.file_name,
        f"{judged.confidence.temperature:g}",
        f"{judged.before.excess_points:.2f}",
        f"{judged.after.excess_points:.2f}",
    )
    found, top1 = judged.rejection, f"{100 * judged.top1:.2f} %"
    if found is None:
        return (*row, "none", "-", top1, "-")
    low, high = found.interval
    answered = "-" if found.top1_answered is None else f"{100 * found.top1_answered:.2f} %"
    share = f"{100 * found.n_rejected / found.n_images:.2f} % ({100 * low:.2f} to {100 * high:.2f})"
    return (*row, share, f"{found.n_withheld:,} of {found.n_images:,}", top1, answered)


def _account(judged: Judged) -> str:
    fitted = f"fitted on {judged.n_fitted:,} test pictures (seed {SEED}), judged on the other {judged.n_judged:,}"
    summary = f"{fitted}. Calibration error: {judged.before.in_words} before, {judged.after.in_words} after"
    if judged.rejection is None:
        return f"{summary}. Rejection: {judged.why_not}"
    limit = judged.rejection.fitted
    allowed = f"{limit.n_allowed:,} of {limit.n_images:,} pictures allow at most {100 * limit.bound:.2f} % (one-sided, 95 %)"
    by = (
        f"{summary}. Rejected by `{judged.rejection.kind}` above {limit.threshold:g}: {allowed}, "
        f"{100 * limit.rate:.3g} % promised"
    )
    return (
        by if judged.redrawn is None else f"{by}. Redrawn as a device redraws photographed digits, it {judged.redrawn.in_words}"
    )


def diagram(judged: Judged, *, title: str) -> bytes:
    """The reliability diagram as PNG: the share of right answers over the mean probability, before and after."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 4.4))
    axes = figure.add_axes((0.14, 0.12, 0.83, 0.80))
    least = 1.0
    for name, found, colour in (("before", judged.before, "#999999"), ("after", judged.after, "#0b63a5")):
        said, shares, errors = _points(found)
        words = f"{name}: {found.excess_points:.2f} points beyond chance"
        axes.errorbar(said, shares, errors, fmt="o", color=colour, capsize=2, markersize=4, label=words)
        least = min(least, *said, *(share - low for share, low in zip(shares, errors[0], strict=True)))
    edge = max(0.0, least - 0.02), 1.01
    axes.plot(edge, edge, color="black", linewidth=0.8)
    axes.set(
        title=title, xlabel="probability of the answer, mean of a bin", ylabel="share of right answers", xlim=edge, ylim=edge
    )
    axes.legend(loc="lower right", fontsize="small", title=f"n = {judged.n_judged:,}, 95 % intervals", title_fontsize="small")
    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=110)
        return file.getvalue()


def _points(found: Reliability) -> tuple[list[float], list[float], tuple[list[float], list[float]]]:
    """Mean probabilities, shares of right answers, and how far their intervals reach below and above."""
    ends = [interval(round(share * n), n) for _, share, n in found.bins]
    shares = [share for _, share, _ in found.bins]
    low = [max(0.0, share - end[0]) for share, end in zip(shares, ends, strict=True)]
    high = [max(0.0, end[1] - share) for share, end in zip(shares, ends, strict=True)]
    return [said for said, *_ in found.bins], shares, (low, high)
