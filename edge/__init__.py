"""Ask a model from Python, as docs/api.md shows: `edge.load().predict(picture)`."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from edge.predictor import Predictor


def load(
    path: "str | os.PathLike[str] | None" = None,
    *,
    engine: str | None = None,
    threads: int = 1,
    trust: bool = False,
    allow_unverified: bool = False,
    apart: bool = False,
) -> "Predictor":
    """The model that `edge-predict` would run, ready to answer; the arguments are its options.

    `apart` runs the model in a process of its own where LiteRT's fast engine may not: what crashes or hangs there, or takes
    too much memory, is a ModelError here.

    `path` names a model file; without it $EDGEPROOF_MODEL does, else the installed model answers, else the one that came
    with edgeproof. Raises the errors of `edge.errors`: InputMissing, ModelError, SealError, EngineMissing.
    """
    from os import fsdecode

    from edge import engines, locate, predictor
    from edge.errors import InputMissing

    named = None if path is None else fsdecode(path)
    if named == "":
        raise InputMissing("the model's name is empty; name a file, or none for the installed model")
    model, verified_before = locate.load_model(named, allow_unverified=allow_unverified)
    where = engines.VERIFYING if apart else ()
    return predictor.from_artifact(model, engine_name=engine, threads=threads, trusted=trust or verified_before, apart=where)
