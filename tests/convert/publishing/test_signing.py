"""Signing with keys made here; the device's side is tested in tests/edge/store/test_signature.py."""

import json
import os
import sys

import pytest

from conftest import call
from convert.publishing import publish, signing
from edge import artifact, files
from edge.errors import InputError, InputMissing, StorageError
from edge.store import signature
from tests.convert.command_line import convert
from tests.edge.store.test_signature import pair

pytest.importorskip("model_signing", reason="model-signing is not installed: pip install '.[signing]'", exc_type=ImportError)


def test_what_is_published_signed_is_never_there_without_its_signature(tmp_path, monkeypatch):
    private, public = pair(tmp_path, "owner")
    out = tmp_path / "out"
    model, written = out / "m.tflite", []
    write_atomic = files.write_atomic

    def watched(path, data):
        write_atomic(path, data)
        written.append(os.path.basename(path))

    monkeypatch.setattr(files, "write_atomic", watched)
    signing.write_signed(str(model), b"model", str(private))
    assert written == ["m.tflite.sig", "m.tflite"]
    assert sorted(os.listdir(out)) == ["m.tflite", "m.tflite.sig"]
    signature.verify(str(model), model.read_bytes(), key=str(public))


def test_where_signing_fails_nothing_is_published_and_what_was_stays(tmp_path, monkeypatch):
    private, _ = pair(tmp_path, "owner")
    out = tmp_path / "out"
    signing.write_signed(str(out / "m.tflite"), b"older", str(private))
    before = (out / "m.tflite.sig").read_bytes()

    class FullDisk:
        def sign(self, path, signature):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(signing, "_signer", lambda key: FullDisk())
    with pytest.raises(StorageError, match=r"m\.tflite: cannot be signed, not published: .*No space left"):
        signing.write_signed(str(out / "m.tflite"), b"model", str(private))
    assert (out / "m.tflite").read_bytes() == b"older" and (out / "m.tflite.sig").read_bytes() == before


def test_a_later_model_that_cannot_be_signed_leaves_the_rows_before_it(workshop, tmp_path, monkeypatch):
    private, _ = pair(tmp_path, "owner")
    out, write_signed = tmp_path / "out", publish.write_signed

    def once(path, data, key):
        if (out / "lenet5-relu-digits-int8.tflite").exists():
            raise StorageError("m.sig: cannot be written: No space left on device")
        write_signed(path, data, key)

    monkeypatch.setattr(publish, "write_signed", once)
    done = convert(workshop, out, "--no-reject", "--sign", private, "--model-version", "7")
    assert done.returncode == 74
    assert artifact.read(str(out / "lenet5-relu-digits-int8.tflite")).manifest()["model_version"] == 7
    assert {path.name for path in out.iterdir() if "int8" in path.name} == {
        "lenet5-relu-digits-int8.tflite", "lenet5-relu-digits-int8.tflite.sig",
    }  # fmt: skip
    report = json.loads((out / "report.json").read_text())
    assert [(row["format"], row["verdict"]) for row in report["rows"]] == [("tflite", "passed")]
    assert report["not_converted"] == ["m.sig: cannot be written: No space left on device"]
    assert done.stderr.endswith("convert: m.sig: cannot be written: No space left on device\n")


def test_a_key_that_cannot_sign_is_refused_before_there_is_anything_to_sign(tmp_path):
    private, public = pair(tmp_path, "owner")
    signing.check_key(str(private))
    for key in (public, pair(tmp_path, "rsa", curve="RSA")[0], pair(tmp_path, "other", curve="SECP256K1")[0]):
        with pytest.raises(InputError, match="not an elliptic-curve private key in PEM without a password"):
            signing.check_key(str(key))
    with pytest.raises(InputError, match=r"rsa\.pem: not an elliptic-curve private key .* \(another kind\)$"):
        signing.check_key(str(tmp_path / "rsa.pem"))
    with pytest.raises(InputMissing, match=r"gone\.pem: No such file"):
        signing.check_key(str(tmp_path / "gone.pem"))
    with pytest.raises(InputMissing, match="not a file; name the file of a key"):
        signing.check_key(str(tmp_path))


@pytest.mark.parametrize(
    ("key", "code", "says"),
    [
        ("gone.pem", 66, "convert: gone.pem: No such file or directory\n"),
        ("notes.txt", 65, "convert: notes.txt: not an elliptic-curve private key in PEM without a password ("),
        ("owner.pem", 66, "convert: runs: holds no trained network;"),
    ],
)
def test_the_command_looks_at_the_key_before_anything_else(key, code, says, tmp_path):
    pair(tmp_path, "owner")
    (tmp_path / "notes.txt").write_text("no key")
    done = call("convert", "--int8", "--sign", key, "--model-version", "1", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done
    assert done.stderr.startswith(says)


def test_the_command_says_first_that_model_signing_is_not_installed(tmp_path, monkeypatch):
    pair(tmp_path, "owner")
    for name in ["model_signing", *(name for name in sys.modules if name.startswith("model_signing."))]:
        monkeypatch.setitem(sys.modules, name, None)
    done = call("convert", "--int8", "--sign", "owner.pem", "--model-version", "1", cwd=tmp_path)
    assert done.returncode == 69
    assert done.stderr.startswith("convert: model_signing is not installed: pip install 'model-signing<2' ")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--sign", "owner.pem"), "--sign needs --model-version N"),
        (("--sign", "", "--model-version", "1"), "empty; name the file of a key"),
        (("--model-version", "0"), "wanted a whole number from 1"),
        (("--model-version", "1.5"), "wanted a whole number from 1"),
    ],
)
def test_a_signed_model_has_a_version_and_a_key(flags, says, tmp_path):
    done = call("convert", "--int8", *flags, cwd=tmp_path)
    assert (done.returncode, says in done.stderr) == (2, True), done


def test_a_fifo_is_no_key(tmp_path):
    os.mkfifo(tmp_path / "owner.pem")
    with pytest.raises(InputMissing, match=r"owner\.pem: not a file"):
        signing.check_key(str(tmp_path / "owner.pem"))
