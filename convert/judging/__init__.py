"""Whether a candidate still answers as its float model does: the two compared, and the verdict."""
