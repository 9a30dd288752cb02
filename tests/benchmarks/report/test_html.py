"""The page: whole in itself, safe with any name, and no wider than a phone."""

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from benchmarks.report import html, plots
from conftest import run
from tests.benchmarks.made_up import everything, report, row, speed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# What a browser would fetch, and what would run.
FETCHING = {"src", "href", "srcset", "poster", "data", "action", "background", "xlink:href"}


class Reader(HTMLParser):
    """The tags and attributes of a page, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "img", "line", "rect", "circle", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in ("rect", "circle"):
            assert self.open.pop() == tag


def test_the_page_needs_nothing_from_the_network():
    text = html.page(everything())
    read = Reader(text)
    assert not read.open
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(read.tags)
    loads = [value for name, value in read.attributes if name in FETCHING]
    assert loads and all(value.startswith("data:image/png;base64,") for value in loads)
    assert "url(" not in text and "@import" not in text and "http://" not in text and "https://" not in text
    assert not [name for name, _ in read.attributes if name.startswith("on")]


def test_the_page_forbids_itself_to_load_anything_and_a_phone_shows_it_at_its_own_width():
    text = html.page(report())
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in text
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text


def test_a_name_that_is_markup_stays_a_name():
    nasty = '<script>alert("1")</script>'
    text = html.page(report(row(nasty, unsteady=nasty, ran=nasty, shipped=True), version=nasty, left_out=(nasty,)))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_row_holds_every_figure():
    text = html.page(report(row()))
    line = re.search(r"<tbody>\n<tr>(.*?)</tr>", text)[1]
    cells = [re.sub(r"<.*?>", " ", cell).split() for cell in re.findall(r"<td.*?>(.*?)</td>", line)]
    assert [" ".join(cell) for cell in cells] == [
        "lenet5-relu mnist", "tflite int8", "litert-c 2.3.0, XNNPACK", "105,896", "99.36 % n = 10,000", "−0.01 −0.06 to 0.04",
        "25.0 ms", "12.3 µs", "13.6 µs", "18.5 µs", "18.4 MiB", "1.9×",
    ]  # fmt: skip


def test_what_was_refused_says_why():
    text = html.page(report(row(speed=None, bound_ratio=None, refused="throttled, now")))
    assert text.count(">refused</td>") == 5 and text.count(">no bound</td>") == 1
    assert "refused, lenet5-relu-mnist-int8.tflite (litert-c): throttled, now</p>" in text
    assert "Where the time goes" not in text


def test_one_model_alone_is_no_trade_off():
    assert plots.trade_offs([row()]) == []


def test_the_front_holds_what_nothing_beats():
    small = row("small", model_bytes=1000, speed=speed(10.0))
    exact = row("exact", model_bytes=9000, speed=speed(90.0), accuracy=replace(row().accuracy, top1=0.999))
    beaten = row("beaten", model_bytes=9500, speed=speed(95.0), accuracy=replace(row().accuracy, top1=0.998))
    twin = row("twin", model_bytes=1000, speed=speed(10.0))
    unjudged = row("unjudged", model_bytes=1, accuracy=None)
    assert plots.front([small, exact, beaten, twin, unjudged]) == {small.digest, exact.digest, twin.digest}


def test_a_time_nobody_measured_beats_none():
    measured, unmeasured = row("measured"), row("unmeasured", speed=None)
    assert plots.front([measured, unmeasured]) == {measured.digest}


def test_the_parts_of_a_cold_start_add_up():
    parts = plots.cold_parts(row())
    assert parts == (25_000 - 4000 - 900, 4000, 900)
    assert plots.cold_parts(row(speed=None)) is None


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed: apt-get install chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_sideways_in_a_browser(tmp_path, width):
    """The page in a frame of that width: a headless window is never narrower than 500."""
    measure = "const d = frames[0].document.documentElement; document.title = `${d.scrollWidth} of ${d.clientWidth}`"
    told = f"<script>onload = () => {{ {measure} }}</script>"
    page = html.page(everything()).replace("&", "&amp;").replace('"', "&quot;")
    frame = f'<iframe style="width:{width}px;height:800px;border:0" srcdoc="{page}"></iframe>'
    (tmp_path / "frame.html").write_text(f"<!doctype html><meta charset=utf-8><title>?</title>{frame}{told}")
    options = "--headless --no-sandbox --disable-gpu --hide-scrollbars --dump-dom --virtual-time-budget=5000"
    done = run(CHROMIUM, *options.split(), f"--user-data-dir={tmp_path}", tmp_path / "frame.html")
    assert done.returncode == 0, done.stderr
    assert re.search(r"<title>(.*?)</title>", done.stdout)[1] == f"{width} of {width}"
