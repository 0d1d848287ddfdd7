"""What is printed and stuck on shipping boxes: liner, one-colour prints, the die's marks, tape and label."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ..artwork import FONTS, Artwork, Ink, draw_ink, draw_kraft, draw_shipping_label, draw_text
from ..artwork.fonts import fit_size, text_box
from ..atlas import Atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, Stock
from .board import draw_bow
from .boardprint import cut_edge, extent_mm, perforation, stroke
from .tape import TAPES, lay_on, tape_strip

HAND = 0.74
"""Height of hand holes over the box's."""


@dataclass(frozen=True)
class Shipper:
    """One box's drawn form."""

    size: Float[np.ndarray, "3"]
    mailer: bool
    white: bool
    tape: str | None
    tape_mm: float
    label: int | None
    """Number of the panel that bears the shipping label: 0, or 4 for the top."""
    hand: str | None
    """Hand holes in the side walls: open, or pressed (perforated and not pushed through)."""
    openings: Mapping[int, list[Float[np.ndarray, "_ 2"]]]
    """Outlines [m] of what is cut out of each wall."""
    bare: bool
    pitch: float
    """Of the flutes [m]."""
    ridge: float
    """Height to which flutes show through [m]."""

    @property
    def stock(self) -> Stock:
        """What it is made of."""
        return STOCKS["white_corrugate" if self.white else "corrugate"]

    @property
    def wall_mm(self) -> float:
        """Mailers are of a finer flute."""
        return 1.7 if self.mailer else self.stock.thickness_mm


def _kraft(rng: np.random.Generator, white: bool, sizes: list[tuple[int, int]]) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """Liner for every panel, cut from one drawn sheet."""
    wide, high = (max(size[k] for size in sizes) for k in (0, 1))
    grey = cv2.cvtColor(draw_kraft(rng, (wide + 60) * 2 // 3, (high + 60) * 2 // 3), cv2.COLOR_RGB2GRAY).astype(
        np.float32
    )
    tone = 1 + (0.45 if white else 0.8) * (grey / grey.mean() - 1)
    level = rng.uniform(0.88, 1.06)  # from pale to dark brown, and redder as it gets darker
    liner = np.array([226, 224, 217]) if white else level * np.array([190, 150 + 18 * (level - 0.95), 111])
    sheet = np.clip(tone[..., None] * liner.astype(np.float32), 0, 255).astype(np.uint8)
    sheet = cv2.resize(sheet, (wide + 40, high + 40), interpolation=cv2.INTER_CUBIC)
    pictures = []
    for w, h in sizes:
        x, y = (int(v) for v in rng.integers(0, 40, 2))
        picture = sheet[y : y + h, x : x + w]
        pictures.append((picture[:, ::-1] if rng.random() < 0.5 else picture).copy())
    return pictures


def _arrows(picture: UInt8[np.ndarray, "h w 3"], scale: float, at: tuple[float, float], size: float, ink: Ink) -> None:
    """The two arrows of "this way up", over a line."""
    x, y = at
    for dx in (0.0, 0.55 * size):
        stroke(picture, scale, [(x + dx, y + size), (x + dx, y)], 0.1 * size, ink)
        head = [(x + dx - 0.18 * size, y + 0.28 * size), (x + dx, y), (x + dx + 0.18 * size, y + 0.28 * size)]
        stroke(picture, scale, head, 0.1 * size, ink)
    stroke(picture, scale, [(x - 0.25 * size, y + 1.15 * size), (x + 0.8 * size, y + 1.15 * size)], 0.09 * size, ink)


def _write(picture: UInt8[np.ndarray, "h w 3"], text: str, box: tuple[float, float, float, float], ink: Ink) -> None:
    """Write into a box given in shares of the picture, in place."""
    h, w = picture.shape[:2]
    x, y, wide, high = box
    picture[:] = draw_text(picture, text, (int(x * w), int(y * h), int(wide * w), int(high * h)), ink, FONTS[0])


def _write_over(pictures: list[UInt8[np.ndarray, "_ _ 3"]], k: int, text: str, ink: Ink) -> None:
    """Write over the corner between wall ``k`` and the next, and rule a line under it that goes round."""
    both = np.concatenate(pictures[k : k + 2], axis=1)
    h, w = pictures[k].shape[:2]
    most = min(0.9 * w / 0.6, 0.8 * (both.shape[1] - w) / 0.4)  # six tenths of the word before the corner
    left, _, right, _ = text_box(text, FONTS[0], max(fit_size(text, FONTS[0], most, 0.2 * h), 1))
    box = (int(w - 0.6 * (right - left)), int(0.06 * h), int(most), int(0.2 * h))
    both = draw_text(both, text, box, ink, FONTS[0])
    cv2.line(both, (0, int(0.275 * h)), (both.shape[1], int(0.275 * h)), ink, max(2, h // 90))
    pictures[k], pictures[k + 1] = both[:, :w].copy(), both[:, w:].copy()


def _print_walls(form: Shipper, art: Artwork, pictures: list[UInt8[np.ndarray, "_ _ 3"]], scale: float, rng) -> None:
    ink = draw_ink(rng, 15.0, 90.0)
    if rng.random() < 0.4:
        ink = art.accent if sum(art.accent) < 480 else ink
    box, way_up = (0.1, rng.uniform(0.25, 0.4), rng.uniform(0.35, 0.75), 0.3), rng.random() < 0.6
    words = str(rng.choice(["FRAGILE", "HANDLE WITH CARE", "THIS SIDE UP", "KEEP DRY", art.title.upper()]))
    over = rng.random() < 0.35
    for k in (0, 2):
        if over:
            _write_over(pictures, k, art.brand, ink)
        else:
            _write(pictures[k], art.brand, box, ink)
        _write(pictures[k], words, (0.1, 0.78, 0.45, 0.1), ink)
    if form.mailer:
        _write(pictures[4], art.brand, (0.2, 0.34, 0.6, 0.28), ink)
    for k in (1, 3):
        w, h = extent_mm(pictures[k], scale)
        size = min(0.4 * h, 0.28 * w, 45.0)
        if way_up:
            _arrows(pictures[k], scale, (0.62 * w, (0.34 if over else 0.3) * h), size, ink)
        _write(pictures[k], art.ean, (0.08, 0.76, 0.4, 0.1), ink)


def _print_build(form: Shipper, pictures: list[UInt8[np.ndarray, "_ _ 3"]], scale: float) -> None:
    """Slits, flap ends, the glued joint and hand holes, as the die leaves them."""
    board: Ink = (176, 142, 102)
    dark: Ink = (34, 24, 16)
    front, right, back, left, top, bottom = pictures
    if form.mailer:
        w, h = extent_mm(top, scale)
        stroke(top, scale, [(0, h - 1.0), (w, h - 1.0)], 1.0, dark, opacity=0.75)
        for wall in (right, left):  # the lid's sides tuck in behind the rolled walls
            cut_edge(wall, scale, "top", board, thickness_mm=2.0)
        wide, high = extent_mm(front, scale)
        for x in (0.0, wide):  # cherry locks: a slot at each end of the front
            inner = abs(x - 9.0)
            stroke(front, scale, [(inner, 0.18 * high), (inner, 0.62 * high)], 1.6, dark, opacity=0.8)
        cut_edge(front, scale, "top", board, thickness_mm=1.6)
        for x in (0.3 * wide, 0.7 * wide):  # the floor's tabs that hold the rolled sides
            stroke(bottom, scale, [(x, 6.0), (x + 14.0, 6.0)], 1.4, dark, opacity=0.7)
        return
    for picture in (top, bottom):
        w, h = extent_mm(picture, scale)
        stroke(picture, scale, [(0, h / 2), (w, h / 2)], 2.6, board, opacity=0.6)
        stroke(picture, scale, [(0, h / 2), (w, h / 2)], 1.3, dark, opacity=0.9)
    for wall in (right, left):
        for side in ("top", "bottom"):  # the long flaps end here: their corrugated edge is seen
            cut_edge(wall, scale, side, board, thickness_mm=2.4)
    cut_edge(back, scale, "right", board, thickness_mm=1.2)
    for wall in (right, left) if form.hand == "pressed" else ():
        w, h = extent_mm(wall, scale)
        half, y = min(34.0, 0.3 * w), (1 - HAND) * h
        hole = [(w / 2 - half, y), (w / 2 + half, y)]
        perforation(wall, scale, [(x, y - 11) for x, y in hole], dash_mm=5, gap_mm=2)
        stroke(wall, scale, hole, 22, board, opacity=0.25)
        stroke(wall, scale, [(w / 2 - half, y + 11), (w / 2 + half, y + 11)], 1.2, dark, opacity=0.8)
    for panel, outlines in form.openings.items():
        wall = pictures[panel]
        high = extent_mm(wall, scale)[1]
        for ring in outlines:
            stroke(wall, scale, [(1000 * x, high - 1000 * y) for x, y in [*ring, ring[0]]], 0.8, board)


def _tape(form: Shipper, brand: str, pictures, rough, scale: float, rng: np.random.Generator) -> None:
    """Tape along the slits of top and bottom, and down both sides."""
    assert form.tape is not None
    free = 450 if form.hand is None else 1000 * (1 - HAND) - 80  # no tape over the hands' holes
    over = rng.uniform(0.55, 1.0, 2) * min(70.0, free * float(form.size[2]))
    _, right, _, left, top, bottom = range(6)
    gloss = round(255 * TAPES[form.tape][2])
    for panel, sign in ((top, -1.0), (bottom, 1.0)):
        h, w = pictures[panel].shape[:2]
        strip, cover = tape_strip(
            form.tape, brand, scale, size_mm=(w / scale + float(over.sum()), form.tape_mm), rng=rng
        )
        slip = round(float(rng.normal(0, 1.5)) * scale)
        start = round(float(over[0]) * scale)
        lay_on(
            pictures[panel], rough[panel], (-start, round(h / 2 + sign * slip - len(strip) / 2)), strip, cover, gloss
        )
        for wall, piece, turn in (
            (left, np.s_[:, :start], cv2.ROTATE_90_COUNTERCLOCKWISE),
            (right, np.s_[:, start + w :], cv2.ROTATE_90_CLOCKWISE),
        ):
            turned, alpha = cv2.rotate(strip[piece].copy(), turn), cv2.rotate(cover[piece].copy(), turn)
            if panel == bottom:  # seen from the side, the bottom's tape comes up
                turned, alpha = turned[::-1], alpha[::-1]
            tall, wide = pictures[wall].shape[:2]
            column = round(wide / 2 + (slip if wall == right else -slip) - turned.shape[1] / 2)
            row = tall - len(turned) if panel == bottom else 0
            lay_on(pictures[wall], rough[wall], (column, row), turned, alpha, gloss)


def _label(form: Shipper, pictures, rough, scale: float, rng: np.random.Generator) -> None:
    """A shipping label, stuck on by hand: a little askew."""
    assert form.label is not None
    picture = pictures[form.label]
    h, w = picture.shape[:2]
    wide = min(float(rng.choice([100.0, 148.0, 105.0])) * scale, 0.8 * w, 1.2 * h)
    high = min(0.67 * wide, 0.85 * h)
    label = draw_shipping_label(rng, max(40, round(wide)), max(30, round(high)))
    side = round(1.1 * (wide + 0.12 * high) + 4)
    turn = cv2.getRotationMatrix2D((label.shape[1] / 2, label.shape[0] / 2), float(rng.normal(0, 1.6)), 1.0)
    turn[:, 2] += (side - label.shape[1]) / 2, (side - label.shape[0]) / 2
    turned = cv2.warpAffine(label, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(np.full(label.shape[:2], 255, np.uint8), turn, (side, side), flags=cv2.INTER_LINEAR)
    x = round(rng.uniform(0.06, 0.94) * (w - wide) + (wide - side) / 2)
    y = round(rng.uniform(0.06, 0.94) * (h - high) + (high - side) / 2)
    lay_on(picture, rough[form.label], (x, y), turned, cover, 130)


def paint_shipper(form: Shipper, art: Artwork, atlas: Atlas, design: Design):
    """The print, and where it is glossy: tape and label."""
    rng, specimen = stream(design, "layout"), stream(design, "specimen")
    scale = atlas.patches[0].px_per_mm
    pictures = _kraft(rng, form.white, [patch.picture_size for patch in atlas.patches])
    if not form.bare:
        _print_walls(form, art, pictures, scale, rng)
    _print_build(form, pictures, scale)
    rough = [np.full(picture.shape[:2], 255, np.uint8) for picture in pictures]
    draw_bow(specimen, (0.0, 1.0))  # as at the product's start: what follows it is drawn apart
    if form.tape is not None:
        _tape(form, art.brand, pictures, rough, scale, specimen)
    if form.label is not None:
        _label(form, pictures, rough, scale, specimen)
    gloss = paint_atlas(atlas, [np.repeat(r[..., None], 3, axis=2) for r in rough], ground=255)
    small = cv2.resize(gloss, (design.texture_px // 2, design.texture_px // 2), interpolation=cv2.INTER_AREA)
    small[..., 2] = 0
    return paint_atlas(atlas, pictures), small
