"""The commands in the README and in docs/ do what is shown."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from conftest import DEMO, ROOT, call, run
from tests.wheel import tracked

# In this order: what one page's commands make, the next one's use.
PAGES = ("README.md", "docs/cli.md", "docs/training.md", "docs/own-model.md", "docs/device.md")


def blocks(*pages: str) -> list[tuple[str, str]]:
    """Every command that `pages` show at a prompt, with the output under it."""
    pairs = []
    for page in pages:
        for block in re.findall(r"```console\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                pairs.append((command, shown))
    return pairs


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, workshop) -> Path:
    """A copy of the sources with this environment as its .venv, where the run that the pages train and convert is finished."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("runs", "artifacts"):
        shutil.copytree(workshop / name, folder / name)
    return folder


def without_figures(text: str) -> list[list[str]]:
    """The words of each line, whatever was measured, on whatever processor."""
    text = re.sub(r"kernels, .*, x86_64", "kernels", text)
    return [re.sub(r"\b[0-9a-f]{12}\b|-?\d[\d.,]*", "#", line).split() for line in text.splitlines()]


def test_the_readme_shows_the_two_commands():
    assert re.findall(r"^    (make \w+)", (ROOT / "README.md").read_text(), re.MULTILINE) == ["make demo", "make test"]


def test_the_demo_repeats_nothing_of_what_tensorflow_says_of_itself(workshop):
    said = (workshop / "demo.err").read_text()
    assert "images to compare" in said and "oneDNN" not in said and "absl" not in said and "cuda" not in said, said


@pytest.mark.slow
def test_every_command_runs_and_prints_what_is_shown(checkout, workshop):
    path, store = f"{checkout}/.venv/bin:/usr/local/bin:/usr/bin:/bin", f"{checkout}/store"
    demo = (workshop / "demo.txt").read_text()
    for command, shown in blocks(*PAGES):
        words = shlex.split(command)
        if words[0] == "make":  # it made the network that all tests share
            assert words == ["make", "demo", *DEMO]
            printed = demo
        elif words == ["python", "-m", "convert", "--int8"]:  # so did it convert that
            printed = demo.partition(" -m convert --int8 --checkpoint demo/run --out demo\n")[2].partition("for model in")[0]
        else:
            if words[:2] == ["python", "-m"]:
                done = call(*words[2:], cwd=checkout)
            else:
                done = run("bash", "-c", command, cwd=checkout, PATH=path, EDGEPROOF_STORE=store)
            assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
            printed = done.stdout
        if words[:2] == ["edgeproof", "predict"]:
            assert printed == shown, f"$ {command}"
        else:
            assert without_figures(printed) == without_figures(shown), f"$ {command}"
