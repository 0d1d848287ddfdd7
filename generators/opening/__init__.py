"""How packages open, what comes to light, and what falls out."""
