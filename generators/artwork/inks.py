"""Inks: what a pack's colours are, and whether one can be read on another."""

import colorsys
from dataclasses import dataclass

import numpy as np

Ink = tuple[int, int, int]
"""sRGB."""
BLACK: Ink = (20, 20, 22)
WHITE: Ink = (252, 252, 250)
SCHEMES = ("vivid", "light", "dark", "white", "kraft")


def luminance(ink: Ink) -> float:
    """Relative luminance of an sRGB ink."""
    linear = [v / 3294.6 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in ink]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Ink, two: Ink) -> float:
    """Contrast ratio, 1 to 21."""
    a, b = sorted((luminance(one), luminance(two)))
    return (b + 0.05) / (a + 0.05)


def readable(ink: Ink, ground: Ink, least: float = 3.0) -> Ink:
    """The ink if it can be read on the ground, else black or white."""
    return ink if contrast(ink, ground) >= least else max(BLACK, WHITE, key=lambda v: contrast(v, ground))


def tint(ink: Ink, to: Ink, share: float) -> Ink:
    """A mix of two inks."""
    r, g, b = (round(p + (q - p) * share) for p, q in zip(ink, to, strict=True))
    return r, g, b


def draw_ink(rng: np.random.Generator, low: float, high: float) -> Ink:
    """An ink whose channels lie between low and high."""
    r, g, b = rng.uniform(low, high, 3)
    return int(r), int(g), int(b)


def _hsv(hue_deg: float, saturation: float, value: float) -> Ink:
    # Inks on paper reach no neon green or cyan.
    neon = float(np.exp(-((((hue_deg % 360) - 135) / 55) ** 2)))
    r, g, b = colorsys.hsv_to_rgb(
        hue_deg / 360 % 1, min(saturation * (1 - 0.12 * neon), 1), min(value * (1 - 0.3 * neon), 1)
    )
    return round(255 * r), round(255 * g), round(255 * b)


@dataclass(frozen=True)
class Palette:
    """Inks of one design."""

    scheme: str
    ground: Ink
    accent: Ink
    ink: Ink
    paper: Ink


def draw_palette(rng: np.random.Generator, hues: tuple[float, ...]) -> Palette:
    """Draw a scheme and inks; mostly of the hues that shoppers expect of the goods."""
    scheme = str(rng.choice(SCHEMES, p=[0.46, 0.14, 0.16, 0.18, 0.06]))
    expected = rng.random() < 0.75
    base = float(rng.choice(np.array(hues))) + rng.normal(0, 6) if expected else rng.uniform(0, 360)
    jump = float(rng.choice([30, 150, 180, 210, 45, -35]))
    loud = rng.uniform(0.65, 1.0)
    ground = {
        "vivid": _hsv(base, loud, rng.uniform(0.55, 0.95)),
        "light": _hsv(base, rng.uniform(0.12, 0.32), rng.uniform(0.9, 0.98)),
        "dark": _hsv(base, rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.28)),
        "white": _hsv(base, rng.uniform(0.0, 0.05), rng.uniform(0.95, 1.0)),
        "kraft": (round(rng.uniform(180, 206)), round(rng.uniform(146, 166)), round(rng.uniform(104, 124))),
    }[scheme]
    accent = _hsv(
        base + (jump if scheme in ("vivid", "dark") else rng.normal(0, 12)),
        rng.uniform(0.65, 1),
        rng.uniform(0.55, 0.98),
    )
    if scheme == "dark" and rng.random() < 0.45:
        accent = _hsv(rng.uniform(36, 48), rng.uniform(0.35, 0.6), rng.uniform(0.7, 0.88))  # gold
    if scheme == "kraft" and rng.random() < 0.6:
        accent = _hsv(base, 0.7, 0.35)
    dark = _hsv(base, rng.uniform(0.3, 0.9), rng.uniform(0.12, 0.3))
    if contrast(accent, ground) < 1.6:
        accent = (
            readable(accent, ground, 1.6)
            if rng.random() < 0.3
            else _hsv(base + 180, 0.8, 0.35 if luminance(ground) > 0.4 else 0.95)
        )
    ink = readable(dark if rng.random() < 0.6 else WHITE, ground, 4.5)
    white = round(rng.uniform(238, 250))
    paper: Ink = (white, white, white) if rng.random() < 0.7 else (246, 241, 228)
    return Palette(scheme, ground, accent, ink, paper)
