"""What is printed around a book: a picture that runs over front, spine and back, title, author, blurb and barcode."""

from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ..artwork import FONTS, Artwork, Ink, draw_text, fractal_noise
from ..artwork.codes import draw_ean, ean_module_px

Picture = UInt8[np.ndarray, "h w 3"]
ADJECTIVES = ("silent", "last", "hidden", "northern", "broken", "early", "golden", "other", "long", "small", "seventh")
NOUNS = ("harbour", "garden", "winter", "letter", "island", "orchard", "clock", "river", "window", "summer", "bridge")
PATTERNS = ("The {a} {n}", "{n} of the {m}", "A {a} {n}", "The {n} and the {m}", "{a} {n}", "How to read a {n}")
GIVEN = ("Mara", "Ilse", "Tomas", "Edwin", "Noor", "Petra", "Oskar", "Lena", "Ravi", "June", "Anton", "Salma")
FAMILY = ("Veldt", "Korrin", "Hale", "Ostrand", "Meling", "Parro", "Tibbet", "Lanz", "Quill", "Aspen", "Doru")
BLURB = (
    "when a stranger arrives at the harbour nobody asks for a name until the letters begin to come back one by one "
    "and the old house opens its doors what was lost in a winter long ago returns to those who waited for it a story "
    "about patience and weather about two sisters and the river between them told with warmth and a sharp eye"
)


def book_title(rng: np.random.Generator) -> tuple[str, str]:
    """A made-up title and its author."""
    pattern, a = str(rng.choice(PATTERNS)), str(rng.choice(ADJECTIVES))
    n, m = (str(v) for v in rng.choice(NOUNS, 2, replace=False))
    title = pattern.format(a=a, n=n, m=m)
    return title[0].upper() + title[1:], f"{rng.choice(GIVEN)} {rng.choice(FAMILY)}"


def _mix(a: Ink, b: Ink, share: float) -> Float[np.ndarray, "3"]:
    return (1 - share) * np.array(a, float) + share * np.array(b, float)


def _hills(rng: np.random.Generator, w: int, h: int, art: Artwork) -> Picture:
    """Layers of land under a sky with a sun."""
    slope = np.linspace(0, 1, h)[:, None, None]
    top, low = _mix(art.ground, art.accent, 0.15), _mix(art.ground, (255, 244, 225), 0.6)
    out = np.broadcast_to((1 - slope) * top + slope * low, (h, w, 3)).astype(np.uint8).copy()
    sun = (int(rng.uniform(0.6, 0.92) * w), int(rng.uniform(0.2, 0.5) * h))
    cv2.circle(out, sun, int(rng.uniform(0.06, 0.13) * h), (250, 236, 205), -1, cv2.LINE_AA)
    for k in range(5):
        line = fractal_noise(rng, 2, w, cell_px=w / rng.uniform(3, 7), octaves=5)[0]
        rise = (0.5 + 0.1 * k) * h + 0.05 * h * line
        tone = _mix(art.accent, (12, 16, 26), 0.25 + 0.14 * k)
        path = np.concatenate([[(0, h)], np.stack([np.arange(w), rise], 1), [(w - 1, h)]]).astype(np.int32)
        cv2.fillPoly(out, [path], tone.tolist(), cv2.LINE_AA)
    return out


def _shapes(rng: np.random.Generator, w: int, h: int, art: Artwork) -> Picture:
    """A grid of quarter discs and triangles in the cover's inks."""
    out = np.empty((h, w, 3), np.uint8)
    out[:] = art.ground
    inks = [art.accent, art.ink, tuple(_mix(art.accent, (255, 255, 255), 0.5)), tuple(_mix(art.ground, (0, 0, 0), 0.3))]
    cell = h // int(rng.integers(4, 9))
    for y in range(0, h, cell):
        for x in range(0, w, cell):
            ink = [float(v) for v in inks[int(rng.integers(len(inks)))]]
            corner = (x + cell * int(rng.integers(2)), y + cell * int(rng.integers(2)))
            form = rng.random()
            tile = out[y : y + cell, x : x + cell]
            at = (corner[0] - x, corner[1] - y)
            part = np.ascontiguousarray(tile)
            if form < 0.5:
                cv2.circle(part, at, cell, ink, -1, cv2.LINE_AA)
            elif form < 0.75:
                other = (cell - at[0], cell - at[1])
                cv2.fillPoly(part, [np.array([at, (other[0], at[1]), (at[0], other[1])])], ink, cv2.LINE_AA)
            tile[:] = part
    return out


def _mist(rng: np.random.Generator, w: int, h: int, art: Artwork) -> Picture:
    """A dim photograph in two tones: clouds, a horizon, grain, darker corners."""
    clouds = fractal_noise(rng, max(h // 4, 8), max(w // 4, 8), cell_px=h / 9, octaves=6)
    tone = cv2.resize(clouds.astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    level = rng.uniform(0.5, 0.75)
    tone = (
        0.5 + 0.16 * tone + 0.5 * np.clip(level - y / h, -0.3, 0.5) - 0.25 * ((x / w - 0.5) ** 2 + (y / h - 0.5) ** 2)
    )
    tone -= 0.22 * (y / h > level + 0.004 * np.sin(x / 9))
    tone = np.clip(tone, 0, 1)[..., None]
    dark, light = _mix(art.ground, (8, 10, 20), 0.75), _mix(art.accent, (255, 250, 240), 0.6)
    return ((1 - tone) * dark.astype(np.float32) + tone * light.astype(np.float32)).astype(np.uint8)


def _cloth(rng: np.random.Generator, w: int, h: int, art: Artwork) -> Picture:
    """Woven cloth in one colour."""
    weave = 1 + 0.05 * rng.standard_normal((h, 1)) + 0.05 * rng.standard_normal((1, w))
    weave = weave + 0.05 * rng.standard_normal((h, w), np.float32)
    return np.clip(weave[..., None] * np.array(art.ground), 0, 255).astype(np.uint8)


def _stack(picture: Picture, text: str, box: tuple[int, int, int, int], ink: Ink, font: str) -> Picture:
    """Write text in lines of one or two words, as large as the box allows."""
    words, lines = text.split(), []
    while words:
        take = 2 if len(words[0]) <= 3 and len(words) > 1 else 1
        lines.append(" ".join(words[:take]))
        words = words[take:]
    x, y, w, h = box
    high = h // len(lines)
    for k, line in enumerate(lines):
        picture = draw_text(picture, line, (x, y + k * high, w, int(0.78 * high)), ink, font)
    return picture


def _readable(picture: Picture, box: tuple[int, int, int, int]) -> Ink:
    x, y, w, h = box
    return (22, 22, 26) if picture[y : y + h, x : x + w].mean() > 135 else (248, 246, 238)


def _front(picture: Picture, title: str, author: str, rng: np.random.Generator) -> Picture:
    h, w = picture.shape[:2]
    font, plain = str(rng.choice(FONTS)), FONTS[1]
    top = rng.random() < 0.65
    box = (int(0.1 * w), int((0.1 if top else 0.52) * h), int(0.8 * w), int(0.32 * h))
    if rng.random() < 0.3:  # a panel behind the title
        x, y, bw, bh = box
        picture[y - int(0.04 * h) : y + bh, x - int(0.04 * w) : x + bw + int(0.04 * w)] = (246, 242, 232)
    out = _stack(picture, title.upper() if rng.random() < 0.5 else title, box, _readable(picture, box), font)
    line = (int(0.1 * w), int((0.88 if top else 0.08) * h), int(0.8 * w), int(0.05 * h))
    out = draw_text(out, author, line, _readable(out, line), plain if rng.random() < 0.5 else font)
    if rng.random() < 0.3:
        note = (int(0.1 * w), int(0.5 * h) if top else int(0.9 * h), int(0.5 * w), int(0.03 * h))
        words = str(rng.choice(["A NOVEL", "Stories", "Second edition", "A memoir"]))
        out = draw_text(out, words, note, _readable(out, note), plain)
    return out


def _spine(picture: Picture, title: str, author: str, font: str) -> Picture:
    """Title and author along the spine, read from the top down."""
    lying = cv2.rotate(picture, cv2.ROTATE_90_COUNTERCLOCKWISE)
    h, w = lying.shape[:2]
    if h < 12:
        return picture
    box = (int(0.06 * w), int(0.22 * h), int(0.5 * w), int(0.5 * h))
    lying = draw_text(lying, title, box, _readable(lying, box), font)
    box = (int(0.64 * w), int(0.28 * h), int(0.28 * w), int(0.36 * h))
    lying = draw_text(lying, author, box, _readable(lying, box), FONTS[1])
    return cv2.rotate(lying, cv2.ROTATE_90_CLOCKWISE)


def _back(picture: Picture, art: Artwork, rng: np.random.Generator, scale: float) -> Picture:
    h, w = picture.shape[:2]
    box = (int(0.1 * w), int(0.12 * h), int(0.8 * w), int(0.4 * h))
    ink, size, start = _readable(picture, box), max(5, int(3.0 * scale)), int(rng.integers(40))
    text = BLURB.split()
    words = text[start:] + text[:start]
    for row in range(9):
        line = " ".join(words[row * 7 : row * 7 + 7]) or "—"
        picture = draw_text(picture, line, (box[0], box[1] + int(1.6 * row * size), box[2], size), ink, FONTS[1])
    module = ean_module_px(scale, 0.45 * w)
    code = draw_ean(art.ean, module, int(22 * scale))
    y, x = h - len(code) - int(7 * scale), w - code.shape[1] - int(7 * scale)
    if x > 0 and y > 0:
        picture[y : y + len(code), x : x + code.shape[1]] = code
    return picture


def paint_book(
    art: Artwork,
    author: str,
    sizes: tuple[tuple[int, int], ...],
    scale: float,
    rng: np.random.Generator,
    *,
    cloth: bool,
) -> list[Picture]:
    """Back, spine and front, of (width, height) [px]; one picture runs over all three."""
    wide, high = sum(w for w, _ in sizes), sizes[0][1]
    ways = (_hills, _shapes, _mist)
    ground = (_cloth if cloth else ways[int(rng.integers(len(ways)))])(rng, wide, high, art)
    cuts = np.cumsum([0] + [w for w, _ in sizes])
    back, spine, front = (ground[:, a:b].copy() for a, b in pairwise(cuts))
    font = str(rng.choice(FONTS))
    if not cloth or rng.random() < 0.5:
        front = _front(front, art.title, author, rng)
    spine = _spine(spine, art.title, author, font)
    return [back if cloth else _back(back, art, rng, scale), spine, front]
