"""The drop-in action and the workflow: their own shell lines, run by bash with a stand-in for Python."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, run

yaml = pytest.importorskip("yaml", reason="PyYAML comes with pre-commit")
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "benchmarks.yml").read_text())
# Notes what it was told, leaves a report, and ends with the code asked for.
STAND_IN = """#!/bin/bash
printf '%s\\n' "$@" > "$RUNNER_TEMP/told"
mkdir -p "$OUT"; echo '# Conversion report' > "$OUT/report.md"; touch "$OUT/a.tflite"
exit "${CODE:-0}"
"""


def gate(folder: Path, **inputs: str) -> tuple[int, list[str], str, str]:
    """Exit code, the arguments of `python`, the summary and the outputs of the action's main step."""
    step = next(step for step in ACTION["runs"]["steps"] if step.get("id") == "gate")
    defaults = {name: str(each["default"]) for name, each in ACTION["inputs"].items()}
    given = defaults | {name.replace("_", "-"): value for name, value in inputs.items() if name != "code"}
    environment = {name: given[re.search(r"inputs\.([\w-]+)", value)[1]] for name, value in step["env"].items()}
    python = folder / "edgeproof" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(STAND_IN)
    python.chmod(0o755)
    summary, output = folder / "summary", folder / "output"
    environment |= {"RUNNER_TEMP": str(folder), "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(output)}
    environment |= {"PATH": "/usr/bin:/bin", "CODE": inputs.get("code", "0")}
    # As GitHub runs `shell: bash`.
    argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, (folder / "told").read_text().splitlines(), summary.read_text(), output.read_text()


def test_inputs_become_the_flags_of_convert(tmp_path):
    code, told, summary, output = gate(
        tmp_path,
        model="my model.keras",
        data="my pictures",
        contract="c.json",
        max_drop_points="1.5",
        precisions="int8 float16",
    )
    assert code == 0
    assert told == [
        "-P", "-m", "convert", "--model", "my model.keras", "--data", "my pictures", "--contract", "c.json",
        "--max-drop-points", "1.5", "--int8", "--float16", "--formats", "tflite,onnx", "--out", "artifacts",
    ]  # fmt: skip
    assert summary == "# Conversion report\n"
    assert output == "report=artifacts/report.md\nmodels<<end-of-models\nartifacts/a.tflite\nend-of-models\n"


def test_a_checkpoint_takes_its_data_set_from_data(tmp_path):
    _, told, _, _ = gate(tmp_path, checkpoint="runs/a", data="mnist")
    assert told[3:7] == ["--checkpoint", "runs/a", "--data-dir", "mnist"]


def test_the_gates_no_fails_the_job_and_the_report_is_shown_all_the_same(tmp_path):
    code, _, summary, _ = gate(tmp_path, model="a.keras", data="d", code="1")
    assert (code, summary) == (1, "# Conversion report\n")


def test_a_name_cannot_become_a_command(tmp_path):
    _, told, _, _ = gate(tmp_path, model='"; touch pwned; "', data="$(touch pwned)")
    assert told[4] == '"; touch pwned; "' and told[6] == "$(touch pwned)"
    assert not (tmp_path / "pwned").exists()
    assert not any("${{" in step.get("run", "") for step in ACTION["runs"]["steps"])


def test_every_flag_the_action_uses_is_one_of_converts():
    known = run(sys.executable, "-m", "convert", "--help").stdout
    step = next(step for step in ACTION["runs"]["steps"] if step.get("id") == "gate")
    used = re.findall(r"--[a-z][\w-]+", step["run"])
    assert len(used) > 6
    assert [flag for flag in used if flag not in known] == []


def test_the_page_explains_every_input():
    page = (ROOT / "docs" / "action.md").read_text()
    assert [name for name in ACTION["inputs"] if f"| `{name}` |" not in page] == []
    example = yaml.safe_load(re.search(r"```yaml\n(.*?)```", page, re.S)[1])
    (step,) = (step for step in example["jobs"]["gate"]["steps"] if step.get("id") == "gate")
    assert set(step["with"]) <= set(ACTION["inputs"])


def test_only_the_job_that_runs_no_code_of_the_pull_request_may_write():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    jobs = WORKFLOW["jobs"]
    assert {name: job.get("permissions") for name, job in jobs.items()} == {
        "compare": None, "comment": {"pull-requests": "write"},
    }  # fmt: skip
    assert not any("checkout" in step.get("uses", "") for step in jobs["comment"]["steps"])


def test_the_workflow_calls_the_command_with_flags_it_has():
    (line,) = (step["run"] for step in WORKFLOW["jobs"]["compare"]["steps"] if "benchmarks" in step.get("run", ""))
    known = run(sys.executable, "-m", "benchmarks", "--help").stdout
    assert [flag for flag in re.findall(r"--[a-z][\w-]+", line.split("$(")[0]) if flag not in known] == []
