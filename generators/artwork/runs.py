"""Print that runs over folds: panels that are neighbours on the pack are painted as one sheet, and then cut.

What runs is drawn per design: the ground or the picture from the front on to its neighbour, a belt with the brand's
letters round all walls, or a large title over two corners.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import UInt8

from .artwork import Artwork, PanelKind
from .back import back, end_panel, side
from .canvas import Box, Canvas, fill, ground_at, window, write
from .fonts import fit_size, text_box
from .front import badge, front, logo_inks, picture_room
from .grounds import paint_flank, paint_ground, paint_things
from .panels import SMALLEST_PX, press

Sheet = UInt8[np.ndarray, "h w 3"]
BELT, TITLE = 0.1, 0.27
"""Share of the walls' height that a belt or a title takes."""
WIDE_GROUNDS = ("photo", "picture", "waves", "pattern")
"""Grounds without a middle: they may be larger than the front."""


def run_of(artwork: Artwork) -> str:
    """What runs over this design's folds: ground, picture, belt, title or nothing, as far as it has such a thing."""
    look = artwork.look
    if look.run == "ground" and look.ground not in WIDE_GROUNDS:
        return "belt"
    if look.run == "picture" and (look.hero in ("none", "close") or look.plaque != "none"):
        return "ground" if look.ground in WIDE_GROUNDS else "belt"
    return look.run


def _panel(
    canvas: Canvas, artwork: Artwork, kind: PanelKind, *, ground: bool, room: Box | None = None, shown: str = ""
) -> None:
    """One panel on its part of the sheet; what ``shown`` names runs over the fold and is left out of the panel."""
    if ground:
        (paint_ground if kind == "front" else paint_flank)(canvas, artwork)
    inner = canvas if room is None else window(canvas, room)
    match kind:
        case "front":
            front(inner, artwork, ground=False, things=shown != "picture", logo=shown != "title")
        case "back":
            back(inner, artwork, ground=False)
        case "side":
            side(inner, artwork, ground=False)
        case "top" | "bottom":
            end_panel(inner, artwork, top=kind == "top", ground=False)
        case _:
            pass


def _belt(canvas: Canvas, artwork: Artwork, high: float) -> None:
    """A strip of ink round all walls, with the brand again and again, whatever folds lie under it."""
    plate, letters = logo_inks(artwork, ground_at(canvas, (0, high, canvas.width, high))[0])
    fill(canvas, (0, 0, canvas.width, high), plate)
    font = artwork.look.brand_font
    size = fit_size(artwork.brand, font, 1e6, 0.52 * high)
    left, _, right, _ = text_box(artwork.brand, font, max(size, 4))
    count = max(1, round(canvas.width / (1.7 * (right - left) + 1)))
    pitch = canvas.width / count
    for k in range(count):
        write(canvas, artwork.brand, (k * pitch, 0.24 * high, pitch, 0.52 * high), font, letters)


def _titles(canvas: Canvas, artwork: Artwork, widths: tuple[int, ...], high: float) -> None:
    """The brand, large, over every second corner, on a strip of ink that goes round."""
    plate, letters = logo_inks(artwork, ground_at(canvas, (0, high, canvas.width, high))[0])
    fill(canvas, (0, 0, canvas.width, high), plate)
    for k in range(0, len(widths) - 1, 2):
        x = sum(widths[:k]) + 0.1 * widths[k]
        reach = 0.9 * widths[k] + 0.8 * widths[k + 1]
        write(canvas, artwork.brand, (x, 0.16 * high, reach, 0.68 * high), artwork.look.brand_font, letters, align=0.6)


def _rooms(widths: tuple[int, ...], height: int, run: str, hero: Box) -> list[Box | None]:
    """Where each wall's own design keeps to, clear of what runs across."""
    free = {"belt": BELT, "title": TITLE}.get(run, 0.0) * height
    rooms: list[Box | None] = [(0, free, w, height - free) if free else None for w in widths]
    if run == "picture":
        rooms[1] = (0, 0, widths[1], hero[1] if hero[1] > 0.25 * height else 0)
    return rooms


@lru_cache(maxsize=8)
def paint_walls(
    artwork: Artwork, kinds: tuple[PanelKind, ...], widths: tuple[int, ...], height: int, *, px_per_mm: float
) -> UInt8[np.ndarray, "h w 3"]:
    """Walls side by side as they are printed before the sheet is folded; the first is the front. Read-only."""
    art = np.zeros((max(height, SMALLEST_PX), sum(widths), 3), np.uint8)
    canvas, run = Canvas(art, px_per_mm), run_of(artwork)
    at = np.cumsum((0, *widths)).tolist()
    parts = [window(canvas, (x, 0, w, canvas.height)) for x, w in zip(at, widths, strict=False)]
    hero = picture_room(parts[0], artwork)
    across = 2 if run == "ground" else 0
    if across:
        paint_ground(window(canvas, (0, 0, at[across], canvas.height)), artwork)
    for k, (part, kind) in enumerate(zip(parts, kinds, strict=True)):
        if k >= across:
            (paint_ground if kind == "front" else paint_flank)(part, artwork)
    if run == "picture":
        half = min(0.85 * widths[1], 0.8 * widths[0])
        paint_things(canvas, artwork, (at[1] - half, hero[1], 2 * half, hero[3]))
    done: dict[tuple, Canvas] = {}
    for k, (part, kind, room) in enumerate(zip(parts, kinds, _rooms(widths, canvas.height, run, hero), strict=True)):
        alike = (kind, widths[k], room, k < across)
        if kind == "side" and alike in done:  # it bears no code, so that its pixels are all of it
            part.art[:] = done[alike].art
        elif room is None or room[3] > 0:
            _panel(part, artwork, kind, ground=False, room=room, shown=run)
            done[alike] = part
    if run == "belt":
        _belt(canvas, artwork, BELT * canvas.height)
    elif run == "title":
        _titles(canvas, artwork, widths, TITLE * canvas.height)
    return _printed(canvas, artwork)


@lru_cache(maxsize=8)
def paint_column(
    artwork: Artwork, kinds: tuple[PanelKind, ...], width: int, heights: tuple[int, ...], *, px_per_mm: float,
    keep: tuple[int, int, int] = (0, 0, 0), mirror: bool = False,
) -> UInt8[np.ndarray, "h w 3"]:  # fmt: skip
    """Panels one below the other, the front among them, as on a sleeve or on a pouch and its gusset. Read-only.

    The front's design stays ``keep`` [px] clear of its sides, its upper and its lower edge. The front's wide ground
    runs over all panels, or a ribbon with the brand along it (at the right with ``mirror``, as is seen from behind),
    unless the design is one whose print ends at folds.
    """
    art = np.zeros((sum(heights), max(width, SMALLEST_PX), 3), np.uint8)
    canvas, run = Canvas(art, px_per_mm), run_of(artwork)
    across = run == "ground" and "front" in kinds
    if across:
        paint_ground(canvas, artwork)
    ribbon = 0.13 * canvas.width if run in ("belt", "title") else 0.0
    y, aside = 0, keep[0]
    for kind, high in zip(kinds, heights, strict=True):
        part = window(canvas, (0, y, canvas.width, high))
        up, down = keep[1:] if kind == "front" else (0, 0)
        wide = max(canvas.width - 2 * aside - 1.25 * ribbon, 16)
        room = (aside + (0 if mirror else 1.25 * ribbon), up, wide, max(high - up - down, 16))
        _panel(part, artwork, kind, ground=not across, room=room)
        y += high
    if ribbon:
        at = aside + 0.15 * ribbon
        _ribbon(canvas, artwork, canvas.width - at - ribbon if mirror else at, ribbon)
    return _printed(canvas, artwork)


def _ribbon(canvas: Canvas, artwork: Artwork, x: float, wide: float) -> None:
    """A strip of ink down all panels with letters that run along it."""
    part = window(canvas, (x, 0, wide, canvas.height))
    upright = Canvas(np.ascontiguousarray(np.rot90(part.art, -1)), canvas.px_per_mm)
    _belt(upright, artwork, upright.height)
    part.art[:] = np.rot90(upright.art)


def paste_seal(
    artwork: Artwork, upper: UInt8[np.ndarray, "_ w 3"], lower: UInt8[np.ndarray, "_ w 3"], *, share: float,
    px_per_mm: float,
) -> None:  # fmt: skip
    """A round seal stuck over the edge between two panels, in place; ``share`` is how far right its middle is."""
    both = np.concatenate([upper, lower])
    size = min(26 * px_per_mm, 0.4 * both.shape[1], 1.2 * len(upper), 0.5 * len(lower))
    claims = [claim for claim in artwork.claims if max(map(len, claim.split())) <= 11]
    text = claims[0] if claims else artwork.brand
    at = (share * (both.shape[1] - size), len(upper) - size / 2, size, size)
    badge(Canvas(both, px_per_mm), artwork, text, at)
    upper[:], lower[:] = both[: len(upper)], both[len(upper) :]


def _printed(canvas: Canvas, artwork: Artwork) -> UInt8[np.ndarray, "h w 3"]:
    press(canvas, artwork)
    canvas.art.flags.writeable = False
    return canvas.art


def cut_sheet(sheet: UInt8[np.ndarray, "h w 3"], widths: tuple[int, ...]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """The walls of a printed sheet, each a picture of its own that may be drawn on."""
    at = np.cumsum((0, *widths)).tolist()
    return [sheet[:, x : x + w].copy() for x, w in zip(at, widths, strict=False)]
