"""The experiment on counted instructions: what it plants, and what it tells."""

import ast

from benchmarks.instructions import planted


def test_planted_code_is_python_that_wraps_the_answer(tmp_path):
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / "predictor.py").write_text(
        "class Predictor:\n    def answer(self, pixels):\n        return pixels + 1\n"
    )
    space: dict = {}
    exec((planted.plant(tmp_path, 7) / "edge" / "predictor.py").read_text(), space)
    assert space["Predictor"]().answer(1) == 2
    assert ast.parse(planted.PLANT.format(turns=7))


def test_the_page_counts_what_was_called_worse():
    def line(planted: bool, now: float) -> dict:
        verdict = "worse" if now > 1010 else "same"
        return {"planted": planted, "base": 1000.0, "now": now, "verdict": verdict, "kernels": "K", "counter": "callgrind"}

    text = planted.page([line(False, 1000.0), line(False, 999.9), line(True, 1030.0), line(True, 1031.0)], command="command")
    assert "| nothing | 2 | 0 | −0.0100 to +0.0000 % |" in text
    assert "| 3 % | 2 | 2 | +3.0000 to +3.1000 % |" in text
