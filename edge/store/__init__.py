"""Models on a device: tried in a child process, installed, made current by one rename, rolled back."""
