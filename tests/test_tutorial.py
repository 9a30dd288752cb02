"""The page docs/tutorial.md is true: its code trains, and its commands publish what answers as the network does."""

import os
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT, run

PAGE = (ROOT / "docs" / "tutorial.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^    (\S.*)$", PAGE.split("```")[2], re.MULTILINE)


def photographs(folder: Path) -> None:
    """JPEGs of many sizes: fur with broad stripes is a cat's, with narrow ones a dog's."""
    rng = np.random.default_rng(0)
    for split, n in (("train", 60), ("test", 200)):
        for name, period in (("cat", 24), ("dog", 6)):
            (folder / split / name).mkdir(parents=True)
            for i in range(n):
                height, width = rng.integers(120, 260, 2)
                stripes = 60 * np.sin(2 * np.pi * (np.arange(width) + rng.integers(30)) / (period * width / 180))
                pixels = rng.integers(90, 160) + stripes[None, :, None] + rng.normal(0, 25, (height, width, 3))
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / split / name / f"{i}.jpg")


def test_from_keras_code_to_the_device_takes_under_twenty_lines():
    lines = [line for line in CODE[0].splitlines() if line.strip()]
    assert len(CODE) == 1 and len(COMMANDS) == 5 and len(lines) + len(COMMANDS) < 20


@pytest.mark.long
def test_the_tutorials_code_and_commands_do_what_it_says(tmp_path):
    photographs(tmp_path / "pets")
    (tmp_path / "pets.py").write_text(CODE[0])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in COMMANDS[:2]:
        done = run(*shlex.split(command), cwd=tmp_path, PATH=path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "as the owner's own code on 400 of 400 pictures" in done.stderr + (tmp_path / "artifacts/report.md").read_text()
    model = tmp_path / COMMANDS[2].split()[1]
    pictures = sorted((tmp_path / "pets/test").glob("*/*"))[::20]
    done = run("edgeproof", "predict", "--model", model, *pictures, cwd=tmp_path, PATH=path)
    answers = [line.rsplit(":", 1)[-1].split()[0] for line in done.stdout.splitlines()]
    assert answers == [picture.parent.name for picture in pictures], done.stdout
