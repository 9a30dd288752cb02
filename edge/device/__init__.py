"""Which machine this is, whether it is fit, and whether a model answers here as it should."""
