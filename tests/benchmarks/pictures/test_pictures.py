"""`make pictures`: what is drawn is what was printed or written."""

import xml.etree.ElementTree as ElementTree

from benchmarks.pictures import diagnosis, terminal
from benchmarks.pictures.terminal import COLUMNS


def texts(svg: str) -> list[str]:
    return [node.text for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_recording_shows_each_command_with_what_it_printed():
    assert terminal.record(["echo 1; echo 2 >&2; exit 3", "ls *.tflite"]) == [
        ("command", "echo 1; echo 2 >&2; exit 3"),
        ("error", "2"),
        ("output", "1"),
        ("command", "ls *.tflite"),
        ("output", terminal.MODEL),
    ]


def test_a_drawn_terminal_wraps_long_lines_and_escapes_markup():
    drawn = texts(terminal.draw([("command", "a <b> & c"), ("output", "word " * 40)]))
    assert drawn[0] == "$ a <b> & c"
    assert max(map(len, drawn)) <= COLUMNS and " ".join(drawn[1:]).split() == ["word"] * 40


def test_a_line_is_hidden_by_an_animation_alone():
    drawn = terminal.draw([("output", "x")])
    assert "visibility" not in drawn.replace("@keyframes hidden{from{visibility:hidden}to{visibility:hidden}}", "")


def test_a_diagnosis_shows_every_layer_and_every_remedy():
    findings = [{"layer": "conv1", "share": 0.8}, {"layer": "dense1", "share": None}]
    steps = [{"remedy": "as it was", "kept": True, "lost": 30, "gained": 6, "n_images": 5000},
             {"remedy": "biases corrected", "kept": True, "lost": 14, "gained": 3, "n_images": 5000}]  # fmt: skip
    row = {"name": "net-int4", "format": "tflite", "verdict": "passed", "drop_points": 0.3, "n_images": 10_000,
           "repair": {"steps": steps, "before": {"verdict": "failed", "drop_points": 0.59, "findings": findings}}}  # fmt: skip
    drawn = texts(diagnosis.draw(row).decode())
    assert {"conv1", "80 %", "dense1", "0 %", "as it was", "24", "biases corrected", "11, kept"} <= set(drawn)
    assert "net-int4.tflite: failed (0.59 points lost); repaired: passed (0.30 points lost; n = 10,000)" in drawn
    assert diagnosis.draw(row).decode() == diagnosis.draw(row).decode()
