"""Temperature, rejection, extra values and sets: worked by hand, then in a sealed model that edge-predict reads."""

import json
import math
import struct

import pytest

import edge
from conftest import run
from edge import artifact, confidence, predictor
from edge.confidence import Confidence
from edge.contract import CONFIDENCE, DIGIT, ModelContract
from edge.device import selftest
from edge.errors import EngineMissing, ModelError, UsageError
from edge.predictor import Prediction
from tests.edge.on_device import COMMAND, SEVEN, SHIPPED, judged, resealed
from tests.edge.test_contract import contract

FULL = Confidence(
    temperature=1.5, extra=2, extra_scale=0.25, extra_zero_point=-128, reject=("energy", -3.25), sets=((0.9, 0.5), (0.99, 2.0))
)
STATED = "temperature 1.5\nextra 2 0.25 -128\nreject energy -3.25\nsets 0.9:0.5 0.99:2.0\n"


def answer(logits: list[float], *extra: float, n_classes: int = 3, labels="abc", **judged) -> Prediction:
    told = ModelContract(
        name="x", kind="tflite", model_bytes=1, input=DIGIT, input_dtype="int8", output_dtype="float32", n_classes=n_classes,
        confidence=Confidence(extra=len(extra), **judged),
    )  # fmt: skip
    return Prediction(struct.pack(f"<{len(logits) + len(extra)}f", *logits, *extra), told, tuple(labels))


def test_what_is_stated_is_format_3_and_reads_back():
    text = contract(confidence=FULL).to_text()
    assert text.startswith("edgeproof 3\n") and text.endswith(f"classes 10\n{STATED}")
    assert ModelContract.from_text(text).to_text() == text
    assert set(FULL.items()) == set(CONFIDENCE)
    assert (contract(confidence=FULL).n_outputs, contract(confidence=FULL).n_output_bytes) == (12, 12)


def test_a_contract_that_states_none_of_it_is_format_1_as_before():
    assert contract(confidence=Confidence()).to_text() == contract().to_text()
    with pytest.raises(ValueError, match="unknown key 'temperature'"):
        ModelContract.from_text(contract().to_text() + "temperature 1.5\n")
    with pytest.raises(ValueError, match="not as format 3 is written"):
        ModelContract.from_text(contract().to_text().replace("edgeproof 1", "edgeproof 3"))


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("temperature 1.5", "temperature 1.50", "not as format 3 is written"),
        ("temperature 1.5", "temperature 1.0", "not as format 3 is written"),
        ("temperature 1.5", "temperature 0.0", "temperature 0.0; wanted"),
        ("temperature 1.5", "temperature nan", "temperature nan; wanted"),
        ("temperature 1.5", "temperature hot", "could not convert string to float"),
        ("extra 2 0.25 -128", "extra 0 1.0 0", "not as format 3 is written"),
        ("extra 2 0.25 -128", "extra 2", "could not convert string to float"),
        ("extra 2 0.25 -128", "extra 2 0.25 -128 1", "not as format 3 is written"),
        ("extra 2", "extra 257", "extra 257; wanted 0 to 256"),
        ("extra 2", "extra -1", "extra -1; wanted"),
        ("extra 2", "extra 10", "10 classes and as many extra values"),
        ("extra 2", f"extra {'9' * 5000}", "limit"),
        ("0.25 -128", "0.0 -128", "extra scale 0.0 and zero point -128 are not those of an int8 tensor"),
        ("0.25 -128", "0.25 128", "zero point 128 are not"),
        ("reject energy -3.25", "reject mood -3.25", "reject 'mood'"),
        ("reject energy -3.25", "reject energy inf", "reject 'energy' inf"),
        ("extra 2 0.25 -128\nreject energy", "extra 3 0.25 -128\nreject units", "units with 3 extra values; wanted an even"),
        ("extra 2 0.25 -128\nreject energy", "reject units", "units with 0 extra values; wanted an even"),
        ("reject energy -3.25", "reject energy  -3.25", "not as format 3 is written"),
        ("0.9:0.5", "1.0:0.5", "coverages between 0 and 1 that rise"),
        ("0.9:0.5", "0.9:-0.5", "quantiles from 0"),
        ("0.9:0.5", "0.9:nan", "quantiles from 0"),
        ("0.9:0.5", "0.99:0.5", "quantiles from 0 that do not fall"),
        ("0.9:0.5", "0.9:3.0", "quantiles from 0 that do not fall"),
        ("0.9:0.5", " ".join(f"0.{n}:0.0" for n in range(11, 30)), "at most 16"),
        ("0.9:0.5", "0.9", "could not convert string to float"),
        ("extra 2 0.25 -128", "extra 2 0.25 -128\nmood 1", "unknown key 'mood'"),
    ],
)
def test_a_value_that_format_3_does_not_have_is_refused(was, becomes, says):
    with pytest.raises(ValueError, match=says):
        ModelContract.from_text(contract(confidence=FULL).to_text().replace(was, becomes))


def test_logits_are_divided_by_the_temperature_and_the_order_stays():
    # by hand: e^(1/2) / (e^(1/2) + e^0 + e^(-1/2))
    ranking = answer([1.0, 0.0, -1.0], temperature=2.0).ranking
    assert ranking[0][2] == pytest.approx(1.64872 / (1.64872 + 1 + 0.60653), abs=1e-5)
    assert [label for label, *_ in ranking] == ["a", "b", "c"]


def test_extra_values_are_no_classes():
    found = answer([1.0, 3.0, 2.0], 9.0, -9.0)
    assert (found.label, found.index, found.logits, found.extra) == ("b", 1, [1.0, 3.0, 2.0], [9.0, -9.0])
    assert [label for label, *_ in found.ranking] == ["b", "c", "a"]
    judged = Confidence(extra=1, extra_scale=0.25, extra_zero_point=-28)
    told = contract(n_classes=2, confidence=judged, output_scale=0.5, output_zero_point=0)
    of_bytes = Prediction(bytes([1, 2, 100]), told, ("a", "b"))
    assert (of_bytes.label, of_bytes.logits, of_bytes.extra) == ("b", [0.5, 1.0], [32.0])
    with pytest.raises(ValueError, match="float32 extra with scale"):
        contract(output_dtype="float32", output_scale=1.0, output_zero_point=0, confidence=judged)
    with pytest.raises(ModelError, match="not a finite number"):
        _ = answer([1.0, 3.0, 2.0], math.nan).label


def test_a_score_above_the_threshold_rejects():
    # by hand: -log(e^2 + e^0 + e^0) = -2.23956; second minus first: -2
    assert answer([2.0, 0.0, 0.0], reject=("energy", 0.0)).score == pytest.approx(-math.log(7.38906 + 2), abs=1e-5)
    assert answer([2.0, 0.0, -5.0], reject=("margin", -2.0)).score == -2.0
    assert not answer([2.0, 0.0, -5.0], reject=("margin", -2.0)).rejected
    assert answer([2.0, 0.0, -5.0], reject=("margin", -2.1)).rejected
    plain = answer([2.0, 0.0, -5.0])
    assert (plain.score, plain.rejected) == (None, False)
    for score in confidence.KINDS.values():  # logits of any size that float32 has
        assert math.isfinite(score([3e38, -3e38, 0.0], []))


def test_a_set_holds_the_classes_within_the_quantile_and_the_nearest():
    # minus log softmax of 2, 1, 0 by hand: 0.408, 1.408, 2.408
    sets = ((0.9, 0.1), (0.95, 1.41), (0.99, 2.41))
    found = answer([1.0, 2.0, 0.0], sets=sets, temperature=7.0)
    assert [found.set(level) for level in (0.9, 0.95, 0.99)] == [("b",), ("b", "a"), ("b", "a", "c")]
    assert found.set(0.5) == ("b",) and found.set(0.91) == ("b", "a")
    for coverage in (0.995, 1.0, 0.0, -1.0, math.nan):
        with pytest.raises(UsageError, match=r"its file promises 0\.9, 0\.95, 0\.99: convert it again"):
            found.set(coverage)
    with pytest.raises(UsageError, match="its file promises none"):
        answer([1.0, 2.0, 0.0]).set(0.9)


# In a file: the shipped model, which has a second output.


def sealed(folder, **said):
    return judged(folder / "m.tflite", **said)


def predict(model, *arguments):
    return run(COMMAND, SEVEN, "--model", model, *arguments)


def test_the_command_says_none_of_these_and_json_keeps_the_label(tmp_path):
    model = sealed(tmp_path, reject=("margin", -1e9))
    assert predict(model).stdout == f"{SEVEN}: none of these (nearest: 7)\n"
    assert predict(model, "--top-k", "2").stdout.startswith(f"{SEVEN}: none of these (nearest: 7, ")
    always = predict(model, "--always-answer")
    assert (always.returncode, always.stdout.startswith(f"{SEVEN}: 7 (")) == (0, True)
    told = json.loads(predict(model, "--json").stdout)
    assert (told["label"], told["index"], told["rejected"]) == ("7", 7, True) and told["score"] < 0
    for engine in ("litert", "litert-c"):
        assert predict(model, "--engine", engine, "--trust").stdout == f"{SEVEN}: none of these (nearest: 7)\n"


def test_a_picture_that_is_not_rejected_is_answered_as_before(tmp_path):
    model = sealed(tmp_path, reject=("energy", 1e9))
    assert predict(model).stdout.startswith(f"{SEVEN}: 7 (")
    assert json.loads(predict(model, "--json").stdout)["rejected"] is False
    assert not json.loads(predict(SHIPPED, "--json").stdout).get("rejected")


def test_coverage_prints_the_set_that_the_file_promises(tmp_path):
    model = sealed(tmp_path, sets=((0.9, 0.0), (0.99, 1e9)))
    assert predict(model, "--coverage", "0.9").stdout == f"{SEVEN}: 7 (90 % set)\n"
    assert predict(model, "--coverage=0.95").stdout.count(" or ") == 9
    assert json.loads(predict(model, "--json", "--coverage", "0.9").stdout)["set"] == ["7"]
    done = predict(model, "--coverage", "0.999")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("edge-predict: m: coverage 0.999; its file promises 0.9, 0.99: ")
    assert predict(model, "--coverage", "2").returncode == 2
    both = sealed(tmp_path, sets=((0.9, 0.0),), reject=("margin", -1e9))
    assert predict(both, "--coverage", "0.9").stdout == f"{SEVEN}: none of these (nearest: 7 (90 % set))\n"


def test_from_python_and_in_the_self_test(tmp_path):
    model = sealed(tmp_path, reject=("margin", -1e9), sets=((0.9, 0.0),))
    found = edge.load(model).predict(SEVEN)
    assert (found.rejected, found.set(0.9), len(found.logits), len(found.extra)) == (True, ("7",), 10, 48)
    assert "none of these" in repr(found)
    assert selftest.replay(predictor.load(str(model))).passed


def test_every_engine_gives_the_same_bytes_of_both_outputs(tmp_path):
    model = sealed(tmp_path)
    goldens = artifact.read(str(model)).goldens()
    for name in ("litert", "litert-c"):
        ready = predictor.load(str(model), engine_name=name, trusted=True)
        assert [ready.engine.run(image) for image, _ in goldens] == [output for _, output in goldens]
        assert len(goldens[0][1]) == 10 + 48


@pytest.mark.parametrize("name", ["litert", "litert-c"])
def test_a_model_whose_outputs_are_not_those_of_its_contract_is_refused(name, tmp_path):
    silent = resealed(
        tmp_path / "silent.tflite", name="m", confidence=None,
        alter=lambda goldens: [(image, output[:10]) for image, output in goldens],
    )  # fmt: skip
    with pytest.raises((ModelError, EngineMissing), match=r"extra none, the model 48|has 2 outputs, not 1"):
        predictor.load(str(silent), engine_name=name, trusted=True)
    longer = [(image, output + b"0") for image, output in artifact.read(str(SHIPPED)).goldens()]
    more = judged(tmp_path / "more.tflite", extra=49, alter=lambda goldens: longer)
    with pytest.raises(ModelError, match=r"extra 49 .*, the model 48 |int8 \[1, 49\], its output is \[1, 48\]"):
        predictor.load(str(more), engine_name=name, trusted=True)


def test_a_foreign_model_of_two_outputs_is_refused(tmp_path):
    ours = artifact.read(str(sealed(tmp_path)))
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(ours.data[: ours.contract.model_bytes].replace(artifact.MAGIC, bytes(len(artifact.MAGIC))))
    with pytest.raises(ModelError, match="has 1 inputs and 2 outputs; a classifier of pictures has one of each"):
        predictor.load(str(foreign), allow_unverified=True)
