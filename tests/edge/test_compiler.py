"""A C compiler that fails: which one, what it said, and what to do, without our temporary folders."""

import shutil

import pytest

from edge import compiler
from edge.errors import EngineUnavailable, ModelError

pytestmark = pytest.mark.skipif(not shutil.which("gcc") and not shutil.which("clang"), reason="no gcc or clang on this machine")


def failure(source: str, tmp_path, kind: type[Exception]) -> str:
    (tmp_path / "network.c").write_text(source)
    with pytest.raises(kind) as raised:
        compiler.build([str(tmp_path / "network.c")], str(tmp_path / "program"))
    assert str(tmp_path) not in str(raised.value)
    return str(raised.value)


def test_what_is_no_c_is_the_file_s_fault_with_the_compiler_s_line(tmp_path):
    said = failure("int main(void) { return x; }\n", tmp_path, ModelError)
    assert said.startswith(f"{compiler.find()[0]} does not compile it: network.c:1:")
    assert said.endswith("; name another C compiler of this machine, such as CC=clang")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("echo 'cc1: fatal error: no such option' >&2; exit 1", "does not even compile an empty program: cc1: fatal error: no"),
        ("kill -9 $$", "does not even compile an empty program: it was killed (signal 9)"),
        ("exit 0", "ends without an error and has built nothing"),
    ],
)
def test_a_compiler_that_builds_nothing_at_all_is_named(tmp_path, monkeypatch, body, says):
    (tmp_path / "mine").write_text(f"#!/bin/sh\n{body}\n")
    (tmp_path / "mine").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CC", "mine -O0")
    assert failure("int main(void) { return 0; }\n", tmp_path, EngineUnavailable).startswith(f"mine -O0 {says}")
