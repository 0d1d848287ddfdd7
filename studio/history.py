"""What was chosen before, for undo."""

from .choices import Choices

SAME_S = 1.5
"""Changes of one control that follow each other as fast as this are one step: a drag."""
MOST = 200


class History:
    """Choices, the latest last."""

    def __init__(self, first: Choices):
        self._past, self._what, self._at = [first], "", 0.0

    @property
    def now(self) -> Choices:
        """What is chosen."""
        return self._past[-1]

    def push(self, choices: Choices, what: str, at_s: float) -> None:
        """Choose something; ``what`` names the control that did."""
        if choices == self.now:
            return
        if what == self._what and at_s - self._at < SAME_S and len(self._past) > 1:
            self._past.pop()
        self._past = [*self._past, choices][-MOST:]
        self._what, self._at = what, at_s

    def back(self) -> bool:
        """Go back one step; False if there is none."""
        if len(self._past) == 1:
            return False
        self._past.pop()
        self._what = ""
        return True
