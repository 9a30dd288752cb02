"""Which layer quantization broke, why, and what repairs it."""
