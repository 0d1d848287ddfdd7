"""How walls are pierced and worn through, and how much of them stands open."""
