"""Tabs beside the pictures: contact sheets, the photoreal version, a real photograph beside ours."""

from typing import TYPE_CHECKING

import cv2
import numpy as np
import viser
from jaxtyping import Float, UInt8

from ..sim.errors import DamagelandError
from .beside import histograms, read_depth, read_photo
from .choices import plan_of
from .photoreal import Progress, Render
from .pictures import GREY, SHOWN_PX, sheet
from .sheets import axis_of, draws, grid, settings_of
from .told import Cell, Ended, Failed, Told

if TYPE_CHECKING:
    from .choices import Choices
    from .page import Page

USUAL_S = 40.0
"""About how long a photoreal picture takes, for the bar; it never reaches its end before the picture is there."""
NONE = "(none)"


class Sheets:
    """Contact sheets of one browser."""

    def __init__(self, gui: viser.GuiApi, page: "Page"):
        self._gui, self._page, self._cells = gui, page, dict[int, Cell]()
        self._count = self._columns = 1
        with gui.add_folder("Draws"):
            self._draws = gui.add_slider("draws", 2, 36, 1, 12, hint="other places and forms, other strengths")
            self._strength = gui.add_multi_slider("strength from, to", 0.0, 1.0, 0.01, (0.2, 1.0))
            gui.add_button("Show draws").on_click(lambda event: self._ask(self._drawn))
        names = tuple(settings_of(page.choices)) or (NONE,)
        with gui.add_folder("Grid"):
            self._axes = [self._axis(gui, names, "down"), self._axis(gui, (NONE, *names), "across")]
            gui.add_button("Show grid").on_click(lambda event: self._ask(self._gridded))
        self._image = gui.add_image(np.full((64, SHOWN_PX, 3), GREY, np.uint8), label="contact sheet")
        self._text = gui.add_markdown("")

    def _axis(self, gui: viser.GuiApi, names: tuple[str, ...], way: str):
        name = gui.add_dropdown(f"setting {way}", names, initial_value=names[0])
        low = gui.add_number(f"from ({way})", 0.2, step=0.05)
        high = gui.add_number(f"to ({way})", 1.0, step=0.05)
        count = gui.add_slider(f"steps ({way})", 2, 8, 1, 4)
        return name, low, high, count

    def rebuild(self) -> None:
        """Offer the settings of the damages that are chosen now."""
        names = tuple(settings_of(self._page.choices)) or (NONE,)
        for (name, *_), options in zip(self._axes, (names, (NONE, *names)), strict=True):
            name.options = options

    def _drawn(self) -> tuple[list[tuple[str, "Choices"]], int]:
        low, high = self._strength.value
        return draws(self._page.choices, self._draws.value, (low, high)), 4

    def _gridded(self) -> tuple[list[tuple[str, "Choices"]], int]:
        choices = self._page.choices
        axes = [
            axis_of(choices, name.value, float(low.value), float(high.value), count.value)
            for name, low, high, count in self._axes
            if name.value != NONE
        ]
        if not axes:
            raise DamagelandError("No setting is chosen for the grid: choose one.")
        return grid(choices, axes), axes[-1].count

    def _ask(self, make) -> None:
        try:
            cells, self._columns = make()
            plans = tuple(plan_of(choices, self._page.folder) for _, choices in cells)
        except DamagelandError as error:
            self._page.refuse(str(error))
            return
        self._cells, self._count = {}, len(cells)
        self._text.content = "Drawing …"
        self._page.keeper.ask(plans, self._hear, captions=tuple(text for text, _ in cells))

    def _hear(self, told: Told) -> None:
        if isinstance(told, Cell):
            self._cells[told.number] = told
            self._image.image = sheet(self._cells, self._columns, self._count)
            self._text.content = "\n".join(f"{k + 1}. {cell.caption}" for k, cell in sorted(self._cells.items()))
        elif isinstance(told, Failed):
            self._page.refuse(told.text)
        elif isinstance(told, Ended):
            self._text.content += f"\n\n{len(self._cells)} pictures."
        if isinstance(told, Failed | Ended) and self._page.checked is None:
            self._page.ask()  # the sheet had stopped the captures


class Photoreal:
    """The photoreal version, by one press."""

    def __init__(self, gui: viser.GuiApi, page: "Page"):
        self._gui, self._page, self._render = gui, page, None
        self._samples = gui.add_slider("rays per pixel", 4, 256, 4, 32, hint="more are smoother and slower")
        gui.add_button("Render photoreal").on_click(lambda event: self._start())
        gui.add_button("Stop").on_click(lambda event: self.stop())
        self._bar = gui.add_progress_bar(0, visible=False)
        self._text = gui.add_markdown("Blender's Cycles, in the background: the page goes on.")
        self._images: list[viser.GuiImageHandle] = []
        self._holder = gui.add_folder(None)

    def _start(self) -> None:
        self.stop()
        try:
            plan = plan_of(self._page.choices, self._page.folder)
        except DamagelandError as error:
            self._page.refuse(str(error))
            return
        self._bar.visible, self._bar.value = True, 1
        self._render: Render | None = Render(plan.recipe, plan.booth, self._samples.value, self._hear)

    def stop(self) -> None:
        """End what is under way."""
        if self._render is not None:
            self._render.stop()
            self._render, self._bar.visible, self._text.content = None, False, "Stopped."

    def _hear(self, progress: Progress) -> None:
        if not self._page.open:
            return
        self._bar.value = min(95.0, 100 * progress.seconds / USUAL_S)
        self._text.content = f"{progress.seconds:.0f} s so far …"
        if not progress.done:
            return
        self._render, self._bar.visible = None, False
        self._text.content = (
            f"Took {progress.seconds:.0f} s." if progress.captures else f"**Failed.** {progress.failed}"
        )
        for image in self._images:
            image.remove()
        self._images = []
        for k, view in enumerate(progress.captures[0].views if progress.captures else ()):
            pair = [capture.views[k].rgb for capture in progress.captures]
            with self._holder:
                image = self._gui.add_image(np.concatenate(pair, axis=1), label=view.camera, jpeg_quality=90)
            self._images.append(image)


class Beside:
    """A real photograph beside what is rendered."""

    def __init__(self, gui: viser.GuiApi, page: "Page"):
        self._gui, self._page = gui, page
        self._photo: UInt8[np.ndarray, "h w 3"] | None = None
        self._depth: Float[np.ndarray, "h w"] | None = None
        self._photo_up = gui.add_upload_button("Photograph …", mime_type="image/*", hint="JPEG or PNG")
        self._depth_up = gui.add_upload_button("Its depth …", mime_type="image/png", hint="16 bits, 0.1 mm per step")
        self._photo_up.on_upload(lambda event: self._take(depth=False))
        self._depth_up.on_upload(lambda event: self._take(depth=True))
        cameras: tuple[str, ...] = (NONE,)
        self._camera = gui.add_dropdown("camera", cameras)
        self._camera.on_update(lambda event: self.redraw())
        self._image = gui.add_image(np.full((64, SHOWN_PX, 3), GREY, np.uint8), label="rendered and real")
        self._bars = gui.add_image(np.full((64, SHOWN_PX, 3), GREY, np.uint8), label="histograms")

    def _take(self, *, depth: bool) -> None:
        file = (self._depth_up if depth else self._photo_up).value
        try:
            if depth:
                self._depth = read_depth(file.name, file.content)
            else:
                self._photo = read_photo(file.name, file.content)
        except DamagelandError as error:
            self._page.refuse(str(error))
            return
        self.redraw()

    def redraw(self) -> None:
        """Draw the latest pictures of the chosen camera beside the photograph."""
        shots = self._page.gallery.latest
        if not shots or (self._photo is None and self._depth is None):
            return
        if tuple(self._camera.options) != tuple(shots):
            names: tuple[str, ...] = tuple(shots)
            self._camera.options = names  # type: ignore[reportAttributeAccessIssue]
        shot = shots.get(self._camera.value) or next(iter(shots.values()))
        self._image.image = _side_by_side(shot.rgb, self._photo if self._photo is not None else shot.rgb * 0)
        self._bars.image = histograms(shot.rgb, self._photo, shot.depth_mm, self._depth)


def _side_by_side(a: UInt8[np.ndarray, "h w 3"], b: UInt8[np.ndarray, "h2 w2 3"]) -> UInt8[np.ndarray, "h3 w3 3"]:
    high = 288
    fit = [
        cv2.resize(p, (max(1, round(p.shape[1] * high / p.shape[0])), high), interpolation=cv2.INTER_AREA)
        for p in (a, b)
    ]
    return np.concatenate(fit, axis=1)  # type: ignore[return-value]
