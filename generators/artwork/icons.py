"""Pictograms: recycling, tidy man, fragile, this side up and the like, as masks of any size."""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import UInt8

from .fonts import text_mask

SIDE = 96
GLYPHS = {
    "recycle": "♻",
    "umbrella": "☂",
    "warning": "⚠",
    "estimated": "℮",
    "star": "★",
    "heart": "♥",
    "check": "✔",
    "snow": "❄",
    "sun": "☀",
    "leaf": "☘",
    "pen": "✎",
    "phone": "☎",
    "scissors": "✂",
    "flower": "✿",
}
"""Those that DejaVu Sans draws well."""


def _line(mask: np.ndarray, *points: tuple[float, float], width: int = 7, closed: bool = False) -> None:
    cv2.polylines(mask, [np.array(points, np.int32)], closed, 255, width, cv2.LINE_AA)


def _tidy(m: np.ndarray) -> None:
    cv2.circle(m, (34, 14), 9, 255, -1, cv2.LINE_AA)
    _line(m, (34, 26), (34, 56), (24, 90), width=9)
    _line(m, (34, 56), (46, 90), width=9)
    _line(m, (34, 32), (62, 46), width=7)
    _line(m, (64, 60), (68, 92), (84, 92), (88, 60), width=6, closed=True)


def _glass(m: np.ndarray) -> None:
    cv2.fillPoly(
        m,
        [np.array([(26, 8), (70, 8), (64, 46), (52, 54), (52, 80), (66, 90), (30, 90), (44, 80), (44, 54), (32, 46)])],
        255,
    )
    cv2.polylines(m, [np.array([(52, 10), (45, 22), (54, 30), (46, 42)])], False, 0, 4, cv2.LINE_AA)


def _up(m: np.ndarray) -> None:
    for x in (28, 68):
        cv2.fillPoly(
            m,
            [np.array([(x, 8), (x + 20, 36), (x + 8, 36), (x + 8, 78), (x - 8, 78), (x - 8, 36), (x - 20, 36)])],
            255,
            cv2.LINE_AA,
        )
    _line(m, (6, 90), (90, 90), width=8)


def _no_child(m: np.ndarray) -> None:
    cv2.circle(m, (48, 48), 42, 255, 6, cv2.LINE_AA)
    cv2.circle(m, (48, 38), 12, 255, 5, cv2.LINE_AA)
    _line(m, (30, 74), (38, 58), (58, 58), (66, 74), width=6)
    _line(m, (18, 18), (78, 78), width=6)


def _bin(m: np.ndarray) -> None:
    _line(m, (28, 30), (34, 76), (62, 76), (68, 30), width=6, closed=True)
    _line(m, (22, 22), (74, 22), width=6)
    _line(m, (12, 10), (84, 84), width=6)
    _line(m, (84, 10), (12, 84), width=6)
    _line(m, (16, 92), (80, 92), width=6)


def _jar(m: np.ndarray) -> None:
    _line(m, (20, 44), (76, 44), (76, 88), (20, 88), closed=True)
    _line(m, (16, 38), (70, 14), width=8)
    glyph = cv2.resize(text_mask("12M", "FiraSans-Bold", 40)[0], (42, 22), interpolation=cv2.INTER_AREA)
    m[56:78, 27:69] = glyph


def _fork(m: np.ndarray) -> None:
    _line(m, (18, 10), (22, 48), (42, 48), (46, 10), width=6)
    _line(m, (32, 48), (32, 86), width=6)
    _line(m, (18, 88), (46, 88), width=6)
    for x in (62, 70, 78):
        _line(m, (x, 10), (x, 34), width=4)
    _line(m, (70, 34), (70, 90), width=7)


def _wash(m: np.ndarray) -> None:
    _line(m, (10, 30), (22, 82), (74, 82), (86, 30), width=6)
    _line(m, (10, 34), (26, 26), (42, 34), (58, 26), (74, 34), (86, 28), width=5)
    m[44:70, 30:66] = cv2.resize(text_mask("30", "FiraSans-Bold", 40)[0], (36, 26), interpolation=cv2.INTER_AREA)


def _drop(m: np.ndarray) -> None:
    cv2.circle(m, (48, 60), 26, 255, -1, cv2.LINE_AA)
    cv2.fillPoly(m, [np.array([(48, 6), (72, 50), (24, 50)])], 255, cv2.LINE_AA)


DRAWN = {
    "tidy": _tidy,
    "glass": _glass,
    "up": _up,
    "no_child": _no_child,
    "bin": _bin,
    "jar": _jar,
    "fork": _fork,
    "wash": _wash,
    "drop": _drop,
}
FOR_GOODS = {
    1: ("fork", "tidy", "recycle", "estimated"),
    2: ("jar", "recycle", "tidy", "estimated"),
    3: ("no_child", "recycle", "bin", "tidy"),
}


@lru_cache(maxsize=128)
def icon(name: str, side_px: int) -> UInt8[np.ndarray, "h w"]:
    """Coverage of a pictogram, about ``side_px`` high."""
    if name in GLYPHS:
        mask = text_mask(GLYPHS[name], "DejaVuSans", 96)[0]
    else:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        DRAWN[name](mask)
    scale = side_px / max(mask.shape)
    size = max(round(mask.shape[1] * scale), 2), max(round(mask.shape[0] * scale), 2)
    return cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
