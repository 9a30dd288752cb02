"""Train the documented networks: `python -m train.mnist`.

Everything here speaks Keras 3's own API, so the same script trains on TensorFlow, JAX or PyTorch
(`KERAS_BACKEND`).
"""

import os

# TensorFlow reports its build options on every import; warnings and errors still come through.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
