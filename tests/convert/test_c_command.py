"""The generated program as a command, built with every sanitizer: edge-predict's text, or a refusal."""

import os
import shutil
import zlib
from pathlib import Path
from random import Random

import pytest

from conftest import ROOT, run
from convert.publishing import programs
from edge import artifact, cli, compiler, predictor
from edge.confidence import KINDS
from edge.contract import DIGIT
from edge.errors import Refused
from edge.pictures import _unchanged
from tests.edge.on_device import COMMAND, SEVEN, SHIPPED, judged
from tests.edge.pictures import png_files
from tests.edge.pictures.png_files import assemble, header, picture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("gcc") and not shutil.which("clang"), reason="no gcc or clang on this machine"),
]
NAME = "lenet5-relu-mnist-int8"
ZLIB = Path("/usr/include/zlib.h").exists()


@pytest.fixture(scope="module")
def command(c_program, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("built") / "digits"
    flags = ["-O1", *compiler.SANITIZE, "-Wall", "-Wextra", "-Werror", "-DEDGEPROOF_MAIN", "-DEDGEPROOF_SELF_TEST"]
    compiler.build([str(c_program)], str(output), *flags, *(["-DEDGEPROOF_ZLIB"] if ZLIB else []))
    return output


def seven() -> bytes:
    """The pixels of the example, as the network takes them."""
    pixels = _unchanged(SEVEN.read_bytes(), DIGIT)
    assert pixels
    return pixels


@pytest.mark.skipif(not ZLIB, reason="no zlib.h on this machine")
def test_of_a_thousand_pngs_it_answers_those_that_need_no_fitting_as_edge_predict_does(command, tmp_path):
    random, ready = Random(1), predictor.load(str(SHIPPED))
    files = [data for _, data in png_files.files(300, seed=3)]
    for number in range(700):
        data = assemble(*picture(random, size=(28, 28)))
        if number % 3 == 1:  # light on dark: a dark border
            rows = bytearray(zlib.compress(b"".join(b"\0" + bytes(2) + random.randbytes(24) + bytes(2) for _ in range(28))))
            data = assemble(header(28, 28), (b"IDAT", bytes(rows[:9])), (b"IDAT", bytes(rows[9:])), (b"IEND", b""))
        if number % 3 == 2:  # a damaged byte
            at = random.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
        files.append(data)
    names, expected = [], []
    for number, data in enumerate(files):
        names.append(f"{number}.png")
        (tmp_path / names[-1]).write_bytes(data)
        pixels = _unchanged(data, DIGIT)
        if pixels is not None:
            answer = ready.answer(pixels)
            expected.append(cli._answer(names[-1], answer, cli.parse(names[-1:])))
    done = run(command, *names, cwd=tmp_path)
    assert len(expected) > 200
    assert done.stdout.splitlines() == expected
    refused = done.stderr.splitlines()
    assert all("edge-predict" in line or "the picture is blank" in line for line in refused)
    assert (len(refused), done.returncode) == (len(files) - len(expected), 65)


@pytest.mark.skipif(not ZLIB, reason="no zlib.h on this machine")
def test_a_folder_of_examples_reads_as_with_edge_predict(command):
    plain = sorted(str(p) for p in (ROOT / "examples").glob("*.png") if _unchanged(p.read_bytes(), DIGIT))
    assert run(command, *plain).stdout == run(COMMAND, *plain).stdout


def sealed(folder: Path, **said) -> Path:
    """The shipped model, which has a second output."""
    return judged(folder / "m.tflite", **said)


@pytest.mark.parametrize("kind", KINDS)
def test_temperature_extra_values_and_rejection_read_as_with_edge_predict(kind, tmp_path):
    random = Random(2)
    images = [bytes(29) + random.randbytes(700) + bytes(55) for _ in range(60)]
    scores = sorted(predictor.load(str(sealed(tmp_path, reject=(kind, 0.0)))).answer(image).score for image in images)
    sets = ((0.9, 0.5), (0.995, 3.25))
    model = artifact.read(str(sealed(tmp_path, temperature=2.5, reject=(kind, scores[30]), sets=sets)))
    made, ready = programs.program(model), predictor.from_artifact(model)
    for suffix, content in ((".c", made.source), (".h", made.header)):
        (tmp_path / f"m{suffix}").write_bytes(content)
    flags = ("-O0", "-DFAST_PATHS=0", "-Wall", "-Wextra", "-Werror", "-DEDGEPROOF_MAIN", "-DEDGEPROOF_SELF_TEST")
    compiler.build([str(tmp_path / "m.c")], str(tmp_path / "m"), *flags)
    names = [f"{number}.raw" for number in range(len(images))]
    for name, image in zip(names, images, strict=True):
        (tmp_path / name).write_bytes(image)
    answers = [ready.answer(image) for image in images]
    for flags in ([], ["--always-answer"], ["--coverage=0.995"], ["--coverage", "0.9", "--always-answer"]):
        done = run(tmp_path / "m", *names, *flags, cwd=tmp_path)
        options = cli.parse([*flags, "-"])
        expected = [cli._answer(name, answer, options) for name, answer in zip(names, answers, strict=True)]
        assert (done.returncode, done.stderr, done.stdout.splitlines()) == (0, "", expected)
        assert ("0.995" in str(flags)) == (" or " in done.stdout)
    done = run(tmp_path / "m", "--coverage", "0.999", names[0], cwd=tmp_path)
    assert done.stderr.startswith("m: 0.999: a coverage above those that the file promises: 0.9, 0.995; convert it again")
    assert 20 < sum(answer.rejected for answer in answers) < 40
    assert run(tmp_path / "m", "--self-test").returncode == 0
    assert artifact.read(str(tmp_path / "m.c")).contract.confidence.items() == model.contract.confidence.items()


def test_a_score_that_is_not_written_in_c_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, "mood", KINDS["margin"])
    with pytest.raises(Refused, match="m: rejects by mood, which is not written in C"):
        programs.program(artifact.read(str(sealed(tmp_path, reject=("mood", 0.0)))))


def test_raw_bytes_and_a_pgm_are_answered_as_the_png(command, tmp_path):
    (tmp_path / "raw").write_bytes(seven())
    (tmp_path / "seven.pgm").write_bytes(b"P5\n# seven\n28 28 255\n" + seven())
    done = run(command, "raw", "--", "seven.pgm", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "raw: 7 (100.0 %)\nseven.pgm: 7 (100.0 %)\n", "")


REFUSED = {
    "dark on light": (bytes(255 - value for value in seven()), "not light on dark"),
    "blank": (bytes(784), "no digit found: the picture is blank"),
    "one byte short": (seven()[:-1], "edge-predict reads other pictures"),
    "too long": (bytes(200_000), "edge-predict reads other pictures"),
    "empty": (b"", "an empty file"),
    "a PGM cut short": (b"P5 28 28 255\n" + seven()[:-1], "edge-predict reads other pictures"),
    "a PGM of 16 bits": (b"P5 28 28 65535\n" + seven(), "edge-predict reads other pictures"),
    "a PGM of another size": (b"P5 56 14 255\n" + seven(), "edge-predict reads other pictures"),
    "a PGM of many digits": (b"P5 28 28 " + b"9" * 99 + b" " + seven(), "edge-predict reads other pictures"),
    "a PGM without a space": (b"P528 28 255\n" + seven(), "edge-predict reads other pictures"),
    "a PGM of comments": (b"P5" + b"#" * 300, "edge-predict reads other pictures"),
    "a JPEG": (b"\xff\xd8\xff" + bytes(900), "edge-predict reads other pictures"),
    "a text as long as raw": ("Café, and more.\n".encode() * 46 + bytes(b"x" * 2), "holds text"),
    "a PGM of less, as long as raw": (b"P5 28 26 255\n".ljust(784, b"\0"), "edge-predict reads other pictures"),
}
# Files exactly as long as raw pixels.
MARKED = {
    "a JPEG": b"\xff\xd8\xff\xe0",
    "a GIF": b"GIF89a",
    "a WebP": b"RIFF\0\0\0\0WEBP",
    "a BMP": b"BM\x10\3",
    "a TIFF": b"II*\0",
    "an AVIF or HEIC": b"\0\0\0\x20ftypavif",
    "a zip archive": b"PK\3\4",
    "a program": b"\x7fELF",
    "HTML": b"<!DOCTYPE html>",
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_a_line_while_the_others_are_answered(command, tmp_path, what):
    content, reason = REFUSED[what]
    (tmp_path / "odd").write_bytes(content)
    (tmp_path / "raw").write_bytes(seven())
    done = run(command, "odd", "raw", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (65, "raw: 7 (100.0 %)\n")
    assert done.stderr.startswith(f"{NAME}: odd: ") and reason in done.stderr and done.stderr.count("\n") == 1


def test_another_file_that_is_as_long_as_raw_pixels_is_told_by_its_first_bytes(command, tmp_path):
    for what, front in MARKED.items():
        (tmp_path / what).write_bytes(front.ljust(784, b"\0"))
    done = run(command, *MARKED, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (65, "")
    assert done.stderr.splitlines() == [
        f"{NAME}: {what}: begins as {what} does, so it is not raw pixels; edge-predict reads other pictures" for what in MARKED
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ([], 2, "name at least one picture"),
        (["--top-k", "3"], 2, "--top-k: no such option"),
        (["--coverage"], 2, "--coverage: wants a number between 0 and 1, such as 0.99"),
        (["--coverage=1.5", "raw"], 2, "--coverage: wants a number between 0 and 1, such as 0.99"),
        (["--coverage", "0.9999", "raw"], 2, "0.9999: a coverage above those that the file promises: 0.9, "),
        ([""], 2, '"": a picture\'s name is empty'),
        (["nowhere"], 66, "nowhere: No such file or directory"),
        (["."], 66, ".: is a directory"),
        (["pipe"], 65, "pipe: a pipe, socket or device"),
        (["a\nb\x1b[2J\x7f"], 66, "a\\nb\\x1b[2J\\x7f: No such file or directory"),
    ],
)
def test_what_is_no_picture_has_edge_predicts_exit_code(command, tmp_path, arguments, code, reason):
    os.mkfifo(tmp_path / "pipe")
    done = run(command, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"{NAME}: {reason}") and done.stderr.count("\n") == 1


def test_a_full_disk_is_no_success_and_a_reader_that_left_is(command, tmp_path):
    (tmp_path / "raw").write_bytes(seven())
    full = run("sh", "-c", f"{command} raw > /dev/full", cwd=tmp_path)
    left = run("sh", "-c", f"{{ {command} raw; echo $? >&2; }} | true", cwd=tmp_path)
    assert (full.returncode, full.stderr) == (74, f"{NAME}: stdout: No space left on device\n")
    assert left.stderr == "0\n"


def test_its_self_test_passes_on_every_path_of_this_machine(command):
    done = run(command, "--self-test")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{NAME}: passed: 15 pictures on each of: ") and done.stdout.endswith("plain\n")
