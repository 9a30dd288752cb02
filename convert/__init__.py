"""Quantize trained networks, prove that they still answer right, publish only what passed: `python -m convert --int8`."""

import os

# TensorFlow reports its build options on every import; warnings and errors still come through.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
