"""Sheets with one digit, with something beside it, with several or none: what `digit` and `digit2` make of them."""
