"""One training run, from a network, data and a recipe to a finished run folder; an interrupted run resumes."""

import dataclasses
import fcntl
import json
import math
import os
import platform
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.device import host
from edge.errors import Interrupted, Refused, UsageError, note, one_line
from edge.files import clear_partials, write_atomic
from train import checkpoint, training_state
from train.architectures import architecture
from train.datasets import Dataset, Split
from train.distributed import training
from train.distributed.training import ALONE, Rank
from train.recipes import Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np

RESULT = "result.json"
N_OUTLIERS = 30_000  # made once, a minute's work, and augmented like the images
_PER_REDRAWN = 4, 2  # digits, and outliers among them, to one that is redrawn


def train(
    network: str, dataset: Dataset, recipe: Recipe, out: Path, *,
    save_every_s: float = 30.0, deterministic: bool = False, rank: Rank = ALONE,
) -> dict[str, Any]:  # fmt: skip
    """Train `network` on `dataset`, fill the run folder `out`, and return the figures in its result.json.

    If `out` holds the finished run, its figures are returned; if it holds the unfinished run, that resumes; UsageError if
    it holds another run. Raises Diverged, Refused if the processes' weights differ, and Interrupted at Ctrl-C.
    `deterministic` says that the backend was told to be; of several processes the coordinator calls this, the workers
    `follow`.
    """
    if not recipe.n_training(len(dataset.train)):
        raise UsageError(f"--held-out {recipe.held_out} of {len(dataset.train):,} images leaves none to train on")
    identity = _identity(network, dataset, recipe, deterministic)
    with _locked(out):
        if finished := _finished_figures(out, identity):
            return finished
        if half_done := training_state.saved_run(out):
            _refuse_another(half_done, identity, out)
        try:
            model, state = _train_network(out, dataset, recipe, identity, save_every_s=save_every_s, rank=rank)
        except Refused:
            training_state.remove(out)
            raise
        except KeyboardInterrupt:  # before the first step, or a second Ctrl-C
            how = "the same command goes on from the last save" if begun(out) else "nothing is lost: no step was saved yet"
            raise Interrupted(f"interrupted; {how}") from None
        try:
            return _write_results(out, dataset, recipe, identity, model, state, processes=rank.world_size)
        except KeyboardInterrupt:
            raise Interrupted("interrupted after the last step, which is saved; the same command goes on") from None


def follow(network: str, dataset: Dataset, recipe: Recipe, out: Path, *, deterministic: bool = False, rank: Rank) -> None:
    """Train along with the coordinator, which alone touches `out`. Raises what `train` does."""
    identity = _identity(network, dataset, recipe, deterministic)
    _train_network(out, dataset, recipe, identity, save_every_s=math.inf, rank=rank)


def _identity(network: str, dataset: Dataset, recipe: Recipe, deterministic: bool) -> dict[str, Any]:
    """All that determines the final weights of a run."""
    return {
        "network": network,
        "data": dataset.digest,
        "recipe": dataclasses.asdict(recipe),
        "backend": os.environ["KERAS_BACKEND"],
        "deterministic": deterministic,
    }


def _train_network(
    out: Path, dataset: Dataset, recipe: Recipe, identity: dict[str, Any], *, save_every_s: float, rank: Rank
) -> tuple["keras.Model", training_state.TrainingState]:
    """The trained network, usable without the other processes, and its final state."""
    network = architecture(identity["network"])
    with training.training_group(rank, identity, batch=recipe.batch):
        model = network.build(recipe)
        # Imported late: they import Keras, whose noise the line above suppresses.
        from train.autosave import Autosave
        from train.fit import fit

        autosave = Autosave(out, identity, every_s=save_every_s, rank=rank)
        state = fit(model, _shown(dataset, recipe), recipe, autosave, rank=rank, outliers=_outliers(dataset, recipe))
        training.check_same(rank, model)
        weights = model.get_weights()
    if not rank.alone:
        # A network built among several processes cannot predict in one.
        model = network.build(recipe)
        model.set_weights(weights)
    return model, state


def _shown(dataset: Dataset, recipe: Recipe) -> Split:
    """The training split; where a background class is trained, some of its digits are redrawn."""
    if not (recipe.background and dataset.contract.is_digit):
        return dataset.train
    n = recipe.n_training(len(dataset.train))
    images = dataset.train.images.copy()
    _redraw(images[: n : _PER_REDRAWN[0]], dataset, seed=recipe.seed)
    return Split(images, dataset.train.labels)


def _outliers(dataset: Dataset, recipe: Recipe) -> "np.ndarray | None":
    """The made pictures that train a background class, uint8 [n, H, W, C]; None without one."""
    if not recipe.background:
        return None
    from train import outliers

    genuine = dataset.train[: recipe.n_training(len(dataset.train))]
    made = outliers.made(genuine, dataset.contract, n=N_OUTLIERS, seed=recipe.seed)
    if dataset.contract.is_digit:
        _redraw(made[:: _PER_REDRAWN[1]], dataset, seed=recipe.seed + 1)
    return made


def _redraw(images: "np.ndarray", dataset: Dataset, *, seed: int) -> None:
    """`images` in place as a device redraws photographed digits, of many hands. What that leaves is in genuine images and in
    outliers, so the network takes it for a sign of neither.
    """
    from train.redrawn import redrawn

    images[:] = redrawn(images, dataset.contract, seed=seed, varied=True)


def _write_results(
    out: Path, dataset: Dataset, recipe: Recipe, identity: dict[str, Any], model: "keras.Model",
    state: training_state.TrainingState, *, processes: int,
) -> dict[str, Any]:  # fmt: skip
    """Score the trained `model` on the test split, write the run folder, and return its figures."""
    import keras

    from train import evaluate, plots, progress

    backend = keras.backend.backend()
    accelerators = [device for device in keras.distribution.list_devices() if not device.startswith("cpu")]
    network = identity["network"]
    answers = evaluate.logits(model, dataset.test.images)[:, : len(dataset.class_names)]
    machine = host.read()
    figures = {
        "network": network,
        "data": dataset.name,
        "recipe": recipe.name,
        "seed": recipe.seed,
        "top1": evaluate.top1(answers, dataset.test.labels),
        "n_images": len(dataset.test),
        "n_parameters": model.count_params(),
        "steps": state.step,
        "epochs": state.rows[-1].epoch,
        "seconds": round(state.seconds, 1),
        "cpu_seconds": round(state.cpu_seconds, 1),
        "examples_per_second": round(state.step * recipe.batch / state.seconds),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "machine": ", ".join([f"{machine.machine}, {machine.cpu_model}, {machine.n_cpus} cores", *accelerators]),
        "processes": processes,
        "backend": identity["backend"],
        "deterministic": identity["deterministic"],
        "versions": {"python": platform.python_version()} | {name: version(name) for name in (backend, "keras", "numpy")},
    }
    write_atomic(str(out / "history.csv"), progress.as_csv(state.rows))
    write_atomic(str(out / "curves.png"), plots.curves(state.rows, title=f"{network} on {dataset.name}, {recipe.name}"))
    write_atomic(str(out / "predictions.png"), plots.predictions(dataset.test, answers, dataset.class_names))
    write_atomic(str(out / "network.png"), plots.network(model))
    events = progress.as_events(state.rows, started=time.time() - state.seconds)
    write_atomic(str(out / "tensorboard" / "events.out.tfevents.edgeproof"), events)
    checkpoint.Checkpoint(
        network=network,
        data=dataset.name,
        class_names=dataset.class_names,
        recipe=recipe,
        data_digest=dataset.digest,
        figures=figures,
        weights=checkpoint.weights_of(model),
        fit="" if dataset.contract == architecture(network).contract else dataset.contract.fit,
    ).save(out)
    write_atomic(str(out / RESULT), json.dumps(figures, indent=2).encode() + b"\n")
    training_state.remove(out)
    return figures


def begun(out: Path) -> bool:
    """Whether `out` holds a run, finished or not."""
    return (out / RESULT).exists() or (out / training_state.FILE).exists()


def sentence(figures: dict[str, Any]) -> str:
    """The figures of a run in one line."""
    return (
        f"{figures['network']} on {figures['data']}: top-1 {100 * figures['top1']:.2f} % (n = {figures['n_images']:,}), "
        f"{figures['n_parameters']:,} parameters, {figures['steps']:,} steps in {figures['seconds']:.0f} s, "
        f"peak memory {figures['peak_rss_mib']} MiB, seed {figures['seed']}"
    )


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Creates and locks the run folder. Raises StorageError if it is not writable, UsageError if another process uses it."""
    probe = out / ".probe"
    write_atomic(str(probe), b"")
    probe.unlink(missing_ok=True)
    handle = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another process is training in {out}; wait for it, or choose an --out") from None
        for folder in (out, out / "tensorboard"):
            clear_partials(str(folder))
        yield
    finally:
        os.close(handle)


def _finished_figures(out: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    if not (out / RESULT).exists():
        return None
    if not (out / checkpoint.FILE).exists():
        note(one_line(f"{out} holds a {RESULT} without a {checkpoint.FILE}; training again"))
        return None
    saved = checkpoint.load(out)
    saved_identity = {"network": saved.network, "data": saved.data_digest, "recipe": dataclasses.asdict(saved.recipe)}
    saved_identity |= {name: saved.figures[name] for name in ("backend", "deterministic") if name in saved.figures}
    _refuse_another(saved_identity, identity, out)
    training_state.remove(out)  # left behind by a kill just before the end
    note(one_line(f"{out} holds this run already; nothing to train"))
    return saved.figures


def _refuse_another(saved: dict[str, Any], identity: dict[str, Any], out: Path) -> None:
    # Settings unknown to an older version had their default value.
    usual = {"recipe": dataclasses.asdict(Recipe()), "backend": identity["backend"], "deterministic": False}
    before = usual | saved | {"recipe": usual["recipe"] | saved["recipe"]}
    if before != identity:
        raise UsageError(f"{out} holds another run ({_differences(before, identity)}); choose an --out")


def _differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    if before["network"] != now["network"]:
        return f"of {before['network']}"
    settings = [(name, before["recipe"].get(name), value) for name, value in now["recipe"].items()]
    settings += [(name, before[name], now[name]) for name in ("backend", "deterministic")]
    odd = [f"{name.replace('_', '-')} {was}, not {value}" for name, was, value in settings if was != value]
    return ", ".join(odd) or "on other data"
