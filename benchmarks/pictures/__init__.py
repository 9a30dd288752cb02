"""The pictures in README and docs/: each drawn from what a command of ours printed or wrote."""
