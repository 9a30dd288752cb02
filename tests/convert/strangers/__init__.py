"""Networks and picture folders as people have them: what comes of each kind."""
