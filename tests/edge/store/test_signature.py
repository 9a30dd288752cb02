"""Signed models, with the real model-signing package where it is installed; keys are made here."""

import os
from pathlib import Path

import pytest

from conftest import ROOT
from edge.errors import InputError, InputMissing, ModelError, ToolchainError
from edge.store import lifecycle
from tests.edge.on_device import SHIPPED, current, done, refused, resealed


def pair(folder: Path, name: str, *, curve: str = "SECP256R1") -> tuple[Path, Path]:
    """The files of a new private key and of its public half; `curve` may be "RSA"."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = rsa.generate_private_key(65537, 2048) if curve == "RSA" else ec.generate_private_key(getattr(ec, curve)())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def signed(tmp_path) -> tuple[Path, Path]:
    """A model with its signature beside it, and the public key."""
    pytest.importorskip(
        "model_signing", reason="model-signing is not installed: pip install '.[signing]'", exc_type=ImportError
    )
    from convert.publishing import signing

    private, public = pair(tmp_path, "owner")
    model = tmp_path / "model.tflite"
    signing.write_signed(str(model), SHIPPED.read_bytes(), str(private))
    return model, public


def test_a_signed_model_is_installed_under_whatever_name_it_arrives(signed, tmp_path, store):
    model, key = signed
    for ending in ("", ".sig"):
        Path(f"{model}{ending}").rename(tmp_path / f"arrived{ending}")
    done("install", tmp_path / "arrived", "--require-signature", key, store=store, says="installed, and current")
    assert current(store) == SHIPPED.stem


def refuses(model: Path, key: Path, store: Path, *, kind: type[ToolchainError], says: str) -> None:
    with pytest.raises(kind, match=says):
        lifecycle.install(str(model), store=str(store), key=str(key))
    assert not store.exists()


def test_a_model_without_a_signature_is_refused(signed, store):
    model, key = signed
    Path(f"{model}.sig").unlink()
    refuses(model, key, store, kind=ModelError, says=r"model\.tflite: not signed: there is no model\.tflite\.sig beside it")


def test_a_model_sealed_anew_after_it_was_signed_is_refused(signed, store):
    model, key = signed
    resealed(model, name="other")
    refuses(model, key, store, kind=ModelError, says=r"model\.tflite: its signature does not verify with ")


@pytest.mark.parametrize("content", [b"", b"garbage", b"{}", b'{"mediaType": "x"}'])
def test_a_signature_that_is_none_is_refused(content, signed, store):
    model, key = signed
    Path(f"{model}.sig").write_bytes(content)
    refuses(model, key, store, kind=ModelError, says=r"model\.tflite: its signature does not verify with ")


def test_a_signature_by_somebody_else_is_refused(signed, tmp_path, store):
    refuses(signed[0], pair(tmp_path, "other")[1], store, kind=ModelError, says="its signature does not verify with ")


def test_a_key_of_another_kind_or_none_at_all(signed, tmp_path, store):
    pair(tmp_path, "rsa", curve="RSA")
    pair(tmp_path, "k1", curve="SECP256K1")
    for name in ("rsa.pub", "k1.pub", "owner.pem"):
        refuses(signed[0], tmp_path / name, store, kind=InputError, says=f"{name}: not an elliptic-curve public key in PEM")
    refuses(signed[0], tmp_path / "gone.pub", store, kind=InputMissing, says=r"gone\.pub: No such file")


def test_without_the_package_the_line_says_what_to_install(tmp_path, store):
    (tmp_path / "model_signing").mkdir()
    (tmp_path / "model_signing" / "__init__.py").write_text("raise ModuleNotFoundError(name='model_signing')")
    refused(
        "install", SHIPPED, "--require-signature", "x", store=store, code=69, PYTHONPATH=f"{tmp_path}:{ROOT}",
        says="model_signing is not installed: pip install 'model-signing<2' ",
    )  # fmt: skip


def test_security_options_fail_closed(signed, tmp_path, store):
    model, _ = signed
    refused("install", model, "--require-signature", "", store=store, code=2, says="--require-signature is empty")
    os.mkfifo(tmp_path / "pipe.pub")
    refused("install", model, "--require-signature", tmp_path / "pipe.pub", store=store, code=66, says="pipe.pub: not a file")
    assert not store.exists()
