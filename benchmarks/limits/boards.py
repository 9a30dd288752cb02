"""Published peaks of one core of the Raspberry Pis: what a bound on them can be predicted from, with the sources.

Nothing here was measured by us. Every figure is a ceiling, so that what follows from it is a floor: no sooner than this.

Products a cycle. Vectors are 128 bits: 4 float32 multiply-adds an FMLA, 8 bytes' an SMLAL (their sums then need a SADALP,
not counted), 16 bytes' an SDOT.
- Cortex-A53 (Pi Zero 2 W): in order; one unit multiplies, an FMLA or an SMLAL a cycle; no SDOT (Armv8.0). LLVM's
  AArch64SchedA53.td, after Arm's "Cortex-A53 Software Optimisation Specification – Instruction Timings".
- Cortex-A72 (Pi 4): an FMLA of 128 bits a cycle (two of 64), an SMLAL a cycle (pipe F0 alone); no SDOT. Arm, "Cortex-A72
  Software Optimization Guide" (UAN 0016A), the tables of ASIMD integer and floating-point instructions.
- Cortex-A76 (Pi 5): two FMLA a cycle, two SDOT a cycle (pipes V0 and V1). Arm, "Cortex-A76 Software Optimization Guide"
  (PJDOC-466751330-7215), the same tables.
Reading: at most one vector of 128 bits a cycle from the cache on A53 and A72, which have one load pipe, two on A76; and no
more than the memory's own rate beyond the caches: transfers a second × 4 bytes.
- Pi Zero 2 W: 512 MB of LPDDR2 (product brief) at 450 MHz (`sdram_freq` in the config.txt documentation), so 900 MT/s.
- Pi 4: LPDDR4-3200 (product brief). Pi 5: LPDDR4X-4267, 512 KB L2 a core and 2 MB L3 (product brief).
- Caches the cores share: 512 KB on the Zero 2 W, 1 MB on the Pi 4 (Raspberry Pi's processor documentation).
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
    cache_bytes: int  # the last before the memory
    memory_gbs: float

    @property
    def float32_gmacs(self) -> float:
        return self.ghz * self.float32_a_cycle

    @property
    def int8_gmacs(self) -> float:
        return self.ghz * self.int8_a_cycle

    def read_gbs(self, n_bytes: int) -> float:
        """A network larger than the last cache comes from memory anew each time: the oldest line is thrown out first."""
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
