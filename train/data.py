"""Captures as compact arrays of views in memory, ready to be drawn in batches.

Each view is kept as one square frame: colour (3 bytes per pixel), depth in steps of 0.1 mm (2 bytes) and label bits
(1 byte), so 0.3 MB per view at 224 pixels: 3,000 views take 0.9 GB. Crops are made from frames on the fly, on batches.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, fields

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt8, UInt16

from ..sim.capture import Capture, View
from ..sim.errors import DamagelandError
from .crops import Square, cut, cut_depth, whole

DEPTH_UNIT_M = 1e-4
"""Metres per step of a stored depth."""
ITEM_BIT, DAMAGE_BIT, SEEN_BIT = 1, 2, 4
"""Label bits of a frame's pixels: the item; its damaged surface; and where that damage changes the picture."""
FOCUS_MARGIN = 1.6
"""Side of a stored frame over the item's size, where the frame is a window around the item."""
VISIBLE_CHANGE = 0.04
"""Smoothed difference to the twin's picture, in [0, 1], from which a damaged pixel counts as seen."""
VISIBLE_EVIDENCE = 0.0015
"""Sum of these differences per item pixel from which a view shows the damage: a hole over half a hundredth of the item
that turns black, or a dent over three hundredths that shifts the shade by a twentieth. Set by eye on rendered pairs."""


@dataclass(frozen=True)
class Note:
    """What is remembered of a capture beside its pixels."""

    capture_id: str
    item_identifier: str | None
    origin: str
    role: str
    split: str | None
    defect: bool
    major_defect: bool | None
    twin_id: str | None
    recipe: str | None
    """Hash of the recipe it was rendered from, if it says."""
    generators: tuple[str, ...] = ()
    """What damaged it, tolerable damage included."""


@dataclass(frozen=True)
class ViewSet:
    """Views of many captures as arrays; row i of each array is one view."""

    rgb: UInt8[np.ndarray, "n s s 3"]
    """sRGB frames."""
    depth: UInt16[np.ndarray, "n s s"]
    """Steps of DEPTH_UNIT_M; 0 = no return, or no depth at all."""
    labels: UInt8[np.ndarray, "n s s"]
    """ITEM_BIT, DAMAGE_BIT and SEEN_BIT."""
    box: Float32[np.ndarray, "n 4"]
    """Left, top, right, bottom of the item, in units of the frame's side."""
    target: Float32[np.ndarray, " n"]
    """1: shows a damage; 0: intact; NaN: of a damaged item whose damage this camera does not see."""
    masked: Bool[np.ndarray, " n"]
    """Whether the damage pixels are known (an intact view's are: none)."""
    twin: Int64[np.ndarray, " n"]
    """Row of the same camera's view of the pristine twin, or -1."""
    capture: Int64[np.ndarray, " n"]
    """Position in ``notes``."""
    notes: tuple[Note, ...]
    cameras: tuple[str, ...]
    """Of each row."""

    def __len__(self) -> int:
        return len(self.rgb)

    @property
    def pairs(self) -> Int64[np.ndarray, " p"]:
        """Rows that show a damage and have a twin."""
        return np.flatnonzero((self.target == 1) & (self.twin >= 0))

    @property
    def intact(self) -> Int64[np.ndarray, " q"]:
        """Rows of intact items."""
        return np.flatnonzero(self.target == 0)

    @property
    def megabytes(self) -> float:
        """Memory taken by the arrays."""
        arrays = (getattr(self, field.name) for field in fields(self) if field.name not in ("notes", "cameras"))
        return sum(array.nbytes for array in arrays) / 1e6


def check_view(view: View, where: str) -> None:
    """Refuse a view whose images do not fit together or whose depth is not a length."""
    height, width = view.rgb.shape[:2]
    if min(height, width) == 0:
        raise DamagelandError(f"{where}: the picture is empty ({width}x{height} pixels)")
    for name in ("depth", "item", "damage"):
        image = getattr(view, name)
        if image is not None and image.shape != (height, width):
            raise DamagelandError(
                f"{where}: rgb is {width}x{height} but {name} is {image.shape[1]}x{image.shape[0]}; "
                "all images of a view must be aligned to the pixel"
            )
    if view.depth is not None and not (np.isfinite(view.depth).all() and (view.depth >= 0).all()):
        raise DamagelandError(
            f"{where}: depth holds NaN, infinite or negative values; expected metres > 0, and 0 for no return"
        )


def load_views(captures: Iterable[Capture], *, frame_px: int, focus: Callable[[View], Square] | None = None) -> ViewSet:
    """Read captures one at a time into a ViewSet; captures whose ``defect`` is unknown are left out.

    ``focus`` finds the item where there is no item mask (real photographs): such a view is kept as a window around the
    item, FOCUS_MARGIN times its size. Views with an item mask are kept whole; those that do not show it are left out.
    """
    notes: list[Note] = []
    rows: list[_Row] = []
    cameras: dict[tuple[str, str], int] = {}
    seen: set[str] = set()
    for capture in captures:
        if capture.capture_id in seen:
            raise DamagelandError(f"capture_id {capture.capture_id} comes twice in the data: ids must be unique")
        seen.add(capture.capture_id)
        if capture.defect is None:
            continue
        for view in capture.views:
            check_view(view, f"capture {capture.capture_id}, camera {view.camera}")
            row = _row(capture, view, len(notes), frame_px, focus)
            if row is not None:
                cameras[capture.capture_id, view.camera] = len(rows)
                rows.append(row)
        notes.append(_note(capture))
    views = _stack(rows, tuple(notes), frame_px)
    for i, row in enumerate(rows):
        twin_id = notes[row.capture].twin_id
        if row.damaged and twin_id is not None:
            views.twin[i] = cameras.get((twin_id, row.camera), -1)
    _judge_visibility(views)
    return views


@dataclass(frozen=True)
class _Row:
    camera: str
    damaged: bool
    capture: int
    rgb: np.ndarray
    depth: np.ndarray
    labels: np.ndarray
    box: tuple[float, float, float, float]
    masked: bool


def _row(capture: Capture, view: View, number: int, side: int, focus: Callable[[View], Square] | None) -> _Row | None:
    """One view as a frame, or None where the item is not to be seen."""
    labels = np.zeros((side, side), np.uint8)
    if view.item is not None:
        frame = whole(*view.rgb.shape[:2])
        labels |= ITEM_BIT * (_cut_mask(view.item > 0, frame, side) >= 0.5).astype(np.uint8)
        if not labels.any():
            return None
        box = _box(labels)
    elif focus is not None:
        square = focus(view)
        frame = Square(square.cx, square.cy, square.half * FOCUS_MARGIN)
        edge = (1 - 1 / FOCUS_MARGIN) / 2
        box = (edge, edge, 1 - edge, 1 - edge)
    else:
        raise DamagelandError(f"capture {capture.capture_id}, camera {view.camera} has no item mask: render it again")
    if view.damage is not None and capture.defect:
        # A quarter of a pixel is enough, so that thin cracks survive the scaling.
        labels |= DAMAGE_BIT * (_cut_mask(view.damage > 0, frame, side) >= 0.25).astype(np.uint8)
    depth = np.zeros((side, side), np.uint16)
    if view.depth is not None:
        depth = np.minimum(np.rint(cut_depth(view.depth, frame, side) / DEPTH_UNIT_M), 65535).astype(np.uint16)
    rgb = cut(view.rgb, frame, side)
    masked = view.damage is not None or not capture.defect
    return _Row(view.camera, bool(capture.defect), number, rgb, depth, labels, box, masked)


def _cut_mask(mask: Bool[np.ndarray, "h w"], frame: Square, side: int) -> Float[np.ndarray, "side side"]:
    return cut(mask.astype(np.float32), frame, side)


def _box(labels: UInt8[np.ndarray, "s s"]) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(labels.any(1)), np.flatnonzero(labels.any(0))
    side = len(labels)
    return columns[0] / side, rows[0] / side, (columns[-1] + 1) / side, (rows[-1] + 1) / side


def _note(capture: Capture) -> Note:
    recipe = capture.provenance.get("recipe_hash")
    return Note(
        capture_id=capture.capture_id,
        item_identifier=capture.item_identifier,
        origin=capture.origin,
        role=capture.role,
        split=capture.split,
        defect=bool(capture.defect),
        major_defect=capture.major_defect,
        twin_id=capture.twin_id,
        recipe=None if recipe is None else str(recipe),
        generators=tuple(sorted({damage.generator for damage in capture.damages})),
    )


def _stack(rows: list[_Row], notes: tuple[Note, ...], side: int) -> ViewSet:
    n = len(rows)
    views = ViewSet(
        rgb=np.zeros((n, side, side, 3), np.uint8),
        depth=np.zeros((n, side, side), np.uint16),
        labels=np.zeros((n, side, side), np.uint8),
        box=np.array([row.box for row in rows], np.float32).reshape(n, 4),
        target=np.array([float(row.damaged) for row in rows], np.float32),
        masked=np.array([row.masked for row in rows], bool),
        twin=np.full(n, -1, np.int64),
        capture=np.array([row.capture for row in rows], np.int64),
        notes=notes,
        cameras=tuple(row.camera for row in rows),
    )
    for i, row in enumerate(rows):
        views.rgb[i], views.depth[i], views.labels[i] = row.rgb, row.depth, row.labels
    return views


def _judge_visibility(views: ViewSet) -> None:
    """Set SEEN_BIT, and set the target of damaged views that do not show their damage to NaN.

    A damage mask says where the damaged surface is, not that anybody could tell: the picture must differ there from the
    twin's. Without a twin the mask alone decides.
    """
    for i in np.flatnonzero((views.target == 1) & views.masked):
        seen = (views.labels[i] & DAMAGE_BIT) > 0
        difference = np.ones_like(seen, np.float32)
        if views.twin[i] >= 0:
            difference = change(views.rgb[i], views.rgb[views.twin[i]])
            seen &= difference > VISIBLE_CHANGE
        item = max(1, int(((views.labels[i] & ITEM_BIT) > 0).sum()))
        views.labels[i] |= SEEN_BIT * seen.astype(np.uint8)
        if difference[seen].sum() < VISIBLE_EVIDENCE * item:
            views.target[i] = np.nan


def keep_captures(views: ViewSet, names: Collection[str]) -> ViewSet:
    """The views of some captures alone; a view whose twin is not among them has none."""
    numbers = [number for number, note in enumerate(views.notes) if note.capture_id in names]
    place = np.full(len(views.notes) + 1, -1)
    place[numbers] = np.arange(len(numbers))
    rows = np.flatnonzero(place[views.capture] >= 0)
    row_of = np.full(len(views) + 1, -1)  # the last stands for no twin
    row_of[rows] = np.arange(len(rows))
    arrays = {name: getattr(views, name)[rows] for name in ("rgb", "depth", "labels", "box", "target", "masked")}
    return ViewSet(
        **arrays,
        twin=row_of[views.twin[rows]],
        capture=place[views.capture[rows]],
        notes=tuple(views.notes[number] for number in numbers),
        cameras=tuple(views.cameras[row] for row in rows),
    )


def change(a: UInt8[np.ndarray, "h w 3"], b: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    """Absolute difference of two pictures in [0, 1], smoothed over 5x5 pixels so that sensor noise averages out."""
    difference = np.abs(a.astype(np.float32) - b.astype(np.float32)).mean(2) / 255
    return cv2.blur(difference, (5, 5))
