"""What can lie in a picture, by name."""

from collections.abc import Callable

from .grown import baked, crisp, grooved, leaf, ring, round_thing, slice_thing, tapered
from .made import block, bolt, bubble, candle, capsule, cup, dollop, rod
from .thingparts import Rgb

PLASTICS: tuple[Rgb, ...] = (
    (0.85, 0.1, 0.1),
    (0.1, 0.35, 0.75),
    (0.98, 0.78, 0.1),
    (0.15, 0.6, 0.25),
    (0.95, 0.5, 0.1),
)
SWEETS: tuple[Rgb, ...] = (
    (0.9, 0.15, 0.25), (0.98, 0.8, 0.15), (0.35, 0.75, 0.2), (0.95, 0.5, 0.1), (0.55, 0.2, 0.6), (0.95, 0.55, 0.7)
)  # fmt: skip
STEEL = (0.66, 0.67, 0.7)

THINGS: dict[str, tuple[Callable, float, int]] = {
    "biscuit": (baked((0.89, 0.7, 0.4), (0.66, 0.4, 0.16), form=5, aspect=0.72, holes=9, frame=True), 1.0, 9),
    "chip_cookie": (baked((0.8, 0.58, 0.34), (0.55, 0.33, 0.15), chips=14, thick=0.38), 1.0, 8),
    "wafer": (baked((0.88, 0.68, 0.4), (0.7, 0.46, 0.2), form=9, aspect=0.45, holes=16), 0.9, 10),
    "cracker": (baked((0.93, 0.78, 0.5), (0.72, 0.46, 0.18), form=7, aspect=0.95, holes=9, thick=0.2), 0.95, 9),
    "leaf": (leaf((0.25, 0.5, 0.14), (0.35, 0.6, 0.2), (0.2, 0.42, 0.18)), 0.6, 9),
    "petal": (
        leaf((0.95, 0.7, 0.78), (0.9, 0.5, 0.65), (0.98, 0.88, 0.9), aspect=0.6, serrate=0.0, gloss=0.1),
        0.75,
        13,
    ),
    "citrus": (slice_thing((0.98, 0.58, 0.06), (0.99, 0.66, 0.14)), 0.95, 6),
    "penne": (
        rod((0.95, 0.78, 0.4), (0.93, 0.72, 0.34), aspect=0.26, hollow=True, ribs=0.05, round_end=0.03, gloss=0.2),
        0.7,
        34,
    ),
    "tomato": (
        round_thing((0.85, 0.12, 0.06), (0.9, 0.2, 0.08), aspect=0.92, gloss=0.8, dark_end=(0.62, 0.05, 0.03)),
        0.8,
        6,
    ),
    "hoop": (ring((0.88, 0.62, 0.28), inner=0.38), 0.34, 60),
    "strawberry": (tapered((0.85, 0.1, 0.1), aspect=0.78, seeds=True), 0.55, 8),
    "soap_bar": (
        block((0.96, 0.9, 0.82), (0.93, 0.78, 0.82), (0.8, 0.88, 0.75), aspect=0.66, form=3.5, mark=True, thick=0.6),
        1.3,
        3,
    ),
    "bubble": (bubble((0.75, 0.88, 0.97), (0.85, 0.92, 0.98), (0.8, 0.82, 0.96)), 0.3, 34),
    "droplet": (bubble((0.78, 0.9, 0.98), (0.7, 0.86, 0.95)), 0.2, 40),
    "rice_grain": (round_thing((0.96, 0.94, 0.86), aspect=0.3, gloss=0.3, dark_end=(0.88, 0.85, 0.76)), 0.22, 260),
    "olive": (round_thing((0.36, 0.4, 0.12), (0.25, 0.2, 0.16), (0.48, 0.5, 0.18), aspect=0.78, gloss=0.7), 0.45, 14),
    "choc_block": (block((0.36, 0.19, 0.1), (0.26, 0.13, 0.07), aspect=0.72, form=9, mark=True, gloss=0.4), 0.7, 13),
    "praline": (round_thing((0.33, 0.17, 0.09), (0.22, 0.11, 0.06), (0.9, 0.82, 0.68), gloss=0.45, thick=0.9), 0.5, 16),
    "battery": (
        rod(
            (0.12, 0.12, 0.13),
            aspect=0.27,
            bands=((-2, -0.4, (0.85, 0.62, 0.25)), (0.93, 1.2, (0.8, 0.8, 0.82))),
            gloss=0.7,
            round_end=0.04,
            metal=True,
        ),
        1.25,
        6,
    ),
    "coffee_bean": (grooved((0.24, 0.14, 0.085), aspect=0.68, groove=0.3, gloss=0.22), 0.36, 80),
    "crisp": (crisp((0.97, 0.8, 0.36)), 0.85, 18),
    "pepper": (tapered((0.8, 0.08, 0.05), aspect=0.28, bend=0.8), 0.9, 5),
    "almond": (grooved((0.62, 0.36, 0.18), aspect=0.58, groove=0.06, gloss=0.15), 0.45, 36),
    "hazelnut": (round_thing((0.6, 0.36, 0.18), (0.68, 0.43, 0.24), gloss=0.25, dark_end=(0.82, 0.68, 0.48)), 0.36, 30),
    "pill": (
        block((0.96, 0.96, 0.95), (0.98, 0.9, 0.75), aspect=1.0, form=2, thick=0.45, mark=False, gloss=0.3),
        0.42,
        22,
    ),
    "capsule": (capsule(((0.85, 0.15, 0.12), (0.96, 0.95, 0.9)), ((0.1, 0.4, 0.75), (0.95, 0.8, 0.2))), 0.55, 20),
    "brick": (block(*PLASTICS, aspect=0.66, form=14, thick=0.55, studs=(3, 2), gloss=0.6), 0.75, 15),
    "ball": (round_thing(*PLASTICS, gloss=0.9), 0.5, 14),
    "cherry": (round_thing((0.62, 0.04, 0.08), (0.75, 0.08, 0.1), gloss=0.9), 0.5, 13),
    "blueberry": (round_thing((0.2, 0.24, 0.45), (0.27, 0.3, 0.52), gloss=0.15, dark_end=(0.13, 0.13, 0.3)), 0.33, 34),
    "gherkin": (round_thing((0.42, 0.52, 0.16), (0.34, 0.46, 0.14), aspect=0.34, gloss=0.55, dimples=2.2), 0.95, 9),
    "apple": (round_thing((0.72, 0.13, 0.1), (0.55, 0.7, 0.2), gloss=0.6, dark_end=(0.9, 0.65, 0.2)), 0.85, 6),
    "hop": (round_thing((0.55, 0.68, 0.25), (0.48, 0.62, 0.22), aspect=0.7, gloss=0.1, dimples=3.0), 0.45, 18),
    "kibble": (
        block((0.55, 0.34, 0.2), (0.66, 0.42, 0.22), (0.45, 0.3, 0.16), aspect=0.95, form=2.6, thick=0.6, gloss=0.08),
        0.3,
        70,
    ),
    "bone": (rod((0.93, 0.8, 0.6), aspect=0.36, gloss=0.1, round_end=0.4), 0.8, 8),
    "pea": (round_thing((0.36, 0.62, 0.15), (0.44, 0.7, 0.22), gloss=0.5), 0.24, 90),
    "bean": (grooved((0.7, 0.3, 0.18), aspect=0.6, groove=0.03, gloss=0.6), 0.33, 60),
    "screw": (rod((0.78, 0.74, 0.62), STEEL, aspect=0.1, thread=0.22, taper=0.9, gloss=0.9, metal=True), 1.0, 14),
    "pen": (
        rod(
            *PLASTICS,
            aspect=0.075,
            bands=((-2, -0.86, (0.2, 0.2, 0.22)), (0.7, 2, (0.85, 0.85, 0.86))),
            taper=0.8,
            gloss=0.7,
        ),
        1.8,
        6,
    ),
    "sweet": (round_thing(*SWEETS, aspect=0.85, gloss=1.0), 0.42, 30),
    "jelly": (block(*SWEETS, aspect=0.8, form=3, thick=0.8, gloss=1.0), 0.42, 26),
    "cup_tea": (cup((0.62, 0.26, 0.06), (0.8, 0.45, 0.12)), 1.55, 1),
    "cup_coffee": (cup((0.2, 0.1, 0.05), (0.75, 0.52, 0.3)), 1.55, 1),
    "cup_cocoa": (cup((0.36, 0.2, 0.12), (0.85, 0.7, 0.55)), 1.55, 1),
    "swirl": (dollop((0.98, 0.96, 0.92)), 1.4, 1),
    "paste_swirl": (dollop((0.97, 0.98, 0.98), (0.25, 0.62, 0.8), turns=2.0), 1.3, 1),
    "gadget": (
        block((0.1, 0.1, 0.11), (0.85, 0.86, 0.88), aspect=0.56, form=6, thick=0.3, screen=True, gloss=0.6),
        1.7,
        1,
    ),
    "candle": (candle((0.93, 0.86, 0.74)), 0.85, 3),
    "bolt": (bolt((0.98, 0.75, 0.1)), 1.3, 1),
}
"""How to lay one down, its size (1 is a big piece), how many make a picture."""
