"""A diagnosis as a chart: what quantization costs each layer, and what each remedy left of it."""

import io
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

BEFORE, TRIED, KEPT = "#b3541e", "#b9bec4", "#2f7d4f"
# Text stays text, and equal figures give an equal file.
SVG = {"svg.fonttype": "none", "svg.hashsalt": "edgeproof", "font.family": "sans-serif", "font.size": 11}


def draw(row: dict[str, Any]) -> bytes:
    """An SVG of one row of `report.json`, that of a repaired model with its findings."""
    before, steps = row["repair"]["before"], row["repair"]["steps"]
    findings = sorted(before["findings"], key=lambda finding: finding["share"] or 0)
    with mpl.rc_context(SVG):
        figure = Figure(figsize=(10, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        figure.suptitle(
            f"{row['name']}.{row['format']}: {before['verdict']} ({before['drop_points']:.2f} points lost); repaired: "
            f"{row['verdict']} ({row['drop_points']:.2f} points lost; n = {row['n_images']:,})"
        )
        shares = [100 * (finding["share"] or 0) for finding in findings]
        bars = left.barh([finding["layer"] for finding in findings], shares, color=BEFORE)
        left.bar_label(bars, [f"{share:.0f} %" for share in shares], padding=4)
        left.set(xlim=(0, 1.15 * max(shares)))
        left.set_title("share of the logit error", loc="left")
        net = [step["lost"] - step["gained"] for step in steps]
        colours = [BEFORE] + [KEPT if step["kept"] else TRIED for step in steps[1:]]
        bars = right.barh([step["remedy"] for step in steps], net, color=colours)
        words = [f"{n}, {'kept' if step['kept'] else 'not kept'}" for n, step in zip(net, steps, strict=True)]
        right.bar_label(bars, [str(net[0]), *words[1:]], padding=4)
        right.invert_yaxis()
        right.set(xlim=(0, 1.3 * max(net)))
        right.set_title(f"images lost - gained, of {steps[0]['n_images']:,}", loc="left")
        for axes in (left, right):
            axes.spines[["top", "right", "bottom"]].set_visible(False)
            axes.tick_params(bottom=False, labelbottom=False, left=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()
