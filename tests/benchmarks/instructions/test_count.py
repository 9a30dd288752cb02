"""Instructions counted: by a valgrind that is made up, and refusals; the real one counts in `make check-full`."""

import os
import shutil

import pytest

from benchmarks.instructions import count, predictions
from benchmarks.regression.compare import judge_instructions
from edge.errors import EngineMissing, InputMissing, ToolchainError
from edge.locate import shipped_model

# A process of 1,000,000 instructions, and 300,000 more for each prediction.
VALGRIND = """#!/bin/sh
[ "$1" = --version ] && echo valgrind-9.9 && exit
for number; do :; done
echo "litert-c	2.3.0	XNNPACK"
echo "==1== Collected : $((1000000 + 300000 * number))" >&2
"""


def made_up(tmp_path, monkeypatch, script: str = VALGRIND) -> None:
    (tmp_path / "valgrind").write_text(script)
    (tmp_path / "valgrind").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_a_count_is_the_difference_of_two_processes_without_their_start(tmp_path, monkeypatch):
    made_up(tmp_path, monkeypatch)
    found = count.count("", by="valgrind")
    assert (found.per_prediction, found.predictions, found.counter) == (300_000, 1000, "callgrind, valgrind-9.9")
    assert found.kernels.startswith("XNNPACK")


def test_a_large_network_is_counted_over_fewer_predictions(tmp_path, monkeypatch):
    made_up(tmp_path, monkeypatch, VALGRIND.replace("300000", "30000000"))
    found = count.count("", by="valgrind")
    assert (found.per_prediction, found.predictions) == (30_000_000, 100)


def test_the_kernels_of_valgrind_are_not_those_of_avx512(tmp_path, monkeypatch):
    cpu = tmp_path / "cpuinfo"
    cpu.write_text("model name\t: made up\nflags\t\t: fpu avx2 avx512f avx512_vnni\n")
    monkeypatch.setattr(count, "Path", lambda path: cpu)
    assert count._path("litert-c\t2.3.0\tXNNPACK", hidden=count.HIDDEN) == "XNNPACK, AVX2 (valgrind hides AVX-512 VNNI)"
    assert count._path("litert-c\t2.3.0\tXNNPACK") == "XNNPACK, AVX-512 VNNI"


def test_what_cannot_be_counted_is_one_line(tmp_path, monkeypatch):
    made_up(tmp_path, monkeypatch, "#!/bin/sh\necho 'no such engine' >&2; exit 3\n")
    with pytest.raises(ToolchainError, match="the model in the wheel: cannot be counted: no such engine"):
        count.count("", by="valgrind")
    with pytest.raises(InputMissing, match=r"gone\.tflite: no such model"):
        count.count("gone.tflite", by="valgrind")


def test_without_counters_and_valgrind_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(predictions, "open_counter", lambda: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineMissing, match="valgrind is not installed: apt install valgrind"):
        count.able()


@pytest.mark.parametrize(
    ("now", "verdict"), [(1_009_900, "same"), (1_010_100, "worse"), (989_000, "better"), (490_000, "suspicious")]
)
def test_one_per_cent_more_instructions_are_worse(now, verdict):
    def counted(n: float, kernels: str = "XNNPACK, AVX2") -> count.Instructions:
        return count.Instructions(per_prediction=n, predictions=1000, counter="callgrind", kernels=kernels)

    judged = judge_instructions("model in the wheel", counted(1_000_000), counted(now))
    assert (judged.verdict, judged.cells[4]) == (verdict, "none")
    assert "XNNPACK, AVX2" in judged.name
    assert judge_instructions("m", counted(1.0), counted(1.0, "built-in")).verdict == "not comparable"


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("valgrind"), reason="no valgrind: apt install valgrind")
def test_a_real_count_repeats_to_a_millionth():
    first, again = (count.count(shipped_model(), by="valgrind").per_prediction for _ in range(2))
    assert first > 100_000
    assert first == pytest.approx(again, rel=1e-6)
