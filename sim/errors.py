"""The one error a user sees: it names the value, what was expected, and how to mend it."""


class DamagelandError(Exception):
    """Root of every error damageland raises on purpose. The command line prints it in one piece and exits with 2."""


class StorageError(DamagelandError):
    """A place to read from or write to failed."""

    def __init__(self, message: str, *, final: bool = False):
        super().__init__(message)
        self.final = final
        """Whether trying again cannot help: the disk is full, rights are missing, there is no such place."""

    def __reduce__(self):
        """Keep ``final`` when sent to another process."""
        return _storage_error, (str(self), self.final)


def _storage_error(message: str, final: bool) -> StorageError:
    return StorageError(message, final=final)
