"""Signing with keys made here; the device's side is tested in tests/edge/test_signature.py."""

import os

import pytest

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
