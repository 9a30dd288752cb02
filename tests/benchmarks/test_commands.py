"""Every command of the benchmarks says how it is used, and refuses what it does not know."""

import pytest

from conftest import ROOT, call_script

COMMANDS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for path in (ROOT / "benchmarks").rglob("*.py")
    if '__name__ == "__main__"' in path.read_text()
)
# Keras and TensorFlow are imported at their top, 15 s; their flags are argparse's like the others'.
SLOW = {"benchmarks.studies.lrn", "benchmarks.studies.quantizers"}
# Started by other commands, by path and with another Python or under valgrind; they take no flags.
WORKERS = {"benchmarks.instructions.predictions", "benchmarks.studies.pixels.libraries"}


def test_the_commands_are_found():
    assert {"benchmarks", "benchmarks.limits.peaks", "benchmarks.peers", *SLOW, *WORKERS} <= set(COMMANDS)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in SLOW | WORKERS])
def test_help_is_an_answer_and_a_flag_that_does_not_exist_is_a_usage_error(command):
    helped = call_script(command, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert command.rpartition(".")[2] in helped.stdout
    wrong = call_script(command, "--no-such-flag", "1")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Traceback" not in wrong.stderr
    said = [line for line in wrong.stderr.splitlines() if not line.startswith(("usage: ", " "))]
    assert len(said) == 1 and command.rpartition(".")[2] in said[0]
