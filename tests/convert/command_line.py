"""`python -m convert`, inside the test's process or in one of its own."""

import sys

from conftest import ROOT, run
from convert import __main__ as command


def convert_main(monkeypatch, workshop, out, *flags: str) -> int:
    run_folder = str(workshop / "runs" / "lenet5-relu-digits-modern")
    monkeypatch.setattr(sys, "argv", ["convert", "--int8", "--checkpoint", run_folder, "--out", str(out), *flags])
    return command.main()


def convert_command(*flags, cwd):
    return run(sys.executable, "-m", "convert", *flags, cwd=cwd, PYTHONPATH=str(ROOT))
