"""The manifest is read once, in full: what contradicts the contract, or is of another kind, is refused with what was wanted."""

import json

import pytest

from edge import manifest

CONTRACT = {"edgeproof": 1, "height": 28, "output-scale": 0.5, "name": "net"}
LABELS = ("cat", "dog")


def text(**changes: object) -> str:
    return json.dumps({"format": 1, "contract": CONTRACT, "labels": list(LABELS)} | changes)


def test_a_manifest_reads_back():
    goldens = {"tolerance": 1.0, "engine": "litert"}
    assert manifest.parse(text(goldens=goldens, model_version=3), CONTRACT, LABELS)["goldens"] == goldens


def test_what_is_null_is_not_stated():
    assert manifest.parse(text(goldens={"tolerance": None}, provenance=None), CONTRACT, LABELS)["provenance"] is None


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("", "Expecting value"),
        ("[1]", "wanted an object with `contract` and `labels`"),
        (text(contract=None), "wanted an object with"),
        (text(labels=["cat"]), "says otherwise"),
        (text(contract=CONTRACT | {"height": 28.0}), "says otherwise"),
        (text(contract=CONTRACT | {"edgeproof": True}), "says otherwise"),
        (text(format="1"), "format is '1'; wanted a whole number"),
        (text(goldens=[]), "goldens is '[]'; wanted an object"),
        (text(goldens={"tolerance": "x"}), "goldens.tolerance is 'x'; wanted a number from 0"),
        (text(goldens={"tolerance": -1}), "goldens.tolerance is '-1'"),
        (text(goldens={"tolerance": True}), "goldens.tolerance is 'True'"),
        (text(goldens={"tolerance": float("inf")}), "Infinity is not a number"),
        (text(goldens={"tolerance": 5}).replace("5}", "1e999}"), "1e999 is too large"),
        (text(precision="int8\nedge: forged"), "precision is 'int8\\nedge: forged'; wanted a printable text"),
        (text(verification={"drop_points": "low"}), "verification.drop_points is 'low'; wanted a number"),
        (text(model_version=-1), "model_version is '-1'"),
        (text(model_version=10**400), "model_version is"),
        (text(provenance={"network": "\x1b[2J"}), "provenance.network is"),
        (text(more=1).replace('"more"', '"format"'), "a key stands twice"),
        (text(more=0).replace('"more": 0', '"more": ' + "[" * 40 + "]" * 40), "nested too deeply"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_what_is_no_manifest_of_this_contract_is_refused(written, says):
    with pytest.raises(ValueError) as refused:
        manifest.parse(written, CONTRACT, LABELS)
    assert says in str(refused.value)
