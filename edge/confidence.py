"""What an answer is worth: its temperature, whether it is none of the classes, and which classes it may be.

On the hot path where a contract states any of it, so nothing is imported at the top. docs/unknown.md tells what each means.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_EXTRA = 256
MAX_SETS = 16
TEMPERATURES = (1e-3, 1e3)
MAX_NUMBER = 1e30  # of a threshold or a quantile, by magnitude


def energy(logits: "Sequence[float]", extra: "Sequence[float]") -> float:
    """Minus the logarithm of the logits' summed exponentials: Liu et al. 2020, "Energy-based Out-of-distribution Detection"."""
    return -log_sum_exp(logits)


def margin(logits: "Sequence[float]", extra: "Sequence[float]") -> float:
    """The second greatest logit minus the greatest: 0 where two classes are equally probable, else below."""
    second, first = sorted(logits)[-2:]
    return second - first


def units(logits: "Sequence[float]", extra: "Sequence[float]") -> float:
    """The sum of the positive values of the first half of `extra`, less that of the second half: a small layer fitted on the
    network's last features to tell made pictures of no class from training pictures (docs/decisions/0016).
    """
    half = len(extra) // 2
    return sum([value for value in extra[:half] if value > 0]) - sum([value for value in extra[half:] if value > 0])


# From finite logits and extra values, how unlike the pictures that the network was trained for: the greater, the less like.
KINDS: "dict[str, Callable[[Sequence[float], Sequence[float]], float]]" = {
    "energy": energy,
    "margin": margin,
    "units": units,
}


class Confidence:
    """How the outputs of a model are judged, beside which class is greatest.

    Probabilities are softmax(logits / `temperature`). `extra` values are a second output of the model; int8 ones mean
    `extra_scale * (value - extra_zero_point)`. `reject` is a kind of score and its threshold: a picture with a greater score
    is none of the classes; None: no picture is rejected.
    `sets` are coverages, rising, each with its quantile: the set of classes whose minus log softmax(logits) is at most the
    quantile, and of the most probable class, holds the true one in that share of pictures.

    Raises ValueError for values out of their bounds.
    """

    __slots__ = ("extra", "extra_scale", "extra_zero_point", "reject", "sets", "temperature")

    def __init__(
        self, *, temperature: float = 1.0, extra: int = 0, extra_scale: float = 1.0, extra_zero_point: int = 0,
        reject: "tuple[str, float] | None" = None, sets: "tuple[tuple[float, float], ...]" = (),
    ) -> None:  # fmt: skip
        if not TEMPERATURES[0] <= temperature <= TEMPERATURES[1]:
            raise ValueError(f"temperature {temperature}; wanted {TEMPERATURES[0]} to {TEMPERATURES[1]}")
        if not 0 <= extra <= MAX_EXTRA:
            raise ValueError(f"extra {extra}; wanted 0 to {MAX_EXTRA} values beside the logits")
        if reject and (reject[0] not in KINDS or not abs(reject[1]) <= MAX_NUMBER):
            raise ValueError(f"reject {reject[0][:40]!r} {reject[1]}; known are {', '.join(KINDS)}, with a finite threshold")
        if reject and reject[0] == "units" and (not extra or extra % 2):  # else each picture scores 0, and none is rejected
            raise ValueError(f"reject units with {extra} extra values; wanted an even number of them")
        if len(sets) > MAX_SETS:
            raise ValueError(f"sets: {len(sets)} coverages; at most {MAX_SETS} are read")
        before = (0.0, 0.0)
        for level, quantile in sets:
            if not before[0] < level < 1 or not before[1] <= quantile <= MAX_NUMBER:
                wanted = "coverages between 0 and 1 that rise, with quantiles from 0 that do not fall"
                raise ValueError(f"sets: {level}:{quantile}; wanted {wanted}")
            before = level, quantile
        self.temperature, self.reject, self.sets = temperature, reject, sets
        self.extra, self.extra_scale, self.extra_zero_point = extra, float(extra_scale), extra_zero_point

    def items(self) -> dict[str, str | int | float]:
        """What differs from the usual, by the keys of contract.txt."""
        stated: dict[str, str | int | float] = {}
        if self.temperature != 1:
            stated["temperature"] = self.temperature
        if self.extra:
            stated["extra"] = f"{self.extra} {self.extra_scale!r} {self.extra_zero_point}"
        if self.reject:
            stated["reject"] = f"{self.reject[0]} {self.reject[1]!r}"
        if self.sets:
            stated["sets"] = " ".join(f"{level!r}:{quantile!r}" for level, quantile in self.sets)
        return stated

    @classmethod
    def from_items(cls, texts: dict[str, str]) -> "Confidence":
        """The inverse of `items`, each value as text. Raises ValueError for one that `items` would not write so."""
        kind, _, threshold = texts.get("reject", "").partition(" ")
        extra, scale, zero_point = f"{texts.get('extra', '0 1.0 0')}  ".split(" ")[:3]
        try:
            found = cls(
                temperature=float(texts.get("temperature", "1.0")),
                extra=int(extra),
                extra_scale=float(scale),
                extra_zero_point=int(zero_point),
                reject=(kind, float(threshold)) if "reject" in texts else None,
                sets=tuple(_pair(text) for text in texts["sets"].split(" ")) if "sets" in texts else (),
            )
        except OverflowError:
            raise ValueError("a number is too large") from None
        if {key: str(value) for key, value in found.items().items()} != texts:
            raise ValueError("not as format 3 is written: numbers in their shortest form, and what is usual is not stated")
        return found

    def score(self, logits: "Sequence[float]", extra: "Sequence[float]") -> float | None:
        """How unlike the pictures that the network was trained for; None where no picture is rejected."""
        return KINDS[self.reject[0]](logits, extra) if self.reject else None

    def level(self, coverage: float) -> "tuple[float, float] | None":
        """The least coverage stated that is at least `coverage`, and its quantile; None where none is."""
        return next((pair for pair in self.sets if pair[0] >= coverage), None)

    @property
    def promised(self) -> str:
        """The coverages stated, in words; "none" where there are none."""
        return ", ".join(f"{level:g}" for level, _ in self.sets) or "none"


def log_sum_exp(logits: "Sequence[float]") -> float:
    """log(Σ exp(logit)), whatever their size."""
    from math import exp, log

    greatest = max(logits)
    return greatest + log(sum([exp(logit - greatest) for logit in logits]))


def classes(logits: "Sequence[float]", quantile: float) -> list[int]:
    """The indices of the classes whose minus log softmax is at most `quantile`, most probable first; never none."""
    total = log_sum_exp(logits)
    order = sorted(range(len(logits)), key=lambda index: -logits[index])
    return [index for index in order if index == order[0] or total - logits[index] <= quantile]


def _pair(text: str) -> tuple[float, float]:
    level, _, quantile = text.partition(":")
    return float(level), float(quantile)
