"""The owner's pixels: how pictures became pixels where the network was trained."""
