"""One training run from flags to a finished run folder; every data set's command is this with its own networks."""

import argparse
import dataclasses
import json
import platform
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edge import host
from edge.errors import InputError, InputMissing, UsageError
from edge.files import write_whole
from train import checkpoint, recipes
from train.architectures import architecture
from train.datasets import Dataset
from train.recipes import Recipe

RESULT = "result.json"


def parser(program: str, *, networks: tuple[str, ...], description: str) -> argparse.ArgumentParser:
    """The flags every training command has."""
    flags = argparse.ArgumentParser(prog=program, description=description)
    flags.add_argument("--arch", choices=networks, default=networks[0], help="the network (default: %(default)s)")
    flags.add_argument("--recipe", choices=("modern", "documented"), default="modern", help="default: %(default)s")
    flags.add_argument("--data-dir", metavar="DIR", help="folder with the data set; else $EDGEPROOF_DATA, cache, download")
    flags.add_argument("--out", metavar="RUN", help="run folder (default: runs/NETWORK-DATA-RECIPE)")
    recipes.add_flags(flags)
    return flags


def train(network: str, dataset: Dataset, recipe: Recipe, out: Path) -> dict[str, Any]:
    """Train `network` on `dataset`, fill the run folder `out`, and return the figures in its result.json.

    A folder that already holds this very run is left as it is and its figures returned; another run's is refused.
    """
    if not recipe.n_training(len(dataset.train)):
        raise UsageError(f"--held-out {recipe.held_out} of {len(dataset.train):,} pictures leaves none to train on")
    finished = _finished(out, network=network, dataset=dataset, recipe=recipe)
    if finished:
        return finished
    _prove_writable(out)
    model = architecture(network).build(initialization=recipe.initialization, seed=recipe.seed)
    import keras

    from train import evaluate, plots, progress
    from train.fit import fit

    started, started_at = time.monotonic(), time.time()
    history = fit(model, dataset.train, recipe)
    seconds = time.monotonic() - started
    answers = evaluate.logits(model, dataset.test.images)
    here = host.read()
    figures = {
        "network": network,
        "data": dataset.name,
        "recipe": recipe.name,
        "seed": recipe.seed,
        "top1": evaluate.top1(answers, dataset.test.labels),
        "n_images": len(dataset.test),
        "n_parameters": model.count_params(),
        "steps": history[-1].step,
        "seconds": round(seconds, 1),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "machine": f"{here.machine}, {here.cpu_model}, {here.n_cpus} cores",
        "versions": {"python": platform.python_version(), keras.backend.backend(): version(keras.backend.backend())}
        | {name: version(name) for name in ("keras", "numpy")},
    }
    write_whole(str(out / "history.csv"), progress.as_csv(history))
    write_whole(str(out / "curves.png"), plots.curves(history, title=f"{network} on {dataset.name}, {recipe.name}"))
    write_whole(str(out / "predictions.png"), plots.predictions(dataset.test, answers, dataset.class_names))
    progress.write_events(history, str(out / "tensorboard"), started=started_at)
    checkpoint.Checkpoint(
        network=network,
        data=dataset.name,
        class_names=dataset.class_names,
        recipe=recipe,
        data_digest=dataset.digest,
        figures=figures,
        weights=checkpoint.weights_of(model),
    ).save(out)
    write_whole(str(out / RESULT), json.dumps(figures, indent=2).encode() + b"\n")
    return figures


def sentence(figures: dict[str, Any]) -> str:
    """The figures of a run in one line."""
    return (
        f"{figures['network']} on {figures['data']}: top-1 {100 * figures['top1']:.2f} % (n = {figures['n_images']:,}), "
        f"{figures['n_parameters']:,} parameters, {figures['steps']:,} steps in {figures['seconds']:.0f} s, "
        f"peak memory {figures['peak_rss_mib']} MiB, seed {figures['seed']}"
    )


def _prove_writable(out: Path) -> None:
    """Make the run folder, and find out before the minutes of training whether it takes files. Raises StorageError."""
    probe = out / ".probe"
    write_whole(str(probe), b"")
    probe.unlink(missing_ok=True)


def _finished(out: Path, *, network: str, dataset: Dataset, recipe: Recipe) -> dict[str, Any] | None:
    if not (out / RESULT).exists():
        return None
    try:
        there = checkpoint.load(out)
    except (InputError, InputMissing):
        print(f"{out} holds a {RESULT} without a whole {checkpoint.FILE}; training again", file=sys.stderr)
        return None
    found = (there.network, there.data_digest, there.recipe)
    if found != (network, dataset.digest, recipe):
        raise UsageError(f"{out} holds another run ({_differences(there, network=network, recipe=recipe)}); choose an --out")
    print(f"{out} holds this run already; nothing to train", file=sys.stderr)
    return there.figures


def _differences(there: checkpoint.Checkpoint, *, network: str, recipe: Recipe) -> str:
    if there.network != network:
        return f"of {there.network}"
    before, now = dataclasses.asdict(there.recipe), dataclasses.asdict(recipe)
    odd = [f"{name.replace('_', '-')} {before[name]}, not {now[name]}" for name in now if before[name] != now[name]]
    return ", ".join(odd) or "on other data"
