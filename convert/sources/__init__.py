"""Float networks from elsewhere, read without trusting their files."""
