"""edge-predict: pictures in, answers out. Options are parsed by hand: importing argparse would delay every start."""

import os
import sys

from edge import errors, load
from edge.errors import InputMissing, StorageError, UsageError, one_line

program = "edge-predict"  # as it was started

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, TextIO

    from edge.pictures.page import Digit
    from edge.predictor import Prediction, Predictor

HELP = """\
usage: edge-predict IMAGE... [options]

Classify each picture: a file (PNG, JPEG, BMP, WebP, GIF, TIFF, AVIF, PPM), a folder of such files, which are then
sorted by name, or - for one file on stdin.

  --model FILE         an edgeproof model (default: $EDGEPROOF_MODEL, else the current model of python -m edge install,
                       else the one that came with edgeproof)
  --many               read every separate digit of a page, line by line; with --json one object a digit, with its box
  --top-k N            classes per picture, most probable first (default: 1)
  --json               one JSON object per line: path, label, index, probability, ranking; or path and error; also rejected
                       and score where the model can reject, set with --coverage
  --coverage P         answer with the smallest set of classes that holds the true one in at least P (say 0.99) of pictures,
                       if they are of the kind of those that the model was judged on
  --always-answer      name the nearest class of a picture that the model rejects as none of its classes
  --engine NAME        litert-c, litert, tflite-runtime or onnxruntime (default: the first permitted, installed one)
  --threads N          threads the engine may use (default: 1, which is fastest for small networks)
  --trust              allow the fast engine, which skips structure checks; for sealed models you trust
  --allow-unverified   run a model that edgeproof did not seal (damaged ones are never run)
  --verbose            print the engine, and why others were passed over, on stderr
  --version            print the version
  --help               print this text

Exit codes: 0 done, 2 usage, 65 bad picture, 66 no such input, 69 engine not installed, 70 our defect,
71 out of memory, 74 I/O, 78 bad or unverified model, 130 interrupted.
If some pictures fail, the others are still answered, and the exit code is that of the first failure.
"""
MAX_NAMED = 3  # of the files skipped in a folder


class Options:
    """The parsed command line."""

    __slots__ = (
        "allow_unverified", "always_answer", "coverage", "engine", "images", "json", "many", "model", "threads", "top_k",
        "trust", "verbose",
    )  # fmt: skip

    def __init__(self) -> None:
        self.images: list[str] = []
        self.model: str | None = None
        self.top_k = 1
        self.json = False
        self.many = False
        self.coverage: float | None = None
        self.always_answer = False
        self.engine: str | None = None
        self.threads = 1
        self.allow_unverified = False
        self.trust = False
        self.verbose = False


def parse(arguments: list[str]) -> Options:
    """Parse `arguments`; `--name VALUE` and `--name=VALUE` are the same, `--` ends the options."""
    options = Options()
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            options.images.extend(rest)
        elif not argument.startswith("-") or argument == "-":
            options.images.append(argument)
        elif argument in ("--json", "--many", "--always-answer", "--allow-unverified", "--trust", "--verbose"):
            setattr(options, argument[2:].replace("-", "_"), True)
        else:
            name, equals, value = argument.partition("=")
            if name not in ("--model", "--top-k", "--coverage", "--engine", "--threads"):
                raise UsageError(f"no option {argument}; see {program} --help")
            if not equals:
                value = next(rest, "")
            if not value:
                raise UsageError(f"{name} needs a value; see {program} --help")
            read = {"--top-k": _count, "--threads": _count, "--coverage": _share}.get(name)
            setattr(options, name[2:].replace("-", "_"), read(name, value) if read else value)
    if "" in options.images:
        raise UsageError(f"a picture's name is empty; see {program} --help")
    if options.images.count("-") > 1:
        raise UsageError("- stands twice; stdin holds one picture")
    if options.many and not options.json and (options.top_k > 1 or options.coverage):
        raise UsageError(f"--many with --top-k or --coverage tells each digit apart: add --json; see {program} --help")
    if not options.images:
        raise UsageError(f"name at least one picture; see {program} --help")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Answer every picture; returns the exit code of the first failure, else 0."""
    arguments = sys.argv[1:] if arguments is None else arguments
    before_dashes = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--help" in before_dashes or "-h" in before_dashes:
        print(HELP.replace("edge-predict", program), end="")
        return 0
    if "--version" in before_dashes:
        from importlib.metadata import version

        print(f"{program} {version('edgeproof')}")
        return 0
    options = parse(arguments)
    errors.need_stdout()
    if options.trust:
        # The fast engine runs in this process, and nobody has looked at the graph.
        from edge import limits

        named = options.model or os.environ.get("EDGEPROOF_MODEL", "")
        limits.memory(limits.for_model(os.path.getsize(named) if os.path.isfile(named) else 0))
    ready = load(
        options.model,
        engine=options.engine,
        threads=options.threads,
        trust=options.trust,
        allow_unverified=options.allow_unverified,
        apart=True,
    )
    from edge.silence import leave_stderr_to_python

    leave_stderr_to_python()
    model = ready.artifact
    if options.verbose:
        engine = ready.engine
        errors.say(program, f"{model.path}: {engine.name} {engine.version}, {engine.kernels} kernels")
        for reason in ready.passed_over:
            errors.say(program, f"passed over: {reason}")
    if not model.contract:
        errors.say(program, f"{model.path}: unverified: pixels from 0 to 255 are assumed")
    try:
        if options.many:
            ready.check_many()
        if options.coverage is not None:
            from edge.predictor import level

            options.coverage = level(ready.contract, options.coverage)[0]
        return answer_all(ready, options)
    finally:
        if end_process := getattr(ready.engine, "end_process", None):  # else it would outlive this one by a moment
            end_process()


def answer_all(ready: "Predictor", options: Options) -> int:
    """Print an answer or an error for each picture; returns the exit code of the first failure, else 0."""
    code = 0
    for argument in options.images:
        try:
            pictures = _in_folder(argument) if os.path.isdir(argument) else [argument]
        except InputMissing as error:
            code = _failed(argument, error, options, before=code)
            continue
        # If answers appear on the same screen, they show the progress.
        counting = len(pictures) > 1 and _is_screen(sys.stderr) and not _is_screen(sys.stdout)
        for number, path in enumerate(pictures, start=1):
            if counting:
                print(f"\r{number:,} of {len(pictures):,} pictures", end="", file=sys.stderr, flush=True)
            try:
                picture = path if path != "-" else _stdin()
                if options.many:
                    lines = _page(path, ready.predict_many(picture), options)
                else:
                    lines = [_answer(path, ready.predict(picture), options)]
            except (errors.InputError, InputMissing, errors.ModelError, errors.OutOfMemory, StorageError) as error:
                if counting:
                    print("\r\x1b[K", end="", file=sys.stderr)
                # A model that fails on a picture does not know which.
                known = errors.ModelError(f"{path}: {error}") if isinstance(error, errors.ModelError) else error
                code = _failed(path, known, options, before=code)
                continue
            for line in lines:
                errors.put(line)
        if counting:
            print(file=sys.stderr)
    return code


def _in_folder(folder: str) -> list[str]:
    """The pictures in `folder`; what else is there is told on stderr."""
    from edge.pictures import in_folder

    pictures, skipped = in_folder(folder)
    if skipped:
        named = ", ".join(skipped[:MAX_NAMED]) + (", …" if len(skipped) > MAX_NAMED else "")
        errors.say(program, f"{folder}: skipped {len(skipped):,}, by their endings no pictures that are read: {named}")
    return pictures


def _stdin() -> "BinaryIO":
    if sys.stdin is None:
        raise InputMissing("-: stdin is closed")
    if sys.stdin.isatty():
        raise InputMissing(f"-: stdin is the terminal; send it a picture: {program} - < picture.png")
    return sys.stdin.buffer


def _is_screen(stream: "TextIO | None") -> bool:
    return stream is not None and stream.isatty()


def _failed(path: str, error: errors.ToolchainError, options: Options, *, before: int) -> int:
    if options.json:
        errors.put(_json({"path": path, "error": str(error)}))
    errors.say(program, error)
    return before or error.exit_code


def _page(path: str, digits: "list[Digit]", options: Options) -> list[str]:
    """A line for each digit as JSON, else for each line of the page."""
    if options.json:
        places = [{"box": digit.box, "line": digit.line, "word": digit.word} for digit in digits]
        return [_answer(path, digit.prediction, options, place) for digit, place in zip(digits, places, strict=True)]
    texts: dict[int, str] = {}
    least: dict[int, float] = {}
    for before, digit in zip([digits[0], *digits], digits, strict=False):
        known = options.always_answer or not digit.prediction.rejected
        space = " " if digit.line == before.line and digit.word != before.word else ""
        texts[digit.line] = texts.get(digit.line, "") + space + (digit.prediction.label if known else "?")
        least[digit.line] = min(least.get(digit.line, 1.0), digit.prediction.probability)
    # Rounded down: that much each digit has.
    return [f"{one_line(path)}: {text} (each {int(1000 * least[line]) / 10} % or more)" for line, text in texts.items()]


def _answer(path: str, prediction: "Prediction", options: Options, place: "dict[str, Any] | None" = None) -> str:
    ranking = prediction.ranking[: options.top_k]
    score = prediction.score
    possible = prediction.set(options.coverage) if options.coverage is not None else ()
    if options.json:
        answers = [{"label": label, "index": index, "probability": share} for label, index, share in ranking]
        judged: dict[str, object] = {} if score is None else {"rejected": prediction.rejected, "score": score}
        if possible:
            judged["set"] = possible
        return _json({"path": path, **answers[0], "ranking": answers, **judged, **(place or {})})
    answer = ", ".join(f"{label} ({100 * share:.1f} %)" for label, _, share in ranking)
    if possible:
        answer = f"{' or '.join(possible)} ({100 * (options.coverage or 0):g} % set)"
    if score is not None and prediction.rejected and not options.always_answer:
        answer = f"none of these (nearest: {answer if possible else ', '.join(label for label, *_ in ranking)})"
    return f"{one_line(path)}: {answer}"


def _json(answer: dict[str, object]) -> str:
    import json

    return json.dumps(answer)


def _share(name: str, value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UsageError(f"{name} {value}: wanted a number between 0 and 1, such as 0.99")
    return share


def _count(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 4 or not 1 <= int(value) <= 1024:
        raise UsageError(f"{name} {value}: wanted a whole number from 1 to 1024")
    return int(value)


def console(name: str = "edge-predict") -> None:
    """The command `edge-predict`, also called `name`; does not return."""
    global program
    program = name
    if os.environ.get("PYTHONPATH"):
        from edge.search_path import leave_current_folder

        leave_current_folder()
    code = errors.run(main, program)
    # Only tearing down Python is left, which takes 3 ms.
    os._exit(code)
