"""Typefaces and set text: which letters a face has, how large text may be, and its coverage mask.

All faces are data packages or come with matplotlib; their licences (SIL OFL 1.1, Apache-2.0, Bitstream Vera) let them
be used in pictures. Text is set from left to right with Pillow's basic layout, which needs no system library and so
gives the same bytes everywhere.
"""

import importlib.resources
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from fontTools.ttLib import TTFont
from jaxtyping import UInt8
from PIL import ImageFont

from ...sim.errors import DamagelandError
from .inks import Ink

FILES: dict[str, tuple[str, str, float]] = {
    "FiraSans-Bold": ("fontpkg_fira_sans", "FiraSans-Bold.ttf", 0),
    "FiraSans-Regular": ("fontpkg_fira_sans", "FiraSans-Regular.ttf", 0),
    "FiraSans-Black": ("fontpkg_fira_sans", "FiraSans-Black.ttf", 0),
    "FiraSans-ExtraBoldItalic": ("fontpkg_fira_sans", "FiraSans-ExtraBoldItalic.ttf", 0),
    "FiraSans-Light": ("fontpkg_fira_sans", "FiraSans-Light.ttf", 0),
    "BarlowCondensed-Bold": ("fontpkg_barlow_condensed", "BarlowCondensed-Bold.ttf", 0),
    "BarlowCondensed-Medium": ("fontpkg_barlow_condensed", "BarlowCondensed-Medium.ttf", 0),
    "BarlowCondensed-BlackItalic": ("fontpkg_barlow_condensed", "BarlowCondensed-BlackItalic.ttf", 0),
    "BebasNeue": ("fontpkg_bebas_neue", "BebasNeue-Regular.ttf", 0),
    "Comfortaa": ("fontpkg_comfortaa", "Comfortaa[wght].ttf", 700),
    "AlfaSlabOne": ("fontpkg_alfa_slab_one", "AlfaSlabOne-Regular.ttf", 0),
    "AbrilFatface": ("fontpkg_abril_fatface", "AbrilFatface-Regular.ttf", 0),
    "Playfair-Black": ("fontpkg_playfair_display", "PlayfairDisplay[wght].ttf", 850),
    "Playfair": ("fontpkg_playfair_display", "PlayfairDisplay[wght].ttf", 450),
    "Playfair-Italic": ("fontpkg_playfair_display", "PlayfairDisplay-Italic[wght].ttf", 600),
    "LilitaOne": ("fontpkg_lilita_one", "LilitaOne-Regular.ttf", 0),
    "Lobster": ("fontpkg_lobster", "Lobster-Regular.ttf", 0),
    "Pacifico": ("fontpkg_pacifico", "Pacifico-Regular.ttf", 0),
    "Caveat": ("fontpkg_caveat", "Caveat[wght].ttf", 600),
    "PermanentMarker": ("fontpkg_permanent_marker", "PermanentMarker-Regular.ttf", 0),
    "DejaVuSans-Bold": ("matplotlib", "DejaVuSans-Bold.ttf", 0),
    "DejaVuSans": ("matplotlib", "DejaVuSans.ttf", 0),
    "DejaVuSerif-Bold": ("matplotlib", "DejaVuSerif-Bold.ttf", 0),
    "DejaVuSansMono-Bold": ("matplotlib", "DejaVuSansMono-Bold.ttf", 0),
    "NotoSansJP": ("pylopdf_fonts_jp", "NotoSansJP-Regular.otf", 0),
    "NotoSerifJP": ("pylopdf_fonts_jp", "NotoSerifJP-Regular.otf", 0),
}
"""Face: (package, file, weight of a variable face or 0)."""
FONTS = tuple(name for name in FILES if not name.startswith("Noto"))
"""Faces with Latin letters: 0 a bold sans, 1 a plain sans for small print."""
FALLBACKS = ("FiraSans-Bold", "DejaVuSans-Bold", "NotoSansJP")
"""Tried in turn where a face lacks a letter."""


@lru_cache(maxsize=64)
def font_file(name: str) -> Path:
    """Where a face's file is; a user's typeface is named by its path."""
    if name not in FILES:
        return Path(name)
    package, file, _ = FILES[name]
    if package == "matplotlib":
        return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file
    folder = Path(str(importlib.resources.files(package)))
    return folder / "files" / file if package.startswith("fontpkg") else folder / file


@lru_cache(maxsize=256)
def load_font(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    """A face at a size."""
    font = _open(font_file(name), size_px)
    if name in FILES and (weight := FILES[name][2]):
        font.set_variation_by_axes([weight])
    return font


@lru_cache(maxsize=64)
def letters(name: str) -> frozenset[int]:
    """Code points that a face has."""
    return _letters_in(font_file(name))


def _open(path: Path, size_px: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(str(path), size_px, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise _unreadable(path, error) from error


def _letters_in(path: Path) -> frozenset[int]:
    try:
        with TTFont(path, lazy=True) as font:
            return frozenset(font.getBestCmap() or {})
    except Exception as error:  # a broken file makes the parser fail in many ways
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DamagelandError:
    return DamagelandError(
        f"{path}: cannot be read as a typeface ({error or type(error).__name__}). Expected a TrueType or OpenType file "
        "(.ttf, .otf) with Unicode letters. Export it again, or take it out of the folder."
    )


def check_font(path: Path) -> None:
    """Refuse a user's typeface that cannot be read, has no letters or cannot draw them; the file is read anew."""
    found = sorted(_letters_in(path))
    if not found:
        raise _unreadable(path, ValueError("it has no Unicode letters"))
    text = "".join(chr(c) for c in found if chr(c).isalnum())[:64]
    try:
        _open(path, 32).getmask(text)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def covers(name: str, text: str) -> bool:
    """Whether a face has every letter of the text."""
    return letters(name).issuperset(ord(c) for c in text)


@lru_cache(maxsize=4096)
def face_for(name: str, text: str) -> str:
    """The face itself if it has all letters, else the first of FALLBACKS that does."""
    return next((face for face in (name, *FALLBACKS) if covers(face, text)), FALLBACKS[-1])


@lru_cache(maxsize=2048)
def text_box(text: str, font: str, size_px: int, spacing: float = 0.0) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the ink when set at the origin; ``spacing`` is a share of the size."""
    face = load_font(face_for(font, text), max(size_px, 1))
    left, top, right, bottom = face.getbbox(text)
    return int(left), int(top), int(right + spacing * size_px * max(len(text) - 1, 0)), int(bottom)


@lru_cache(maxsize=8192)
def advance(text: str, face: str, size_px: int) -> float:
    """How far a word moves the pen; hinting makes small sizes wider than in proportion."""
    return float(load_font(face, size_px).getlength(text))


def fit_size(text: str, font: str, width: float, height: float, *, spacing: float = 0.0) -> int:
    """Largest size [px] at which the ink of one line fits."""
    left, top, right, bottom = text_box(text, font, 100, spacing)
    return int(100 * min(width / max(right - left, 1), height / max(bottom - top, 1)))


@lru_cache(maxsize=512)
def text_mask(
    text: str, font: str, size_px: int, *, stroke_px: int = 0, spacing: float = 0.0
) -> tuple[UInt8[np.ndarray, "h w"], int, int]:
    """Coverage of one line of text, cropped to its ink, and where that box starts relative to the pen (left, top)."""
    face = load_font(face_for(font, text), max(size_px, 3))
    if spacing == 0:
        mask, (dx, dy) = face.getmask2(text, mode="L", stroke_width=stroke_px)
        width, height = mask.size
        pixels = np.array(mask, np.uint8).reshape(height, width) if width and height else np.zeros((1, 1), np.uint8)
        return pixels, int(dx), int(dy)
    glyphs, pen = [], 0.0
    for letter in text:
        glyphs.append((round(pen), text_mask(letter, font if covers(font, text) else face_for(font, text), size_px)))
        pen += face.getlength(letter) + spacing * size_px
    top = min(g[2] for _, g in glyphs)
    bottom = max(g[2] + g[0].shape[0] for _, g in glyphs)
    left = min(x + g[1] for x, g in glyphs)
    right = max(x + g[1] + g[0].shape[1] for x, g in glyphs)
    out = np.zeros((bottom - top, right - left), np.uint8)
    for x, (glyph, dx, dy) in glyphs:
        h, w = glyph.shape
        place = out[dy - top : dy - top + h, x + dx - left : x + dx - left + w]
        np.maximum(place, glyph, out=place)
    if stroke_px:
        out = np.pad(out, stroke_px)
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * stroke_px + 1, 2 * stroke_px + 1))
        out, left, top = cv2.dilate(out, kernel).astype(np.uint8), left - stroke_px, top - stroke_px
    return out, left, top


def blend(
    picture: UInt8[np.ndarray, "h w 3"],
    mask: UInt8[np.ndarray, "mh mw"],
    x: int,
    y: int,
    ink: Ink,
    opacity: float = 1.0,
) -> None:
    """Print one ink through a mask whose left top corner is at (x, y); what lies outside is cut off."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + mask.shape[1], width), min(y + mask.shape[0], height)
    if x0 >= x1 or y0 >= y1:
        return
    part = mask[y0 - y : y1 - y, x0 - x : x1 - x, None].astype(np.float32) * np.float32(opacity / 255)
    place = picture[y0:y1, x0:x1]
    place[:] = place + (np.array(ink, np.float32) - place) * part + np.float32(0.5)


def draw_text(
    picture: UInt8[np.ndarray, "h w 3"], text: str, box: tuple[int, int, int, int], color: Ink, font: str
) -> UInt8[np.ndarray, "h w 3"]:
    """Return the picture with text written as large as fits into box (x, y, width, height), in pixels."""
    x, y, width, height = box
    size = fit_size(text, font, width, height)
    if size < 4:
        return picture
    mask, _, _ = text_mask(text, font, size)
    out = picture.copy()
    blend(out, mask, x, y, color)
    return out
