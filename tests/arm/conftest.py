"""What ran on the emulated device is told at the end of the output and kept in reports/arm.txt."""

import pytest

from conftest import ROOT

REPORT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = []


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    lines = config.stash[REPORT]
    if not lines:
        return
    (ROOT / "reports").mkdir(exist_ok=True)
    (ROOT / "reports" / "arm.txt").write_text("".join(f"{line}\n" for line in lines))
    terminalreporter.section("emulated Arm")
    for line in lines:
        terminalreporter.write_line(line)
