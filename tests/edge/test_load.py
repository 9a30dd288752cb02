"""`import edge; edge.load().predict(picture)`: which model, what each kind of picture gives, what is refused."""

import sys
from pathlib import Path

import pytest

import edge
from conftest import run
from edge.errors import InputMissing, ModelError
from tests.edge.on_device import SEVEN, SHIPPED, place


def test_importing_edge_loads_nothing_else():
    code = "import sys; before = set(sys.modules); import edge; print(sorted(set(sys.modules) - before))"
    assert run(
        sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(SHIPPED.parents[2])!r}); {code}"
    ).stdout == ("['edge']\n")


def test_the_types_are_shipped():
    assert (Path(edge.__file__).parent / "py.typed").exists()


def test_a_model_is_a_path_or_the_one_the_command_would_run(tflite, tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEPROOF_MODEL", raising=False)
    monkeypatch.setenv("EDGEPROOF_STORE", str(tmp_path / "store"))
    assert edge.load().artifact.path == str(SHIPPED)
    place(tflite, store=tmp_path / "store")
    installed = edge.load()
    assert installed.artifact.path.startswith(str(tmp_path / "store")) and installed.engine.name == "litert-c"
    monkeypatch.setenv("EDGEPROOF_MODEL", str(SHIPPED))
    assert edge.load().artifact.path == str(SHIPPED)
    for named in (tflite, str(tflite)):
        ready = edge.load(named)
        assert (ready.artifact.path, ready.engine.name) == (str(tflite), "litert")
    assert edge.load(tflite, trust=True).engine.name == "litert-c"
    assert edge.load(tflite, engine="litert", trust=True).engine.name == "litert"


def test_a_model_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputMissing, match="name is empty"):
        edge.load("")
    (tmp_path / "x.tflite").write_bytes(b"hello")
    with pytest.raises(ModelError, match="not sealed"):
        edge.load(tmp_path / "x.tflite")


def test_an_answer_has_label_probability_and_ranking():
    answer = edge.load(SHIPPED).predict(SEVEN)
    assert (answer.label, answer.ranking[0], len(answer.ranking)) == ("7", ("7", 7, answer.probability), 10)
    assert repr(answer) == f"<'7', {100 * answer.probability:.1f} %>"
