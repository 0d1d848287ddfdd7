"""Tape that has let go of one flap of a shipping box and stays on the other: a loose, wavy strip along its edge."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from ...sim.scene import Kind, Material
from ..mesh import Sheet
from ..products.product import Hinge, Product
from .flaps import Leaf, board_tone, make_leaf
from .hinge import Give, hinge_frame, turned

TAPE_M = 0.00006
LIFTED_M = 0.0006
"""The strip's root lies on the flap's outer side, which bulges a little at its edge."""
WIDTH_M = 0.024
"""Half of a tape, as far as it has stuck to the other flap."""
MOST_DEG = 125.0
UPRIGHT = 0.3
"""How far upwards an opening has to face: on its side a box's tape would be in the tray."""
CUT_SHARE = 0.35
"""Boxes whose tape was cut with a knife."""


def _tape_material(sheet: Sheet, seam: Float[np.ndarray, "n 3"], beside: Float[np.ndarray, "n 3"]) -> Material:
    """The tape's colour where it lies on the box; clear where it hardly differs from the board beside it."""
    tape, board = board_tone(sheet, seam), board_tone(sheet, beside)
    clear = float(np.abs(np.subtract(tape.base_color, board.base_color)).max()) < 0.06
    if clear:
        return replace(tape, name="tape", base_color=(0.93, 0.89, 0.8), transmission=0.7, roughness=0.15)
    return replace(tape, name="tape", roughness=0.25)


def loose_tape(
    product: Product, before: Product, hinges: tuple[Hinge, ...], angles: tuple[float, ...], gives: tuple[Give, ...],
    seed: int, *, up: Float[np.ndarray, "3"], kind: Kind,
) -> Product:  # fmt: skip
    """Leave half of the tape's width standing off the edge of the flap that is open furthest."""
    rng, k = np.random.default_rng(seed), int(np.argmax(angles))
    hinge, angle, give, sheet = hinges[k], angles[k], gives[k], before.sheets[0]
    frame = hinge_frame(before, hinge)
    cut, ends = bool(rng.random() < CUT_SHARE), rng.uniform(0.0, 0.06, 2)
    if hinge.closed_by != "tape" or cut or not 3 < angle <= MOST_DEG or frame.opening @ up < UPRIGHT:
        return product
    share = np.linspace(0.1, 0.9, 25)[:, None]
    seam = frame.at + (frame.reach - 0.004) * frame.away + share * frame.length * frame.along
    material = _tape_material(sheet, seam, seam - 0.5 * frame.reach * frame.away)
    film = replace(sheet, thickness_mm=1000 * TAPE_M, materials=(*sheet.materials[:-2], material, material), levels=1,
                   mechanics=replace(sheet.mechanics, spacing_mm=4.0), relief=None)  # fmt: skip
    leaf = Leaf(
        "loose tape", frame.at + (frame.reach - 0.001) * frame.away + LIFTED_M * frame.opening, frame.along, frame.away,
        frame.opening, frame.length, WIDTH_M, (0.15, 0.15), 0.0, tuple((frame.length * ends).tolist()),
    )  # fmt: skip
    curl = float(rng.uniform(10, 75))

    def flat(s: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        return np.zeros(len(s))

    def curled(s: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        return np.radians(curl) * (s / WIDTH_M)

    strip = make_leaf(leaf, film, material, flat, curled, kind, near=0.003)
    wavy = strip.vertices + _waves(strip.rest - leaf.at, leaf, rng)[:, None] * frame.opening
    return replace(product, sheets=(*product.sheets, replace(strip, vertices=turned(wavy, frame, angle, give))))


def _waves(off: Float[np.ndarray, "n 3"], leaf: Leaf, rng: np.random.Generator) -> Float[np.ndarray, " n"]:
    """Height [m] of a film's waves: none at its root, more towards its free edge."""
    u, s = off @ leaf.along, np.clip(off @ leaf.away / leaf.length, 0, 1)
    rise = np.zeros(len(off))
    for long in (0.16, 0.07, 0.035, 0.02):
        rise += 0.055 * long * rng.normal() * np.sin(2 * np.pi * u / long + rng.uniform(0, 2 * np.pi))
    return np.maximum(rise, -0.7 * leaf.length * s) * s**1.5
