"""Whatever a model does in its process is one line in ours, and the next picture is answered."""

import faulthandler
import os
import resource
import signal
import sys
import threading
import time

import pytest

from conftest import run
from edge import engines, predictor
from edge.engines import in_child
from edge.errors import ModelError
from tests.edge.on_device import COMMAND, SEVEN
from tests.edge.wrong_models import BLACK, KINDS, WHITE, write

SAYS = {
    "not-a-number": "is not a finite number",
    "infinite": "is not a finite number",
    "out-of-range": "out-of-range.onnx: fails in onnxruntime (",
    "divided-by-zero": "divided-by-zero.onnx: fails in onnxruntime (",
    "endless": "endless.onnx: gave no answer within 0.4 s",
    "huge": "huge.onnx: fails in onnxruntime (",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_fails_on_a_picture_answers_the_next(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(in_child, "ANSWER_S", 0.4)
    ready = predictor.load(str(write(tmp_path, kind)), apart=engines.VERIFYING)
    for _ in range(2):
        assert ready.answer(BLACK).logits == [0, 0]
        with pytest.raises(ModelError) as refused:
            _ = ready.answer(WHITE).index
        assert SAYS[kind] in str(refused.value) or "within 0.1 s" in str(refused.value)


def test_pictures_that_get_no_answer_are_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(in_child, "ANSWER_S", 0.2)
    ready = predictor.load(str(write(tmp_path, "endless")), apart=engines.VERIFYING)
    told = []
    for _ in range(5):
        with pytest.raises(ModelError) as refused:
            ready.answer(WHITE)
        told.append(str(refused.value))
    assert ["not tried" in line for line in told] == [False, False, False, True, True]


def test_the_command_answers_the_pictures_behind_one_that_fails(tmp_path):
    for name, value in (("black", 0), ("white", 255)):
        from PIL import Image

        Image.new("L", (4, 4), value).save(tmp_path / f"{name}.png")
    model = write(tmp_path, "divided-by-zero")
    done = run(COMMAND, "white.png", "black.png", "--model", model, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (78, "black.png: no (50.0 %)\n")
    assert done.stderr.startswith("edge-predict: white.png: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["verify", "install"])
@pytest.mark.parametrize("kind", ["not-a-number", "out-of-range"])
def test_a_model_whose_goldens_pass_and_that_fails_on_another_picture_is_refused(command, kind, tmp_path):
    done = run(sys.executable, "-m", "edge", command, write(tmp_path, kind), XDG_DATA_HOME=str(tmp_path / "data"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (78, "", 1), done
    assert not (tmp_path / "data").exists()


class Engine:
    """An engine that does to its process what the first pixel says."""

    name, version, kernels = "engine", "1", "none"

    def run(self, pixels: bytes) -> bytes:
        os.write(2, b"noise")
        if pixels[0]:
            faulthandler.disable()
            os.kill(os.getpid(), pixels[0])
        return pixels

    def describe(self):
        raise AssertionError("only foreign models describe themselves")


def started(tmp_path, **steps) -> in_child.EngineInChild:
    from edge import artifact

    model = artifact.read(str(write(tmp_path, "infinite")))
    steps = {"bring": lambda: None, "load": Engine} | steps
    return in_child.EngineInChild(model, title="Library", advice="pip install it", threads=1, **steps)


def test_a_crash_is_one_line_and_the_next_picture_has_a_new_process(tmp_path, capfd):
    engine = started(tmp_path)
    assert engine.run(b"\0a") == b"\0a"
    with pytest.raises(ModelError, match=r"infinite\.onnx: crashes Library \(Segmentation fault\)"):
        engine.run(bytes([signal.SIGSEGV]))
    assert engine.run(bytes(100_000)) == bytes(100_000)
    assert capfd.readouterr() == ("", "")


def test_an_answer_that_comes_after_an_interruption_is_no_other_pictures(tmp_path):
    class Late(Engine):
        def run(self, pixels: bytes) -> bytes:
            time.sleep(0.2)
            return pixels

    def interrupt(*_: object) -> None:
        raise TimeoutError

    engine, before = started(tmp_path, load=Late), signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(TimeoutError):
            engine.run(WHITE)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert engine.run(BLACK) == BLACK


def test_a_process_that_ignores_its_children_is_answered(tmp_path):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # its children's ends are then nobody's to see
    try:
        engine = started(tmp_path)
        with pytest.raises(ModelError, match="its process ended"):
            engine.run(bytes([signal.SIGSEGV]))
        assert engine.run(BLACK) == BLACK
        engine.end_process()
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_process_with_a_thousand_open_files_is_answered(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2048, limits[1]), limits[1]))
    many = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert started(tmp_path).run(BLACK) == BLACK
    finally:
        for each in many:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_memory_beyond_the_bound_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"infinite\.onnx: needs more than 384 MiB of memory"):
        started(tmp_path, load=lambda: bytearray(600 << 20))


def test_a_trial_of_many_slow_pictures_ends(tmp_path):
    class Slow(Engine):
        def run(self, pixels: bytes) -> bytes:
            end = time.process_time() + 0.4
            while time.process_time() < end:
                pass
            return pixels

    engine = started(tmp_path, load=Slow)
    engine.end_after(1)
    with pytest.raises(ModelError, match=r"infinite\.onnx: took over 1 s of processor time in all; not tried further"):
        for _ in range(10):
            engine.run(BLACK)
    with pytest.raises(ModelError, match="not tried on this one"):
        engine.run(BLACK)


def test_nothing_is_left_behind_when_the_engine_is_forgotten_or_its_parent_is_killed(tmp_path):
    engine = started(tmp_path)
    child = engine._child
    del engine
    assert not os.path.exists(f"/proc/{child}")
    parent = os.fork()
    if not parent:
        engine = started(tmp_path, load=lambda: time.sleep(0) or Engine())
        (tmp_path / "pid").write_text(str(engine._child))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(parent, 0)
    pid, deadline = (tmp_path / "pid").read_text(), time.monotonic() + 20
    while os.path.exists(f"/proc/{pid}"):
        with open(f"/proc/{pid}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":  # ended; nobody here waits for it
                break
        assert time.monotonic() < deadline


def test_a_fork_of_this_process_gets_a_child_of_its_own(tmp_path):
    engine = started(tmp_path)
    child = engine._child
    fork = os.fork()
    if not fork:
        os._exit(not (engine.run(BLACK) == BLACK and engine._child not in (0, child)))
    assert os.waitpid(fork, 0)[1] == 0
    assert engine.run(BLACK) == BLACK and engine._child == child


def test_the_child_outlives_the_thread_that_started_it(tmp_path):
    engines_of = []
    thread = threading.Thread(target=lambda: engines_of.append(started(tmp_path)))
    thread.start()
    thread.join()
    (engine,) = engines_of
    child = engine._child
    time.sleep(0.05)  # were it to be killed, it would be by now
    assert engine.run(BLACK) == BLACK and engine._child == child


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (
            "raise AttributeError('_ARRAY_API not found')",
            "does not fit the installed numpy (_ARRAY_API not found): pip install ",
        ),
        (
            "import os; os.kill(os.getpid(), 11)",
            "crashes when it is imported (Segmentation fault): pip install --force-reinstall ",
        ),
    ],
)
def test_an_engine_that_is_installed_and_broken_is_one_line_with_what_to_install(module, says, tmp_path):
    (tmp_path / "ai_edge_litert").mkdir()
    (tmp_path / "ai_edge_litert" / "__init__.py").write_text(module)
    done = run(COMMAND, SEVEN, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (69, "", 1), done
    assert f"LiteRT {says}" in done.stderr
