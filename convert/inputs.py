"""What each network is converted with: its data, calibration images, pixels as in training, pictures without labels."""

from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from convert import effort, flags
from convert.calibration.checks import LEAST_IMAGES, MIN_IMAGES, N_IMAGES, contents
from convert.calibration.images import CalibrationSet, draw_calibration_set, read_calibration_set
from convert.confidence.rejection import MIN_PICTURES
from convert.evaluation import prepare
from convert.judging import labelling, unlabelled
from convert.judging.gate import gate_for
from convert.judging.unlabelled import UnlabelledPictures
from convert.pictures import reference, trials
from convert.pictures.reference import Agreement
from convert.plan import QUANTIZED, Plan
from convert.results import Trial
from convert.unknown import with_units
from edge import errors
from edge.errors import Refused, ToolchainError
from edge.silence import silence_native_output
from train import checkpoint, datasets
from train.checkpoint import Checkpoint
from train.datasets import Dataset, Split
from train.datasets.folder import content

if TYPE_CHECKING:
    from convert.sources.from_keras import Foreign

    Network = Checkpoint | Foreign


def load_networks(settings: Namespace) -> "tuple[list[Network], list[ToolchainError]]":
    """The networks to convert, and what is wrong with the runs whose checkpoint cannot be read."""
    if settings.model:
        with silence_native_output():  # TensorFlow announces itself
            from convert.sources import from_keras
        try:
            network = from_keras.load(
                settings.model, settings.data, contract_file=settings.contract, preset=settings.pixels, seed=settings.seed,
                skip_bad=settings.skip_bad, scratch=settings.out,
            )  # fmt: skip
            return [network], []
        except ToolchainError as error:
            return [], [error]
    loaded, failures = [], []
    for run in flags.runs(settings.checkpoint):
        try:
            loaded.append(checkpoint.load(run))
        except ToolchainError as error:
            failures.append(error)
    return list(flags.distinct(loaded)), failures


def trial_of(network: "Network", settings: Namespace) -> Trial:
    """The float model with all that its candidates are converted, judged and repaired with.

    Raises ToolchainError for what is wrong with the network's data, or with what its owner said.
    """
    dataset, training = load_data(network, settings)
    calibration = calibrate(network, dataset, training, settings)
    drawing = settings.out / "pixels" / f"{network.name}.png"
    with suppress(OSError):
        drawing.unlink()  # of an earlier conversion
    agreement = check_pixels(network, calibration, settings, drawing)
    rejecting = settings.units and settings.reject_rate is not None and len(dataset.test) >= 2 * MIN_PICTURES
    trial = prepare(
        with_units(network, training, seed=settings.seed, wanted=rejecting), dataset, training,
        calibration=calibration, gate=gate_for(network.data, settings.max_drop_points), require_int8=settings.require_int8,
        agreement=agreement, drawing=drawing, reject_rate=settings.reject_rate,
        unlabelled=read_unlabelled(network, dataset, calibration, agreement, settings),
    )  # fmt: skip
    check_top1(trial, settings)
    if trial.unlabelled:
        rule = trial.unlabelled.rule_in_words(trial.gate, len(trial.dataset.test))
        errors.say("convert", f"{network.name}: {rule}")
    return trial


def load_data(network: "Network", settings: Namespace) -> tuple[Dataset, Split]:
    """The network's data set, and the images of it that it may be calibrated on."""
    if isinstance(network, Checkpoint):
        dataset = datasets.load_again(network.data, settings.data_dir, digest=network.data_digest, contract=network.contract)
        return dataset, dataset.train[: network.recipe.n_training(len(dataset.train))]
    return network.dataset, network.dataset.train[: network.dataset.n_training]


def calibrate(network: "Network", dataset: Dataset, training: Split, settings: Namespace) -> CalibrationSet:
    """The calibration images: the user's own, or drawn from `training`."""
    judging = (dataset.train[len(training) :], dataset.test)  # repairs, and the gate
    if settings.calibration is None:
        # Of few images half are left, to diagnose and repair on.
        usual = effort.n_images(N_IMAGES, dataset.contract, least=LEAST_IMAGES, side=112)
        n = min(usual, max(MIN_IMAGES, len(training) // 2))
        least = MIN_IMAGES if any(Plan(precision).calibrated for precision in settings.precisions) else 1
        if not set(settings.precisions) & set(QUANTIZED):  # nothing to calibrate, diagnose or repair
            n = least = 0
        return draw_calibration_set(training, n=n, seed=settings.seed, apart_from=judging, least=least)
    return read_calibration_set(
        settings.calibration, network.contract, training=training, apart_from=judging, skip_bad=settings.skip_bad
    )


def check_pixels(network: "Network", calibration: CalibrationSet, settings: Namespace, drawing: Path) -> Agreement | None:
    """The agreement with the owner's own answers; without them, training pictures must not speak for other pixels.

    `drawing` is a file for pictures that differ.
    """
    if isinstance(network, Checkpoint):
        return None
    if settings.reference is None:
        trials.check(settings.model, network)
        return None
    try:
        agreement = reference.check(network, settings.reference, settings.data, calibration, drawing=drawing)
    except Refused:
        trials.check_order(settings.model, network)  # answers by name differ where the folders' order is another
        raise
    trials.check_order(settings.model, network)  # answers by number agree in any order
    return agreement


def read_unlabelled(
    network: "Network", dataset: Dataset, calibration: CalibrationSet, agreement: Agreement | None, settings: Namespace
) -> UnlabelledPictures | None:
    """The pictures without labels that count in the gate, with what the owner says of them; None where none are named."""
    if settings.unlabelled is None:
        return None
    labels = None
    if settings.label:
        labels = labelling.read(settings.label, dataset.class_names, network.contract, skip_bad=settings.skip_bad)
    seen = {
        "in training": contents([dataset.train]),
        "in calibration": {content(image) for image in calibration.images},
        "in the test": contents([dataset.test, *([agreement.judging] if agreement else [])]),
    }
    return unlabelled.read(
        settings.unlabelled, network.contract, seen=seen, labels=labels, skip_bad=settings.skip_bad, scratch=settings.out
    )


def check_top1(trial: Trial, settings: Namespace) -> None:
    """Refuse a float model at chance; hold its top-1 against what the owner measured; ask for that where nothing was said."""
    labels, n = trial.dataset.test.labels, len(trial.dataset.test)
    trials.check_chance(f"{trial.network.network} on {trial.network.data}", trial.float_answers, labels)
    top1 = float((trial.float_answers == labels).mean())
    if settings.expect_top1 is not None:
        trials.check_top1(trial.network.name, top1, n, expected=settings.expect_top1)
    elif settings.model and trial.end_to_end is None:
        errors.say("convert", trials.question(top1, n))
