"""python -m edge doctor: is this device fit to run edgeproof? Native libraries are tried in children, which may crash."""

import argparse
import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Literal

from edge import child, errors, files, locate, predictor
from edge.artifact import Artifact
from edge.device import selftest
from edge.device.host import Host, read

TIMEOUT_S = 60.0  # an import from a slow SD card takes its time
TFLITE = "pip install tflite-runtime 'numpy<2' (Python 3.11, glibc 2.34 or newer)"  # the only 32-bit Arm wheels
SUPPLY = "use a stronger power supply and a short cable"
COOLING = "give it a heat sink, a fan or a cooler place"
# Bits 0 to 3 (now) and 16 to 19 (earlier) of the firmware's word, with the advice; either may help the middle two.
THROTTLE = (("under-voltage", SUPPLY), ("frequency capped", ""), ("throttled", ""), ("soft temperature limit", COOLING))


# What an import says where a library was built for another numpy.
NUMPY_SIGNS = ("numpy", "_ARRAY_API")
# One operator: float32 [1, 1, 2, 1] flattened to [1, 2].
TRIAL_ONNX = bytes.fromhex(
    "08083a480a110a01781201792207466c617474656e3a001201645a1b0a017812160a14080112100a0208010a0208010a0208020a020801"
    "62130a0179120e0a0c080112080a0208010a02080242040a00100d"
)


@dataclass(frozen=True)
class Check:
    """One question: what was found, and what the owner should do (empty if all is well)."""

    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Library:
    """A library: its installed `version`, None if it is not installed, and why importing it failed, empty if it did not."""

    title: str
    package: str
    version: str | None
    failure: str = ""


def examine(device: Host) -> Iterator[Check]:
    """Every check of this device."""
    litert = probe("LiteRT", package="ai-edge-litert", module="ai_edge_litert.interpreter", engine="litert")
    tflite = probe("tflite-runtime", package="tflite-runtime", module="tflite_runtime.interpreter", engine="tflite-runtime")
    onnx = probe("ONNX Runtime", package="onnxruntime", module="onnxruntime", engine="onnxruntime")
    yield from (python(device, tflite), glibc(device, litert))
    numpy = probe("numpy", package="numpy", module="numpy").version
    engines = [engine(library, numpy=numpy) for library in (litert, tflite, onnx)]
    yield from engines
    if all(check.status == "fail" or check.found == "not installed" for check in engines):
        yield Check("engines", "fail", "none can be used", f"pip install ai-edge-litert, or on 32-bit Arm {TFLITE}")
    answer, failure = in_child("from edge.device import doctor; print(doctor.replay_shipped())")
    advice = "repair the engines above, then reinstall edgeproof" if failure else ""
    yield Check("shipped model", "fail" if failure else "ok", failure or answer, advice)
    store = locate.store_folder()
    if os.environ.get("EDGEPROOF_MODEL") or (store and os.path.lexists(locate.current_file(store))):
        answer, failure = in_child("from edge.device import doctor; print(doctor.replay_current())")
        mend = "install it again, or python -m edge rollback"
        if os.environ.get("EDGEPROOF_MODEL"):
            mend = "copy it again, or name another in EDGEPROOF_MODEL"
        advice = f"{mend}; where only reading differs, install Pillow again" if failure else ""
        yield Check("current model", "fail" if failure else "ok", failure or answer, advice)
    yield pillow(probe("Pillow", package="pillow", module="PIL._imaging"))
    yield from (cpu(device), governor(device), temperature(device), throttling(device), memory(device))
    yield storage(locate.store_folder())


def python(device: Host, tflite: Library) -> Check:
    found = f"{device.python}, {device.python_bits}-bit, {device.machine or 'unknown machine'}"
    if numbers(device.python) < (3, 11):
        return Check("python", "fail", found, "install Python 3.11 or newer")
    if device.python_bits == 64 or (tflite.version and not tflite.failure):
        return Check("python", "ok", found)
    if device.machine == "armv6l" or numbers(device.python) >= (3, 12):
        return Check("python", "fail", f"{found}: no engine has wheels for it", "use a 64-bit system")
    # Under a 64-bit kernel pip takes the machine for aarch64 and looks for ai-edge-litert; linux32 tells it otherwise.
    advice = f"{'linux32 ' if device.machine == 'aarch64' else ''}{TFLITE}, or use a 64-bit system"
    return Check("python", "warn", f"{found}: ai-edge-litert has no wheels for it", advice)


def glibc(device: Host, litert: Library) -> Check:
    if device.glibc is None and device.kernel:
        return Check("glibc", "warn", "none (musl?)", "the engines' wheels need glibc: use a Debian-based system")
    # The wheels for aarch64 are tagged glibc 2.27; 2.1.0 needs 2.30, and all from 2.1.1 to 2.3.0 need 2.34.
    wanted = "2.30" if numbers(litert.version or "9", n=3) <= (2, 1, 0) else "2.34"
    if device.machine != "aarch64" or device.python_bits == 32 or numbers(device.glibc or "9") >= numbers(wanted):
        return Check("glibc", "ok", device.glibc or "not Linux")
    found = f"{device.glibc}: ai-edge-litert {litert.version or 'after 2.1.0'} installs but needs {wanted} to import"
    advice = "upgrade the system (Raspberry Pi OS Bookworm has 2.36), or pip install ai-edge-litert==2.1.0 (needs 2.30)"
    return Check("glibc", "fail" if litert.version else "warn", found, advice)


def engine(library: Library, *, numpy: str | None) -> Check:
    name, found = f"engine {library.title}", f"{library.package} {library.version}"
    if library.version is None:
        return Check(name, "ok", "not installed")
    if library.package == "tflite-runtime" and numpy and numbers(numpy) >= (2, 0):
        advice = "pip install tflite-runtime 'numpy<2' in an environment of its own"
        return Check(name, "fail", f"{found} beside numpy {numpy}, wanted numpy < 2", advice)
    if library.failure and any(sign in library.failure for sign in NUMPY_SIGNS):
        advice = f"pip install --force-reinstall {library.package} numpy"
        return Check(name, "fail", f"{found} does not fit numpy {numpy}: {library.failure}", advice)
    if library.failure:
        advice = f"pip install --force-reinstall {library.package}, or another version of it"
        return Check(name, "fail", f"{found} does not answer: {library.failure}", advice)
    return Check(name, "ok", found)


def pillow(library: Library) -> Check:
    if library.version and not library.failure and numbers(library.version) >= (10, 3):
        return Check("Pillow", "ok", library.version)
    found = library.failure or library.version or "not installed"
    return Check("Pillow", "warn", found, "JPEG and BMP need it: pip install --force-reinstall 'pillow>=10.3'")


def cpu(device: Host) -> Check:
    features = device.cpu_features
    found = f"{device.cpu_model or 'unknown'}, {device.n_cpus or '?'} cores, "
    found += "features not readable" if features is None else " ".join(features) or "no int8 features"
    wanted = {"aarch64": "asimddp", "x86_64": "avx2"}.get(device.machine or "")
    if features is None or wanted is None or wanted in features:
        return Check("cpu", "ok", found)
    return Check("cpu", "warn", f"{found}, no {wanted}", "nothing to do: int8 runs without it, but slower")


def governor(device: Host) -> Check:
    speed = f", {device.frequency_mhz or '?'} of {device.max_frequency_mhz} MHz" if device.max_frequency_mhz else ""
    # Under these drivers powersave is the normal governor and still speeds up.
    if device.governor != "powersave" or device.frequency_driver in ("intel_pstate", "amd-pstate-epp"):
        return Check("governor", "ok", f"{device.governor or 'not readable'}{speed}")
    command = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return Check("governor", "warn", f"powersave{speed}", command)


def temperature(device: Host) -> Check:
    celsius = device.temperature_c
    if celsius is None or celsius < 70:
        return Check("temperature", "ok", "not readable" if celsius is None else f"{celsius:.1f} °C")
    return Check("temperature", "fail" if celsius >= 80 else "warn", f"{celsius:.1f} °C", COOLING)


def throttling(device: Host) -> Check:
    word = (device.throttle_word or 0) | bool(device.under_voltage_alarm)
    now, earlier = ([meaning for bit, meaning in enumerate(THROTTLE) if half >> bit & 1] for half in (word, word >> 16))
    if not now and not earlier:
        readable = device.throttle_word is not None or device.under_voltage_alarm is not None
        return Check("throttling", "ok", "none reported" if readable else "not readable")
    found = f"{'now' if now else 'earlier'}: {', '.join(name for name, _ in now or earlier)} (0x{word:x})"
    advice = [advice for _, advice in now or earlier if advice] or [SUPPLY, COOLING]
    return Check("throttling", "fail" if now else "warn", found, "; ".join(advice))


def memory(device: Host) -> Check:
    free = device.available_memory_mib
    if free is None or free >= 128:
        return Check("memory", "ok", "not readable" if free is None else f"{free} MiB available")
    return Check("memory", "fail" if free < 64 else "warn", f"{free} MiB available, wanted 128", "stop other programs")


def storage(folder: str) -> Check:
    if not folder:
        return Check("storage", "warn", "no home folder", "predicting works; for install set EDGEPROOF_STORE to a folder")
    shown = errors.one_line(folder)
    try:
        _try_to_write(os.path.abspath(folder))
    except errors.StorageError as error:
        advice = "predicting works; install needs a writable folder: mend it, or set EDGEPROOF_STORE"
        return Check("storage", "warn", f"{shown} cannot be written: {str(error).rpartition(': ')[2]}", advice)
    if open_to_others := _open_to_others(os.path.abspath(folder)):
        return Check(
            "storage", "warn", f"others may write to {errors.one_line(open_to_others)}", f"chmod go-w {open_to_others}"
        )
    return Check("storage", "ok", f"{shown} is writable")


def _try_to_write(folder: str) -> None:
    """Make in `folder` what install would, and remove that again. Raises StorageError where it fails."""
    below = os.path.join(folder, "models", f".doctor-{os.getpid()}")
    made, above = [], below
    while not os.path.lexists(above):
        made.append(above)
        above = os.path.dirname(above)
    try:
        for place in (below, folder):
            files.write_atomic(trial := os.path.join(place, f".doctor-{os.getpid()}.trial"), b"trial")
            os.unlink(trial)
    except OSError as error:
        raise errors.unwritable(folder, error) from None
    finally:
        for path in made:
            with contextlib.suppress(OSError):  # never made, or somebody else's by now
                os.rmdir(path)


def _open_to_others(folder: str) -> str:
    """The store, a folder in it or one above it in which other users may replace files; "" if there is none."""
    for path in (os.path.join(folder, "models"), folder):
        if os.path.isdir(path) and os.stat(path).st_mode & stat.S_IWOTH:
            return path
    above = os.path.dirname(folder)
    while above != os.path.dirname(above):
        if os.path.isdir(above) and os.stat(above).st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
            return above
        above = os.path.dirname(above)
    return ""


def probe(title: str, *, package: str, module: str, engine: str = "") -> Library:
    """The installed version of `package`, and whether its `module` imports and its `engine`, if it is one, answers."""
    code = f"import {module}"
    if engine:
        code += f"; from edge.device import doctor; doctor.ask({engine!r})"
    try:
        return Library(title, package, metadata.version(package), in_child(code)[1])
    except metadata.PackageNotFoundError:
        return Library(title, package, None)


def ask(engine: str) -> None:
    """Have `engine` answer. Raises ToolchainError if it cannot, or answers wrongly."""
    if engine == "onnxruntime":
        model = Artifact("the trial model", TRIAL_ONNX, "", {})
        if predictor.from_artifact(model, engine_name=engine).answer(bytes((3, 7))).logits != [3, 7]:
            raise errors.Refused("answers a trial model wrongly")
        return
    if difference := selftest.replay(predictor.load(locate.shipped_model(), engine_name=engine)).first_difference:
        raise errors.Refused(difference)


def numbers(version: str, *, n: int = 2) -> tuple[int, ...]:
    """The first `n` numbers of a version, for comparison."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:n])


def in_child(code: str) -> tuple[str, str]:
    """What `code` prints in a Python process of its own, and why it failed: one line, empty if it did not."""
    try:
        done = child.run([sys.executable, "-c", code], timeout_s=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return "", f"no answer within {TIMEOUT_S:.0f} s"
    if done.returncode < 0:
        return "", f"crashed: {signal.strsignal(-done.returncode)}"
    reason = child.last_line(done, default=f"exit code {done.returncode}").removeprefix("edge.errors.")
    return done.stdout.strip(), errors.one_line(reason) if done.returncode else ""


def replay_shipped() -> str:
    """One line on the model that came with edgeproof. Raises ToolchainError if its seal or an answer is wrong."""
    return _replay(predictor.load(locate.shipped_model(), trusted=True))


def replay_current() -> str:
    """The same on the model that answers here: it also carries picture files, so that their reading is tested too."""
    model, trusted = locate.load_model(None)
    return (
        f"{model.contract.name if model.contract else model.path}: {_replay(predictor.from_artifact(model, trusted=trusted))}"
    )


def _replay(ready: predictor.Predictor) -> str:
    replay = selftest.replay(ready)
    if replay.first_difference:
        raise errors.Refused(replay.first_difference)
    counted = f"{replay.n_goldens} pictures answered, {replay.n_exact} bit for bit{replay.files}"
    return f"{counted} ({ready.engine.name} {ready.engine.version})"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the options of `main`, and `main` to run."""
    parser.add_argument("--json", action="store_true", help="one JSON object: passed, host, checks")
    parser.set_defaults(run=main)


def main(flags: argparse.Namespace) -> int:
    """Examine this device and print the findings; 1 if a check failed, else 0."""
    checks = list(examine(device := read()))
    failed, warned = (sum(check.status == status for check in checks) for status in ("fail", "warn"))
    if flags.json:
        print(json.dumps({"passed": not failed, "host": device.as_dict(), "checks": [asdict(check) for check in checks]}))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            advice = f": {check.advice}" if check.advice else ""
            print(errors.one_line(f"{check.status:<4}  {check.name:<{width}}  {check.found}{advice}"))
        print(f"{'not fit' if failed else 'fit'} for edgeproof: {len(checks)} checks, {failed} failed, {warned} with a warning")
    return 1 if failed else 0
