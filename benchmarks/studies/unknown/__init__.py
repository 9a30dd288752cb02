"""How many pictures of no class a model rejects: the study behind docs/unknown-pictures.md."""
