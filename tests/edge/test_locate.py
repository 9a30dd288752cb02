"""What STORE/current names, and which model answers."""

import os

import pytest

from edge import locate
from edge.errors import ModelError

FIRST, SECOND = ("a" * 64, "first.tflite", "0" * 16), ("b" * 64, "second.onnx", "1" * 16)


def current(store, *lines: str) -> str:
    (store / "current").write_text("".join(f"{line}\n" for line in lines))
    return str(store)


def test_current_names_models_in_its_order_and_odd_later_lines_are_left_out(tmp_path):
    store = current(tmp_path, " ".join(FIRST), "half a line", f"{'c' * 64} ../outside.tflite 0", " ".join(SECOND))
    assert locate.read_current(store) == [FIRST, SECOND]


def test_where_nothing_is_installed_current_names_nothing(tmp_path):
    assert locate.read_current(str(tmp_path)) == locate.read_current(str(tmp_path / "none")) == locate.read_current("") == []


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\0" * 100,
        "\xff" * 600,
        "../../etc x y",
        f"{'a' * 63} m.tflite 0",
        f"{'a' * 64} ../m.tflite 0",
        f"{'G' * 64} m.tflite 0",
    ],
)
def test_a_first_line_that_names_no_model_of_the_store_is_refused_with_the_way_out(tmp_path, line):
    with pytest.raises(ModelError, match=f"current: names no model .*; {locate.RECOVERY_HINT}"):
        locate.read_current(current(tmp_path, line))


def test_a_named_model_comes_before_the_installed_and_the_installed_before_the_shipped(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEPROOF_MODEL", raising=False)
    monkeypatch.setenv("EDGEPROOF_STORE", str(tmp_path))
    shipped, verified = locate.load_model(None)
    assert (shipped.path, verified) == (locate.shipped_model(), True)
    path = tmp_path / "models" / shipped.digest / "m.tflite"
    path.parent.mkdir(parents=True)
    path.write_bytes(shipped.data)
    current(tmp_path, f"{shipped.digest} m.tflite 0")
    installed, verified = locate.load_model(None)
    assert (installed.path, verified) == (str(path), True)
    monkeypatch.setenv("EDGEPROOF_MODEL", locate.shipped_model())
    model, verified = locate.load_model(None)
    assert (model.path, verified) == (locate.shipped_model(), False)
    assert locate.load_model(str(path))[0].path == str(path)


@pytest.mark.parametrize("home", [None, "", "/dev/null"])
def test_a_user_without_a_home_or_with_a_file_for_one_gets_the_shipped_model(home, monkeypatch):
    for name in ("EDGEPROOF_MODEL", "EDGEPROOF_STORE", "XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    assert locate.load_model(None)[0].path == locate.shipped_model()


@pytest.mark.parametrize(("data", "store"), [("/data", "/data/edgeproof"), ("data", "/home/me/.local/share/edgeproof")])
def test_the_store_lies_in_the_users_data_folder_and_a_relative_one_is_none(data, store, monkeypatch):
    monkeypatch.delenv("EDGEPROOF_STORE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", data)
    monkeypatch.setenv("HOME", "/home/me")
    assert locate.store_folder() == store


def test_a_fifo_in_the_place_of_current_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "current")
    with pytest.raises(ModelError, match="names no model"):
        locate.read_current(str(tmp_path))
