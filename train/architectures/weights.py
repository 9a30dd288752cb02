"""How weights and biases start."""

from typing import Any

from keras import initializers


def weights(initialization: str, *, stddev: float = 0.1, bias: float | initializers.Initializer = 0.1) -> dict[str, Any]:
    """Keyword arguments for a layer: the document's truncated normal and bias, or He et al. (2015) with zeros."""
    if initialization == "he":
        return {"kernel_initializer": initializers.HeNormal(), "bias_initializer": "zeros"}
    return {
        "kernel_initializer": initializers.TruncatedNormal(stddev=stddev),
        "bias_initializer": initializers.Constant(bias) if isinstance(bias, float) else bias,
    }
