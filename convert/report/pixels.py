"""What a report says of the pixels: were the owner's own answers compared, and what did picture files change?"""

from convert.report import few
from convert.results import Trial
from train.datasets import listing


def proof(trial: Trial) -> str:
    """Two sentences for the sealed report, without a time."""
    return "\n\n".join(filter(None, (_end_to_end(trial), _through_files(trial), few.account(trial))))


def account(trial: Trial) -> str:
    """The same for the conversion's report, with what the files cost."""
    cost = f"Reading these files took {trial.files.read_s:.2f} s, once for the network and once for each candidate."
    return " ".join(filter(None, (_end_to_end(trial), _through_files(trial), few.account(trial), cost)))


def as_json(trial: Trial) -> object:
    """The agreement with the owner's answers, or the words "not checked"."""
    return trial.end_to_end.as_json() if trial.end_to_end else "not checked"


def _end_to_end(trial: Trial) -> str:
    if trial.end_to_end is None:
        return (
            "End to end: **not checked**. No answers of the owner's own code were given (`--reference`): lost and gained are "
            "counted from the float network on the pixels that the device reads."
        )
    side = "Lost and gained are counted from the owner's answers."
    if trial.owners is None:
        least = f"fewer than {trial.gate.least_images:,} of these pictures have a known class and were not trained on"
        side = f"Lost and gained are counted from the float network: {least}."
    return f"End to end: {trial.end_to_end.in_words}. {side}"


def _through_files(trial: Trial) -> str:
    files = trial.files
    left_out = getattr(trial.dataset, "left_out", {})
    without = f" Files left out as unusable: {listing.in_words(left_out)}." if left_out else ""
    return (
        f"{len(files.paths):,} of {len(trial.dataset.test):,} test images were judged as files, as the device reads them. "
        f"{files.n_changed:,} files give other pixels than the data set, which changes {files.n_answers_changed:,} float "
        f"answers.{without}"
    )
