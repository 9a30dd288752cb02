"""Signed models, with the real model-signing package where it is installed; keys are made here."""

import sys
from pathlib import Path

import pytest

from conftest import ROOT, run
from edge.store import models
from tests.edge.on_device import resealed

SHIPPED = ROOT / "edge" / "models" / "lenet5-relu-mnist-int8.tflite"


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
    from convert import signing

    private, public = pair(tmp_path, "owner")
    model = tmp_path / "model.tflite"
    signing.write_signed(str(model), SHIPPED.read_bytes(), str(private))
    return model, public


def install(model: Path, key: Path, store: Path):
    return run(sys.executable, "-m", "edge", "install", model, "--require-signature", key, "--store", store)


def refused(model: Path, key: Path, *, code: int, says: str) -> None:
    store = model.parent / "store"
    done = install(model, key, store)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done
    assert says in done.stderr
    assert not store.exists()


def test_a_signed_model_is_installed_under_whatever_name_it_arrives(signed, tmp_path):
    model, key = signed
    for ending in ("", ".sig"):
        Path(f"{model}{ending}").rename(tmp_path / f"arrived{ending}")
    done = install(tmp_path / "arrived", key, tmp_path / "store")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(models.history(str(tmp_path / "store"))) == 1


def test_a_model_without_a_signature_is_refused(signed):
    model, key = signed
    Path(f"{model}.sig").unlink()
    refused(model, key, code=78, says="model.tflite: not signed: there is no model.tflite.sig beside it")


def test_a_model_sealed_anew_after_it_was_signed_is_refused(signed):
    model, key = signed
    resealed(model, name="other")
    refused(model, key, code=78, says="model.tflite: its signature does not verify with ")


@pytest.mark.parametrize("content", [b"", b"garbage", b"{}", b'{"mediaType": "x"}'])
def test_a_signature_that_is_none_is_refused(content, signed):
    model, key = signed
    Path(f"{model}.sig").write_bytes(content)
    refused(model, key, code=78, says="model.tflite: its signature does not verify with ")


def test_a_signature_by_somebody_else_is_refused(signed, tmp_path):
    refused(signed[0], pair(tmp_path, "other")[1], code=78, says="its signature does not verify with ")


def test_a_key_of_another_kind_or_none_at_all(signed, tmp_path):
    model, _ = signed
    refused(model, pair(tmp_path, "rsa", curve="RSA")[1], code=65, says="rsa.pub: not an elliptic-curve public key in PEM (")
    refused(model, pair(tmp_path, "k1", curve="SECP256K1")[1], code=65, says="k1.pub: not an elliptic-curve public key")
    refused(model, tmp_path / "owner.pem", code=65, says="owner.pem: not an elliptic-curve public key")
    refused(model, tmp_path / "gone.pub", code=66, says="gone.pub: No such file")


def test_without_the_package_the_line_says_what_to_install(tmp_path):
    (tmp_path / "model_signing").mkdir()
    (tmp_path / "model_signing" / "__init__.py").write_text("raise ModuleNotFoundError(name='model_signing')")
    done = run(
        sys.executable, "-m", "edge", "install", SHIPPED, "--require-signature", "x", "--store", tmp_path / "store",
        PYTHONPATH=f"{tmp_path}:{ROOT}",
    )  # fmt: skip
    assert done.returncode == 69
    assert done.stderr.startswith("edge: model_signing is not installed: pip install 'model-signing<2' ")
