"""`python -m convert` of the tests' network, inside the test's process."""

import sys

from convert import __main__ as command


def convert_main(monkeypatch, workshop, out, *flags: str) -> int:
    run_folder = str(workshop / "runs" / "lenet5-relu-digits-modern")
    monkeypatch.setattr(sys, "argv", ["convert", "--int8", "--checkpoint", run_folder, "--out", str(out), *flags])
    return command.main()
