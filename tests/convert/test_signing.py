"""Signing with keys made here; the device's side is tested in tests/edge/test_signature.py."""

import os
import sys

import pytest

from conftest import ROOT, run
from convert import signing
from edge.errors import InputError, InputMissing
from tests.edge.test_signature import pair

pytest.importorskip(
    "model_signing", reason="model-signing is not installed: pip install 'edgeproof[signing]'", exc_type=ImportError
)


def test_a_signature_lies_beside_the_file_and_nothing_else_does(tmp_path):
    private, _ = pair(tmp_path, "owner")
    (tmp_path / "out").mkdir()
    model = tmp_path / "out" / "m.tflite"
    model.write_bytes(b"model")
    assert signing.sign(str(model), str(private)) == f"{model}.sig"
    assert sorted(os.listdir(tmp_path / "out")) == ["m.tflite", "m.tflite.sig"]
    assert model.read_bytes() == b"model"


def test_what_cannot_sign_or_be_signed_is_named(tmp_path):
    private, public = pair(tmp_path, "owner")
    with pytest.raises(InputMissing, match=r"gone\.tflite: not a file to sign"):
        signing.sign(str(tmp_path / "gone.tflite"), str(private))
    with pytest.raises(InputMissing, match=r"gone\.pem: No such file"):
        signing.sign(str(private), str(tmp_path / "gone.pem"))
    for key in (public, pair(tmp_path, "rsa", curve="RSA")[0]):
        with pytest.raises(InputError, match="not an elliptic-curve private key in PEM without a password"):
            signing.sign(str(private), str(key))


def test_a_key_is_refused_before_there_is_anything_to_sign(tmp_path):
    private, public = pair(tmp_path, "owner")
    signing.check_key(str(private))
    for key in (public, pair(tmp_path, "rsa", curve="RSA")[0], pair(tmp_path, "other", curve="SECP256K1")[0]):
        with pytest.raises(InputError, match="not an elliptic-curve private key in PEM without a password"):
            signing.check_key(str(key))
    with pytest.raises(InputError, match=r"rsa\.pem: not an elliptic-curve private key .* \(another kind\)$"):
        signing.check_key(str(tmp_path / "rsa.pem"))
    with pytest.raises(InputMissing, match="Is a directory"):
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
    done = run(sys.executable, "-m", "convert", "--int8", "--sign", key, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done
    assert done.stderr.startswith(says)


def test_the_command_says_first_that_model_signing_is_not_installed(tmp_path):
    pair(tmp_path, "owner")
    (tmp_path / "model_signing").mkdir()
    (tmp_path / "model_signing" / "__init__.py").write_text("raise ModuleNotFoundError(name='model_signing')")
    done = run(
        sys.executable, "-m", "convert", "--int8", "--sign", "owner.pem",
        cwd=tmp_path, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (69, "convert: model_signing is not installed: pip install 'edgeproof[signing]'\n")
