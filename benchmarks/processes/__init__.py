"""Whole processes timed: cold start, its phases, and calls within one."""
