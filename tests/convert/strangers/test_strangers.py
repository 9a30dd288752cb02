"""A sample of docs/strangers.md; `python -m tests.convert.strangers` tries every kind."""

import pytest

from tests.convert.strangers.__main__ import every

SAMPLE = ("one logit", "a file that claims 17 GB", "Training/ and Testing/")


def test_there_are_sixty_kinds_and_each_has_its_own_name():
    from tests.convert.strangers import folders, networks

    assert len(every()) == len(networks.NETWORKS) + len(folders.FOLDERS) >= 60


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLE)
def test_each_kind_is_right_or_refused_for_its_reason(name, tmp_path):
    row, kind = every()[name]
    assert row(kind, tmp_path)[1].startswith("refused (78)" if kind.says else "right: .tflite")
