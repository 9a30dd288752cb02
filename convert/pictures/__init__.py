"""The owner's pixels: which presets there are, what the owner's own code answered, and the trials that tell them apart."""
