"""Same network, same file; and whenever a conversion is killed, no half file, and nothing left behind by the next.

Two processes here, and one killed in a write; ten, and conversions killed at random moments:
`python -m tests.convert.test_repeatable` (five minutes).
"""

import argparse
import hashlib
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx as onnx_library
import onnxruntime
import pytest

from conftest import ROOT, call
from convert import to_onnx
from convert.calibration.images import draw_calibration_set
from convert.interfaces import convert, make_converter
from convert.plan import Plan
from convert.to_onnx.canonical import canonical
from edge.files import clear_partials
from train import checkpoint, datasets, evaluate
from train.architectures import architecture
from train.architectures.widen import features_of, last_product
from train.recipes import Recipe

# Its constants are folded in the order of a set: without a canonical form two hash seeds give two files.
NETWORK = "mnist-tiny"
# Any answers will do that are no guesses.
FLAGS = ("--int8", "--checkpoint", "run", "--max-drop-points", "99")


def save_network(folder: Path) -> None:
    """A run folder with the network: its last layer alone is fitted, by least squares."""
    digits = datasets.digits.load()
    network = architecture(NETWORK).build(Recipe())
    features = evaluate.logits(features_of(network), digits.train.images)
    beside_one = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    solved, *_ = np.linalg.lstsq(beside_one, 10 * np.eye(10)[digits.train.labels], rcond=None)
    last_product(network).set_weights([solved[:-1], solved[-1]])
    checkpoint.Checkpoint(
        network=NETWORK,
        data=digits.name,
        class_names=digits.class_names,
        recipe=Recipe(),
        data_digest=digits.digest,
        figures={"versions": {}},
        weights=checkpoint.weights_of(network),
    ).save(folder)


def conversion(folder: Path, *flags: str, hash_seed: int = 0, code: str = "") -> subprocess.Popen:
    """`python -m convert` begun in `folder`, with `code` run before it."""
    main = f"{code}\nimport runpy\nrunpy.run_module('convert', run_name='__main__', alter_sys=True)"
    return subprocess.Popen(
        [sys.executable, "-c", main, *FLAGS, *flags], cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(hash_seed)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def published(folder: Path) -> dict[str, str]:
    """SHA-256 of each sealed file."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("[!.]*-int8.*")}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repeatable")
    save_network(folder / "run")
    return folder


@pytest.fixture(scope="module")
def both_forms(workplace):
    """The model as the quantizer left it, fed bytes, and in its canonical form."""
    trained = checkpoint.load(workplace / "run")
    before = []

    def watched(model, **how):
        before.append(onnx_library.load_from_string(model.SerializeToString()))
        return canonical(model, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(to_onnx, "canonical", watched)
        converter = make_converter("onnx", trained, draw_calibration_set(datasets.digits.load().train))
        candidate = convert(converter, Plan("int8"), name=trained.name)
    return before[0], onnx_library.load_from_string(candidate.model)


def test_the_canonical_form_gives_the_same_logits_bit_for_bit(both_forms):
    before, after = (onnxruntime.InferenceSession(model.SerializeToString()) for model in both_forms)
    for picture in np.random.default_rng(0).integers(0, 256, (100, 1, 28, 28, 1), np.uint8):
        logits, canonical_logits = (session.run(None, {"pixels": picture})[0] for session in (before, after))
        assert logits.tobytes() == canonical_logits.tobytes()


def in_another_order(model: onnx_library.ModelProto, rng: random.Random) -> onnx_library.ModelProto:
    """The same graph with other numbers in its names, its nodes in another order that holds, and its lists shuffled."""
    numbers = list(range(10_000, 20_000))
    rng.shuffle(numbers)

    def renumbered(name: str) -> str:
        return re.sub(r"__(\d+)", lambda number: f"__{numbers[int(number[1])]}", name)

    other = onnx_library.ModelProto()
    other.CopyFrom(model)
    graph = other.graph
    for node in graph.node:
        node.name = renumbered(node.name)
        node.input[:] = map(renumbered, node.input)
        node.output[:] = map(renumbered, node.output)
    for named in (*graph.initializer, *graph.value_info):
        named.name = renumbered(named.name)
    waiting, known, order = list(graph.node), {"pixels", *(tensor.name for tensor in graph.initializer)}, []
    while waiting:
        node = rng.choice([node for node in waiting if known.issuperset(node.input)])
        waiting.remove(node)
        order.append(node)
        known.update(node.output)
    for entries in (graph.initializer, graph.value_info):
        shuffled = rng.sample(list(entries), len(entries))
        del entries[:]
        entries.extend(shuffled)
    del graph.node[:]
    graph.node.extend(order)
    graph.doc_string = "converted from b'__inference_<lambda>_599'"
    return other


def canonical_bytes(model: onnx_library.ModelProto) -> bytes:
    layers = [layer.name for layer in architecture(NETWORK).build(Recipe()).layers]
    return canonical(model, name=NETWORK, layers=layers).SerializeToString(deterministic=True)


def test_equal_graphs_have_one_form_however_they_are_numbered_and_ordered(both_forms):
    before, after = both_forms
    other = in_another_order(before, random.Random(0))
    assert other.SerializeToString(deterministic=True) != before.SerializeToString(deterministic=True)
    assert canonical_bytes(other) == canonical_bytes(before) == after.SerializeToString(deterministic=True)


def test_another_weight_is_another_form(both_forms):
    before, after = both_forms
    other = onnx_library.ModelProto()
    other.CopyFrom(before)
    weights = next(tensor for tensor in other.graph.initializer if "conv2-point" in tensor.name and len(tensor.dims) == 4)
    weights.raw_data = bytes([weights.raw_data[0] ^ 1]) + weights.raw_data[1:]
    assert canonical_bytes(other) != after.SerializeToString(deterministic=True)


def test_names_in_the_onnx_file_are_the_layers(onnx):
    graph = onnx_library.load(str(onnx)).graph
    assert graph.name == "lenet5-relu"
    assert [node.name for node in graph.node if node.op_type in ("Conv", "Gemm", "MaxPool")] == [
        "conv1/Conv", "pool1/MaxPool", "conv2/Conv", "pool2/MaxPool", "dense1/Gemm", "logits/Gemm", "units/Gemm",
    ]  # fmt: skip
    conv1 = next(node for node in graph.node if node.name == "conv1/Conv")
    assert (list(conv1.input[1:]), list(conv1.output)) == (["conv1/Conv/W", "conv1/Conv/B"], ["conv1/Conv"])


# As `few_outliers` has it in the tests' process; and calibrated on few.
FEW_IMAGES = """from convert import evaluation, unknown
from convert.calibration import checks
checks.N_IMAGES = 100
evaluation.N_REDRAWN_HALF = 4
unknown.N_GENUINE, unknown.N_OUTLIERS, unknown.N_REDRAWN = 300, 300, 4"""
# What is written stays under its partial name.
SLOW_RENAME = "import os, time; os.replace = lambda *_: time.sleep(600)"
# As if the disk took its time, so that kills at random moments fall into writes too.
SLOW_DISK = "import os, time; fsync = os.fsync; os.fsync = lambda handle: (time.sleep(0.5), fsync(handle))"


def stopped_in_a_write(process: subprocess.Popen, folder: Path) -> None:
    """Wait until `process` has written a file of `folder` and not yet named it."""
    while not list(folder.glob(f".*.{process.pid}.partial")):
        assert process.poll() is None
        time.sleep(0.01)


def test_a_writers_partial_file_stays_while_it_lives_and_once_it_is_killed_the_next_conversion_clears_it(
    workplace, monkeypatch
):
    out, name = workplace / "killed", f"{NETWORK}-digits-int8.tflite"
    out.mkdir()
    write = f"{SLOW_RENAME}; from edge.files import write_atomic; write_atomic('{name}', b'half')"
    writer = subprocess.Popen([sys.executable, "-c", write], cwd=out, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        stopped_in_a_write(writer, out)
        clear_partials(str(out))
    finally:
        writer.kill()
        writer.wait()
    assert [path.name for path in out.iterdir()] == [f".{name}.{writer.pid}.partial"]
    assert conversion(workplace, "--out", "killed", hash_seed=1, code=FEW_IMAGES).wait() == 0
    left = {path.name for path in out.iterdir()} - {"lost", "reliability"}  # drawn where anything was
    assert left == {name, f"{NETWORK}-digits-int8.onnx", "report.json", "report.md"}
    # This process has another hash seed, and has converted before.
    monkeypatch.setattr("convert.inputs.N_IMAGES", 100)
    assert call("convert", *FLAGS, "--out", "undisturbed", cwd=workplace).returncode == 0
    assert published(out) == published(workplace / "undisturbed")


def test_only_files_named_like_partial_ones_are_cleared(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    others = {
        "file.bin",
        f"file.{ended.pid}.partial",
        ".notes.partial",
        ".partial",
        f".file.{10**30}.partial",
        ".file.0.partial",
    }
    for name in (*others, f".file.{ended.pid}.partial", f".file.{os.getpid()}.partial"):
        (tmp_path / name).touch()
    clear_partials(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == others
    clear_partials(str(tmp_path / "gone"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.convert.test_repeatable")
    parser.add_argument("--conversions", type=int, default=10, metavar="N", help="in fresh processes (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=20, metavar="N", help="at random moments (default: %(default)s)")
    parser.add_argument("--checkpoint", type=Path, metavar="RUN", help="run folder to convert (default: a drawn network)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    flags = parser.parse_args()
    rng = random.Random(flags.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if flags.checkpoint:
            (folder / "run").symlink_to(flags.checkpoint.resolve())
        else:
            save_network(folder / "run")
        forms, spans = [], []
        for hash_seed in range(flags.conversions):
            started = time.monotonic()
            code = conversion(folder, "--out", f"out{hash_seed}", hash_seed=hash_seed).wait()
            spans.append(time.monotonic() - started)
            forms.append(published(folder / f"out{hash_seed}") if code == 0 else {})
        odd = sum(form != forms[0] or len(form) != 2 for form in forms)
        print(f"{len(forms)} conversions, {odd} unlike the first, {min(spans):.1f} to {max(spans):.1f} s each")
        for name, digest in sorted(forms[0].items()):
            print(f"{digest}  {name}")
        out, broken, inside, span = folder / "killed", 0, 0, max(spans) + 4  # four files, each synced twice
        for _ in range(flags.kills):
            process = conversion(folder, "--out", "killed", code=SLOW_DISK)
            time.sleep(rng.uniform(0, span))
            process.kill()
            process.wait()
            broken += not published(out).items() <= forms[0].items()
            inside += any(out.glob(f".*.{process.pid}.partial"))
        again = conversion(folder, "--out", "killed").wait() == 0 and published(out) == forms[0] and not any(out.glob(".*"))
        after = "published the same files and left nothing else" if again else "FAILED"
        print(f"{flags.kills} kills, {inside} of them inside a write: {broken} half files; the run after them {after}")
    return 0 if not odd and not broken and again else 1


if __name__ == "__main__":
    sys.exit(main())
