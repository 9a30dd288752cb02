"""The flags that the training commands rank, and the way from them to a finished run."""

import argparse
import os
from pathlib import Path

from edge.errors import InputMissing, UsageError, note, one_line
from train import check_backend, recipe_book, recipes, run
from train.architectures import architecture
from train.datasets import Dataset
from train.distributed import training
from train.recipes import Recipe


def parser(program: str, *, networks: tuple[str, ...], description: str) -> argparse.ArgumentParser:
    """A parser with the flags of every training command."""
    flags = argparse.ArgumentParser(prog=program, description=description)
    flags.add_argument("--arch", choices=networks, default=networks[0], help="the network (default: %(default)s)")
    flags.add_argument(
        "--recipe", choices=("modern", "documented"), default="modern", help="ours, or the document's (default: %(default)s)"
    )
    flags.add_argument("--data-dir", metavar="DIR", help="folder with the data set; else $EDGEPROOF_DATA, cache, download")
    flags.add_argument("--out", metavar="RUN", help="run folder (default: runs/NETWORK-DATA-RECIPE)")
    flags.add_argument("--resume", action="store_true", help="resume an interrupted run; an error if there is none")
    flags.add_argument("--save-every", type=float, metavar="S", default=30.0, help="seconds between saves (default: 30)")
    flags.add_argument("--deterministic", action="store_true", help="equal commands give equal weights, bit for bit")
    together = flags.add_argument_group("several processes", "one training, with KERAS_BACKEND=jax; the same flags in each")
    together.add_argument("--coordinator", metavar="HOST:PORT", help="address of process 0, which also writes the run folder")
    together.add_argument("--processes", type=int, metavar="N", help="how many processes; each computes its part of a batch")
    together.add_argument("--index", type=int, metavar="I", help="number of this process, from 0 to N-1")
    recipes.add_flags(flags)
    return flags


def chosen(flags: argparse.Namespace, *, data: str) -> Recipe:
    """The recipe that the flags select for the data set `data`. Raises UsageError; does not look for the data."""
    check_backend()
    if not flags.save_every >= 0:
        raise UsageError(f"--save-every {flags.save_every} is out of range")
    recipe = recipes.from_flags(recipe_book.recipe(flags.arch, flags.recipe, data=data), flags)
    architecture(flags.arch).check(recipe)
    _rank(flags, recipe)
    return recipe


def train(flags: argparse.Namespace, dataset: Dataset) -> None:
    """Train on `dataset` as the flags say, and print the figures, at a worker nothing."""
    recipe = chosen(flags, data=dataset.name)
    out = Path(flags.out or f"runs/{flags.arch}-{dataset.name}-{recipe.name}")
    if flags.deterministic:
        # Backends read these when they start; Keras is imported only when a network is built.
        os.environ["TF_DETERMINISTIC_OPS"] = "1"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
    rank = _rank(flags, recipe)
    if not rank.is_coordinator:
        run.follow(flags.arch, dataset, recipe, out, deterministic=flags.deterministic, rank=rank)
        return
    with training.coordinator_scope(rank) as rank:
        if flags.resume and not run.begun(out):
            raise InputMissing(f"{out}: no interrupted run to go on with; leave out --resume to begin one")
        note(one_line(f"{flags.arch} on {dataset.name} ({len(dataset.train):,} images), {recipe.name} recipe -> {out}"))
        figures = run.train(
            flags.arch, dataset, recipe, out, save_every_s=flags.save_every, deterministic=flags.deterministic, rank=rank
        )
    print(run.sentence(figures))


def _rank(flags: argparse.Namespace, recipe: Recipe) -> training.Rank:
    return training.rank_from_flags(flags.coordinator, flags.processes, flags.index, batch=recipe.batch)
