"""Whether the device held its clock down while it was measured."""

from dataclasses import replace

from edge.bench.timing import Machine, Refusal
from edge.device import doctor
from edge.device.host import Host

SETTLE_S = 2.1  # until an event has reached the throttle word


class ThrottleMonitor:
    """Reads the device repeatedly, and raises Refusal if it is throttled or was since the last reading.

    Bits 0 to 3 of the throttle word are about now, bits 16 to 19 about earlier: since boot in `vcgencmd get_throttled`
    (raspberrypi.com/documentation/computers/os.html#get_throttled). In /sys, the kernel's voltage monitor, where loaded,
    reads the word every 2 s and makes the firmware forget; we read what it got (drivers/hwmon/raspberrypi-hwmon.c and
    drivers/firmware/raspberrypi.c of github.com/raspberrypi/linux). A bit of 16 to 19 that is set before the run and stays
    set hides later events: `throttled` is then "unknown".
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.first = self.last = machine.host()
        self.always_readable = self.first.throttle_word is not None
        self._judge(self.first, earlier=self.first)

    def look(self) -> None:
        earlier, self.last = self.last, self.machine.host()
        self.always_readable &= self.last.throttle_word is not None
        self._judge(self.last, earlier=earlier)

    def settle(self) -> None:
        """Wait until the throttle word, if the device has one, covers the last window too, and read it."""
        if self.first.throttle_word is not None or self.first.under_voltage_alarm is not None:
            self.machine.sleep(SETTLE_S)
            self.look()

    @property
    def throttled(self) -> str:
        """Whether the device was throttled during the run, if no reading raised Refusal: "no", or "unknown" and why."""
        if self.first.throttle_word is None or not self.always_readable:
            has_alarm = self.first.under_voltage_alarm is not None
            return "unknown: the device reports under-voltage only, and there was none" if has_alarm else "unknown"
        if not (bits := self.first.throttle_word >> 16 & 0xF):
            return "no"
        hidden = ", ".join(name for bit, (name, _) in enumerate(doctor.THROTTLE) if bits >> bit & 1)
        return f"unknown: {hidden} before the run may hide it; run again, if need be after a reboot"

    def _judge(self, now: Host, *, earlier: Host) -> None:
        word, was = now.throttle_word or 0, earlier.throttle_word or 0
        check = doctor.throttling(replace(now, throttle_word=(word | (word & ~was) >> 16) & 0xF))
        if check.status == "fail":
            raise Refusal("throttled", f"the device throttled its clock, {check.found}: {check.advice}")
