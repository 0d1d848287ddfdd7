"""A panel being printed: shapes, set text and pasted pictures on an array of pixels, measured in millimetres."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import UInt8

from .fonts import advance, blend, face_for, fit_size, text_mask
from .inks import BLACK, WHITE, Ink, luminance, readable

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""


@dataclass(frozen=True)
class Canvas:
    """Pixels, their scale, and the codes that must stay crisp whatever the press does to the other inks."""

    art: UInt8[np.ndarray, "h w 3"]
    px_per_mm: float
    origin: tuple[int, int] = (0, 0)
    codes: list[tuple[UInt8[np.ndarray, "_ _ 3"], int, int]] = field(default_factory=list)
    """(picture, x, y) on the whole panel."""

    @property
    def width(self) -> int:
        """Pixels."""
        return self.art.shape[1]

    @property
    def height(self) -> int:
        """Pixels."""
        return self.art.shape[0]

    def mm(self, length: float) -> float:
        """Millimetres in pixels."""
        return length * self.px_per_mm


def window(canvas: Canvas, box: Box) -> Canvas:
    """A part of a canvas that is printed on like a whole one."""
    x, y, w, h = (round(v) for v in box)
    x, y = max(x, 0), max(y, 0)
    part = canvas.art[y : y + max(h, 1), x : x + max(w, 1)]
    return Canvas(part, canvas.px_per_mm, (canvas.origin[0] + x, canvas.origin[1] + y), canvas.codes)


def ground_at(canvas: Canvas, box: Box) -> tuple[Ink, float]:
    """Mean colour under a box, and how much it varies (0 to about 80)."""
    x, y, w, h = (round(v) for v in box)
    part = canvas.art[max(y, 0) : max(y + h, 1), max(x, 0) : max(x + w, 1)]
    if part.size == 0:
        return WHITE, 0.0
    part = np.ascontiguousarray(part[:: max(part.shape[0] // 16, 1), :: max(part.shape[1] // 24, 1)])
    mean, spread = cv2.meanStdDev(part)
    r, g, b = (int(v) for v in mean.ravel())
    return (r, g, b), float(spread.mean())


def _turn(mask: UInt8[np.ndarray, "h w"], degrees: float) -> UInt8[np.ndarray, "h2 w2"]:
    h, w = mask.shape
    c, s = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    out_w, out_h = int(w * c + h * s) + 2, int(w * s + h * c) + 2
    move = cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1.0)
    move[:, 2] += (out_w - w) / 2, (out_h - h) / 2
    return cv2.warpAffine(mask, move, (out_w, out_h), flags=cv2.INTER_LINEAR).astype(np.uint8)


def _grown(mask: UInt8[np.ndarray, "h w"], px: int) -> UInt8[np.ndarray, "h2 w2"]:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * px + 1, 2 * px + 1))
    return cv2.dilate(cv2.copyMakeBorder(mask, px, px, px, px, cv2.BORDER_CONSTANT, value=[0]), kernel).astype(np.uint8)


def write(
    canvas: Canvas, text: str, box: Box, font: str, ink: Ink | None = None, *, align: float = 0.5, rise: float = 0.5,
    most_mm: float | None = None, spacing: float = 0.0, outline: Ink | None = None, shadow: bool = False,
    degrees: float = 0.0, least: float = 3.0,
) -> Box:  # fmt: skip
    """Print one line as large as fits the box (or with letters of ``most_mm``); returns where its ink is.

    The ink is changed to black or white where it could not be read, and gets a halo where the ground is uneven.
    ``align`` and ``rise``: 0 left or top, 1 right or bottom.
    """
    x, y, w, h = box
    room = (w, h)
    if degrees:
        lean = abs(np.sin(np.radians(degrees)))
        room = (w * 0.97 - h * lean * 0.3, max(h - w * lean * 0.75, h * 0.35))
    size = fit_size(text, font, max(room[0], 1), max(room[1], 1), spacing=spacing)
    if most_mm is not None:
        size = min(size, max(round(canvas.mm(most_mm) / 0.7), 4))
    if size < 4 or not text:
        return x, y, 0, 0
    mask = text_mask(text, font, size, spacing=spacing)[0]
    mask = _turn(mask, degrees) if degrees else mask
    mh, mw = mask.shape
    px, py = round(x + align * (w - mw)), round(y + rise * (h - mh))
    ground, uneven = ground_at(canvas, (px, py, mw, mh))
    edge = max(round(0.06 * size), 1)
    if shadow:
        soft = cv2.GaussianBlur(_grown(mask, edge), (0, 0), max(edge * 0.8, 0.6)).astype(np.uint8)
        blend(canvas.art, soft, px - edge // 3, py + edge // 2, BLACK, 0.4)
    if outline is not None:
        blend(canvas.art, _grown(mask, edge), px - edge, py - edge, outline)
        ground, uneven = outline, 0.0
    ink = readable(ink if ink is not None else BLACK, ground, least)
    if uneven > 24 and outline is None:
        halo = cv2.GaussianBlur(_grown(mask, edge + 1), (0, 0), edge + 0.5).astype(np.uint8)
        blend(canvas.art, halo, px - edge - 1, py - edge - 1, BLACK if luminance(ink) > 0.4 else WHITE, 0.6)
    blend(canvas.art, mask, px, py, ink)
    return px, py, mw, mh


def _wrapped(text: str, font: str, size: int, width: float) -> list[str]:
    """Lines that fit; Japanese may break anywhere."""
    face = face_for(font, text)
    spaced = " " in text and not any(ord(c) > 0x3000 for c in text)
    words = text.split(" ") if spaced else list(text)
    gap = advance(" ", face, size) if spaced else 0.0
    lines, line, used = [], "", 0.0
    for word in words:
        long = advance(word, face, size)
        if line and used + gap + long > width:
            lines.append(line)
            line, used = word, long
        else:
            line = f"{line} {word}" if line and spaced else line + word
            used += long + (gap if used else 0.0)
    return [*lines, line]


def paragraph(
    canvas: Canvas, text: str, box: Box, font: str, size_mm: float, ink: Ink, *, align: float = 0.0, lead: float = 1.25
) -> float:
    """Print running text, ``size_mm`` is the height of a capital; stops at the box's end. Returns the next y."""
    x, y, w, h = box
    size = max(round(canvas.mm(size_mm) / 0.7), 5)
    if h < size or w < 3 * size:
        return y
    ink = readable(ink, ground_at(canvas, box)[0], 4.0)
    step = size * lead
    for line in _wrapped(text, font, size, w):
        if y + size > box[1] + h or not line.strip():
            break
        mask, dx, dy = text_mask(line, font, size)
        blend(canvas.art, mask[:, : int(w) + 2], round(x + align * max(w - mask.shape[1], 0)) + dx, round(y) + dy, ink)
        y += step
    return y


def fill(canvas: Canvas, box: Box, ink: Ink, *, radius: float = 0.0, opacity: float = 1.0, line: int = 0) -> None:
    """A rectangle, with round corners if asked; ``line`` > 0 draws its outline only."""
    x, y, w, h = (round(v) for v in box)
    if w < 2 or h < 2:
        return
    r = round(min(radius, w / 2, h / 2))
    if not line and opacity == 1.0:
        low, high = (x + w - 1, y), (x + w - 1, y + h - 1)
        if r < 1:
            cv2.rectangle(canvas.art, (x, y), high, ink, -1)
            return
        cv2.rectangle(canvas.art, (x + r, y), (low[0] - r, high[1]), ink, -1)
        cv2.rectangle(canvas.art, (x, y + r), (high[0], high[1] - r), ink, -1)
        for cx, cy in ((x + r, y + r), (low[0] - r, y + r), (x + r, high[1] - r), (low[0] - r, high[1] - r)):
            cv2.circle(canvas.art, (cx, cy), r, ink, -1, cv2.LINE_AA)
        return
    mask = np.zeros((h, w), np.uint8)
    if r < 1:
        mask[:] = 255
    else:
        cv2.rectangle(mask, (r, 0), (w - 1 - r, h - 1), 255, -1)
        cv2.rectangle(mask, (0, r), (w - 1, h - 1 - r), 255, -1)
        for cx, cy in ((r, r), (w - 1 - r, r), (r, h - 1 - r), (w - 1 - r, h - 1 - r)):
            cv2.circle(mask, (cx, cy), r, 255, -1, cv2.LINE_AA)
    if line:
        inner = cv2.erode(
            cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=[0]), np.ones((2 * line + 1,) * 2, np.uint8)
        )
        mask = cv2.subtract(mask, inner[1:-1, 1:-1]).astype(np.uint8)
    blend(canvas.art, mask, x, y, ink, opacity)


def polygon(canvas: Canvas, points: np.ndarray, ink: Ink, *, opacity: float = 1.0) -> None:
    """A filled outline with smooth edges."""
    if opacity == 1.0:
        cv2.fillPoly(canvas.art, [np.round(points * 16).astype(np.int32)], ink, cv2.LINE_AA, 4)
        return
    low, high = np.floor(points.min(axis=0)).astype(int) - 1, np.ceil(points.max(axis=0)).astype(int) + 2
    low, high = np.maximum(low, -2), np.minimum(high, (canvas.width + 2, canvas.height + 2))
    if (high <= low).any():
        return
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillPoly(mask, [np.round((points - low) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    blend(canvas.art, mask, int(low[0]), int(low[1]), ink, opacity)


def ellipse(canvas: Canvas, box: Box, ink: Ink, *, opacity: float = 1.0) -> None:
    """A filled ellipse."""
    x, y, w, h = box
    a = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    polygon(canvas, np.stack([x + w / 2 + w / 2 * np.cos(a), y + h / 2 + h / 2 * np.sin(a)], 1), ink, opacity=opacity)


def burst(canvas: Canvas, box: Box, ink: Ink, *, spikes: int = 18, depth: float = 0.14, opacity: float = 1.0) -> None:
    """A star with many spikes, or a scalloped seal where ``depth`` is small."""
    x, y, w, h = box
    a = np.linspace(0, 2 * np.pi, spikes * 8, endpoint=False)
    wave = np.abs((a * spikes / (2 * np.pi)) % 1 - 0.5) * 2 if depth > 0.08 else 0.5 + 0.5 * np.cos(a * spikes)
    r = 1 - depth * wave
    polygon(
        canvas, np.stack([x + w / 2 * (1 + r * np.cos(a)), y + h / 2 * (1 + r * np.sin(a))], 1), ink, opacity=opacity
    )


def paste(canvas: Canvas, picture: UInt8[np.ndarray, "h w 4"], x: float, y: float) -> None:
    """Lay an RGBA picture on."""
    left, top = round(x), round(y)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + picture.shape[1], canvas.width), min(top + picture.shape[0], canvas.height)
    if x0 >= x1 or y0 >= y1:
        return
    part = picture[y0 - top : y1 - top, x0 - left : x1 - left]
    place = canvas.art[y0:y1, x0:x1]
    share = part[..., 3:].astype(np.float32) / 255
    place[:] = place + (part[..., :3] - place.astype(np.float32)) * share


def flood(canvas: Canvas, ink: Ink) -> None:
    """The whole panel in one ink."""
    cv2.rectangle(canvas.art, (0, 0), (canvas.width, canvas.height), ink, -1)


def put_code(canvas: Canvas, code: UInt8[np.ndarray, "h w 3"], x: float, y: float) -> None:
    """Place a code; it is printed again at the end, untouched by the other inks' flaws."""
    left, top = round(x), round(y)
    h, w = code.shape[:2]
    if left < 0 or top < 0 or left + w > canvas.width or top + h > canvas.height:
        return
    canvas.art[top : top + h, left : left + w] = code
    canvas.codes.append((code, canvas.origin[0] + left, canvas.origin[1] + top))
