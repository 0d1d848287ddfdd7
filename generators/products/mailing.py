"""What is sent in mailers: an item held by the film, its place in it, the label, and the flap that closes it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float

from ...sim.scene import Material, Part
from ..artwork import Artwork, draw_shipping_label
from ..design import Design
from ..inflate import Blob, Filling
from ..mesh import Sheet
from ..shapes import move, solid
from .bag import Bag, Cut
from .board import rounded_block
from .film import Filled, Form
from .filmprint import Picture
from .product import Hinge, Product, catalogue_entry

Goods = Literal["book", "box", "bottle", "clothing"]
CLEAR_M = 0.0022
"""Drawn contents are this much smaller than what the film was laid around, as film cuts across round edges."""
CATEGORIES: dict[Goods, str] = {"book": "book", "box": "electronics", "bottle": "shampoo", "clothing": "clothing"}
DENSITY: dict[Goods, float] = {"book": 800.0, "box": 450.0, "bottle": 900.0, "clothing": 300.0}
"""[kg/m³]"""


@dataclass(frozen=True)
class Sent:
    """An item in a mailer, in the frame in which the mailer is filled."""

    goods: Goods
    size: Float[np.ndarray, "3"]
    blobs: tuple[Blob, ...]
    padding: float = 0.0
    """Soft layer [m] between item and wall, part of the size."""

    @property
    def volume(self) -> float:
        """What the film has to hold [m³], roughly."""
        return float(np.prod(self.size)) * (1.0 if self.goods in ("book", "box") else 0.8)


def draw_sent(
    cut: Cut, rng: np.random.Generator, goods: Goods, thick_share: tuple[float, float], *, padding: float = 0.0
) -> Sent:
    """An item that fits: its girth is less than the mailer's, both ways."""
    wide, high = cut.width - 2 * cut.side_seal, cut.height - cut.top_seal - cut.bottom_seal
    thick = {"book": 0.5, "box": 1.0, "bottle": 1.1, "clothing": 0.8}[goods] * rng.uniform(*thick_share) * wide
    slack = 3 * padding  # the wall itself goes round the item, too
    x = (wide - thick - slack) * (rng.uniform(0.3, 0.5) if goods == "bottle" else rng.uniform(0.6, 0.82))
    y = (high - thick - slack) * rng.uniform(0.58, 0.8)
    thick = min(thick, x) if goods != "bottle" else min(thick, 0.9 * x)
    size = np.array([x, y, thick])
    return Sent(goods, size, _blobs(goods, size, np.zeros(2), 0.0, rng, padding), padding)


def _blobs(goods: Goods, size, at, turn: float, rng: np.random.Generator, padding: float) -> tuple[Blob, ...]:
    radius = {"book": 0.0012, "box": 0.0025, "bottle": 0.48 * size[2], "clothing": 0.42 * size[2]}[goods]
    radius = min(radius + padding, 0.49 * size[2])
    middle = np.array([*at, size[2] / 2 + 0.001])
    whole = Blob(middle, size / 2, float(radius), turn)
    if goods != "clothing":
        return (whole,)
    lumps = []
    for _ in range(3):  # folded cloth lies unevenly
        half = size / 2 * rng.uniform(0.45, 0.75, 3)
        half[2] = 0.5 * size[2] * rng.uniform(0.9, 1.08)
        off = (size[:2] / 2 - half[:2]) * rng.uniform(-0.9, 0.9, 2)
        lumps.append(Blob(np.array([*(at + off), half[2] + 0.001]), half, float(0.7 * half[2]), turn))
    thin = Blob(middle * np.array([1, 1, 0.8]), size / 2 * np.array([1, 1, 0.8]), float(radius * 0.8), turn)
    return (thin, *lumps)


def shift_sent(sent: Sent, cut: Cut, rng: np.random.Generator) -> Sent:
    """The same item as it lies in this piece: off the middle and a little turned, as far as there is room."""
    room = (
        np.array([cut.width - 2 * cut.side_seal, cut.height - cut.top_seal - cut.bottom_seal])
        - sent.size[:2]
        - sent.size[2]
    )
    at = 0.36 * np.maximum(room, 0) * rng.uniform(-1, 1, 2)
    turn = float(rng.uniform(-1, 1) * min(0.06, 0.5 * max(0.0, float(room[0])) / sent.size[1]))
    return replace(sent, blobs=_blobs(sent.goods, sent.size, at, turn, rng, sent.padding))


def hold(sent: Sent, volume_m3: float, gap_m: float):
    """What acts on a mailer: its item, its own weight, and as much air as was left in it."""

    def ask(bag: Bag) -> Filling:
        del bag
        return Filling(volume_m3=volume_m3, weight_m=4e-5, floor_m=0.0, blobs=sent.blobs, gap_m=gap_m)

    return ask


def sent_parts(sent: Sent, shift: Float[np.ndarray, "3"], material: Material) -> tuple[Part, ...]:
    """The item as it is seen through a hole."""
    parts = []
    for k, blob in enumerate(sent.blobs):
        inset = CLEAR_M + 0.5 * sent.padding
        size = 2 * (blob.half - inset)
        if size.min() < 0.001:
            continue
        radius = float(np.clip(blob.radius_m - inset, 0.0006, 0.49 * size.min()))
        block = rounded_block(size, radius, steps=3, inner=3)
        c, s = np.cos(blob.turn_rad), np.sin(blob.turn_rad)
        R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
        moved = move(block, R, blob.middle - np.array([0, 0, size[2] / 2]) - shift)
        parts.append(solid(moved, sent.goods if k == 0 else f"{sent.goods} {k}", material))
    return tuple(parts)


def sent_core(sent: Sent, shift: Float[np.ndarray, "3"]) -> Float[np.ndarray, "2 3"] | None:
    """The upright box within a rigid item."""
    if sent.goods not in ("book", "box"):
        return None
    blob = sent.blobs[0]
    s = abs(np.sin(blob.turn_rad))
    half = blob.half - CLEAR_M - 0.5 * sent.padding - np.array([blob.half[1] * s, blob.half[0] * s, 0.0])
    return np.stack([blob.middle - half, blob.middle + half]) - shift


def paste(
    picture: Picture, patch: Picture, middle: tuple[float, float], turn_deg: float, *, shadow: float = 0.25
) -> None:
    """Stick a label on, in place: its middle [px], turned, with a thin shadow around it."""
    h, w = patch.shape[:2]
    turn = cv2.getRotationMatrix2D((w / 2, h / 2), turn_deg, 1.0)
    turn[:, 2] += np.array(middle) - np.array([w / 2, h / 2])
    reach = int(np.hypot(w, h) / 2) + 4
    x0, y0 = max(0, int(middle[0]) - reach), max(0, int(middle[1]) - reach)
    x1, y1 = min(picture.shape[1], int(middle[0]) + reach), min(picture.shape[0], int(middle[1]) + reach)
    turn[:, 2] -= np.array([x0, y0])
    size = (x1 - x0, y1 - y0)
    mask = cv2.warpAffine(np.full((h, w), 255, np.uint8), turn, size, flags=cv2.INTER_LINEAR)
    laid = cv2.warpAffine(np.ascontiguousarray(patch), turn, size, flags=cv2.INTER_LINEAR)
    under = picture[y0:y1, x0:x1].astype(np.float32)
    dark = cv2.GaussianBlur(mask, (0, 0), max(1.0, 0.006 * w)).astype(np.float32)[..., None] / 255
    share = mask.astype(np.float32)[..., None] / 255
    out = under * (1 - shadow * dark) * (1 - share) + laid * share
    picture[y0:y1, x0:x1] = np.clip(out + 0.5, 0, 255).astype(np.uint8)


def paint_label(
    picture: Picture,
    px_per_mm: float,
    words: np.random.Generator,
    specimen: np.random.Generator,
    limit_mm: tuple[float, float],
) -> None:
    """A shipping label on the front, stuck by hand: near the middle and not quite straight."""
    long = min(float(words.uniform(105, 150)), 0.88 * max(limit_mm))
    wide = min(long * float(words.uniform(0.62, 0.72)), 0.88 * min(limit_mm))
    upright = limit_mm[1] >= limit_mm[0] and words.random() < 0.6
    label = draw_shipping_label(words, max(32, round(long * px_per_mm)), max(32, round(wide * px_per_mm)))
    if upright:
        label = cv2.rotate(label, cv2.ROTATE_90_COUNTERCLOCKWISE)
    height, width = picture.shape[:2]
    room = np.array([width - label.shape[1], height - label.shape[0]]) * 0.3
    at = np.array([width, height]) / 2 + np.maximum(room, 0) * specimen.uniform(-1, 1, 2)
    paste(picture, label, (float(at[0]), float(at[1])), float(specimen.normal() * 2.5))


def flap_form(cut: Cut, flap: float, *, rise: float) -> Form:
    """The flap that is folded over and stuck on the back."""

    def form(x, t, side):
        on = np.clip((t - (cut.height - flap)) / 0.0016 + 0.5, 0, 1) * np.clip((cut.height - t) / 0.004, 0, 1)
        inside = np.clip((cut.width / 2 - cut.side_seal - np.abs(x)) / 0.003, 0, 1)
        return np.where(side < 0, rise * on * inside, 0.0)

    return form


def paint_flap(picture: Picture, px_per_mm: float, cut: Cut, flap: float, *, strip_mm: float) -> None:
    """The flap's free edge with its shadow, and the band of glue that shows through."""
    edge = min(picture.shape[0] - 8, round(1000 * flap * px_per_mm))
    soft = max(2, round(1.2 * px_per_mm))
    rows = picture[edge : edge + soft].astype(np.float32)
    picture[edge : edge + soft] = (rows * np.linspace(0.6, 1, len(rows))[:, None, None]).astype(np.uint8)
    picture[edge - max(1, soft // 3) : edge] = np.clip(
        picture[edge - max(1, soft // 3) : edge].astype(np.int16) + 18, 0, 255
    )
    low, high = round((1000 * flap - strip_mm - 5) * px_per_mm), round((1000 * flap - 5) * px_per_mm)
    picture[max(0, low) : high] = (picture[max(0, low) : high] * 0.93).astype(np.uint8)


def mailer(
    item_identifier: str, design: Design, artwork: Artwork, sheet: Sheet, filled: Filled, sent: Sent,
    rng: np.random.Generator, *, flap: tuple[float, float], material: str, mass_g: float, looks: Mapping[str, bool],
) -> Product:  # fmt: skip
    """A filled mailer as a product; ``flap`` is its width and how far up its fold is [m]."""
    r, g, b = (float(v) for v in rng.uniform(0.05, 0.7, 3))
    item = Material(sent.goods, (r, g, b), 0.0, 0.9 if sent.goods == "clothing" else 0.45)
    wide, at = flap[0] / 2, flap[1]
    return Product(
        item_identifier=item_identifier,
        family=design.family,
        shape="soft",
        packaging="outer",
        item_material=material,
        sheets=(sheet,),
        contents=sent_parts(sent, filled.shift, item),
        core=sent_core(sent, filled.shift),
        attributes=catalogue_entry(
            artwork, category=design.family.replace("_", " "), size_m=filled.size_m, mass_g=mass_g
        ),
        mass_g=mass_g,
        hinges=(Hinge("flap", ("back",), (-wide, at, 0.0), (wide, at, 0.0), 170.0, "glue"),),
        lookalikes=tuple(sorted(name for name, has in looks.items() if has)),
    )
