"""The drop-in action and the workflow: their own shell lines, run by bash with a stand-in for Python."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT, call

yaml = pytest.importorskip("yaml", reason="PyYAML comes with pre-commit")
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "benchmarks.yml").read_text())
# Notes what it was told, leaves a report, and ends with the code asked for.
STAND_IN = """#!/bin/bash
printf '%s\\n' "$@" > "$RUNNER_TEMP/told"
mkdir -p "$OUT"; echo '# Conversion report' > "$OUT/report.md"; touch "$OUT/a.tflite"
exit "${CODE:-0}"
"""


# `gh api --paginate PATH --jq FILTER` filters the comments; the rest is noted.
GH = """#!/bin/bash
if [ "$2" = --paginate ]; then exec jq --raw-output "$5" comments.json; fi
printf '%s\\n' "$@" > told
"""
TRUSTED = "unset GIT_TEST_ASSUME_DIFFERENT_OWNER"
OURS, THEIRS = "github-actions[bot]", "somebody"
MARK = "<!-- edgeproof: benchmarks.yml -->"


def steps(workflow: str) -> list[dict]:
    known = yaml.safe_load((ROOT / ".github" / "workflows" / workflow).read_text())
    return [step for job in known["jobs"].values() for step in job["steps"]]


def unknown(flags_in: str, package: str) -> list[str]:
    """The flags of a shell line that `python -m package` does not have."""
    known = call(package, "--help", cwd=ROOT).stdout
    return [flag for flag in re.findall(r"--[a-z][\w-]+", flags_in) if flag not in known]


def bash(script: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`script` as GitHub runs `shell: bash`."""
    argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True)


def posted(folder: Path, comments: list[tuple[int, str, str]]) -> tuple[list[str], str]:
    """What `gh` was told, and the comment, where these (id, author, body) are there already."""
    (step,) = (step for step in WORKFLOW["jobs"]["comment"]["steps"] if "run" in step)
    told = [{"id": number, "user": {"login": login}, "body": body} for number, login, body in comments]
    (folder / "comments.json").write_text(json.dumps(told))
    (folder / "report.md").write_text("## Benchmarks\n")
    (folder / "gh").write_text(GH)
    (folder / "gh").chmod(0o755)
    known = {"GH_REPO": "o/r", "NUMBER": "7", "MARK": step["env"]["MARK"], "PATH": f"{folder}:/usr/bin:/bin"}
    done = bash(step["run"], folder, known)
    assert (done.returncode, done.stderr) == (0, "")
    return (folder / "told").read_text().splitlines(), (folder / "comment.md").read_text()


@pytest.mark.skipif(not shutil.which("jq"), reason="jq stands in for gh's own")
def test_the_report_replaces_its_own_comment_and_nobody_elses(tmp_path):
    theirs = [(1, OURS, "another workflow's"), (2, THEIRS, f"{MARK}\na copy"), (3, OURS, f"quoted: {MARK}")]
    wanted = ["pr", "comment", "7", "--body-file", "comment.md"]
    assert posted(tmp_path, theirs) == (wanted, f"{MARK}\n## Benchmarks\n")
    told, _ = posted(tmp_path, [*theirs, (4, OURS, f"{MARK}\nold"), (5, OURS, f"{MARK}\nolder"), (6, OURS, "last")])
    assert told == ["api", "--silent", "--method", "PATCH", "repos/o/r/issues/comments/4", "--field", "body=@comment.md"]


@pytest.mark.parametrize("workflow", ["benchmarks.yml", "ci.yml"])
def test_every_shell_line_of_a_workflow_can_be_read_and_holds_no_input(workflow):
    scripts = [step["run"] for step in steps(workflow) if "run" in step]
    assert scripts
    for script in scripts:
        assert subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True).stderr == ""
        assert "${{" not in script


def history(folder: Path) -> Path:
    """A bare repository: main with three commits, and a branch of two from the first, merged as GitHub does for a check."""
    bare, work = folder / "hub.git", folder / "work"
    script = f"""
    git init -q --bare -b main {bare}; git init -q -b main {work}; cd {work}
    commit() {{ git -c user.name=a -c user.email=a@b commit -q --allow-empty -m "$1"; }}
    commit base; git switch -q -c topic; commit one; commit two
    git switch -q main; commit later; commit latest
    git switch -q -c check; git -c user.name=a -c user.email=a@b merge -q --no-ff topic -m merge
    git push -q {bare} main check
    """
    assert bash(script, folder, {"PATH": "/usr/bin:/bin", "HOME": str(folder)}).stderr == ""
    return bare


def cloned(folder: Path, script: str, depth: int) -> str:
    """What `script` prints in a clone as deep as actions/checkout makes it, 0 being all, and that another user owns."""
    how = f"--depth {depth} --single-branch" if depth else "--no-single-branch"
    known = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "GITHUB_BASE_REF": "main"}
    known["GITHUB_WORKSPACE"] = str(folder / "clone")
    clone = f"git clone -q -b check {how} file://{history(folder)} clone; cd clone; export GIT_TEST_ASSUME_DIFFERENT_OWNER=1"
    done = bash(f"{clone}; {script}", folder, known)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize("workflow", ["benchmarks.yml", "ci.yml"])
def test_the_clone_is_deep_enough_for_the_base_of_the_comparison(tmp_path, workflow):
    (checkout,) = (step for step in steps(workflow) if "actions/checkout" in step.get("uses", ""))
    depth = int(checkout.get("with", {}).get("fetch-depth", 1))
    scripts = [step["run"] for step in steps(workflow) if "run" in step]
    found = re.search(r'--compare "\$\((git merge-base .*?)\)"', " ".join(scripts))
    find = found[1] if found else re.search(r"base=\$\((.*)\)", (ROOT / ".ci" / "run").read_text())[1]
    # Only a job in a container runs as another user than the one who owns the checkout.
    ready = [script for script in scripts if "safe.directory" in script] if workflow == "ci.yml" else [TRUSTED]
    # The first parent of the merge, and what the branch left main at, are both main as it stands.
    assert cloned(tmp_path, f"{'; '.join(ready)}; git log -1 --format=%s $({find})", depth) == "latest"


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
    done = bash(step["run"], folder, environment)
    return done.returncode, (folder / "told").read_text().splitlines(), summary.read_text(), output.read_text()


def test_inputs_become_the_flags_of_convert(tmp_path):
    inputs = {"model": "my model.keras", "data": "my pictures", "contract": "c.json", "max_drop_points": "1.5"}
    code, told, summary, output = gate(tmp_path, **inputs, precisions="int8 float16")
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
    step = next(step for step in ACTION["runs"]["steps"] if step.get("id") == "gate")
    assert step["run"].count("--") > 6 and unknown(step["run"], "convert") == []


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
    assert "--" in line and unknown(line.split("$(")[0], "benchmarks") == []
