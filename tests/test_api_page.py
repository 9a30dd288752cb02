"""Every program in docs/api.md runs as it stands and answers right; cameras are stood in for by arrays as theirs come."""

import http.server
import json
import re
import sys
import threading
import types
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT
from tests.promises.asking import EXAMPLES

PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL)


def program(word: str) -> str:
    (found,) = (text for text in PROGRAMS if word in text)
    return found


def frames_of_a_camera():
    """Two digits on a page, blue first, and a blank page between them."""
    pages = [np.asarray(Image.open(f"{EXAMPLES}/{name}").convert("RGB"))[..., ::-1] for name in ("seven-page.png", "two.bmp")]
    return [pages[0], np.full_like(pages[0], 200), pages[1]]


@pytest.fixture(autouse=True)
def shipped(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEPROOF_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("EDGEPROOF_MODEL", raising=False)
    monkeypatch.chdir(ROOT)


def test_the_first_prints_what_it_says(capsys):
    first = program("examples/seven.png")
    exec(first, {})
    assert capsys.readouterr().out.strip() == first.rpartition("# ")[2].strip()


def test_the_opencv_loop_answers_each_frame(monkeypatch, capsys):
    frames = iter(frames_of_a_camera())
    camera = types.SimpleNamespace(read=lambda: next(((True, frame) for frame in frames), (False, None)))
    monkeypatch.setitem(sys.modules, "cv2", types.SimpleNamespace(VideoCapture=lambda number: camera))
    exec(program("import cv2"), {})
    seven, blank, two = capsys.readouterr().out.splitlines()
    assert seven.startswith("7 ") and "no digit found" in blank and two.startswith("2 ")


def test_the_picamera2_loop_answers_each_frame(monkeypatch, capsys):
    frames = iter(frames_of_a_camera())

    class Picamera2:
        def create_video_configuration(self, main):
            assert main == {"format": "RGB888"}

        def configure(self, configuration): ...

        def start(self): ...

        def capture_array(self):
            return next(frames)

    monkeypatch.setitem(sys.modules, "picamera2", types.SimpleNamespace(Picamera2=Picamera2))
    with pytest.raises(StopIteration):
        exec(program("picamera2"), {})
    seven, blank, two = capsys.readouterr().out.splitlines()
    assert seven.startswith("7 ") and "no digit found" in blank and two.startswith("2 ")


def test_the_handler_answers_a_picture_and_refuses_what_is_none(monkeypatch):
    servers = []

    class Listening(http.server.HTTPServer):
        def __init__(self, address, handler):
            super().__init__((address[0], 0), handler)

        def serve_forever(self, poll_interval=0.1):
            servers.append(self)

    monkeypatch.setattr(http.server, "HTTPServer", Listening)
    monkeypatch.setattr(http.server.BaseHTTPRequestHandler, "log_message", lambda *_: None)
    exec(program("BaseHTTPRequestHandler"), {"__name__": "page"})
    (server,) = servers
    threading.Thread(target=super(Listening, server).serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        with open(f"{EXAMPLES}/four-photo.jpg", "rb") as photo, urllib.request.urlopen(url, photo.read()) as reply:
            assert json.load(reply)["label"] == "4"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url, b"Dear reader")
        assert refused.value.code == 400 and "not a picture" in json.load(refused.value)["error"]
    finally:
        server.shutdown()
        server.server_close()


def test_the_batch_answers_in_order(capsys):
    exec(program("glob"), {})
    answers = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert answers["seven.png"] == "7" and answers["three-alpha.png"] == "3" and len(answers) >= 12
