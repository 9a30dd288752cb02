"""A terminal session as an SVG: the commands are run, and what they print is drawn, line by line where a viewer animates.

The output is real; the pauses are for reading, so that equal output gives an equal file.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = 84
CHAR, LINE, MARGIN, BAR = 8.43, 20, 18, 30  # pixels: a character's width at 14 px, a line, the frame, its title bar
COMMAND_S, OUTPUT_S = 1.0, 0.2  # seconds before a command appears, and before each line that it prints

# What a device does with a good model and with a damaged one.
MODEL = "lenet5-relu-mnist-int8.tflite"
SESSION = (
    "edge-predict examples/seven.png examples/four-photo.jpg",
    f"python -m edge install {MODEL}",
    f"printf X | dd of={MODEL} bs=1 seek=4711 conv=notrunc status=none   # one wrong byte",
    f"python -m edge install {MODEL}; echo exit code $?",
    "edge-predict examples/seven.png                # the installed one still answers",
)
# {width}, {height}: of the window. Without animation every line is visible.
SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" aria-label="terminal">
<style>text{{font:14px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}}\
@media(prefers-reduced-motion:no-preference){{text{{animation-name:hidden;animation-timing-function:step-end}}}}\
.command{{fill:#7ee787}}.output{{fill:#e6edf3}}.error{{fill:#ffa657}}\
@keyframes hidden{{from{{visibility:hidden}}to{{visibility:hidden}}}}</style>
<rect width="100%" height="100%" rx="10" fill="#0d1117"/><circle cx="20" cy="16" r="6" fill="#ff5f57"/>\
<circle cx="40" cy="16" r="6" fill="#febc2e"/><circle cx="60" cy="16" r="6" fill="#28c840"/>
{lines}
</svg>
"""


def record(commands: Sequence[str] = SESSION) -> list[tuple[str, str]]:
    """What a terminal shows of `commands`, run one after the other by bash in a folder with the examples and MODEL.

    Each line is ("command", "output" or "error", its text).
    """
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "examples", Path(folder, "examples"))
        shutil.copy(ROOT / "edge/models" / MODEL, folder)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "EDGEPROOF_STORE": f"{folder}/store", "EDGEPROOF_MODEL": ""}
        for command in commands:
            done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)
            lines.append(("command", command))
            # stderr first: `command; echo exit code $?` prints the code last.
            lines += [("error", line) for line in done.stderr.splitlines()]
            lines += [("output", line) for line in done.stdout.splitlines()]
    return lines


def draw(lines: Sequence[tuple[str, str]]) -> str:
    """The session as an SVG, in which the lines appear one after the other."""
    marks, y, appears_s = [], BAR + MARGIN + 10, 0.0
    for kind, text in lines:
        appears_s += COMMAND_S if kind == "command" and marks else OUTPUT_S
        shown = f"$ {text}" if kind == "command" else text
        style = f"animation-duration:{appears_s:.1f}s"
        for part in textwrap.wrap(shown, COLUMNS, subsequent_indent="  ", drop_whitespace=False) or [""]:
            marks.append(f'<text class="{kind}" x="{MARGIN}" y="{y}" style="{style}">{escape(part)}</text>')
            y += LINE
    return SVG.format(width=COLUMNS * CHAR + 2 * MARGIN, height=y + MARGIN - 10, lines="\n".join(marks))
