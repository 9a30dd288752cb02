"""Experiments behind the pages under docs/: each a command, run when its question is asked."""
