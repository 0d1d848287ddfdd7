"""The one error a user sees: it names the value, what was expected, and how to mend it."""


class DamagelandError(Exception):
    """Root of every error damageland raises on purpose. The command line prints it in one piece and exits with 2."""
