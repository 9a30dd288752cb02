"""Train the documented networks: `python -m train.mnist`.

All code uses Keras 3's API, so the same commands train on TensorFlow or JAX (`KERAS_BACKEND`); PyTorch is not tested.
"""

import os
import sys
from importlib.util import find_spec

from edge.errors import UsageError, explain_imports

if sys.argv[:1] == ["-m"]:  # while `python -m` still imports
    explain_imports("train")

# TensorFlow reports its build options at every import; warnings and errors still appear.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# TensorFlow's own choice where the processor has VNNI; elsewhere it is off, and a training step took twice the processor time.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

if sys.stderr is None:  # closed by the shell: print would write to stdout, among the answers
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def check_backend() -> None:
    """Raises UsageError if KERAS_BACKEND is not supported, and ModuleNotFoundError without Keras: before any data is loaded."""
    backend = os.environ["KERAS_BACKEND"]
    if backend not in ("tensorflow", "jax"):
        raise UsageError(f"KERAS_BACKEND={backend}: not supported; set tensorflow or jax")
    if find_spec("keras") is None:
        raise ModuleNotFoundError("keras is not installed", name="keras")
