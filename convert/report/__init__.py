"""What a conversion tells people: tables, and the lost pictures drawn."""
