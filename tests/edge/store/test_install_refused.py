"""Models that do not prove themselves are refused in one line: damaged, untrue, no files at all, or fatal when tried."""

import os
from pathlib import Path

import pytest

from conftest import ROOT
from edge import artifact, errors
from edge.store import sandbox
from tests.edge.on_device import SHIPPED, current, done, file_of, flip, in_the_trial, place, refused, resealed


def damaged(folder: Path) -> Path:
    path = folder / "new.tflite"
    path.write_bytes(SHIPPED.read_bytes())
    flip(path)
    return path


def wrong_answers(folder: Path) -> Path:
    def alter(goldens):
        return [(picture, bytes(256 - 128 & 255 for _ in output)) for picture, output in goldens]

    return resealed(folder / "new.tflite", name="wrong", alter=alter)


def broken_structure(folder: Path) -> Path:
    shipped = artifact.read(str(SHIPPED))
    model = bytearray(shipped.data[: shipped.contract.model_bytes])
    for at in range(len(model) * 3 // 4, len(model) - 4, 4):  # where the tables of the flatbuffer lie
        model[at : at + 4] = b"\xff\xff\xff\x7f"
    return resealed(folder / "new.tflite", name="broken", model=bytes(model))


def other_contract(folder: Path) -> Path:
    return resealed(folder / "new.tflite", name="untrue", output_scale=1.5)


def no_goldens(folder: Path) -> Path:
    return resealed(folder / "new.tflite", name="silent", alter=lambda goldens: [])


def foreign(folder: Path) -> Path:
    path = folder / "new.tflite"
    path.write_bytes(SHIPPED.read_bytes()[:100_000].replace(b"edgeproof", b"otherwise"))
    return path


def a_folder(folder: Path) -> Path:
    return folder


def a_fifo(folder: Path) -> Path:
    os.mkfifo(folder / "new.tflite")
    return folder / "new.tflite"


def a_link_to_a_device(folder: Path) -> Path:
    (folder / "new.tflite").symlink_to("/dev/zero")
    return folder / "new.tflite"


def a_link_to_itself(folder: Path) -> Path:
    (folder / "new.tflite").symlink_to("new.tflite")
    return folder / "new.tflite"


def two_lines(folder: Path) -> Path:
    return folder / "no\nsuch.tflite"


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (damaged, 78, "new.tflite: damaged: the seal reads"),
        (wrong_answers, 1, "new.tflite: picture 0: expected ("),
        (broken_structure, 78, "new.tflite: litert refuses the model"),
        (other_contract, 78, "new.tflite: the contract says output-scale 1.5, the model 0.238"),
        (no_goldens, 78, "new.tflite: carries no goldens to test itself with"),
        (foreign, 78, "new.tflite: not sealed by edgeproof"),
        (a_folder, 66, "not a file; name a .tflite or .onnx model"),
        (a_fifo, 66, "not a file; name a .tflite or .onnx model"),
        (a_link_to_a_device, 66, "not a file; name a .tflite or .onnx model"),
        (a_link_to_itself, 66, "new.tflite: Too many levels of symbolic links"),
        (two_lines, 66, "no\\nsuch.tflite: No such file or directory"),
    ],
)
def test_a_model_that_does_not_prove_itself_changes_nothing(make, code, says, model_files, tmp_path, store):
    place(model_files["first"], store=store)
    refused("install", make(tmp_path), store=store, code=code, says=says)
    assert current(store) == "first"


@pytest.mark.parametrize(
    ("module", "code", "says"),
    [
        ("import os; os.kill(os.getpid(), 11)", 78, "first.tflite: crashed when tried: Segmentation fault"),
        ("import os; os.kill(os.getpid(), 9)", 71, "first.tflite: killed when tried, as for want of memory"),
        ("raise MemoryError", 71, "first.tflite: out of memory when tried"),
        ("raise ValueError('odd\\nshape')", 78, "first.tflite: fails when tried: ValueError: odd\\nshape"),
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


def test_a_model_that_hangs_is_given_up(model_files, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sandbox, "TIMEOUT_S", 0.2)
    with pytest.raises(errors.ModelError, match=r"first\.tflite: gave no answer within 0 s when tried"):
        sandbox.run_in_child(artifact.read(str(model_files["first"])))


def test_a_child_that_does_not_come_up_is_no_verdict_on_the_model(model_files, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import os; os.write(2, b'no room'); os._exit(1)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(errors.StorageError, match=r"first\.tflite: cannot be tried: no room"):
        sandbox.run_in_child(artifact.read(str(model_files["first"])))


def test_what_is_installed_is_what_was_tried_though_the_file_changes_meanwhile(model_files, tmp_path, store):
    first = model_files["first"].read_bytes()
    swap = in_the_trial(tmp_path, f"os.replace({str(model_files['second'])!r}, {str(model_files['first'])!r})")
    done("install", model_files["first"], store=store, says="first.tflite (", PYTHONPATH=swap)
    assert model_files["first"].read_bytes() != first
    assert file_of("first", store).read_bytes() == first and current(store) == "first"
