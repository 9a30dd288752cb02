"""Measure size, accuracy and latency."""
