"""The protocol on a made-up clock and a made-up device, where every refusal can be provoked."""

import gc
import json
from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest

from edge.bench import interleaved
from edge.bench.protocol import LatencyReport, measure
from edge.bench.timing import Machine, Refusal, TimedPipeline, TimingPlan
from edge.bench.windows import MAX_BLOCKS, MAX_REPEATS
from edge.device import host

THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
ALARM, VOLTAGE = "sys/class/hwmon/hwmon0/in0_lcrit_alarm", "sys/class/hwmon/hwmon0/name"


class Device:
    """A machine whose time passes when it is told to, with its files below `root`.

    `loops` gives the ns of each calibration, five loops each; when they run out, 1,000. `happens` is called with the
    number of every reading of the files, the first being 0.
    """

    def __init__(self, root, loops: Iterable[int] = (), happens: Callable[[int], object] = lambda reading: None) -> None:
        self.root, self.loops, self.happens = root, iter(loops), happens
        self.now, self.spins, self.readings, self.loop_ns, self.probe_ns = 0, 0, 0, 1000, 20

    def machine(self) -> Machine:
        return Machine(
            clock=lambda: self.now,
            cpu_clock=lambda: self.now,
            sleep=self.sleep,
            host=self.read,
            spin=self.spin,
            probe=self.probe,
        )

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)

    def spin(self) -> None:
        if self.spins % 5 == 0:
            self.loop_ns = next(self.loops, 1000)
        self.spins += 1
        self.now += self.loop_ns

    def probe(self) -> None:
        self.now += self.probe_ns

    def read(self) -> host.Host:
        self.happens(self.readings)
        self.readings += 1
        return host.read(str(self.root))

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)


def pipeline(times: Callable[[int], tuple[int, ...]] = lambda number: (10_000, 2_000), **changed: object) -> TimedPipeline:
    """Two stages; `times` are given the number of the call since the pipeline was made, warm-up included."""
    seen = iter(range(10**9))
    made = {"name": "pixels", "stages": ("inference", "decision"), "calls": 662, "warm_up": 10}
    return TimedPipeline(**(made | {"call": lambda _: times(next(seen))} | changed))


def measured(device: Device, made: TimedPipeline | None = None, **plan: object) -> LatencyReport:
    return measure([made or pipeline()], TimingPlan(**plan), device.machine())


def refused(device: Device, made: TimedPipeline | None = None, **plan: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        measured(device, made, **({"strict": True} | plan))
    assert str(caught.value).startswith("refused: ") and caught.value.exit_code == 1
    return caught.value


def window_of(number: int) -> int:
    """The window, from 0, in which a pipeline's call falls when it settles at once: 30 calls, then 10 + 662 a window."""
    return (number - 30) // 672


def test_a_steady_machine_gives_each_stage_and_the_whole(tmp_path):
    report = measured(Device(tmp_path))
    stages = report.figures["pixels"]
    assert {name: stage.p50_us for name, stage in stages.items()} == {"inference": 10.0, "decision": 2.0, "whole": 12.0}
    whole = stages["whole"]
    assert (whole.calls, whole.windows, whole.p90_us, whole.p99_us, whole.p99_bound_us) == (662, 6, 12.0, 12.0, 12.0)
    assert report.measured_again == 0


def test_the_median_window_is_shown_with_the_lowest_and_the_highest(tmp_path):
    windows_ns = (10_300, 10_100, 10_400, 10_000, 10_200, 10_500)
    slow = pipeline(lambda number: (windows_ns[max(window_of(number), 0)], 0))
    shown = measured(Device(tmp_path), slow).figures["pixels"]["inference"]
    assert (shown.p50_us, shown.p50_lowest_us, shown.p50_highest_us, shown.least_us) == (10.2, 10.0, 10.5, 10.0)


@pytest.mark.parametrize(("calls", "percentile", "wanted", "able"), [(50, 99, 662, 50), (661, 99, 662, 90), (63, 90, 64, 50)])
def test_too_few_calls_for_the_percentile_are_refused_before_any_is_made(tmp_path, calls, percentile, wanted, able):
    def never(number: int) -> tuple[int, ...]:
        raise AssertionError("called")

    refusal = refused(Device(tmp_path), pipeline(never, calls=calls), percentile=percentile)
    assert refusal.kind == "too few calls"
    assert refusal.why.startswith(f"{calls} calls cannot support a p{percentile}: at least {wanted} are needed (MLPerf")
    assert refusal.why.endswith(f"--percentile {able}")


def test_fifty_calls_do_for_a_median_and_leave_the_others_out(tmp_path):
    whole = measured(Device(tmp_path), pipeline(calls=50), percentile=50).figures["pixels"]["whole"]
    assert (whole.p50_us, whole.p90_us, whole.p99_us) == (12.0, None, None)


def test_four_windows_are_refused(tmp_path):
    assert "4 windows are too few" in (why := refused(Device(tmp_path), windows=4).why) and "at least 5" in why


def test_a_window_whose_calibration_drifts_is_thrown_away_and_measured_again(tmp_path):
    heard: list[str] = []
    # Before and after the first window 1,000 and 1,021 ns; in that window the calls took ten times as long.
    drifting = Device(tmp_path, (1000, 1021))
    odd = pipeline(lambda number: (100_000 if number >= 30 and window_of(number) == 0 else 10_000, 2_000))
    report = measure([odd], TimingPlan(), drifting.machine(), tell=heard.append)
    assert report.measured_again == 1
    assert report.figures["pixels"]["inference"].p50_highest_us == 10.0
    assert heard[1:] == ["pixels: window 1 is measured again: the calibration loop drifted by 2.1%"]


@pytest.mark.parametrize(
    ("loops", "shared_machine", "again"),
    # The loop after the window is faster or slower than before it: by 3 %, then just within and just over 5 %.
    [((1000, 970), False, 1), ((1000, 1049), True, 0), ((1000, 1051), True, 1), ((1000, 1030) * 5, False, 5)],
)
def test_a_window_is_measured_again_where_the_clock_drifts_by_two_per_cent_or_five_on_a_shared_machine(
    tmp_path, loops, shared_machine, again
):
    assert measured(Device(tmp_path, loops), shared_machine=shared_machine).measured_again == again


def test_strictly_a_window_that_drifts_five_times_again_is_given_up(tmp_path):
    calls: list[int] = []

    def counted(number: int) -> tuple[int, ...]:
        calls.append(number)
        return 10_000, 2_000

    refusal = refused(Device(tmp_path, (1000, 1030) * 6), pipeline(counted))
    assert refusal.kind == "unsteady"
    assert refusal.why.startswith("pixels: window 1 was measured 6 times, and each time ")
    assert refusal.why.endswith("by more than 2%; stop other programs, or allow --shared-machine")
    assert len(calls) == 30 + (1 + MAX_REPEATS) * 672


def test_strictly_what_never_settles_is_refused(tmp_path):
    def restless(number: int) -> tuple[int, ...]:
        return (10_000 if number // 10 % 2 else 11_000, 0)

    refusal = refused(Device(tmp_path), pipeline(restless))
    assert refusal.kind == "unsteady"
    assert f"{MAX_BLOCKS * 10} warm-up calls, and no three blocks in a row within 2%" in refusal.why


def test_warm_up_lasts_until_three_blocks_agree_and_is_not_counted(tmp_path):
    # Two slow blocks, then steady: 50 calls of warm-up, none of which may be the report's.
    cold = pipeline(lambda number: (90_000 - 40_000 * (number // 10) if number < 20 else 10_000, 0))
    assert measured(Device(tmp_path), cold).figures["pixels"]["whole"].p50_highest_us == 10.0


def test_strictly_windows_that_disagree_are_refused_but_may_by_twice_as_much_on_a_shared_machine(tmp_path):
    def slower() -> TimedPipeline:
        return pipeline(lambda number: (11_100 if window_of(number) == 4 else 10_000, 0))

    refusal = refused(Device(tmp_path), slower())
    assert refusal.kind == "disagreeing"
    assert "the medians of its windows, 10.0 to 11.1 µs, differ by 11%, limit 10%" in refusal.why
    shown = measured(Device(tmp_path), slower(), shared_machine=True).figures["pixels"]["whole"]
    assert (shown.p50_us, shown.p50_highest_us) == (10.0, 11.1)


@pytest.mark.parametrize(
    ("word", "said"),
    [("1", "under-voltage"), ("2", "frequency capped"), ("4", "throttled"), ("8", "soft temperature limit"),
     ("50005", "under-voltage, throttled"), ("40000", "throttled"), ("10000", "under-voltage")],
)  # fmt: skip
def test_a_device_that_holds_its_clock_down_during_the_run_is_refused(tmp_path, word, said):
    device = Device(tmp_path, happens=lambda reading: device.write(THROTTLED, word if reading == 3 else "0"))
    refusal = refused(device)
    assert refusal.kind == "throttled"
    assert refusal.why.startswith(f"the device throttled its clock, now: {said} (0x")


def test_a_device_that_is_throttled_at_the_start_is_refused_at_once(tmp_path):
    device = Device(tmp_path, happens=lambda _: device.write(THROTTLED, "4"))
    assert refused(device).kind == "throttled"
    assert device.readings == 1


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({THROTTLED: "0"}, "no"),
        ({THROTTLED: "50000"}, "unknown: under-voltage, throttled before the run may hide it"),
        ({}, "unknown"),
        ({VOLTAGE: "rpi_volt", ALARM: "0"}, "unknown: the device reports under-voltage only, and there was none"),
    ],
)
def test_what_a_device_can_tell_of_throttling_is_said_and_no_more(tmp_path, files, said):
    device = Device(tmp_path)
    for name, text in files.items():
        device.write(name, text)
    assert measured(device).throttled.partition("; run again")[0] == said


def test_a_word_that_cannot_be_read_to_the_end_leaves_it_unknown(tmp_path):
    device = Device(tmp_path, happens=lambda reading: device.write(THROTTLED, "" if reading == 3 else "0"))
    assert measured(device).throttled == "unknown"


def test_a_dip_within_a_long_window_is_seen_though_its_bit_was_remembered_before(tmp_path):
    # Throttled once since boot, and again from 10 s to 12 s: two seconds within the first window of 662 calls of 50 ms.
    device = Device(tmp_path, happens=lambda _: device.write(THROTTLED, "40004" if 10e9 <= device.now <= 12e9 else "40000"))

    def call(number: int) -> tuple[int, ...]:
        device.now += 50_000_000
        return 50_000_000, 0

    assert refused(device, pipeline(call)).why.startswith("the device throttled its clock, now: throttled (0x4)")
    assert device.now < 13e9


def test_a_bit_that_the_kernel_let_fall_and_that_is_set_again_is_news(tmp_path):
    device = Device(tmp_path, happens=lambda reading: device.write(THROTTLED, {0: "10000", 2: "10000"}.get(reading, "0")))
    assert "under-voltage" in refused(device).why


def test_what_happens_in_the_last_window_is_waited_for(tmp_path):
    # Before, and after each of six windows; the kernel hears of it up to 2 s later.
    device = Device(tmp_path, happens=lambda _: device.write(THROTTLED, "40000" if device.now > 2e9 else "0"))
    assert "throttled" in refused(device).why
    assert device.readings == 8


def test_the_voltage_alarm_of_a_pi_5_is_heeded(tmp_path):
    device = Device(tmp_path, happens=lambda reading: device.write(ALARM, "1" if reading == 2 else "0"))
    device.write(VOLTAGE, "rpi_volt")
    assert "under-voltage" in refused(device).why


def test_pictures_come_at_their_cadence(tmp_path):
    device = Device(tmp_path)
    begun: list[int] = []

    def call(number: int) -> tuple[int, ...]:
        begun.append(device.now)
        device.now += 10_000
        return 10_000, 0

    assert measured(device, pipeline(call), every_ns=1_000_000).paced == ("pixels",)
    last_window = begun[-662:]
    assert {after - before for before, after in pairwise(last_window)} == {1_000_000}


def test_calls_longer_than_their_cadence_are_refused(tmp_path):
    refusal = refused(Device(tmp_path), every_ns=12_000)
    assert refusal.kind == "overrun"
    assert refusal.why.startswith("pixels: a call takes 12.0 µs, but one was requested every 12.0 µs")


def test_pipelines_take_turns_and_processes_are_neither_warmed_long_nor_paced(tmp_path):
    order: list[str] = []

    def noted(name: str) -> Callable[[int], tuple[int, ...]]:
        def times(number: int) -> tuple[int, ...]:
            order.append(name)
            return 5000, 0

        return times

    first, second = (pipeline(noted(name), name=name, calls=10, warm_up=1, settles=False) for name in "ab")
    device = Device(tmp_path)
    report = measure([first, second], TimingPlan(every_ns=10**9), device.machine())
    assert "".join(order) == "ab" + ("a" * 10 + "b" * 10) * 6
    assert report.figures["a"]["whole"].p90_us is None
    assert report.paced == ()
    assert device.now < 10**9


def test_an_unknown_device_is_reported_as_unknown(tmp_path):
    said = json.loads(json.dumps(measured(Device(tmp_path)).as_dict()))
    assert (said["host"]["governor"], said["host"]["throttle_word"], said["temperature_c_after"]) == (None, None, None)
    assert (said["plan"]["drift_limit"], said["plan"]["percentile"]) == (0.02, 99)


def test_temperature_and_frequency_are_told_before_and_after(tmp_path):
    def warmer(reading: int) -> None:
        device.write("sys/class/thermal/thermal_zone0/temp", str(50_000 + 1000 * reading))
        device.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", str(1_800_000 - 100_000 * reading))

    device = Device(tmp_path, happens=warmer)
    report = measured(device)
    # Read before, and after each of six windows.
    assert (report.host.temperature_c, report.temperature_c_after) == (50.0, 56.0)
    assert (report.host.frequency_mhz, report.frequency_mhz_after) == (1800, 1200)


def test_the_garbage_collector_is_at_work_again_after_a_pipeline_that_fails(tmp_path):
    def broken(number: int) -> tuple[int, ...]:
        assert not gc.isenabled()
        raise OSError("camera gone")

    with pytest.raises(OSError, match="camera gone"):
        measure([pipeline(broken)], TimingPlan(), Device(tmp_path).machine())
    assert gc.isenabled()


def busy_half_the_time(device: Device, monkeypatch) -> TimedPipeline:
    """Calls of 10 µs. In every other 7 ms the machine is slow: they take 13 µs, and the calibration loop 37 ns, not 20."""
    monkeypatch.setattr(interleaved, "ROUNDS", 6)

    def slow() -> bool:
        return bool(device.now // 7_000_000 % 2)

    def call(number: int) -> tuple[int, ...]:
        took = 13_000 if slow() else 10_000
        device.now += took
        return took - 1000, 1000

    def probe() -> None:
        device.now += 37 if slow() else 20

    monkeypatch.setattr(device, "probe", probe)
    return pipeline(call, warm_up=50)


def test_an_unsteady_machine_gets_the_figure_of_its_full_pace_with_an_interval(tmp_path, monkeypatch):
    device = Device(tmp_path)
    heard: list[str] = []
    report = measure([busy_half_the_time(device, monkeypatch)], TimingPlan(), device.machine(), tell=heard.append)
    assert report.unsteady.startswith("pixels: ")
    whole = report.figures["pixels"]["whole"]
    assert (whole.p50_us, whole.least_us, whole.p90_us) == (10.0, 10.0, 13.0)
    assert (whole.low_us, whole.high_us) == pytest.approx((9.6, 10.4))  # the margin alone: equal slices
    assert whole.pace_varied == pytest.approx(37 / 20 - 1)
    assert report.figures["pixels"]["inference"].p50_us == 9.0
    assert heard[-1].startswith(f"unsteady: {report.unsteady}; timing between calibration loops: about ")


def test_strictly_the_same_machine_is_refused(tmp_path, monkeypatch):
    device = Device(tmp_path)
    assert refused(device, busy_half_the_time(device, monkeypatch)).kind in ("unsteady", "disagreeing")


def test_a_machine_that_slows_down_between_windows_is_unsteady_though_none_drifts(tmp_path):
    loops = [1000] * 6 + [1300] * 6
    refusal = refused(Device(tmp_path, loops))
    assert "the calibration loop took up to 30% longer in one window than in another" in refusal.why


def test_throttling_is_refused_on_an_unsteady_machine_too(tmp_path, monkeypatch):
    device = Device(tmp_path, happens=lambda _: device.write(THROTTLED, "4" if device.now > 200_000_000 else "0"))
    assert refused(device, busy_half_the_time(device, monkeypatch), strict=False).kind == "throttled"


def test_a_window_ends_by_time_but_not_before_its_calls_support_a_p90(tmp_path):
    device = Device(tmp_path)

    def call(number: int) -> tuple[int, ...]:
        device.now += 20_000_000
        return 20_000_000, 0

    whole = measured(device, pipeline(call), window_s=0.5).figures["pixels"]["whole"]
    assert (whole.calls, whole.p90_us, whole.p99_us) == (64, 20_000.0, None)
