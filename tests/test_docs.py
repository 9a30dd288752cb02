"""The pages say nothing that is not there: every link and path leads somewhere, every command shown exists with its flags."""

import functools
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT, call_script, run
from edge import console

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
# Commands that are somebody else's, known without asking them.
OTHERS = {"build", "venv", "pip", "pytest", "ziglang"}
# Those of ours that take no flags, and so have no --help.
NO_HELP = {"tests.promises"}
# A path in the repository, as prose names it; what a command makes (artifacts/, demo/, …) is none of these.
REPOSITORY_PATH = re.compile(
    r"^(?:edge|train|convert|benchmarks|tests|docs|constraints|examples)/[\w./-]*$|^[A-Z]+\.md$|^(?:pyproject\.toml|action\.yml|Makefile)$"
)


def code(text: str) -> Iterator[str]:
    """What a page shows as code: the lines of its blocks, and what stands between backticks, in one line each."""
    fenced = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
    for block in fenced.findall(text):
        yield from block.splitlines()[1:-1]
    prose = fenced.sub("", text)
    yield from re.findall(r"^ {4,}(.*)", prose, re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", prose):
        yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", paragraph))


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Every `python -m MODULE`, `edge-predict` or `edgeproof` in `text`: the module, and the words that follow it."""
    for line in code(text):
        for call in re.split(r"&&|\|\||;|\|(?!\w)", line.partition("  #")[0]):
            call = as_module(call)
            match = re.search(r"python3?(?: -\w)* -m ([\w.]+)(.*)", call) or re.search(r"(?:^|\s)(edge-predict)\b(.*)", call)
            if match:
                yield match[1].rstrip("."), match[2].split()


def as_module(call: str) -> str:
    """`call` with `edgeproof COMMAND` as the `edge-predict` or `python -m` that it starts."""
    match = re.match(r"\s*(?:\$ )?(?:\w+=\S+ )*(?:ExecStart=)?(?:\S+/)?edgeproof (train [a-z]\w+|[a-z-]+)\b(.*)", call)
    if not match:
        return call
    name = match[1].replace(" ", ".")
    if name == "predict":
        return f"edge-predict{match[2]}"
    return f"python -m {f'edge {name}' if name in console.DEVICE else name}{match[2]}"


def slug(heading: str) -> str:
    """The anchor GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_leads_somewhere(page):
    for target in map("".join, re.findall(r"\]\(([^)\s]+)\)|\bsrc=\"([^\"]+)\"", page.read_text())):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path) if path else page
        assert linked.exists(), f"links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)", linked.read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), f"links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_path_named_is_in_the_repository(page):
    spans = re.findall(r"`([^`\n]+)`", page.read_text())
    for path in filter(REPOSITORY_PATH.match, spans):
        beside = (ROOT / path, page.parent / path)
        assert any(place.exists() for place in beside), f"names {path}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_make_target_shown_is_in_the_makefile(page):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shown = {match[1] for line in code(page.read_text()) if (match := re.match(r"(?:\$ )?(?:\w+=\S+ )*make ([a-z-]+)", line))}
    assert shown <= set(targets)


@functools.cache
def help_of(command: str) -> str:
    """What `--help` of `command` prints: `edge-predict`, a module, or a module and a subcommand."""
    if command == "edge-predict":
        return run(Path(sys.executable).with_name(command), "--help").stdout
    return call_script(*command.split(), "--help").stdout


def exists(module: str) -> bool:
    return module == "edge-predict" or importlib.util.find_spec(module) is not None


def ours(module: str) -> bool:
    return module.split(".")[0] not in OTHERS and not any(module.startswith(name) for name in NO_HELP)


def asked(module: str, words: list[str]) -> str:
    """The command whose --help knows the flags of `module` and `words`."""
    has_subcommands = module in ("edge", "train.compare") and words and re.fullmatch("[a-z]+", words[0])
    return f"{module} {words[0]}" if has_subcommands else module


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_shown_exists_with_its_flags(page):
    for module, words in commands(page.read_text()):
        if not ours(module):
            continue
        assert exists(module), f"shows python -m {module}"
        text = help_of(asked(module, words))
        assert text, f"python -m {asked(module, words)} --help prints nothing"
        for word in words:
            flag = re.match(r"--[a-z0-9-]+", word)
            assert not flag or re.search(rf"{flag[0]}\b", text), f"shows {module} {flag[0]}"


def test_the_readme_fits_on_a_few_screens():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 130 and len(text.split()) <= 1_050
