"""How close a network comes to what the machine could do."""
