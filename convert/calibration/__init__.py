"""Which images set the ranges of activations, and the ranges they set."""
