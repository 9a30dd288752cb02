"""What a conversion tells people: tables, and drawings of the lost images."""
