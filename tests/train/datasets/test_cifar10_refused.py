"""CIFAR-10 that is missing, damaged or hostile: one line that names the file, and nothing in a pickle is run."""

import gzip
import io
import os
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InputError, InputMissing
from tests.train.datasets.cifar10_files import (
    BATCHES,
    BINARY,
    FORMS,
    PYTHON,
    batch_of,
    binary_files,
    packed,
    python2_pickle,
    python_files,
    write,
    write_binary,
)
from train.datasets import cifar10, pickled

OWN = np.arange(3 * 3072, dtype=np.uint8).reshape(3, 3072)


def refusal(folder: Path, kind=InputError) -> str:
    with pytest.raises(kind) as caught:
        cifar10.load(str(folder))
    message = str(caught.value)
    assert len(message.splitlines()) == 1 and message.startswith(str(folder))
    return message.removeprefix(f"{folder}").removeprefix("/")


def test_a_folder_without_cifar10_is_told_what_to_hold(folder):
    wanted = "no such folder; name one that holds CIFAR-10"
    assert refusal(folder, InputMissing) == f": {wanted}"
    folder.mkdir()
    forms = "cifar-10-batches-bin, cifar-10-binary.tar.gz, cifar-10-batches-py or cifar-10-python.tar.gz"
    assert refusal(folder, InputMissing) == f": no CIFAR-10 in it; name a folder that holds {forms}"


@pytest.mark.parametrize(
    ("form", "gone"),
    [("binary", f"{BINARY}/data_batch_4.bin"), ("binary, direct", "test_batch.bin"), ("python", f"{PYTHON}/test_batch")],
)
def test_a_missing_batch_is_named(form, gone, folder):
    FORMS[form](folder)
    (folder / gone).unlink()
    assert refusal(folder, InputMissing) == f"{gone}: no such file; wanted all six batches of CIFAR-10"


def test_a_batch_that_cannot_be_read_is_named(folder):
    FORMS["binary, direct"](folder)
    (folder / "test_batch.bin").unlink()
    (folder / "test_batch.bin").mkdir()
    assert refusal(folder, InputMissing) == "test_batch.bin: Is a directory"
    for path in folder.glob("*.bin"):
        path.rmdir() if path.is_dir() else path.unlink()
    (folder / "cifar-10-binary.tar.gz").mkdir()
    assert refusal(folder, InputMissing) == "cifar-10-binary.tar.gz: Is a directory"


@pytest.mark.parametrize(("n_bytes", "n_reported"), [(0, "0"), (3072, "3,072"), (2 * 3073 + 1, "6,147")])
def test_a_binary_batch_is_whole_records(n_bytes, n_reported, folder):
    FORMS["binary, direct"](folder)
    (folder / "data_batch_2.bin").write_bytes(bytes(n_bytes))
    wanted = "wanted one or more whole records of 3,073 bytes: copy the file again"
    assert refusal(folder) == f"data_batch_2.bin: {n_reported} bytes; {wanted}"


def test_a_label_over_nine_is_refused(folder):
    rows = BATCHES["data_batch_3"].copy()
    rows[1, 0] = 10
    write_binary(folder, BATCHES | {"data_batch_3": rows})
    assert refusal(folder) == "data_batch_3.bin: holds a label 10; CIFAR-10's are 0 to 9: copy the file again"


@pytest.mark.parametrize("form", ["binary, direct", "binary, packed"])
def test_a_batch_too_large_to_be_one_is_refused(form, folder, monkeypatch):
    FORMS[form](folder)
    monkeypatch.setattr(cifar10, "MAX_BATCH_MIB", 0)
    assert refusal(folder).endswith(".bin: more than 0 MiB; a batch of CIFAR-10 has 30: copy the file again")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"labels": [0, 1]}, "ValueError: (8, 3072) pixels with 2 labels"),
        ({"labels": [0, 1, 2, 3, 4, 5, 6, 256]}, "ValueError: a label that is not from 0 to 9"),
        ({"labels": [0, 1, 2, 3, 4, 5, 6, b"7"]}, "ValueError: a label that is not from 0 to 9"),
        ({"labels": [], "data": np.zeros((0, 3072), np.uint8)}, "ValueError: (0, 3072) pixels with 0 labels"),
        ({"data": np.zeros((8, 3073), np.uint8)}, "ValueError: (8, 3073) pixels with 8 labels"),
        ({"data": np.zeros((8, 3072), np.int8)}, "ValueError: an array of b'i1'"),
        ({"data": 8 * 3072 * b"\0"}, "AttributeError: 'bytes' object has no attribute 'state'"),
    ],
)
def test_a_pickle_of_something_else_is_refused(changed, says, folder):
    write(folder / PYTHON, python_files(BATCHES) | {"test_batch": batch_of(BATCHES["test_batch"], **changed)})
    assert refusal(folder).startswith(
        f"{PYTHON}/test_batch: not a batch of CIFAR-10 ({says}); copy the published file again, or "
    )


@pytest.mark.parametrize(
    ("batch", "protocol", "says"),
    [
        ({"data": OWN, "labels": [1, 2, 3]}, 5, "it asks for numpy"),
        ({"data": OWN, "labels": np.array([1, 2, 3])}, 4, "its labels are no list"),
        ({"images": OWN, "labels": [1, 2, 3]}, 4, "it has no 'data'; it has 'images', 'labels'"),
        ([OWN, [1, 2, 3]], 4, "it holds a list"),
        ({"data": OWN, "labels": [1, 2, 11]}, 4, "a label that is not from 0 to 9"),
    ],
)
def test_a_pickle_of_ones_own_is_told_how_to_be_written(batch, protocol, says):
    with pytest.raises(InputError) as caught:
        pickled.parse_batch(pickle.dumps(batch, protocol=protocol), name="mine")
    assert says in str(caught.value)
    assert "pickle.dump({'data': pixels, 'labels': labels.tolist()}, file, protocol=4)" in str(caught.value)


def test_a_pickle_written_as_told_is_read():
    content = pickle.dumps({"data": OWN, "labels": np.array([1, 2, 3]).tolist()}, protocol=4)
    pixels, labels = pickled.parse_batch(content, name="mine")
    assert (pixels == OWN).all() and labels == [1, 2, 3]


def test_a_pickle_cut_short_anywhere_is_refused_in_one_line():
    batch = batch_of(BATCHES["data_batch_1"])
    for length in (*range(200), *range(200, len(batch), 97)):
        with pytest.raises(InputError) as caught:
            pickled.parse_batch(batch[:length], name="batch")
        assert str(caught.value).startswith("batch: not a batch of CIFAR-10 (") and "\n" not in str(caught.value)


class Malicious:
    """What a pickle of it does when it is trusted: make a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self):
        return os.mkdir, (str(self.made),)


@pytest.mark.parametrize("packs", [False, True])
def test_a_malicious_pickle_is_refused_and_not_run(packs, folder, tmp_path):
    made = tmp_path / "run"
    content = python2_pickle({b"data": Malicious(made), b"labels": [0]})
    files = python_files(BATCHES) | {"data_batch_1": content}
    if packs:
        write(folder, {"cifar-10-python.tar.gz": packed(PYTHON, files)})
    else:
        write(folder / PYTHON, files)
    message = refusal(folder)
    assert f"data_batch_1: not a batch of CIFAR-10 (UnpicklingError: it asks for {os.mkdir.__module__}.mkdir, " in message
    assert not made.exists()
    pickle.loads(content)  # trusted, it would have run
    assert made.exists()


@pytest.mark.parametrize("asked", ["numpy.load", "builtins.eval", "numpy.core.multiarray.fromfile", "_codecs.encode"])
def test_only_what_an_array_needs_may_be_named(asked):
    module, _, name = asked.rpartition(".")
    with pytest.raises(InputError, match=rf"it asks for {asked}, which is not run\)"):
        pickled.parse_batch(f"c{module}\n{name}\n.".encode(), name="batch")


def test_a_name_with_a_line_break_stays_in_its_line():
    parts = ("os\nok", "system")
    strings = b"".join(b"X" + struct.pack("<I", len(part)) + part.encode() for part in parts)
    with pytest.raises(InputError, match=r"it asks for os\\nok\.system, which"):
        pickled.parse_batch(b"\x80\x04" + strings + b"\x93.", name="batch")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda archive: archive[:-40], "damaged .tar.gz file (Compressed file ended before the end-of-stream marker was "),
        (lambda archive: archive[:-8] + b"\0\0\0\0" + archive[-4:], "damaged .tar.gz file (CRC check failed "),
        (lambda archive: b"<html>", "damaged .tar.gz file (Not a gzipped file (b'<h'))"),
        (lambda archive: gzip.compress(b"no archive" * 100), "damaged .tar.gz file ("),
        (lambda archive: b"", "damaged .tar.gz file (empty file)"),
        (lambda archive: packed(BINARY, {}), f"holds no {BINARY}/data_batch_1.bin; wanted all six batches of CIFAR-10"),
        (lambda archive: packed("elsewhere", binary_files(BATCHES)), f"holds no {BINARY}/data_batch_1.bin; "),
    ],
)
def test_a_damaged_archive_is_refused_in_one_line(damage, says, folder):
    name = "cifar-10-binary.tar.gz"
    write(folder, {name: damage(packed(BINARY, binary_files(BATCHES)))})
    message = refusal(folder)
    assert message.startswith(f"{name}: {says}") and message.endswith("copy the file again")


def test_a_link_in_an_archive_is_no_batch(folder):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        member = tarfile.TarInfo(f"{BINARY}/data_batch_1.bin")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    write(folder, {"cifar-10-binary.tar.gz": file.getvalue()})
    assert refusal(folder).startswith(f"cifar-10-binary.tar.gz: holds no {BINARY}/data_batch_1.bin; ")
