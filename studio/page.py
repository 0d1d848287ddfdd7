"""The page of one browser: what is chosen, what came of it, and what can be done with it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import viser

from ..sim.errors import DamagelandError
from ..sim.files import write_atomic
from .choices import Choices, plan_of, recipe_of, save_recipe
from .easel import Easel
from .extras import Beside, Photoreal, Sheets
from .history import History
from .keeper import Keeper
from .panel import Panel
from .pictures import MODES, Gallery, Mode
from .told import Checked, Ended, Facts, Failed, Pictures, Shape, Told
from .view import Shown, View3D
from .words import facts_text, timing_text

BLINK_S = 0.6
EYE_M = (0.16, -0.36, 0.24)
"""Where the first look at the item is from."""
LOOK_M = (0.0, 0.0, 0.05)


class Page:
    """One browser's studio: state of its own, a worker of its own."""

    def __init__(self, client: viser.ClientHandle, folder: Path, unsaved: Path, choices: Choices, keeper: Keeper):
        self.client, self.folder, self.unsaved, self.keeper = client, folder, unsaved, keeper
        self.history, self.lock, self.open = History(choices), threading.RLock(), True
        self.checked: Checked | None = None
        self._facts: Facts | None = None
        self._times: dict[str, float] = {}
        self._asked, self._moves = time.monotonic(), 0
        self._lay_out()
        self.ask()
        threading.Thread(target=self._blink, daemon=True).start()

    # -- Layout

    def _lay_out(self) -> None:
        gui = self.client.gui
        gui.configure_theme(control_width="large", show_logo=False, show_share_button=False)
        gui.main_panel.dock_right()
        self.status = gui.add_markdown("Starting …")
        self.panel = Panel(gui, self)
        results = gui.add_panel()
        results.dock_left()
        results.set_width(430)
        with results.add_tab("Pictures"):
            mode = gui.add_dropdown("Show", MODES, initial_value=MODES[0], hint="What stands beside the picture")
            mode.on_update(lambda event: self._show_as(mode.value))
            self.gallery = Gallery(gui)
        with results.add_tab("Measures"):
            self.facts = gui.add_markdown("")
        with results.add_tab("Sheet"):
            self.sheets = Sheets(gui, self)
        with results.add_tab("Photoreal"):
            self.photoreal = Photoreal(gui, self)
        with results.add_tab("Real"):
            self.beside = Beside(gui, self)
        with results.add_tab("Annotate"):
            self.easel = Easel(gui, self)
        self.view = View3D(self.client.scene)
        self.client.camera.near = 0.005
        self.look_at_item()

    def look_at_item(self) -> None:
        """Put the view's camera before the item."""
        self.client.camera.position, self.client.camera.look_at = EYE_M, LOOK_M
        self.view.redraw()

    def _show_as(self, mode: Mode) -> None:
        self.gallery.mode = mode
        self.gallery.redraw()

    def show_3d(self, shown: Shown) -> None:
        """Change what the 3D view shows."""
        self.view.ask(shown)

    def _blink(self) -> None:
        blinked = False
        while self.open:
            time.sleep(BLINK_S)
            if self.gallery.mode == "blink":
                blinked = not blinked
                self.gallery.redraw(blinked=blinked)

    # -- Choosing

    @property
    def choices(self) -> Choices:
        """What is chosen now."""
        return self.history.now

    def choose(self, change: Callable[[Choices], Choices], what: str, *, rebuild: bool = False) -> None:
        """Take a person's change, keep it for undo, and show what comes of it.

        ``what`` names the control: one drag of a slider is one step back. ``rebuild`` makes the controls anew.
        """
        with self.lock:
            try:
                after = change(self.choices)
                recipe_of(after)
            except (DamagelandError, ValueError) as error:
                self.refuse(str(error))
                return
            self.history.push(after, what, time.monotonic())
            self.ask()
            if rebuild:
                self._rebuild()
            write_atomic(self.unsaved, after.model_dump_json())

    def undo(self) -> None:
        """Go back one step."""
        with self.lock:
            if not self.history.back():
                self.refuse("Nothing to undo.")
                return
            write_atomic(self.unsaved, self.choices.model_dump_json())
            self._rebuild()
            self.ask()

    def _rebuild(self) -> None:
        self.panel.rebuild()
        self.sheets.rebuild()

    def ask(self) -> None:
        """Have the worker show what is chosen."""
        with self.lock:
            self.checked, self._times, self._asked = None, {}, time.monotonic()
            self._moves += 1
            self.status.content = f"Move {self._moves}: working …"
            try:
                plan = plan_of(self.choices, self.folder)
            except DamagelandError as error:
                self.refuse(str(error))
                return
            self.keeper.ask((plan,), self.hear)

    def refuse(self, text: str) -> None:
        """Say what was wrong; what was shown stays."""
        self.status.content = f"**Not done.** {text}"

    # -- Hearing

    def hear(self, told: Told) -> None:
        """Show what the worker tells."""
        if not self.open:
            return
        passed = time.monotonic() - self._asked
        if isinstance(told, Facts):
            self._facts = told
            self.facts.content = facts_text(told, None)
        elif isinstance(told, Shape):
            self.view.show(told)
            self._note("mesh" if not told.fine else "finished mesh", passed)
        elif isinstance(told, Pictures):
            self.gallery.show(told)
            self._note("captures" if told.fine else "first pictures", passed)
            self.beside.redraw()
        elif isinstance(told, Checked):
            self.checked = told
            if self._facts is not None:
                self.facts.content = facts_text(self._facts, told)
        elif isinstance(told, Failed):
            self.refuse(told.text)
        elif isinstance(told, Ended):
            self._note("all", passed)

    def _note(self, what: str, seconds: float) -> None:
        self._times[what] = seconds
        self.status.content = f"Move {self._moves}: {timing_text(self._times)}"

    # -- Keeping

    def save(self, name: str) -> None:
        """Write what is on the screen as a recipe."""
        try:
            checked = self.checked
            if checked is None:
                raise DamagelandError("The pictures are not finished: wait for the captures, then save.")
            path = save_recipe(self.folder, name, recipe_of(self.choices), checked.hashes)
        except DamagelandError as error:
            self.refuse(str(error))
            return
        self.status.content = f"Saved **{path}**. `damageland render {path} --out FOLDER` makes it again."

    def close(self) -> None:
        """The browser has gone: end its worker; what was chosen stays on disk."""
        self.open = False
        self.photoreal.stop()
        self.keeper.close()

    def set(self, **fields: Any) -> Callable[[Choices], Choices]:
        """A change of some fields, checked."""
        return lambda choices: Choices.model_validate(choices.model_dump() | fields)
