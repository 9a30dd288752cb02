"""How long this device takes for an answer: what is timed, and when a figure is trusted."""
