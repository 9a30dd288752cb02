"""Train the documented networks: `python -m train.mnist`.

Everything here speaks Keras 3's own API, so the same script trains on TensorFlow or JAX (`KERAS_BACKEND`); PyTorch was not
tried.
"""

import os
import sys

from edge.errors import UsageError

# TensorFlow reports its build options on every import; warnings and errors still come through.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

if sys.stderr is None:  # the shell closed it; print would then take stdout, where the answers go
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def check_backend() -> None:
    """Raise UsageError for a KERAS_BACKEND that was not tried; before Keras, which would answer with a traceback."""
    backend = os.environ["KERAS_BACKEND"]
    if backend not in ("tensorflow", "jax"):
        raise UsageError(f"KERAS_BACKEND={backend}: not a backend that was tried; set tensorflow or jax")
