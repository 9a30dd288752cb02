"""What machine is this? Read from files below a root that tests replace; what cannot be read is None, never a guess."""

import glob
import os
import platform
import re
import sys
from dataclasses import asdict, dataclass

# Features that int8 kernels use: multiply-add of bytes on x86, SIMD and dot products on Arm (neon is 32-bit Arm's asimd).
INT8_FEATURES = ("avx2", "avx512_vnni", "avx_vnni", "neon", "asimd", "asimddp", "i8mm")

# /proc/cpuinfo gives Arm's own cores (implementer 0x41) by number only.
_ARM_CORES = {
    "0xb76": "ARM1176",
    "0xc07": "Cortex-A7",
    "0xd03": "Cortex-A53",
    "0xd05": "Cortex-A55",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0b": "Cortex-A76",
    "0xd41": "Cortex-A78",
}


@dataclass(frozen=True, kw_only=True)
class Host:
    """One machine at one moment. Frequencies and the governor are those of its fastest core."""

    machine: str | None  # x86_64, aarch64, armv7l: the kernel's, even if Python is 32-bit
    python_bits: int
    python: str
    cpu_model: str | None
    n_cpus: int | None
    cpu_features: tuple[str, ...] | None  # of INT8_FEATURES
    board: str | None
    system: str | None
    kernel: str | None
    glibc: str | None
    governor: str | None
    frequency_driver: str | None
    frequency_mhz: int | None
    max_frequency_mhz: int | None
    temperature_c: float | None
    throttle_word: int | None  # Raspberry Pi: bits 0-3 now, 16-19 earlier (since when: edge/bench/throttling.py)
    under_voltage_alarm: bool | None  # Raspberry Pi: within the last seconds; a Pi 5 may have only this one
    memory_mib: int | None
    available_memory_mib: int | None

    def as_dict(self) -> dict[str, object]:
        """The fields by name, for JSON."""
        return asdict(self)


def read(root: str = "/") -> Host:
    """The machine whose files are below `root`, and the running Python."""
    cpuinfo = _text(root, "proc/cpuinfo") or ""
    meminfo = _text(root, "proc/meminfo") or ""
    features = re.findall(r"^(?:flags|Features)\s*:(.*)", cpuinfo, re.M)
    cores = _folders(root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq")
    fastest = max(cores, key=lambda core: _number(_text(core, "cpuinfo_max_freq")) or 0, default="")
    board = _text(root, "proc/device-tree/model") or _first(r"^Model\s*:\s*(.+)", cpuinfo)
    firmware = _folders(root, "sys/devices/platform/soc*/soc*:firmware")  # a Pi 5 adds an address to each soc
    monitors = [chip for chip in _folders(root, "sys/class/hwmon/hwmon*") if _text(chip, "name") == "rpi_volt"]
    alarm = _number(_text(monitors[0], "in0_lcrit_alarm")) if monitors else None
    return Host(
        machine=platform.machine() or None,
        python_bits=64 if sys.maxsize > 2**32 else 32,
        python=platform.python_version(),
        cpu_model=_cpu_model(cpuinfo),
        n_cpus=len(re.findall(r"^processor\s*:\s*\d", cpuinfo, re.M)) or None,
        cpu_features=tuple(f for f in INT8_FEATURES if f in features[0].split()) if features else None,
        board=board,
        system=_first(r'^PRETTY_NAME="?([^"\n]+)', _text(root, "etc/os-release") or ""),
        kernel=_text(root, "proc/sys/kernel/osrelease"),
        glibc=_glibc(),
        governor=_text(fastest, "scaling_governor"),
        frequency_driver=_text(fastest, "scaling_driver"),
        frequency_mhz=_thousands(_text(fastest, "scaling_cur_freq")),
        max_frequency_mhz=_thousands(_text(fastest, "cpuinfo_max_freq")),
        temperature_c=_temperature_c(root),
        # "50005" or "0x50005". A kernel that recommends the alarm below instead logs that once.
        throttle_word=next((_number(_text(folder, "get_throttled"), base=16) for folder in firmware), None),
        under_voltage_alarm=None if alarm is None else bool(alarm),
        memory_mib=_mib("MemTotal", meminfo),
        available_memory_mib=_mib("MemAvailable", meminfo),
    )


def _text(folder: str, path: str) -> str | None:
    # sysfs may refuse a read (a sensor that sleeps); device-tree strings end with a NUL.
    if not folder:
        return None
    try:
        with open(os.path.join(folder, path), encoding="utf-8", errors="replace") as file:
            return file.read().replace("\0", "").strip() or None
    except OSError:
        return None


def _folders(root: str, pattern: str) -> list[str]:
    return sorted(glob.glob(os.path.join(glob.escape(root), pattern)))


def _number(text: str | None, *, base: int = 10) -> int | None:
    try:
        return int(text or "", base)
    except ValueError:
        return None


def _thousands(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else round(number / 1000)


def _first(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text, re.M)
    return match[1].strip() if match else None


def _mib(name: str, meminfo: str) -> int | None:
    kib = _number(_first(rf"^{name}:\s*(\d+) kB", meminfo))
    return None if kib is None else kib // 1024


def _cpu_model(cpuinfo: str) -> str | None:
    # A 32-bit kernel calls every Arm core "ARMv7 Processor rev …", so the part number comes first.
    arm = dict.fromkeys(re.findall(r"^CPU implementer\s*: 0x41\n(?:.+\n)*?CPU part\s*: (0x\w+)", cpuinfo, re.M))
    named = [_ARM_CORES[part] for part in arm if part in _ARM_CORES]
    return " + ".join(named) or _first(r"^model name\s*:\s*(.+)", cpuinfo)


def _temperature_c(root: str) -> float | None:
    # The hottest zone of the processor, or of all if none is named as such; chargers and radios run hot.
    zones = [(_text(z, "type") or "", _number(_text(z, "temp"))) for z in _folders(root, "sys/class/thermal/thermal_zone*")]
    sound = [(kind, milli / 1000) for kind, milli in zones if milli is not None and -40_000 < milli < 150_000]
    own = [celsius for kind, celsius in sound if re.search("cpu|soc|core|pkg", kind)]
    return max(own or [celsius for _, celsius in sound], default=None)


def _glibc() -> str | None:
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, OSError, ValueError):  # Windows, macOS, musl
        return None
    return version if name == "glibc" else None
