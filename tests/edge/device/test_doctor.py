"""What the doctor finds on made-up devices, whose files have the form of real ones, and on this machine.

The two /proc/cpuinfo excerpts follow published dumps of a Pi 4 (rev 1.5) and a Pi 5 (rev 1.0).
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import ROOT, call
from edge import predictor
from edge.contract import DIGIT
from edge.device import doctor, host
from edge.device.doctor import Check, Library
from edge.errors import Refused, SealError, StorageError
from edge.pictures import pixels_of
from tests.edge.on_device import SHIPPED, flip, resealed

CORE = """\
processor\t: {n}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm {features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: {variant}
CPU part\t: {part}
CPU revision\t: 3

"""
PI4_CORE = {"features": "crc32 cpuid", "variant": "0x0", "part": "0xd08"}
PI5_CORE = {
    "features": "aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp", "variant": "0x4",
    "part": "0xd0b",
}  # fmt: skip


def four_cores(core: dict[str, str]) -> str:
    return "".join(CORE.format(n=n, **core) for n in range(4))


THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
COMMON = {
    "proc/meminfo": "MemTotal:        3884332 kB\nMemFree:         2911112 kB\nMemAvailable:    3395608 kB\n",
    "proc/sys/kernel/osrelease": "6.6.31+rpt-rpi-v8\n",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n',
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48199\n",
    "sys/class/thermal/thermal_zone1/type": "charger\n",
    "sys/class/thermal/thermal_zone1/temp": "91000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver": "cpufreq-dt\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
}
PI4 = COMMON | {
    "proc/cpuinfo": four_cores(PI4_CORE) + "Revision\t: d03115\nModel\t\t: from cpuinfo\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1800000\n",
    THROTTLED: "0\n",
}
PI5 = COMMON | {
    "proc/cpuinfo": four_cores(PI5_CORE) + "Model\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "2400000\n",
    "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
    "sys/class/hwmon/hwmon2/name": "rpi_volt\n",
    "sys/class/hwmon/hwmon2/in0_lcrit_alarm": "0\n",
}
LITERT = Library("LiteRT", "ai-edge-litert", "2.3.0")
TFLITE = Library("tflite-runtime", "tflite-runtime", "2.14.0")
NO_TFLITE = Library("tflite-runtime", "tflite-runtime", None)


@pytest.fixture
def device(tmp_path):
    """Makes the Host of a 64-bit Arm device with these files; keywords replace what the process itself would say."""

    def made(files: dict[str, str], **changed: object) -> host.Host:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        process = {"machine": "aarch64", "python_bits": 64, "python": "3.11.2", "glibc": "2.36"}
        return replace(host.read(str(tmp_path)), **(process | changed))

    return made


def test_a_pi_4_is_read_in_full(device):
    assert device(PI4).as_dict() == {
        "machine": "aarch64",
        "python_bits": 64,
        "python": "3.11.2",
        "cpu_model": "Cortex-A72",
        "n_cpus": 4,
        "cpu_features": ("asimd",),
        "board": "Raspberry Pi 4 Model B Rev 1.5",
        "system": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.6.31+rpt-rpi-v8",
        "glibc": "2.36",
        "governor": "ondemand",
        "frequency_driver": "cpufreq-dt",
        "frequency_mhz": 600,
        "max_frequency_mhz": 1800,
        "temperature_c": 48.199,
        "throttle_word": 0,
        "under_voltage_alarm": None,
        "memory_mib": 3793,
        "available_memory_mib": 3316,
    }


def test_a_pi_5_tells_its_model_in_cpuinfo_and_its_voltage_through_hwmon(device):
    pi = device(PI5)
    assert (pi.board, pi.cpu_model, pi.cpu_features) == ("Raspberry Pi 5 Model B Rev 1.0", "Cortex-A76", ("asimd", "asimddp"))
    assert (pi.throttle_word, pi.under_voltage_alarm, pi.max_frequency_mhz) == (None, False, 2400)


def test_an_empty_machine_is_unknown_not_guessed(device):
    nothing = device({}).as_dict()
    process = ("machine", "python_bits", "python", "glibc")
    assert {key: value for key, value in nothing.items() if value is not None and key not in process} == {}


def test_figures_that_cannot_be_are_unknown(device):
    odd = device({
        "sys/class/thermal/thermal_zone0/temp": "-274000\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "<unknown>\n",
        THROTTLED: "busy\n",
    })  # fmt: skip
    assert (odd.temperature_c, odd.frequency_mhz, odd.throttle_word) == (None, None, None)


def test_two_kinds_of_cores_are_both_named_and_the_fastest_gives_the_frequency(device):
    cores = CORE.format(n=0, **PI4_CORE | {"part": "0xd05"}) + CORE.format(n=1, **PI5_CORE)
    frequencies = {f"sys/devices/system/cpu/cpu{n}/cpufreq/cpuinfo_max_freq": f"{mhz}000" for n, mhz in ((0, 1800), (1, 2208))}
    big_little = device({"proc/cpuinfo": cores} | frequencies)
    assert (big_little.cpu_model, big_little.max_frequency_mhz) == ("Cortex-A55 + Cortex-A76", 2208)


def test_a_healthy_pi_5_passes_every_check(device):
    pi = device(PI5)
    for check, found in (
        (doctor.python(pi, NO_TFLITE), "3.11.2, 64-bit, aarch64"),
        (doctor.glibc(pi, LITERT), "2.36"),
        (doctor.cpu(pi), "Cortex-A76, 4 cores, asimd asimddp"),
        (doctor.governor(pi), "ondemand, 600 of 2400 MHz"),
        (doctor.temperature(pi), "48.2 °C"),
        (doctor.throttling(pi), "none reported"),
        (doctor.memory(pi), "3316 MiB available"),
    ):
        assert (check.status, check.found, check.advice) == ("ok", found, "")


def test_a_pi_4_is_told_that_int8_is_slower_there(device):
    assert doctor.cpu(device(PI4)) == Check(
        "cpu", "warn", "Cortex-A72, 4 cores, asimd, no asimddp", "nothing to do: int8 runs without it, but slower"
    )


@pytest.mark.parametrize(
    ("changed", "library", "status", "advice"),
    [
        ({"python": "3.9.2"}, NO_TFLITE, "fail", "install Python 3.11 or newer"),
        ({"machine": "armv7l", "python_bits": 32}, TFLITE, "ok", ""),
        ({"machine": "armv7l", "python_bits": 32}, NO_TFLITE, "warn", "pip install tflite-runtime 'numpy<2' (Python 3.11"),
        ({"python_bits": 32}, NO_TFLITE, "warn", "linux32 pip install tflite-runtime 'numpy<2'"),
        ({"machine": "armv7l", "python_bits": 32, "python": "3.13.5"}, NO_TFLITE, "fail", "use a 64-bit system"),
        ({"machine": "armv6l", "python_bits": 32}, NO_TFLITE, "fail", "use a 64-bit system"),
    ],
)
def test_an_old_or_a_32_bit_python_is_told_what_runs_there(device, changed, library, status, advice):
    check = doctor.python(device(PI4, **changed), library)
    assert check.status == status
    assert check.advice.startswith(advice)


def test_bullseye_cannot_import_the_litert_it_can_install(device):
    bullseye = device(PI4, glibc="2.31")
    check = doctor.glibc(bullseye, LITERT)
    assert (check.status, check.found) == ("fail", "2.31: ai-edge-litert 2.3.0 installs but needs 2.34 to import")
    assert check.advice.endswith("or pip install ai-edge-litert==2.1.0 (needs 2.30)")
    assert doctor.glibc(bullseye, replace(LITERT, version=None)).status == "warn"
    assert doctor.glibc(bullseye, replace(LITERT, version="2.1.0")).status == "ok"
    assert doctor.glibc(replace(bullseye, machine="x86_64"), LITERT).status == "ok"


def test_a_linux_without_glibc_is_warned(device):
    check = doctor.glibc(device(PI4, glibc=None), LITERT)
    assert (check.status, check.found) == ("warn", "none (musl?)")


def test_powersave_is_answered_with_the_command_that_ends_it(device):
    slow = device(PI4 | {"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n"})
    command = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    assert doctor.governor(slow) == Check("governor", "warn", "powersave, 600 of 1800 MHz", command)
    assert doctor.governor(replace(slow, frequency_driver="intel_pstate")).status == "ok"


@pytest.mark.parametrize(
    ("check", "file", "text", "status", "found"),
    [
        (doctor.temperature, "sys/class/thermal/thermal_zone0/temp", "69900", "ok", "69.9 °C"),
        (doctor.temperature, "sys/class/thermal/thermal_zone0/temp", "70000", "warn", "70.0 °C"),
        (doctor.temperature, "sys/class/thermal/thermal_zone0/temp", "80000", "fail", "80.0 °C"),
        (doctor.memory, "proc/meminfo", f"MemAvailable: {63 << 10} kB", "fail", "63 MiB available"),
        (doctor.memory, "proc/meminfo", f"MemAvailable: {64 << 10} kB", "warn", "64 MiB available"),
        (doctor.memory, "proc/meminfo", f"MemAvailable: {127 << 10} kB", "warn", "127 MiB available"),
        (doctor.memory, "proc/meminfo", f"MemAvailable: {128 << 10} kB", "ok", "128 MiB available"),
    ],
)
def test_heat_warns_from_70_and_fails_from_80_degrees_memory_below_128_and_64_mib(device, check, file, text, status, found):
    result = check(device(PI4 | {file: f"{text}\n"}))
    assert (result.status, result.found.startswith(found), bool(result.advice)) == (status, True, status != "ok")


@pytest.mark.parametrize(
    ("files", "status", "found", "advice"),
    [
        (PI4 | {THROTTLED: "50005\n"}, "fail", "now: under-voltage, throttled (0x50005)", doctor.SUPPLY),
        (PI4 | {THROTTLED: "0x50000\n"}, "warn", "earlier: under-voltage, throttled (0x50000)", doctor.SUPPLY),
        (PI4 | {THROTTLED: "80008\n"}, "fail", "now: soft temperature limit (0x80008)", doctor.COOLING),
        (PI4 | {THROTTLED: "e0000\n"}, "warn", "earlier: frequency capped, throttled, soft temperature limit (0xe0000)",
         doctor.COOLING),
        (PI4 | {THROTTLED: "20002\n"}, "fail", "now: frequency capped (0x20002)", f"{doctor.SUPPLY}; {doctor.COOLING}"),
        (PI5 | {"sys/class/hwmon/hwmon2/in0_lcrit_alarm": "1\n"}, "fail", "now: under-voltage (0x1)", doctor.SUPPLY),
    ],
)  # fmt: skip
def test_the_throttle_word_and_the_alarm_of_a_pi_5_are_spelled_out(device, files, status, found, advice):
    assert doctor.throttling(device(files)) == Check("throttling", status, found, advice)


def test_the_throttle_word_is_found_behind_the_address_of_a_pi_5(device):
    path = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
    assert device(PI5 | {path: "10000\n"}).throttle_word == 0x10000


def test_a_read_only_disk_still_predicts(tmp_path, monkeypatch):
    assert doctor.storage(str(tmp_path / "not" / "yet")).status == "ok"
    assert list(tmp_path.iterdir()) == []

    def fails(path: str, data: bytes) -> None:  # root may write anywhere else
        raise StorageError(f"{path}: cannot be written: Read-only file system")

    monkeypatch.setattr("edge.files.write_atomic", fails)
    check = doctor.storage(str(tmp_path / "not" / "yet"))
    assert (check.status, check.found) == ("warn", f"{tmp_path}/not/yet cannot be written: Read-only file system")
    assert check.advice.startswith("predicting works; install needs a writable folder")


def test_a_store_that_is_a_file_or_open_to_others_is_no_good_store(tmp_path):
    (tmp_path / "file").write_text("")
    for store in (tmp_path / "file", tmp_path / "file" / "store"):
        check = doctor.storage(str(store))
        assert (check.status, "cannot be written: " in check.found) == ("warn", True), check
    (tmp_path / "store" / "models").mkdir(parents=True)
    assert doctor.storage(str(tmp_path / "store")).status == "ok"
    for folder in (tmp_path / "store" / "models", tmp_path / "store", tmp_path):
        mode = folder.stat().st_mode
        folder.chmod(0o777)
        check = doctor.storage(str(tmp_path / "store"))
        folder.chmod(mode)
        assert (check.status, check.found, check.advice) == ("warn", f"others may write to {folder}", f"chmod go-w {folder}")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "models", "store"]


def test_an_engine_is_ok_when_it_has_answered(tmp_path, monkeypatch):
    for engine in ("litert", "onnxruntime"):
        doctor.ask(engine)
    (tmp_path / "onnxruntime").mkdir()
    for module, found, advice in (
        (
            "raise AttributeError('_ARRAY_API not found')",
            "does not fit numpy 2.4.6: AttributeError: _ARRAY_API",
            "onnxruntime numpy",
        ),
        (
            "import os; os.kill(os.getpid(), 11)",
            "does not answer: crashed: Segmentation fault",
            "onnxruntime, or another version",
        ),
        ("__version__ = '1'", "does not answer: ", "onnxruntime, or another version"),
    ):
        (tmp_path / "onnxruntime" / "__init__.py").write_text(module)
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
        check = doctor.engine(
            doctor.probe("X", package="onnxruntime", module="onnxruntime", engine="onnxruntime"), numpy="2.4.6"
        )
        assert (check.status, found in check.found, advice in check.advice) == ("fail", True, True), check


def test_tflite_runtime_beside_numpy_2_fails():
    check = doctor.engine(TFLITE, numpy="2.4.6")
    assert (check.status, check.found) == ("fail", "tflite-runtime 2.14.0 beside numpy 2.4.6, wanted numpy < 2")
    assert doctor.engine(TFLITE, numpy="1.26.4") == Check("engine tflite-runtime", "ok", "tflite-runtime 2.14.0")


def test_an_engine_that_does_not_import_says_why():
    check = doctor.engine(replace(LITERT, failure="ImportError: version `GLIBC_2.34' not found"), numpy="2.4.6")
    assert check.found == "ai-edge-litert 2.3.0 does not answer: ImportError: version `GLIBC_2.34' not found"
    assert check.advice == "pip install --force-reinstall ai-edge-litert, or another version of it"


def test_without_any_engine_or_pillow_the_device_is_not_fit(device, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "read", lambda: device(PI4))
    monkeypatch.setattr(doctor, "probe", lambda title, package, **_: Library(title, package, None))
    monkeypatch.setattr(doctor, "in_child", lambda code: ("", "SealError: m.tflite: damaged"))
    done = call("edge", "doctor", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    for wanted in (
        f"fail  engines                none can be used: pip install ai-edge-litert, or on 32-bit Arm {doctor.TFLITE}",
        "fail  shipped model          SealError: m.tflite: damaged: repair ",
        "warn  Pillow                 not installed: JPEG and BMP need it",
    ):
        assert any(line.startswith(wanted) for line in lines), wanted
    assert lines[-1] == "not fit for edgeproof: 14 checks, 2 failed, 2 with a warning"


def test_an_old_or_broken_pillow_is_warned_about():
    pillow = Library("Pillow", "pillow", "9.4.0")
    assert (doctor.pillow(pillow).status, doctor.pillow(pillow).found) == ("warn", "9.4.0")
    assert doctor.pillow(replace(pillow, version="13.0.0", failure="ImportError: libjpeg.so.62")).status == "warn"


def test_a_child_that_crashes_hangs_or_raises_is_a_finding(monkeypatch):
    assert doctor.in_child("print('well')") == ("well", "")
    assert doctor.in_child("import os; os.kill(os.getpid(), 11)") == ("", "crashed: Segmentation fault")
    assert doctor.in_child("raise ImportError('no\\x1b')") == ("", "ImportError: no\\x1b")
    assert doctor.in_child("raise SystemExit(3)") == ("", "exit code 3")
    monkeypatch.setattr(doctor, "TIMEOUT_S", 0.2)
    assert doctor.in_child("import time; time.sleep(60)") == ("", "no answer within 0 s")


def test_a_damaged_shipped_model_is_refused(tmp_path, monkeypatch):
    damaged = Path(shutil.copy(SHIPPED, tmp_path))
    flip(damaged)
    monkeypatch.setattr("edge.locate.shipped_model", lambda: str(damaged))
    with pytest.raises(SealError, match="damaged"):
        doctor.replay_shipped()


def test_this_machine_is_examined_without_a_failure(tmp_path):
    done = call("edge", "doctor", "--json", cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert (done.returncode, done.stderr, answer["passed"], answer["host"]["python_bits"]) == (0, "", True, 64)
    assert len(answer["checks"]) == 13 and not any(check["status"] == "fail" for check in answer["checks"])
    model = next(check for check in answer["checks"] if check["name"] == "shipped model")
    assert (model["status"], model["advice"]) == ("ok", "")
    assert "pictures answered" in model["found"]


def test_a_device_without_a_failing_check_is_called_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda device: [Check("cpu", "ok", "fast")])
    done = call("edge", "doctor", cwd=tmp_path)
    assert done.stdout.splitlines() == ["ok    cpu  fast", "fit for edgeproof: 1 checks, 0 failed, 0 with a warning"]


def test_the_model_that_answers_here_is_replayed_with_its_picture_files(tmp_path, monkeypatch):
    photo = (ROOT / "examples" / "four-photo.jpg").read_bytes()
    pixels = pixels_of(photo, DIGIT)
    output = predictor.load(str(SHIPPED), trusted=True).engine.run(pixels)
    good = resealed(tmp_path / "good.tflite", name="good", files=(("photo.jpg", photo, pixels, output),))
    moved = bytes([pixels[0] + 2]) + pixels[1:]  # the answer is the same: only the reading differs
    bad = resealed(tmp_path / "bad.tflite", name="bad", files=(("photo.jpg", photo, moved, output),))
    monkeypatch.setenv("EDGEPROOF_MODEL", str(good))
    assert doctor.replay_current().startswith(
        "good: 15 pictures answered, 15 bit for bit, 1 of 1 picture files read to the same"
    )
    monkeypatch.setenv("EDGEPROOF_MODEL", str(bad))
    with pytest.raises(Refused, match=r"reading photo\.jpg: "):
        doctor.replay_current()
