"""Pictures without labels: what they are, what the float model answers, and what a candidate answers otherwise."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convert.judging.gate import ANSWERS, Gate, UnlabelledCounts
from edge.contract import InputContract
from edge.errors import InputError, InputMissing, note, one_line
from edge.pictures import read_pixels
from train.datasets import listing, mapped
from train.datasets.listing import UNREADABLE, Faults

UNKNOWN, NONE = -2, -1  # beside the classes from 0


@dataclass(frozen=True, eq=False)
class UnlabelledPictures:
    """Distinct pictures that no stage trained on, calibrated with or tested: their `paths`, images uint8 [N, H, W, C], and
    the float model's `answers`, int [N].

    `labels`: what the owner says they show, int [N]: a class, NONE of the classes, or UNKNOWN; None where nobody was asked.
    `left_out`: how many pictures of the folder are not among them, by reason.
    """

    paths: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray | None
    left_out: dict[str, int]
    answers: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def answered(self, answers: Callable[[np.ndarray], np.ndarray]) -> "UnlabelledPictures":
        """The same with the float model's answers, which `answers` gives for images: int [n]."""
        return replace(self, answers=np.asarray(answers(self.images)))

    def differing(self, answers: np.ndarray) -> np.ndarray:
        """The indices at which a candidate's `answers`, int [N], are not the float model's: int [n]."""
        return np.flatnonzero(answers != self.answers)

    def counts(self, answers: np.ndarray) -> UnlabelledCounts:
        """What these `answers`, int [N], are to the gate."""
        differing = self.differing(answers)
        if self.labels is None:
            return UnlabelledCounts(len(self), len(differing), unknown=len(differing))
        labels = self.labels[differing]
        return UnlabelledCounts(
            len(self),
            len(differing),
            labelled=True,
            lost=int(np.sum(labels == self.answers[differing])),
            gained=int(np.sum(labels == answers[differing])),
            unknown=int(np.sum(labels == UNKNOWN)),
        )

    def to_label(self, differing: Iterable[np.ndarray]) -> list[str]:
        """The paths of pictures without a label at any of the indices `differing`."""
        every = sorted({int(index) for each in differing for index in each})
        return [self.paths[index] for index in every if self.labels is None or self.labels[index] == UNKNOWN]

    def rule_in_words(self, gate: Gate, n_images: int) -> str:
        """What will decide beside `n_images` test images, said before anything is judged."""
        rule = gate.rule(n_images, len(self), labelled=self.labels is not None)
        least, n_all = gate.least_images, n_images + len(self)
        both = f"{n_images:,} test images and {len(self):,} pictures without labels"
        if rule == ANSWERS:
            short = f"; nothing can pass on fewer than {gate.least_answers:,}" if n_all < gate.least_answers else ""
            why = f"fewer than {least:,} have labels"
            return f"{both}: the share of all {n_all:,} answers that differ from the float model's decides, as {why}{short}"
        short = f"; nothing can pass on fewer than {least:,}" if n_all < least else ""
        labels = "by your labels" if self.labels is not None else "as lost until you label its picture"
        return f"{both}: lost and gained of all {n_all:,} decide; an answer that differs counts {labels}{short}"

    def as_json(self) -> dict[str, object]:
        """Which pictures: the SHA-256 of their pixels, in order, in hex."""
        sha = hashlib.sha256()
        for part in mapped.batches(self.images, n=64):
            sha.update(np.ascontiguousarray(part).data)
        return {
            "n_images": len(self),
            "labelled": 0 if self.labels is None else int(np.sum(self.labels != UNKNOWN)),
            "none_of_the_classes": 0 if self.labels is None else int(np.sum(self.labels == NONE)),
            "sha256": sha.hexdigest(),
            "left_out": self.left_out,
        }


def read(
    folder: Path, contract: InputContract, *, seen: Mapping[str, set[bytes]], labels: Mapping[bytes, int] | None,
    skip_bad: bool = False, scratch: Path = Path(),
) -> UnlabelledPictures:  # fmt: skip
    """The pictures in `folder` and its sub-folders, but those whose pixels' digest is in `seen`, by reason, or came before.

    `labels` by digest; pixels lie on the disk of the folder `scratch`. Raises StorageError where that is full, InputMissing,
    or InputError where a picture cannot be read and `skip_bad` is not set, or where none is left.
    """
    paths = listing.below(folder)
    file = mapped.PixelFile(scratch, len(paths), (contract.height, contract.width, contract.channels))
    faults, left_out = Faults(folder), dict.fromkeys([*seen, "twice"], 0)
    chosen: dict[bytes, str] = {}
    for path in paths:
        try:
            pixels = read_pixels(str(path), contract)
        except (InputError, InputMissing) as error:
            faults.add(UNREADABLE, str(error))
            continue
        key = hashlib.sha256(pixels).digest()
        why = next((reason for reason, digests in seen.items() if key in digests), "twice" if key in chosen else "")
        if why:
            left_out[why] += 1
        else:
            file.put(len(chosen), pixels)
            chosen[key] = str(path)
    left_out = {reason: n for reason, n in left_out.items() if n}
    if left_out:
        note(one_line(f"{folder}: {len(paths):,} pictures; not counted: {listing.in_words(left_out)}"))
    left_out |= faults.settle(skip=skip_bad)
    if not chosen:
        raise InputError(f"{folder}: no picture is left that was not trained on, calibrated with or tested: add others")
    if labels is not None and (strangers := len(labels.keys() - chosen.keys())):
        note(one_line(f"{folder}: {strangers:,} of the labelled pictures not among these: not counted"))
    return UnlabelledPictures(
        tuple(chosen.values()),
        file.arranged(np.arange(len(chosen))),
        None if labels is None else np.array([labels.get(key, UNKNOWN) for key in chosen], np.int64),
        left_out,
        np.empty(0, np.int64),
    )
