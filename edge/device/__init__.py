"""What this machine is, whether it is fit for edgeproof, and whether a model gives the expected answers on it."""
