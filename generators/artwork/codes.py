"""Codes that scan: EAN-13, Code 128 and QR, drawn to the texel; and the dot-matrix print of a date and lot.

The modules come from python-barcode and segno. Every module is a whole number of texels wide, else a reader would meet
bars of uneven width.
"""

from functools import lru_cache

import barcode
import cv2
import numpy as np
import segno
from jaxtyping import UInt8

from .fonts import blend, fit_size, text_box, text_mask
from .inks import Ink

EAN_MODULE_MM = 0.33
EAN_MODULES = 95
EAN_QUIET = (11, 7)
"""Light modules that must stay free on the left and right."""


def check_digit(twelve: str) -> str:
    """The thirteenth digit of an EAN-13."""
    digits = [int(c) for c in twelve]
    return str(-(sum(digits[::2]) + 3 * sum(digits[1::2])) % 10)


@lru_cache(maxsize=128)
def ean_modules(ean: str) -> str:
    """95 modules, 1 is a bar."""
    return str(barcode.get_barcode_class("ean13")(ean).build()[0]).replace("G", "1")


def ean_module_px(px_per_mm: float, room_px: float, magnification: float = 1.0) -> int:
    """Texels per module: near the wanted magnification, within 80 to 200 %, and such that the code fits the room."""
    wanted = max(1, round(EAN_MODULE_MM * magnification * px_per_mm))
    most = int(room_px // (EAN_MODULES + sum(EAN_QUIET)))
    low = int(np.ceil(0.8 * EAN_MODULE_MM * px_per_mm - 1e-6))
    return max(1, min(max(wanted, low), most))


@lru_cache(maxsize=64)
def draw_ean(
    ean: str, module_px: int, height_px: int, *, ink: Ink = (12, 12, 14), paper: Ink = (252, 252, 250)
) -> UInt8[np.ndarray, "h w 3"]:
    """An EAN-13 with its quiet zones and digits; guard bars reach down between the digits."""
    modules = ean_modules(ean)
    left, right = EAN_QUIET
    width = (left + EAN_MODULES + right) * module_px
    digit_px = max(int(9 * module_px), 6)
    bars_px = max(height_px - digit_px, 4)
    out = np.full((bars_px + digit_px, width, 3), paper, np.uint8)
    guards = {0, 1, 2, 45, 46, 47, 48, 49, 92, 93, 94}
    for k, module in enumerate(modules):
        if module == "1":
            deep = bars_px + (5 * module_px if k in guards else 0)
            x = (left + k) * module_px
            out[max(module_px, 1) : deep, x : x + module_px] = ink
    size = fit_size("0123456", "DejaVuSans", 42 * module_px, digit_px - 1)
    base = bars_px + max((digit_px - size) // 3, 0)
    for text, x in ((ean[0], 1), (ean[1:7], left + 4), (ean[7:], left + 51)):
        mask, _, _ = text_mask(text, "DejaVuSans", max(size, 4), spacing=0.08 if len(text) > 1 else 0.0)
        if x * module_px + mask.shape[1] <= width:
            blend(out, mask, x * module_px, base, ink)
    return out


@lru_cache(maxsize=64)
def _qr(content: str) -> UInt8[np.ndarray, "n n"]:
    """Modules with their quiet zone, 1 is dark. One mask for all: choosing the best of eight is slow."""
    made = segno.make(content, error="m", micro=False, mask=3)
    return np.pad(np.array([list(row) for row in made.matrix], np.uint8), 4)


def qr_modules_across(content: str) -> int:
    """How wide a QR code is, with its quiet zone of 4 modules."""
    return len(_qr(content))


@lru_cache(maxsize=64)
def draw_qr(
    content: str, module_px: int, *, ink: Ink = (12, 12, 14), paper: Ink = (252, 252, 250)
) -> UInt8[np.ndarray, "h w 3"]:
    """A QR code with its quiet zone."""
    big = np.kron(_qr(content), np.ones((module_px, module_px), np.uint8)).astype(bool)
    return np.where(big[..., None], np.array(ink, np.uint8), np.array(paper, np.uint8))


@lru_cache(maxsize=64)
def draw_code128(
    content: str, module_px: int, height_px: int, *, ink: Ink = (12, 12, 14), paper: Ink = (252, 252, 250)
) -> UInt8[np.ndarray, "h w 3"]:
    """A Code 128 with ten light modules on either side."""
    modules = np.array([c == "1" for c in barcode.get_barcode_class("code128")(content).build()[0]])
    row = np.repeat(np.pad(modules, 10), module_px)
    line = np.where(row[:, None], np.array(ink, np.uint8), np.array(paper, np.uint8))
    return np.repeat(line[None], max(height_px, 1), axis=0)


@lru_cache(maxsize=64)
def dot_matrix(text: str, height_px: int) -> UInt8[np.ndarray, "h w"]:
    """Coverage of one line as an ink-jet coder prints it: letters of dots, nine rows to a line."""
    rows = 9
    left, top, right, bottom = text_box(text, "DejaVuSansMono-Bold", 100)
    mask, _, _ = text_mask(text, "DejaVuSansMono-Bold", 100)
    columns = max(int(round(rows * (right - left) / max(bottom - top, 1))), 1)
    cells = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_AREA) > 105
    if height_px < 2 * rows:  # too coarse for dots
        return cv2.resize(cells.astype(np.uint8) * 255, (max(1, columns * height_px // rows), height_px))
    pitch = 8
    big = np.zeros((rows * pitch, columns * pitch), np.uint8)
    for r, c in np.argwhere(cells):
        cv2.circle(big, (int(c) * pitch + pitch // 2, int(r) * pitch + pitch // 2), 3, 255, -1, cv2.LINE_AA)
    return cv2.resize(big, (max(1, columns * height_px // rows), height_px), interpolation=cv2.INTER_AREA)
