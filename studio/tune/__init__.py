"""Parameters of damages from real data: density match, what to render next, and what they are worth."""
