"""What the tests of foreign .keras files change."""

from pathlib import Path

import pytest

from tests.convert.sources.keras_files import sound


@pytest.fixture
def plain(tmp_path) -> Path:
    """A sound classifier of the test's own."""
    return sound(tmp_path / "Tones v2.keras")
