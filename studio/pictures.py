"""Pictures beside the 3D view: damaged and twin, depth and labels of each camera, side by side or blinking."""

from collections.abc import Mapping
from typing import Literal

import cv2
import numpy as np
import viser
from jaxtyping import UInt8

from .told import Cell, Pictures, Shot

Mode = Literal["all four", "damaged and twin", "blink"]
MODES: tuple[Mode, ...] = ("all four", "damaged and twin", "blink")
SHOWN_PX = 384
"""Largest width of a picture on the page; captures may be larger."""
GREY = 232


class Gallery:
    """The pictures of one browser."""

    def __init__(self, gui: viser.GuiApi):
        self._gui, self._handles, self._pictures = gui, dict[str, viser.GuiImageHandle](), None
        self._twins: dict[str, UInt8[np.ndarray, "h w 3"]] = {}
        self.mode: Mode = "all four"
        self.folder = gui.add_folder(None)

    def show(self, pictures: Pictures) -> None:
        """Show new pictures, one image per camera."""
        self._pictures: Pictures | None = pictures
        self._twins = {shot.camera: shot.twin for shot in pictures.shots if shot.twin is not None} or self._twins
        self.redraw()

    def redraw(self, *, blinked: bool = False) -> None:
        """Draw the last pictures in the mode that is asked for; every other time, a blink shows the twin."""
        if self._pictures is None:
            return
        names = [shot.camera for shot in self._pictures.shots]
        for name in set(self._handles) - set(names):
            self._handles.pop(name).remove()
        for shot in self._pictures.shots:
            image = arrange(shot, self._twins.get(shot.camera), self.mode, blinked=blinked)
            if shot.camera in self._handles:
                self._handles[shot.camera].image = image
            else:
                with self.folder:
                    self._handles[shot.camera] = self._gui.add_image(image, label=shot.camera, jpeg_quality=85)

    @property
    def latest(self) -> Mapping[str, Shot]:
        """The last pictures by camera."""
        return {} if self._pictures is None else {shot.camera: shot for shot in self._pictures.shots}


def arrange(
    shot: Shot, twin: UInt8[np.ndarray, "h2 w2 3"] | None, mode: Mode, *, blinked: bool = False
) -> UInt8[np.ndarray, "h w 3"]:
    """One camera's pictures as one, each as large as the captures will be (or as the page has room for)."""
    height, width = (shot.rgb if twin is None else twin).shape[:2]
    share = min(1.0, SHOWN_PX / width)
    size = (max(1, round(share * width)), max(1, round(share * height)))

    def fit(picture: UInt8[np.ndarray, "h3 w3 3"]) -> UInt8[np.ndarray, "h4 w4 3"]:
        return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR)

    other = np.full((size[1], size[0], 3), GREY, np.uint8) if twin is None else fit(twin)
    if mode == "blink":
        return other if blinked else fit(shot.rgb)
    top = np.concatenate([fit(shot.rgb), other], axis=1)
    if mode == "damaged and twin":
        return top
    return np.concatenate([top, np.concatenate([fit(shot.depth), fit(shot.masks)], axis=1)])


def sheet(cells: Mapping[int, Cell], columns: int, count: int) -> UInt8[np.ndarray, "h w 3"]:
    """A contact sheet of those cells that are there; the others are grey."""
    side = max((cell.rgb.shape[0] for cell in cells.values()), default=96)
    wide = max((cell.rgb.shape[1] for cell in cells.values()), default=96)
    blank = np.full((side, wide, 3), GREY, np.uint8)
    rows = []
    for start in range(0, -(-count // columns) * columns, columns):
        row = [cells[k].rgb if k in cells else blank for k in range(start, start + columns)]
        labels = [label(str(k + 1) if k < count else "", wide) for k in range(start, start + columns)]
        rows += [np.concatenate(labels, axis=1), np.concatenate(row, axis=1)]
    return np.concatenate(rows)


def label(text: str, width: int) -> UInt8[np.ndarray, "h w 3"]:
    """A line of text on white."""
    line = np.full((14, width, 3), 255, np.uint8)
    cv2.putText(line, text, (2, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (40, 40, 40), 1, cv2.LINE_AA)
    return line
