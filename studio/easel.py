"""The tab on which damage is drawn on photographs: outlines by clicks, strokes by dragging a brush."""

from typing import TYPE_CHECKING, Any

import numpy as np
import viser
import viser.transforms as vtf

from ..sim.errors import DamagelandError
from .agreement import agree, agreement_text
from .annotate import Drawn, Region, capture_name, draw_regions, load_regions, save_drawn
from .beside import read_photo
from .controls import controls_of

if TYPE_CHECKING:
    from .page import Page

AT = np.array([0.0, 20.0, 0.0])
"""Where the photograph hangs [m]: far from the tray, upright, seen along +y."""
WIDE_M = 1.0
AWAY_M = 1.3
NODE = "/easel"
FIELDS = {str(control.path[0]): control for control in controls_of(Region)}


class Easel:
    """One browser's photograph and what is drawn on it."""

    def __init__(self, gui: viser.GuiApi, page: "Page"):
        self._page, self._photo, self._file = page, None, ("", b"")
        self._regions: list[Region] = []
        self._open: list[tuple[float, float]] = []
        kinds, severities, shapes = (FIELDS[name].choices for name in ("kind", "severity", "shape"))
        self._up = gui.add_upload_button("Photograph …", mime_type="image/*", hint="JPEG or PNG")
        self._up.on_upload(lambda event: self._take())
        self._rater = gui.add_text("rater", "me", hint="each rater's drawings are a set of their own")
        self._name = gui.add_text("capture id", "", hint="lower-case letters, digits and '-'")
        self._item = gui.add_text("item", "", hint="which product it is")
        self._material = gui.add_text("material", "")
        self._kind = gui.add_dropdown("kind", kinds, initial_value="deformation")
        self._severity = gui.add_dropdown("severity", severities)
        self._shape = gui.add_dropdown("tool", shapes, hint="polygon: click its corners; brush: drag")
        self._radius = gui.add_slider("brush [px]", 1, 100, 1, 12)
        gui.add_button("Close polygon").on_click(lambda event: self._close())
        gui.add_button("Take back").on_click(lambda event: self._back())
        gui.add_button("Save drawing").on_click(lambda event: self._save())
        gui.add_button("Back to the studio").on_click(lambda event: self.leave())
        gui.add_button("Agreement of raters").on_click(lambda event: self._agree())
        self._text = gui.add_markdown("No photograph yet. One without regions is saved as intact.")

    # -- The photograph

    def _take(self) -> None:
        file = self._up.value
        try:
            self._photo = read_photo(file.name, file.content)
            self._name.value = capture_name(file.name)
            self._regions = list(load_regions(self._page.folder, self._rater.value, self._name.value))
        except DamagelandError as error:
            self._page.refuse(str(error))
            return
        self._file, self._open = (file.name, file.content), []
        self._hang()

    def _hang(self) -> None:
        """Show the photograph upright before the camera."""
        assert self._photo is not None
        self._page.view.hide()
        height, width = self._photo.shape[:2]
        # x to the right, y down, seen along +y of the world: an image's own axes are x right, y down.
        turn = vtf.SO3.from_matrix(np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]))
        self._image = self._page.client.scene.add_image(
            NODE, self._drawing(), WIDE_M, WIDE_M * height / width, jpeg_quality=90, wxyz=turn.wxyz, position=AT,
            cast_shadow=False, receive_shadow=False,
        )  # fmt: skip
        self._image.on_click(self._click)
        self._image.on_drag("left")(self._drag)
        camera = self._page.client.camera
        camera.position, camera.look_at = AT - np.array([0.0, AWAY_M, 0.0]), AT
        self._say()

    def leave(self) -> None:
        """Put the photograph away."""
        self._page.client.scene.remove_by_name(NODE)
        self._page.look_at_item()

    def _drawing(self):
        assert self._photo is not None
        return draw_regions(self._photo, self._regions, self._open)

    def _redraw(self) -> None:
        if self._photo is not None:
            self._image.image = self._drawing()
        self._say()

    def _say(self) -> None:
        said = [f"{k + 1}. {r.kind}, {r.severity}, {r.shape} of {len(r.points)}" for k, r in enumerate(self._regions)]
        if self._open:
            said.append(f"Outline of {len(self._open)} corners, not closed.")
        self._text.content = "\n".join(said) or "No region: saved as intact."

    # -- Drawing

    def _pixel(self, origin: Any, way: Any) -> tuple[float, float] | None:
        """Where a ray meets the photograph [px]."""
        assert self._photo is not None
        origin, way = np.asarray(origin, float), np.asarray(way, float)
        if abs(way[1]) < 1e-9:
            return None
        met = origin + (AT[1] - origin[1]) / way[1] * way - AT
        height, width = self._photo.shape[:2]
        x, y = (met[0] / WIDE_M + 0.5) * width, (0.5 - met[2] * width / (WIDE_M * height)) * height
        return (float(x), float(y)) if 0 <= x < width and 0 <= y < height else None

    async def _click(self, event: Any) -> None:
        at = self._pixel(event.ray_origin, event.ray_direction)
        if at is None:
            return
        if self._shape.value == "polygon":
            self._open.append(at)
        else:
            self._add("brush", [at])
        self._redraw()

    async def _drag(self, event: Any) -> None:
        if self._shape.value != "brush":
            return
        eye = np.asarray(event.client.camera.position)
        start, here = (self._pixel(eye, np.asarray(p) - eye) for p in (event.start_position, event.end_position))
        if event.phase == "start":
            self._open = [at for at in (start,) if at is not None]
        if here is not None:
            self._open.append(here)
        if event.phase == "end" and self._open:
            points, self._open = self._open, []
            self._add("brush", points)
        self._redraw()

    def _add(self, shape: str, points: list[tuple[float, float]]) -> None:
        said = {"kind": self._kind.value, "severity": self._severity.value, "shape": shape, "points": points}
        radius = float(self._radius.value) if shape == "brush" else 0.0
        self._regions.append(Region.model_validate({**said, "radius_px": radius}))

    def _close(self) -> None:
        if len(self._open) < 3:
            self._page.refuse("A polygon takes three corners at least: click them on the photograph.")
            return
        points, self._open = self._open, []
        self._add("polygon", points)
        self._redraw()

    def _back(self) -> None:
        if self._open:
            self._open.pop()
        elif self._regions:
            self._regions.pop()
        self._redraw()

    # -- Keeping

    def _save(self) -> None:
        try:
            if self._photo is None:
                raise DamagelandError("There is no photograph to save: load one first.")
            if self._open:
                raise DamagelandError("An outline is not closed: close it, or take its corners back.")
            name, data = self._file
            drawn = Drawn(
                self._name.value, name, data, tuple(self._regions), self._item.value, self._material.value
            )  # fmt: skip
            own = save_drawn(self._page.folder, self._rater.value, drawn)
        except DamagelandError as error:
            self._page.refuse(str(error))
            return
        self._page.status.content = f"Saved in **{own}**: `damageland evaluate --real` and `train --real` read it."

    def _agree(self) -> None:
        try:
            self._text.content = agreement_text(agree(self._page.folder))
        except DamagelandError as error:
            self._page.refuse(str(error))
