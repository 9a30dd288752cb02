"""Several reports as one page: devices side by side, and a trend over commits."""

import json
from dataclasses import replace

import pytest

from benchmarks import __main__ as command
from benchmarks.report import merge
from edge.errors import InputError, InputMissing
from tests.benchmarks.made_up import everything, report, row, speed, unsteady

PI = {"machine": "aarch64", "cpu_model": "Cortex-A76", "n_cpus": 4, "governor": "ondemand", "board": "Raspberry Pi 5"}


def written(folder, name: str, made) -> str:
    (folder / name).write_text(json.dumps(made.as_dict()))
    return str(folder / name)


def test_a_report_is_read_back_as_it_was_written_but_for_its_pictures(tmp_path):
    made = everything()
    found = merge.read(written(tmp_path, "a.json", made))
    assert json.dumps(found.as_dict()) == json.dumps(made.as_dict())


def test_devices_stand_side_by_side_and_other_weights_are_said(tmp_path, capsys):
    here = report(row(), unsteady(digest="u" * 64), measured_at="2026-11-29T08:00:00+00:00")
    there = report(row(speed=speed(98.76), digest="other"), machine=PI, measured_at="2026-11-28T08:00:00+00:00")
    paths = [written(tmp_path, "a.json", here), written(tmp_path, "b.json", there)]
    assert command.main(["--merge", *paths, "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "| lenet5-relu mnist int8 tflite | litert-c | 98.8 µs | 12.3 µs, other weights |" in text
    assert "| lenet5-wide mnist int8 tflite | litert-c | not in this report | 31.9 µs (30.2 to 34.1 µs) |" in text
    assert text.index("Raspberry Pi 5, Cortex-A76") < text.index("Made-up Processor")
    assert (tmp_path / "out" / "merged.md").read_text() == text
    assert "Over commits" not in (tmp_path / "out" / "merged.html").read_text()


def test_reports_of_one_device_make_a_trend_in_the_order_of_their_time():
    days = [
        report(row(speed=speed(us)), commit=name * 40, measured_at=f"2026-11-2{day}")
        for day, name, us in ((7, "b", 14.0), (6, "a", 12.0), (8, "c", 13.0))
    ]
    assert "| lenet5-relu mnist int8 tflite | litert-c | 12.0 µs | 14.0 µs | 13.0 µs |" in merge.text(days)
    page = merge.page(days)
    assert "aaaaaaa → bbbbbbb → ccccccc" in page
    assert page.count("<circle") == 3


def test_a_report_of_schema_1_says_what_was_unsteady_as_refused(tmp_path):
    old = report(row(speed=None)).as_dict()
    for name in ("refused", "no_bound", "instructions", "not_counted"):
        del old["rows"][0][name]
    del old["measured_at"]
    old["rows"][0]["unsteady"] = "pixels: drifted"
    (tmp_path / "old.json").write_text(json.dumps(old | {"schema": 1}))
    (found,) = merge.read(str(tmp_path / "old.json")).rows
    assert (found.refused, found.unsteady) == ("pixels: drifted", "")


@pytest.mark.parametrize("text", ["not JSON", "[]", "{}", '{"rows": [{}]}'])
def test_what_is_no_report_is_told_by_name(tmp_path, text):
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(InputError, match=r"odd\.json: not a report\.json of python -m benchmarks"):
        merge.read(str(tmp_path / "odd.json"))
    with pytest.raises(InputMissing, match="No such file"):
        merge.read(str(tmp_path / "gone.json"))


def test_a_name_that_is_markup_stays_a_name_in_a_merged_page():
    nasty = report(row("<script>"), machine=PI | {"board": "<script>"})
    assert "<script" not in merge.page([nasty, replace(nasty, commit="<script>")])
