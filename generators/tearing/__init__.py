"""How sheets tear: where, along which line, how they are cut, how the flap bends and what it shows."""
