"""What ends a program that cannot even load its own parts."""

import sys

from conftest import ROOT, run

PROGRAM = """
import sys
from edge import errors
def main():
    {body}
sys.exit(errors.run(main, "p"))
"""


def ended(body: str):
    return run(sys.executable, "-c", PROGRAM.format(body=body), PYTHONPATH=str(ROOT))


def test_a_compiled_module_that_cannot_be_mapped_is_one_line_and_74(tmp_path):
    (tmp_path / "half.so").write_bytes(b"\x7fELF half copied")
    done = ended(f"sys.path.insert(0, {str(tmp_path)!r}); import half")
    assert (done.returncode, done.stdout) == (74, "")
    assert done.stderr.startswith(f"p: {tmp_path}/half.so: ") and done.stderr.count("\n") == 1
    assert done.stderr.endswith("; check the disk, or install edgeproof and Python again\n")


def test_a_name_that_a_module_does_not_have_is_a_defect_of_ours():
    done = ended("from edge.errors import no_such_name")
    assert done.returncode == 70 and "Traceback" in done.stderr
