"""Models that do not prove themselves are refused in one line: damaged, untrue, no files at all, or fatal when tried."""

import os
import time
from pathlib import Path

import pytest

from conftest import ROOT
from edge import artifact, errors, limits
from edge.engines import in_child
from edge.store import sandbox
from tests.edge.on_device import SHIPPED, current, done, file_of, flip, in_the_trial, place, refused, resealed


def damaged(path: Path) -> None:
    path.write_bytes(SHIPPED.read_bytes())
    flip(path)


def wrong_answers(path: Path) -> None:
    resealed(path, name="wrong", alter=lambda goldens: [(picture, bytes(len(output))) for picture, output in goldens])


def broken_structure(path: Path) -> None:
    shipped = artifact.read(str(SHIPPED))
    model = bytearray(shipped.data[: shipped.contract.model_bytes])
    for at in range(len(model) * 3 // 4, len(model) - 4, 4):  # where the tables of the flatbuffer lie
        model[at : at + 4] = b"\xff\xff\xff\x7f"
    resealed(path, name="broken", model=bytes(model))


def foreign(path: Path) -> None:
    path.write_bytes(SHIPPED.read_bytes()[:100_000].replace(b"edgeproof", b"otherwise"))


NO_FILE = "new.tflite: not a file; name a .tflite or .onnx model"


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (damaged, 78, "new.tflite: damaged: the seal reads"),
        (wrong_answers, 1, "new.tflite: picture 0: expected ("),
        (broken_structure, 78, "new.tflite: litert refuses the model"),
        (
            lambda path: resealed(path, name="untrue", output_scale=1.5),
            78,
            f"contract says output-scale 1.5, the model {artifact.read(str(SHIPPED)).contract.output_scale}",
        ),
        (lambda path: resealed(path, name="silent", alter=lambda _: []), 78, "carries no goldens to test itself with"),
        (foreign, 78, "new.tflite: not sealed by edgeproof"),
        (os.mkfifo, 66, NO_FILE),
        (lambda path: path.symlink_to("/dev/zero"), 66, NO_FILE),
        (lambda path: path.symlink_to(path), 66, "new.tflite: Too many levels of symbolic links"),
    ],
)
def test_a_model_that_does_not_prove_itself_changes_nothing(make, code, says, model_files, tmp_path, store):
    place(model_files["first"], store=store)
    (tmp_path / "two\nlines").mkdir()
    make(tmp_path / "two\nlines" / "new.tflite")
    refused("install", tmp_path / "two\nlines" / "new.tflite", store=store, code=code, says=says)
    assert current(store) == "first"


@pytest.mark.parametrize(
    ("module", "code", "says"),
    [
        (
            "import os; os.kill(os.getpid(), 11)",
            69,
            "LiteRT crashes when it is imported (Segmentation fault): pip install --force",
        ),
        ("import os; os.kill(os.getpid(), 9)", 71, "first.tflite: killed when tried, as for want of memory"),
        ("raise MemoryError", 71, "first.tflite: out of memory when tried"),
        ("raise ValueError('odd\\nshape')", 69, "LiteRT does not import (shape): pip install --force-reinstall ai-edge-litert"),
        ("raise ModuleNotFoundError(name='ai_edge_litert')", 69, "first.tflite needs LiteRT, which is not installed"),
    ],
)
def test_whatever_the_library_does_to_the_child_is_one_line(module, code, says, model_files, tmp_path, store):
    # Stands in for the engine's library, whose own crashes cannot be had at will.
    (tmp_path / "library" / "ai_edge_litert").mkdir(parents=True)
    (tmp_path / "library" / "ai_edge_litert" / "__init__.py").write_text(module)
    library = os.pathsep.join((str(tmp_path / "library"), str(ROOT)))
    refused("install", model_files["first"], store=store, code=code, says=says, PYTHONPATH=library)
    assert not store.exists()


def test_a_model_that_hangs_is_given_up(model_files, monkeypatch):
    monkeypatch.setattr("edge.engines.litert.load", lambda artifact, threads: time.sleep(600))
    monkeypatch.setitem(in_child.PATIENCE_S, "load", 0.2)
    with pytest.raises(errors.ModelError, match=r"first\.tflite: was not loaded within 0.2 s"):
        sandbox.run_in_child(artifact.read(str(model_files["first"])))


def test_a_child_that_does_not_come_up_is_no_verdict_on_the_model(model_files, monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda more: os._exit(1))
    with pytest.raises(errors.StorageError, match=r"first\.tflite: cannot be tried: its process ended with 1"):
        sandbox.run_in_child(artifact.read(str(model_files["first"])))


def test_what_is_installed_is_what_was_tried_though_the_file_changes_meanwhile(model_files, tmp_path, store):
    first = model_files["first"].read_bytes()
    names = [str(model_files[name]) for name in ("second", "first")]
    swap = in_the_trial(tmp_path, f"(os.path.exists({names[0]!r}) and os.replace({names[0]!r}, {names[1]!r}))")
    done("install", model_files["first"], store=store, says="first.tflite (", PYTHONPATH=swap)
    assert model_files["first"].read_bytes() != first
    assert file_of("first", store).read_bytes() == first and current(store) == "first"
