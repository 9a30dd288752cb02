"""Initializers of weights and biases."""

from typing import Any

from keras import initializers


def weights(initialization: str, *, stddev: float = 0.1, bias: float | initializers.Initializer = 0.1) -> dict[str, Any]:
    """A layer's initializers: He et al. (2015) with zero biases for "he", else a truncated normal and `bias`."""
    if initialization == "he":
        return {"kernel_initializer": initializers.HeNormal(), "bias_initializer": "zeros"}
    return {
        "kernel_initializer": initializers.TruncatedNormal(stddev=stddev),
        "bias_initializer": initializers.Constant(bias) if isinstance(bias, float) else bias,
    }
