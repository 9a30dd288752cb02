"""Quantize trained networks, prove that they still answer right, publish only what passed: `python -m convert --int8`."""

import os
import sys

from edge.errors import explain_imports

if sys.argv[:1] == ["-m"]:  # while `python -m` still imports
    explain_imports("convert")

# TensorFlow reports its build options on every import; warnings and errors still come through.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as train does: float networks are run on thousands of images
# Units are fitted by small products. With threads these took twenty times the processor time, and gave other last bits.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
