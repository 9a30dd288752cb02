"""Published peaks of one core of the Raspberry Pis, with their sources: the input of the predicted bounds.

We measured none of these. Every figure is an upper limit, so a time computed from it is a lower limit. Where sources differ,
the higher figure is used; a missing source is stated. Addresses begin with https://.

Clock and memory clock: github.com/raspberrypi/documentation, documentation/asciidoc/computers/config_txt/overclocking.adoc,
defaults of arm_freq and sdram_freq: 1000 and 450 MHz (Pi Zero 2 W), 1500, or 1800 where arm_boost is on, and 3200 (Pi 4),
2400 and 4267 (Pi 5). The first is a clock of LPDDR2, two transfers each; the others are transfers already.

Products a cycle. Vectors are 128 bits: 4 float32 multiply-adds an FMLA, 8 bytes' an SMLAL (their sums then need a SADALP,
not counted), 16 bytes' an SDOT. LLVM's models of the cores are github.com/llvm/llvm-project, llvm/lib/Target/AArch64/*.td.
- Cortex-A53 (Pi Zero 2 W), FMLA: one a cycle. LLVM (AArch64SchedA53.td) says one every two, and is too low: OpenBLAS measured
  6.5 GFLOPS on a core of 1.5 GHz, 4.3 operations a cycle (github.com/OpenMathLib/OpenBLAS/pull/2643; the clock of
  that RK3399 after github.com/ThomasKaiser/sbc-bench, Results.md). SMLAL: no source found for its own rate; taken as FMLA's.
  No SDOT: AArch64Processors.td gives A53 no FeatureDotProd.
- Cortex-A72 (Pi 4): an FMLA takes both vector pipes, an SMLAL the one pipe W (AArch64SchedA57.td, which
  AArch64Processors.td takes for cortex-a72), so one of either a cycle. Measured: 3.2 operations in float64 a cycle, where
  that allows 4 (github.com/OpenMathLib/OpenBLAS/issues/4149). No SDOT: it has A53's features there.
- Cortex-A76 (Pi 5): two vector pipes (www.anandtech.com/Show/Index/12785, page 3), an FMLA in each: measured on a Pi 5 were
  6.7 operations in float64 a cycle, where one allows 4 and two 8 (github.com/OpenMathLib/OpenBLAS/issues/4581). It has SDOT
  (raw.githubusercontent.com/sergev/vak-opensource/master/sysinfo/Raspberry-Pi-5-Model-B/cpu-isa-cache.txt); no source found
  for its own rate; taken as one in each pipe.

Reading from the cache: at most one vector a cycle on A53 and A72, which have one load pipe (A53UnitLdSt, A57UnitL); hand
tuning found half of that on A53 (github.com/Tencent/ncnn, docs/developer-guide/arm-a53-a55-dual-issue.md). Two on A76
(AnandTech, the same page: two loads a cycle; no source found that each may be of 128 bits).
Beyond the caches: the memory's own rate, 32 bits wide.
- Pi 5: 32 bits, "up to 17GB/s" (raspberrypi/documentation, documentation/asciidoc/computers/processors/bcm2712.adoc).
- Pi 4: 32 bits (euno.news/posts/en/new-raspberry-pi-4-model-splits-ram-across-dual-ch-ece438); bcm2711.adoc in that
  folder says LPDDR4-2400, sdram_freq 3200.
- Zero 2 W: LPDDR2 (www.heise.de/news/Raspberry-Pi-Zero-2-W-bestaetigt-6233956.html); no source found for the width.
Measured by others on one core, to compare with these limits: Zero 2 W 2.3 GB/s read (tinymembench, "NEON read prefetched",
sbc-bench results/3E85.txt), Pi 4 5.6 GB/s read and written (STREAM, www.sci-pi.org.uk/bench/stream.html), Pi 5
6.2 GB/s copied, so 12.3 read and written (tinymembench, github.com/raspberrypi/firmware/issues/1876).
Last cache: 512 KB on the Zero 2 W (latency steps up beyond it in 3E85.txt), 1 MB on the Pi 4 (bcm2711.adoc), 2 MB of L3 on the
Pi 5 (bcm2712.adoc).
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Board:
    """One core of a board at its standard clock; multiply-adds and bytes a cycle."""

    name: str
    core: str
    ghz: float
    float32_a_cycle: int
    int8_a_cycle: int
    load_bytes_a_cycle: int
    cache_bytes: int  # of the last-level cache
    memory_gbs: float

    @property
    def float32_gmacs(self) -> float:
        return self.ghz * self.float32_a_cycle

    @property
    def int8_gmacs(self) -> float:
        return self.ghz * self.int8_a_cycle

    def read_gbs(self, n_bytes: int) -> float:
        """The rate of reading a network repeatedly: from memory if it exceeds the last cache, which drops the oldest line."""
        return self.ghz * self.load_bytes_a_cycle if n_bytes <= self.cache_bytes else self.memory_gbs


BOARDS = (
    Board(
        name="Pi Zero 2 W", core="Cortex-A53", ghz=1.0, float32_a_cycle=4, int8_a_cycle=8, load_bytes_a_cycle=16,
        cache_bytes=512 << 10, memory_gbs=0.900 * 4,
    ),
    Board(
        name="Pi 4", core="Cortex-A72", ghz=1.8, float32_a_cycle=4, int8_a_cycle=8, load_bytes_a_cycle=16,
        cache_bytes=1 << 20, memory_gbs=3.200 * 4,
    ),
    Board(
        name="Pi 5", core="Cortex-A76", ghz=2.4, float32_a_cycle=8, int8_a_cycle=32, load_bytes_a_cycle=32,
        cache_bytes=2 << 20, memory_gbs=4.267 * 4,
    ),
)  # fmt: skip
