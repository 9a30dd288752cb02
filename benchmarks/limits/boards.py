"""Published peaks of one core of the Raspberry Pis: the input of the predicted bounds. docs/bounds.md has the sources.

We measured none of these. Every figure is an upper limit, so a time computed from it is a lower limit. Where sources differ,
the higher figure is used; a missing source is stated.
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
