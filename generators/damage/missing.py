"""Missing: units of a set that were never packed, a label or a cap that is not there. Yields ``missing_unit``.

The seal is as it left the factory. What is gone keeps its pristine place in ``product.gone``: its mask is amodal.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull

from ...sim.errors import DamagelandError
from ...sim.scene import KINDS, Part, kind_bit
from ..mesh import Sheet, enclosed_volume, face_areas
from ..opening.bare import bare_label, bare_sheet, label_faces, opened_mouth
from ..opening.unpack import carries
from ..products.product import Product
from .outcome import Outcome
from .subject import Subject, site_weight

MISSING = KINDS.index("missing_unit")
CLEAR = 0.5
"""A unit is seen through walls that pass more light than this."""
MOVED_M = 5e-4
"""Film that moved further is labelled."""
What = Literal["units", "label", "cap", "strip", "tab"]
CAP_G = {"pet_bottle": 2.5, "glass_jar": 7.0, "tube": 4.0, "detergent_bottle": 8.0}
"""Of a cap [g]; a trigger or a laundry cap weighs about thrice as much."""
DENSITY = {"coated_board": 800, "board": 800, "tin": 7800, "aluminium": 2700, "lid_print": 2700}
"""Of a package's walls [kg/m³] by the name of a material; others are plastic."""
PLASTIC = 1350


class MissingConfig(BaseModel):
    """What is missing. Strength scales how many units of a set are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(default=0.6, gt=0, le=1, description="of a set's units, the share that is gone at strength 1")
    count: int | None = Field(
        default=None, ge=1, description="units gone at any strength above 0; null: strength says how many"
    )
    all_units: bool = Field(default=False, description="whether every unit of a set may be gone")
    what: dict[What, float] = Field(
        default={"units": 1.0, "label": 0.5, "cap": 0.4, "strip": 0.25, "tab": 0.2},
        description="weights, of those that a product has",
    )
    glue_share: tuple[float, float] = Field(
        default=(0.0, 0.07), description="of a label's area, what still sticks to the wall"
    )
    sag_share: tuple[float, float] = Field(
        default=(0.3, 0.85), description="how far shrink film is drawn in over the gap, 1 is tight"
    )


@dataclass(frozen=True)
class Piece:
    """A unit or an accessory that can be missing."""

    what: What
    parts: tuple[str, ...] = ()
    """Names of contents."""
    sheet: int | None = None
    panel: bool = False
    """Only the sheet's label, not all of it."""
    item: int = 1


# ---- What there is --------------------------------------------------------------------------------------------------


def unit_items(product: Product) -> tuple[int, ...]:
    """Item numbers of the units that lie in a package or beside the first one; empty without a set.

    The first piece of a loose set is the item itself and stays.
    """
    if int(product.attributes["expected_units"]) < 2:
        return ()
    return tuple(sorted({part.item for part in product.contents if part.item > 1}))


def _units_show(product: Product) -> bool:
    """Whether one can see into the package: a closed box and an opaque blister hide what is missing."""
    if product.family == "blister_pack":
        return product.sheets[0].materials[0].transmission > CLEAR
    if product.family == "sleeve_set":
        return "open_ends" in product.lookalikes or "window" in product.lookalikes
    return True


def pieces_of(product: Product) -> tuple[Piece, ...]:
    """Everything of a product that can be missing with its seal intact."""
    out = []
    if _units_show(product):
        for item in unit_items(product):
            out.append(Piece("units", tuple(p.name for p in product.contents if p.item == item), item=item))
    for k, sheet in enumerate(product.sheets):
        if k and sheet.item == 1 and sheet.name.endswith("label"):
            out.append(Piece("label", sheet=k))
        if k and sheet.name == "tamper strip":
            out.append(Piece("strip", sheet=k))
    if product.sheets and label_faces(product.sheets[0]).any():
        out.append(Piece("label", sheet=0, panel=True))
    names = {part.name for part in product.contents}
    for hinge in product.hinges:
        if set(hinge.moves) <= names and hinge.limit_deg == 0:
            out.append(Piece("cap", hinge.moves))
        elif set(hinge.moves) <= names and hinge.name in ("tab", "pull ring"):
            out.append(Piece("tab", hinge.moves))
    covered = any(piece.what == "strip" for piece in out)
    return tuple(piece for piece in out if not (covered and piece.what == "cap"))  # a strip holds the cap


def missing_applies(product: Product) -> bool:
    """Whether something can be missing that one would see: a unit of a set, a label, a cap."""
    return bool(pieces_of(product))


# ---- Which units can be gone ----------------------------------------------------------------------------------------


def _boxes(product: Product, subject: Subject, items: tuple[int, ...]) -> Float[np.ndarray, "u 2 3"]:
    """Upright box round each unit, in the world."""
    out = []
    for item in items:
        points = subject.to_world(np.concatenate([p.vertices for p in product.contents if p.item == item]))
        out.append([points.min(axis=0), points.max(axis=0)])
    return np.array(out)


def _order_units(subject: Subject, items: tuple[int, ...], rng: np.random.Generator) -> list[int]:
    """The order in which units go: drawn, but never one that carries another; in cavities none does.

    Of a sleeve that shows only its ends, those go first.
    """
    product = subject.product
    middles = np.array([
        np.concatenate([p.vertices for p in product.contents if p.item == item]).mean(axis=0) for item in items
    ])  # fmt: skip
    luck = -np.log(rng.random(len(items))) / site_weight(subject, middles)
    if product.family == "sleeve_set" and "cutout" not in product.lookalikes and "window" not in product.lookalikes:
        luck = luck - 1e3 * np.abs(middles[:, 0] - middles[:, 0].mean()) / max(float(np.ptp(middles[:, 0])), 1e-9)
    held = product.family == "blister_pack" or any(part.name == "insert" for part in product.contents)
    rests = carries(_boxes(product, subject, items)) & (not held)
    left, out = list(range(len(items))), []
    while left:
        free = [k for k in left if not rests[k][left].any()] or left
        best = min(free, key=lambda k: luck[k])
        out.append(items[best])
        left.remove(best)
    return out


def _count_units(config: MissingConfig, strength: float, expected: int, product: Product) -> int:
    """How many of the set are gone."""
    most = expected if config.all_units else expected - 1
    if config.count is not None:
        if config.count > most:
            raise DamagelandError(
                f"{product.item_identifier}: missing has count: {config.count}, and this {product.family} has "
                f"{expected} units of which at most {most} may be gone. Lower `count`"
                + ("." if config.all_units else ", or set `all_units: true`.")
            )
        return config.count
    return int(np.clip(np.ceil(strength * config.share * expected - 1e-9), 1, most))


# ---- Mass -----------------------------------------------------------------------------------------------------------


def packaging_g(product: Product) -> float:
    """What a set's package weighs [g], from its walls; never more than half of the whole."""
    total = 0.0
    for sheet in product.sheets:
        name = sheet.materials[0].name
        density = next((d for key, d in DENSITY.items() if key in name or key in sheet.name), PLASTIC)
        total += 1000 * _sheet_m3(sheet) * density
    return min(float(total), 0.5 * product.mass_g)


def _units_g(product: Product, gone: list[int]) -> float:
    """What units weigh [g]: packages hold units of one kind; loose pieces share the mass by their volume."""
    items = unit_items(product)
    expected = int(product.attributes["expected_units"])
    if len(items) == expected:
        return (product.mass_g - packaging_g(product)) * len(gone) / expected
    volume = {1: sum(_sheet_m3(sheet) for sheet in product.sheets)}
    for part in product.contents:
        solid = abs(enclosed_volume(part.vertices, part.faces))
        volume[part.item] = volume.get(part.item, 0.0) + solid
    return product.mass_g * sum(volume[item] for item in gone) / sum(volume.values())


def _sheet_m3(sheet: Sheet) -> float:
    return float(face_areas(sheet.rest, sheet.faces).sum()) * sheet.thickness_mm / 1000


def _piece_g(product: Product, piece: Piece) -> float:
    """Mass of an accessory [g]."""
    if piece.what == "cap":
        mass = CAP_G.get(product.family, 5.0)
        return mass * (3.0 if product.family == "detergent_bottle" and len(piece.parts) != 1 else 1.0)
    if piece.what == "tab":
        parts = [p for p in product.contents if p.name in piece.parts]
        return min(3.0, 2.7e6 * sum(abs(enclosed_volume(p.vertices, p.faces)) for p in parts))
    assert piece.sheet is not None
    sheet = product.sheets[piece.sheet]
    faces = label_faces(sheet) if piece.panel else np.ones(len(sheet.faces), bool)
    return 80.0 * float(face_areas(sheet.rest, sheet.faces)[faces].sum())


# ---- Taking away ----------------------------------------------------------------------------------------------------


def lost_part(part: Part) -> Part:
    """A part at its pristine place, labelled as missing."""
    return replace(part, name=f"{part.name} (missing)", damage=part.damage | np.uint8(kind_bit("missing_unit")))


def _take_parts(product: Product, names: tuple[str, ...]) -> Product:
    lost = tuple(lost_part(part) for part in product.contents if part.name in names)
    kept = tuple(part for part in product.contents if part.name not in names)
    return replace(product, contents=kept, gone=(*product.gone, *lost))


def _take_tab(product: Product, names: tuple[str, ...]) -> Product:
    """A tab breaks off at its rivet, which stays."""
    taken = _take_parts(product, names)
    for part in (p for p in product.contents if p.name in names):
        _, label = connected_components(
            coo_array(
                (np.ones(2 * len(part.faces)), (part.faces[:, [0, 1]].ravel(), part.faces[:, [1, 2]].ravel())),
                shape=(len(part.vertices), len(part.vertices)),
            ),
            directed=False,
        )
        span = [float(np.ptp(part.vertices[label == k, :2], axis=0).max()) for k in range(label.max() + 1)]
        rivet = np.asarray(label == int(np.argmin(span)))[part.faces].min(axis=1)
        taken = replace(taken, contents=(*taken.contents, _some_faces(part, rivet)))
    return taken


def _some_faces(part: Part, keep: Bool[np.ndarray, " f"]) -> Part:
    used, inverse = np.unique(part.faces[keep], return_inverse=True)
    return replace(
        part, vertices=part.vertices[used], faces=inverse.reshape(-1, 3), uv=part.uv[keep], normals=part.normals[keep],
        material=part.material[keep], surface=part.surface[keep], damage=part.damage[keep],
    )  # fmt: skip


def _shrink_film(sheet: Sheet, kept: list[Float[np.ndarray, "_ 3"]], share: float) -> Sheet:
    """Film that shrank on with a unit missing: drawn in towards what it did find, by a share of the way."""
    turns = np.arange(300) + 0.5
    polar, around = np.arccos(1 - 2 * turns / 300), np.pi * (1 + 5**0.5) * turns
    ways = np.stack([np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar)], axis=1)
    hull = ConvexHull(np.concatenate([points[np.argmax(points @ ways.T, axis=0)] for points in kept]))
    centre = hull.points[hull.vertices].mean(axis=0)
    planes = np.unique(hull.equations.round(7), axis=0)
    rays = sheet.vertices - centre
    slope = rays @ planes[:, :3].T
    reach = -(planes[:, 3] + planes[:, :3] @ centre) + 0.0012  # film keeps off the goods
    to = np.where(slope > 1e-12, reach / np.maximum(slope, 1e-12), np.inf).min(axis=1)
    way = np.clip(1 - to, 0, 1) * share
    moved = sheet.vertices - way[:, None] * rays
    marks = sheet.marks.copy()
    marks[:, MISSING] = np.maximum(marks[:, MISSING], np.linalg.norm(moved - sheet.vertices, axis=1) / MOVED_M)
    return replace(sheet, vertices=moved, marks=marks)


def _take_units(
    subject: Subject, config: MissingConfig, strength: float, order: list[int], draw: float
) -> tuple[Product, list[int]]:
    product = subject.product
    gone = order[: _count_units(config, strength, int(product.attributes["expected_units"]), product)]
    lost = tuple(p.name for p in product.contents if p.item in gone)
    out = _take_parts(product, lost)
    mass = product.mass_g - _units_g(product, gone)
    kept = [part.vertices for part in out.contents if part.item > 1]
    if product.item_material == "plastic_tight_wrap" and kept:
        low, high = config.sag_share
        film = _shrink_film(product.sheets[0], kept, low + draw * (high - low))
        out = replace(out, sheets=(film, *out.sheets[1:]))
    return replace(out, mass_g=mass), gone


def _take_piece(product: Product, piece: Piece, glue: float, rng: np.random.Generator) -> Product:
    mass = product.mass_g - _piece_g(product, piece)
    if piece.what == "tab":
        out = _take_tab(product, piece.parts)
    elif piece.what == "cap":
        out = opened_mouth(_take_parts(product, piece.parts), product, piece.parts)
    elif piece.panel:
        out = bare_label(product, glue, rng)
    else:
        assert piece.sheet is not None
        out = bare_sheet(product, piece.sheet, glue if piece.what == "label" else 0.0, rng)
    return replace(out, mass_g=mass)


def missing(subject: Subject, config: MissingConfig, strength: float, rng: np.random.Generator) -> Outcome:
    """Take away units of a set, or a label, a cap, a strip, a tab; strength 0 is the identity."""
    product = subject.product
    pieces = pieces_of(product)
    kinds = [kind for kind in get_args(What) if any(piece.what == kind for piece in pieces)]
    weights = np.array([config.what.get(kind, 0.0) for kind in kinds])
    if weights.sum() <= 0:
        raise DamagelandError(
            f"{product.item_identifier}: of what can be missing from this {product.family} ({', '.join(kinds)}), "
            "`what` allows nothing. Give one of them a weight above 0."
        )
    what = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    options = [piece for piece in pieces if piece.what == what]
    pick, draw, glue = float(rng.random()), float(rng.random()), float(rng.uniform(*config.glue_share))
    order = _order_units(subject, unit_items(product), rng) if what == "units" else []
    out, gone, parts = product, [], 0
    if strength > 0 and what == "units":
        out, gone = _take_units(subject, config, strength, order, draw)
    elif strength > 0:
        out, parts = _take_piece(product, options[int(pick * len(options))], glue, rng), 1
    lost = out.gone[len(product.gone) :]
    site = np.concatenate([part.vertices for part in lost]).mean(axis=0) if lost else None
    return Outcome(
        product=out,
        kind="missing_unit",
        generator="missing",
        parameters={"what": what, "items": " ".join(str(item) for item in gone), "strength": strength},
        measures={
            "units_missing": float(len(gone)),
            "units_expected": float(product.attributes["expected_units"]) if gone else 0.0,
            "accessories_missing": float(parts),
        },
        site=site,
    )
