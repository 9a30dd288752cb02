"""A file is whole or not there."""

import os

import pytest

from edge.errors import StorageError
from edge.files import write_atomic


def test_the_folder_is_made_and_the_old_file_replaced(tmp_path):
    path = tmp_path / "new" / "file.bin"
    write_atomic(str(path), b"old")
    write_atomic(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file.bin"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    write_atomic(str(path), b"old")

    def disk_full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(StorageError, match=r"file\.bin: cannot be written: No space left on device"):
        write_atomic(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_a_file_in_the_place_of_a_folder_is_one_line(tmp_path):
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot be written: "):
        write_atomic(str(tmp_path / "taken" / "file.bin"), b"x")
