"""Train the documented networks: `python -m train.mnist`.

Everything here speaks Keras 3's own API, so the same script trains on TensorFlow or JAX (`KERAS_BACKEND`); PyTorch was not
tried.
"""

import os
import sys

# TensorFlow reports its build options on every import; warnings and errors still come through.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

if sys.stderr is None:  # the shell closed it; print would then take stdout, where the answers go
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
