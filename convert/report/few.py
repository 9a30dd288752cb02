"""What is said and done where test pictures are few: the rule, what did pass, and the pictures to label."""

from pathlib import Path

from convert.judging import labelling
from convert.judging.gate import TEST, Verdict
from convert.results import NetworkOutcomes, Trial
from train.datasets import listing


def account(trial: Trial) -> str:
    """For the report, which rule decided and of which pictures; "" where the test images alone did."""
    pictures = trial.unlabelled
    if pictures is None:
        return ""
    words = f"Rule: {pictures.rule_in_words(trial.gate, len(trial.dataset.test))}."
    if pictures.labels is not None:
        figures = pictures.as_json()
        words += f" Labelled: {figures['labelled']:,}, {figures['none_of_the_classes']:,} of them as none of the classes."
    return words + (f" Not counted: {listing.in_words(pictures.left_out)}." if pictures.left_out else "")


def ways_on(result: NetworkOutcomes, folder: Path) -> list[str]:
    """A line each for what can be done about models on which too few pictures decided.

    Pictures without labels that such models answer otherwise than the float model are put into `folder`/NAME to be labelled.
    """
    finals = [outcome.final for outcome in result.outcomes]
    passed = [final.file_name for final in finals if final.verdict.passed]
    # Where the answers are worth too little (`judged`), the gate had passed it.
    judged = [final for final in finals if (e := final.evaluation) and not e.judged and _no(final.verdict)]
    least = result.trial.gate.least_images
    grounds = [final.evaluation.grounds for final in judged if final.evaluation]
    few = [each for each, final in zip(grounds, judged, strict=True)
           if final.verdict.decision == "undecided" or each.n_images < least]  # fmt: skip
    lines = [f"what did pass: {', '.join(passed)}"] if few and passed else []
    if any(each.rule == TEST for each in few):
        lines.append("pictures without labels count too, and may be enough: --unlabelled FOLDER")
    if result.trial.unlabelled is None:
        return lines
    name, place = result.trial.network.name, folder / result.trial.network.name
    paths = result.trial.unlabelled.to_label(final.evaluation.differing for final in judged if final.evaluation)
    if len(paths) > labelling.MAX_PICTURES:
        too_many = f"{len(paths):,} pictures without a label are answered otherwise than by the float model"
        lines.append(f"{name}: {too_many}: too many to label (at most {labelling.MAX_PICTURES})")
    elif paths:
        n = labelling.write(place, result.trial.network.class_names, paths)
        what = f"{n:,} pictures wait for a label: move each" if n > 1 else "a picture waits for a label: move it"
        lines.append(f"{place}: {what} to the folder of its class, then add --label {place}")
    return lines


def _no(verdict: Verdict) -> bool:
    return verdict.decision in ("failed", "undecided")
