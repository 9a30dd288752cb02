"""Whether a generated program answers as the Interpreter does: every byte, on every instruction path this machine has."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.to_c import parts
from edge import child, compiler
from edge.contract import InputContract, ModelContract
from edge.errors import ModelError, Refused
from edge.predictor import Predictor

N_RANDOM, N_SANITIZED = 32, 50
_NOT_HERE = 3  # compare.c's exit code


@dataclass(frozen=True, eq=False)
class Identity:
    """The program's `logits` on the test split, float32 [N, K], on its fastest path; what was compared, in words."""

    logits: np.ndarray
    median_us: float
    in_words: str


class Harness:
    """compare.c, built with the program in `folder`: images in, logits out, path by path. Raises as `compiler.build` does."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._folder, self._program = folder, str(folder / f"compare{len(flags)}")
        compiler.build([str(path) for path in sorted(folder.glob("*.c"))], self._program, *flags)

    def answers(self, path: str, images: np.ndarray) -> tuple[bytes, float] | None:
        """The raw logits of `images` and the median microseconds; None where this machine lacks the path. Raises Refused."""
        given, taken = self._folder / "images", self._folder / "answers"
        given.write_bytes(images.tobytes())
        try:
            done = child.run([self._program, path, str(given), str(taken)])
        except OSError as error:
            raise compiler.foreign(error) from None
        if done.returncode == _NOT_HERE:
            return None
        if done.returncode:
            stderr_lines = done.stderr.strip().splitlines() or ["it said nothing"]
            line = next((line for line in stderr_lines if "ERROR" in line or "runtime error" in line), stderr_lines[-1])
            raise Refused(f"the program fails on path {path} (exit code {done.returncode}): {line.strip()}")
        return taken.read_bytes(), int(done.stdout) / 1000


def compare(
    files: dict[str, bytes], paths: tuple[str, ...], symbol: str, predictor: Predictor, images: np.ndarray, outputs: np.ndarray,
    *, steps: int,
) -> Identity:  # fmt: skip
    """Compare the program in `files`, by name, with `predictor`, whose `outputs` for `images`, float32 [N, K + E], are known.

    `steps`: by how much an output may differ, 0 but with float islands. Raises Refused where more differs, what the sanitizers
    find, and what `compiler.build` raises.
    """
    contract = predictor.contract
    made = made_images(contract.input)
    expected: np.ndarray = np.frombuffer(b"".join(predictor.engine.run(image.tobytes()) for image in made), _type(contract))
    wanted = np.concatenate([_quantized(outputs, contract), expected.reshape(len(made), contract.n_outputs)])
    everything = np.concatenate([images, made])
    ran: list[tuple[str, float, np.ndarray]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file_name, content in files.items():
            (folder / file_name).write_bytes(content)
        (folder / "compare.c").write_text(parts.part("compare.c", contract, symbol))
        harness = Harness(folder)
        for path in paths:
            if (answered := harness.answers(path, everything)) is None:
                continue
            found: np.ndarray = np.frombuffer(answered[0], _type(contract)).reshape(wanted.shape)
            ran.append((path, answered[1], found))
            _judge(found, wanted, path, steps=steps, n_classes=contract.n_classes)
        sanitized = _sanitize(folder, paths, np.concatenate([made, images[:N_SANITIZED]]))
    off = int((ran[0][2] != wanted).any(axis=1).sum())
    exactly = (
        "every byte" if not off else f"all but {off:,} images' bytes, those within a step and of the same class unless tied,"
    )
    machine = f"{predictor.engine.name} {predictor.engine.version} on {len(images):,} test images and {len(made)} made ones"
    on = ", ".join(path for path, _, _ in ran)
    account = f"{exactly} as {machine} on each of {on}; {compiler.version(compiler.find())}; {sanitized}"
    return Identity(_dequantized(ran[0][2][: len(images), : contract.n_classes], contract), ran[0][1], account)


def made_images(takes: InputContract) -> np.ndarray:
    """Constant, saturated and random images, uint8 [n, H, W, C], the same each time."""
    rng = np.random.default_rng(0)
    shape = (takes.height, takes.width, takes.channels)
    constant = [np.full(shape, level, np.uint8) for level in (0, 1, 127, 128, 254, 255)]
    saturated = [rng.integers(0, 2, shape, np.uint8) * np.uint8(255) for _ in range(N_RANDOM)]
    return np.stack([*constant, *saturated, *(rng.integers(0, 256, shape, np.uint8) for _ in range(N_RANDOM))])


def _judge(found: np.ndarray, wanted: np.ndarray, path: str, *, steps: int, n_classes: int) -> None:
    """Raises Refused where `found` is further from `wanted` than `steps`, or is another class by more than a tie."""
    apart = np.abs(found.astype(np.float64) - wanted)
    answers, classes = found[:, :n_classes].argmax(axis=1), wanted[:, :n_classes]
    tied = classes.max(axis=1) - classes[np.arange(len(wanted)), answers] <= steps
    wrong = np.flatnonzero(~((apart <= steps).all(axis=1) & tied))  # nan is wrong too
    if len(wrong):
        raise Refused(
            f"its answers are not the .tflite's on the path {path}: {len(wrong):,} of {len(wanted):,} images differ, "
            f"the first is number {wrong[0]}, by up to {apart.max():g} steps; please report this network"
        )


def _sanitize(folder: Path, paths: tuple[str, ...], images: np.ndarray) -> str:
    """Run `images` on every path under the sanitizers, in words. Raises Refused with what they find."""
    absent = "AddressSanitizer and UBSan are not to be had from this compiler: not checked"
    if "ziglang" in compiler.find():  # has no AddressSanitizer
        return absent
    try:
        harness = Harness(folder, *compiler.SANITIZE)
    except ModelError:
        return absent
    for path in paths:
        harness.answers(path, images)
    return f"AddressSanitizer and UBSan found nothing on {len(images):,} of them"


def _type(contract: ModelContract) -> type:
    return np.int8 if contract.output_dtype == "int8" else np.float32


def _dequantized(raw: np.ndarray, contract: ModelContract) -> np.ndarray:
    """Logits, float32, as the predictor gives them."""
    return np.asarray(contract.output_scale * (raw.astype(np.float64) - contract.output_zero_point), np.float32)


def _quantized(outputs: np.ndarray, contract: ModelContract) -> np.ndarray:
    """The outputs, int8 or float32 [N, K + E], that the predictor's `outputs` came from."""
    if contract.output_dtype != "int8":
        return outputs
    logits, extra = np.split(outputs.astype(np.float64), [contract.n_classes], axis=1)
    numbers = [logits / contract.output_scale + contract.output_zero_point]
    if told := contract.confidence:
        numbers.append(extra / told.extra_scale + told.extra_zero_point)
    return np.rint(np.concatenate(numbers, axis=1)).astype(np.int8)
