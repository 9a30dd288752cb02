"""Ways from a picture file to what the network is fed, and the search for the one that agrees with given answers."""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from convert.effort import LARGE
from convert.pictures.arithmetic import Arithmetic, of_preset, usual
from convert.pictures.evidence import mcnemar
from convert.pictures.presets import PRESETS
from edge.contract import GEOMETRY, InputContract
from edge.errors import InputError, note, one_line
from edge.pictures import read_pixels
from edge.silence import silence_native_output
from train import evaluate
from train.datasets import mapped

if TYPE_CHECKING:
    import keras

    from train.datasets.folder import FolderDataset

_CLEAR, _NEAR = 0.05, 0.01
_BEHIND = 5  # pictures
MAX_P = 0.001  # of McNemar's test, divided by the number of conventions tried
# Beside the presets' own: what torchvision does without its crop, and a centre crop.
_GEOMETRIES: dict[str, dict[str, str]] = {
    "bilinear with antialiasing": {"resize": "bilinear-antialias", "exif": "ignore", "alpha": "drop"},
    "bicubic with antialiasing": {"resize": "bicubic-antialias", "exif": "ignore", "alpha": "drop"},  # Pillow's own resize
    "a centre crop, bilinear": {"resize": "bilinear", "aspect": "crop", "exif": "ignore", "alpha": "drop"},
}


class Owned(Protocol):
    """A network of the user's own, with its pictures."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the logits."""

    @property
    def contract(self) -> InputContract:
        """The images it takes."""

    @property
    def arithmetic(self) -> Arithmetic:
        """What is done to their values."""

    @property
    def open_sizes(self) -> dict[str, int]:
        """By the keys of a contract file, the sizes that the network leaves open: the user's file said them."""

    @property
    def dataset(self) -> "FolderDataset":
        """Its pictures."""

    def build(self, *, batch_size: int | None = None) -> "keras.Model":
        """float32 [N, H, W, C] pixels → logits."""

    def unscaled(self) -> "keras.Model":
        """Without the declared arithmetic: float32 [N, H, W, C] → logits."""


@dataclass(frozen=True)
class Convention:
    """One way, and how the user asks for it."""

    words: str
    contract: InputContract
    arithmetic: Arithmetic
    ask: str


@dataclass(frozen=True, eq=False)
class Found:
    """A convention, the `answers` it gives, int [N], and where they are the wanted ones: `hits`, bool [N].

    `n_tried`: how many rivals of the given convention were tried; the more, the more evidence is wanted.
    """

    convention: Convention
    answers: np.ndarray
    hits: np.ndarray
    n_tried: int = 1

    @property
    def n_hits(self) -> int:
        return int(self.hits.sum())

    def p_over(self, other: np.ndarray) -> float:
        """McNemar's exact p that it agrees better than `other`, bool [N]."""
        return mcnemar(int((self.hits & ~other).sum()), int((other & ~self.hits).sum()))

    def beats(self, given: np.ndarray) -> bool:
        """Whether it agrees significantly better than the given convention, whose hits are bool [N]."""
        return self.p_over(given) < MAX_P / self.n_tried


class Search:
    """Answers of a network to picture files under any convention. What was read or answered once is kept."""

    def __init__(self, owned: Owned, paths: Sequence[str]) -> None:
        self.given = Convention("as given", owned.contract, owned.arithmetic, "")
        self._paths, self._model, self._open_sizes = paths, owned.unscaled(), owned.open_sizes
        self._scratch = Path(owned.dataset.scratch or tempfile.gettempdir())
        self._pixels: dict[InputContract, np.ndarray | None] = {}

    def read(self, contract: InputContract) -> np.ndarray:
        """The pictures as `contract` has them: uint8 [N, H, W, C]. Raises what `read_pixels` raises."""
        file = mapped.PixelFile(self._scratch, len(self._paths), (contract.height, contract.width, contract.channels))
        for index, path in enumerate(self._paths):
            file.put(index, read_pixels(path, contract))
        self._pixels[contract] = pixels = file.arranged(np.arange(len(self._paths)))
        return pixels

    def pixels(self, contract: InputContract) -> np.ndarray | None:
        """The same, kept; None where `contract` refuses a picture."""
        if contract not in self._pixels:
            try:
                return self.read(contract)
            except InputError as error:
                if all(pixels is not None for pixels in self._pixels.values()):  # said once
                    note(one_line(f"{error}; where this stops another way to read pictures, that way is not tried"))
                self._pixels[contract] = None
        return self._pixels[contract]

    def logits(self, convention: Convention, *, n: int | None = None) -> np.ndarray | None:
        """The float network's logits for the pictures, or for the first `n`: float32 [N, K]."""
        pixels = self.pixels(convention.contract)
        if pixels is None:
            return None
        pixels = pixels[:n]
        with silence_native_output():
            return evaluate.logits(self._model, pixels, fed=convention.arithmetic.apply)

    def best(self, wanted: np.ndarray) -> list[Found]:
        """The rivals of the given convention that agree best with `wanted`, int [N], and that these pictures do not tell apart
        (p >= 0.05), in the order of the presets, those last that agree on over one in a hundred fewer than the best; none where
        there is no rival.

        One change is tried first: each geometry, or each arithmetic. Two changes, of which presets are some, are taken only
        where they agree significantly better.
        """
        tried: dict[tuple[bytes, Arithmetic], Found] = {}
        self._try(self.given, tried, wanted)
        for convention in self._beside(self.given):
            self._try(convention, tried, wanted)
        single = list(tried.values())[1:]
        first = max(single, key=lambda candidate: candidate.n_hits, default=None)
        for convention in self._presets() + (self._beside(first.convention) if first else []):
            self._try(convention, tried, wanted)
        double = list(tried.values())[1 + len(single) :]
        most = max(double, key=lambda candidate: candidate.n_hits, default=first)
        if first and most and most.p_over(first.hits) >= MAX_P:
            double, most = single, first
        if most is None:
            return []
        least = most.n_hits - _NEAR * len(wanted)
        alike = sorted(
            (candidate for candidate in double if most.p_over(candidate.hits) >= _CLEAR),
            key=lambda candidate: candidate.n_hits < least,
        )
        return [replace(candidate, n_tried=len(tried) - 1) for candidate in alike]

    def _contracts(self) -> list[InputContract]:
        """Every geometry tried, by the presets first."""
        one = self.given.contract
        if one.fit != "resize":
            return [one]
        size = {"height": one.height, "width": one.width, "channels": one.channels}
        more = [InputContract(**size, fit="resize", **keys) for keys in _GEOMETRIES.values()]  # type: ignore[arg-type]
        return [one, *(preset.contract(**size) for preset in PRESETS.values()), *more]

    def _beside(self, base: Convention) -> list[Convention]:
        """One change away from `base`."""
        n_channels = base.contract.channels
        arithmetics = [*usual(n_channels).values(), *(of_preset(preset, n_channels) for preset in PRESETS.values())]
        others = [self._named(contract, base.arithmetic) for contract in self._contracts()]
        return others + [self._named(base.contract, arithmetic) for arithmetic in arithmetics]

    def _presets(self) -> list[Convention]:
        one = self.given.contract
        if one.fit != "resize":
            return []
        size = {"height": one.height, "width": one.width, "channels": one.channels}
        return [self._named(preset.contract(**size), of_preset(preset, one.channels)) for preset in PRESETS.values()]

    def _named(self, contract: InputContract, arithmetic: Arithmetic) -> Convention:
        """The convention, as the user would call it: a preset's name where there is one."""
        channels = contract.channels
        presets = {name: preset.contract(contract.height, contract.width, channels) for name, preset in PRESETS.items()}
        for name, own in presets.items():
            if own == contract and of_preset(PRESETS[name], channels) == arithmetic:
                now = self.given.contract, self.given.arithmetic
                is_preset = now in [(presets[each], of_preset(PRESETS[each], channels)) for each in presets]
                ask = f"--pixels {name}" + ("" if is_preset else ", and nothing in --contract that says otherwise")
                return Convention(f"--pixels {name}", contract, arithmetic, ask)
        words = [name for name, each in usual(channels).items() if each == arithmetic] or [json.dumps(arithmetic.as_json())]
        keys: dict[str, object] = dict(self._open_sizes)
        keys |= {"fit": contract.fit} if contract.fit != "resize" else {}
        keys |= {"polarity": contract.polarity} if contract.polarity != "any" else {}
        # Usual values, too, where the user's are others: the preset that said so may stay.
        given = self.given.contract
        keys |= {key: getattr(contract, key) for key in GEOMETRY if getattr(contract, key) != getattr(given, key)}
        keys |= {"order": arithmetic.order} if arithmetic.order != self.given.arithmetic.order else {}
        keys |= contract.geometry() | arithmetic.as_json()
        if contract != self.given.contract:
            names = [name for name, own in presets.items() if own == contract]
            names += [name for name, own in _GEOMETRIES.items() if own.items() <= contract.geometry().items()]
            where = names[0] if names else "another resize"
            words = [f"{where}, {words[0]}"] if arithmetic != self.given.arithmetic else [f"the pictures read as {where}"]
        return Convention(words[0], contract, arithmetic, f"--contract contract.json, which holds {json.dumps(keys)}")

    def _try(self, convention: Convention, tried: dict[tuple[bytes, Arithmetic], Found], wanted: np.ndarray) -> None:
        pixels = self.pixels(convention.contract)
        if pixels is None:
            return
        key = (hashlib.sha256(pixels.data).digest(), convention.arithmetic)
        if key in tried:
            return
        if tried and self._is_hopeless(convention, next(iter(tried.values())), wanted):
            tried[key] = Found(convention, np.full(len(wanted), -1), np.zeros(len(wanted), bool))
        elif (logits := self.logits(convention)) is not None:
            answers = logits.argmax(axis=1)
            tried[key] = Found(convention, answers, answers == wanted)

    def _is_hopeless(self, convention: Convention, given: Found, wanted: np.ndarray) -> bool:
        """Whether `convention` is so far behind the one `given` on a quarter of the pictures that the rest need not be asked;
        looked at only where images are large and a network takes long."""
        one = convention.contract
        if one.height * one.width <= LARGE:
            return False
        n = len(self._paths) // 4
        logits = self.logits(convention, n=n)
        return logits is None or int((logits.argmax(axis=1) == wanted[:n]).sum()) + _BEHIND < int(given.hits[:n].sum())
