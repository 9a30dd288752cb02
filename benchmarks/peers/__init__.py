"""Our predictor beside the bare libraries, in one run."""
