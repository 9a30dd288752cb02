"""Models that arrive on a device: tried in a child process, kept, made current by one rename, taken back."""
