"""Images in a file without a name: in the order asked for, on a disk with room for them, and gone with the process."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from conftest import ROOT
from edge.errors import StorageError
from train.datasets import mapped

SHAPE = (4, 5, 3)


def filled(folder, n, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (n, *SHAPE), np.uint8)
    file = mapped.PixelFile(folder, n, SHAPE)
    for index, image in enumerate(images):
        file.put(index, image.tobytes())
    return file, images


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kept", [0, 1, 7, 12])
def test_images_come_in_the_order_asked_for(tmp_path, seed, kept):
    file, images = filled(tmp_path, 12, seed)
    order = np.random.default_rng(seed).permutation(12)[:kept]
    arranged = file.arranged(order)
    assert arranged.dtype == np.uint8 and np.array_equal(arranged, images[order])


def test_the_file_has_no_name_and_the_images_outlive_its_maker(tmp_path):
    file, images = filled(tmp_path, 3)
    arranged = file.arranged(np.arange(3))
    del file
    assert os.listdir(tmp_path) == [] and np.array_equal(arranged, images)


def test_released_images_are_read_again(tmp_path):
    file, images = filled(tmp_path, 6)
    arranged = file.arranged(np.arange(6))[1:]
    mapped.release(arranged)
    assert np.array_equal(np.concatenate(list(mapped.batches(arranged, n=2))), images[1:])
    assert all(np.array_equal(a, b) for a, b in zip(mapped.each(arranged), images[1:], strict=True))
    assert [len(part) for part in mapped.batches(images, n=4)] == [4, 2]  # of an array in memory, the same


def test_mapped_images_cannot_be_changed(tmp_path):
    file, _ = filled(tmp_path, 2)
    with pytest.raises(ValueError, match="read-only"):
        file.arranged(np.arange(2))[0, 0, 0, 0] = 1


def test_a_folder_that_is_not_there_yet_stands_for_the_one_it_will_be_in(tmp_path):
    mapped.PixelFile(tmp_path / "runs" / "out", 1, SHAPE)
    assert os.listdir(tmp_path) == []


LIMITED = """
import resource, sys
from pathlib import Path
from edge import errors
from train.datasets import mapped
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
sys.exit(errors.run(lambda: mapped.PixelFile(Path(sys.argv[1]), 100, (224, 224, 3)), "convert"))
"""


def test_a_file_larger_than_allowed_is_one_line_and_74(tmp_path):
    ended = subprocess.run([sys.executable, "-c", LIMITED, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == StorageError.exit_code == 74 and os.listdir(tmp_path) == []
    assert ended.stderr == (
        f"convert: {tmp_path}: no room for 15 MiB of pixels (File too large): free it, or name a folder on another disk with "
        "--out\n"
    )


LIVING = """
import sys, time
from pathlib import Path
from train.datasets import mapped
file = mapped.PixelFile(Path(sys.argv[1]), 1000, (64, 64, 3))
print("ready", flush=True)
time.sleep(60)
"""


def test_a_killed_process_leaves_no_file_and_takes_no_room(tmp_path):
    with subprocess.Popen([sys.executable, "-c", LIVING, tmp_path], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        assert os.listdir(tmp_path) == []  # so no other run can take it for one that was left
        process.send_signal(signal.SIGKILL)
    assert os.listdir(tmp_path) == []
