"""Several distinct pieces in one package: under a sleeve, in a narrower band, or in a gift box with a window."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import Material, Part
from ..artwork import Artwork, draw_artwork
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, back_and_edge, printed
from ..mesh import Sheet, make_sheet
from ..shapes import BOX_PANELS, box_mesh, box_panels, join, mesh_uv, move, solid
from .board import (
    FOLD_M,
    add_relief,
    board_box,
    bow_relief,
    draw_bow,
    film_sheet,
    fold_relief,
    notch_outline,
    superellipse,
)
from .boardprint import cut_edge, print_box, print_sleeve, stroke
from .pieces import PIECES, PieceKind, flavour
from .product import Hinge, Product, catalogue_entry
from .ranges import choose, shares, within

ENDS = (1, 3)
"""Panels that a sleeve lacks: it is open on its right and left."""
FORMS = ("sleeve", "band", "gift_box")
FREE_M = 0.0006
"""Around each piece."""


class SleeveSetConfig(BaseModel):
    """Ranges from which each set is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pieces: Annotated[tuple[int, int], within(1, 12)] = Field(
        default=(2, 6), description="how many pieces the set holds"
    )
    size_share: Annotated[tuple[float, float], within(0.4, 3)] = Field(
        default=(0.8, 1.15), description="size of the pieces over their usual one"
    )
    bow_mm: Annotated[tuple[float, float], within(0, 3)] = Field(
        default=(0.0, 0.7), description="benign outward bow of each panel, no damage"
    )
    forms: Annotated[dict[str, float], shares(lambda name: name in FORMS, f"some of {', '.join(FORMS)}")] = Field(
        default={"sleeve": 0.3, "band": 0.3, "gift_box": 0.4},
        description="weights of the forms: sleeve, band, gift_box",
    )
    cutout_share: float = Field(default=0.5, ge=0, le=1, description="share of sleeves with an opening in front")
    notch_share: float = Field(default=0.35, ge=0, le=1, description="share of sleeves with thumb notches at one end")
    window_share: float = Field(default=0.75, ge=0, le=1, description="share of gift boxes with a film window")


@dataclass(frozen=True)
class _Set:
    """One set's drawn form, metres."""

    form: str
    kind: PieceKind
    columns: int
    rows: int
    cell: Float[np.ndarray, "3"]
    """Room of one piece; the piece is ``FREE_M`` smaller on every side."""
    wall: float
    divider: float
    """Between cells of a gift box's insert."""
    share: float
    """Length of the sleeve over that of the row of pieces."""
    hole: Float[np.ndarray, "k 2"] | None
    """Opening on the front panel."""
    notch: float = 0.0
    """Radius of the thumb notches at a sleeve's open end."""

    @property
    def count(self) -> int:
        """Pieces."""
        return self.columns * self.rows

    @property
    def room(self) -> Float[np.ndarray, "3"]:
        """What all cells take, with dividers."""
        d = self.divider
        x, y, z = self.cell
        return np.array([
            self.columns * x + (self.columns + 1) * d, y + (0.003 if d else 0.0), self.rows * z + (self.rows + 1) * d
        ])  # fmt: skip

    @property
    def size(self) -> Float[np.ndarray, "3"]:
        """Of the package's board."""
        whole = self.room + 2 * (self.wall + 0.0004)
        return whole * np.array([self.share, 1, 1])


def _draw_form(config: SleeveSetConfig, design: Design) -> _Set:
    rng = stream(design, "shape")
    form = choose(rng, config.forms)
    count = int(rng.integers(config.pieces[0], config.pieces[1] + 1))
    kind = PIECES[int(rng.integers(len(PIECES)))]
    wide = rng.uniform(*kind.wide_mm) * rng.uniform(*config.size_share) * design.grow ** (1 / 3)
    cell = wide / 1000 * np.array([1, rng.uniform(*kind.deep_share), rng.uniform(*kind.high_share)])
    rows = 2 if form == "gift_box" and count in (4, 6, 8) and cell[2] < 1.3 * cell[0] else 1
    box, share = form == "gift_box", float(rng.uniform(0.4, 0.7)) if form == "band" else 1.0
    made = _Set(
        form=form, kind=kind, columns=count // rows, rows=rows, cell=cell, wall=0.0016 if box else 0.00045,
        divider=0.002 if box else 0.0, share=share, hole=None,
    )  # fmt: skip
    opened = rng.random() < (config.window_share if form == "gift_box" else config.cutout_share)
    notched = form == "sleeve" and rng.random() < config.notch_share and made.size[2] > 0.03
    made = replace(made, notch=min(0.01, 0.18 * float(made.size[2])) if notched else 0.0)
    if not opened or form == "band":
        return made
    x, _, z = made.size
    half = (float(x / 2 - max(0.012, 0.08 * x)), float(0.5 * z * rng.uniform(0.5, 0.68)))
    middle = (float(x / 2), float(z * 0.44))
    return replace(made, hole=superellipse(middle, half, power=float(rng.choice([3.0, 5.0, 9.0])), step=0.003))


def _places(made: _Set) -> list[Float[np.ndarray, "3"]]:
    """Where each piece stands: the middle of its foot [m]."""
    d, size = made.divider, made.room
    floor = made.wall + 0.0004
    out = []
    for k in range(made.count):
        column, row = k % made.columns, k // made.columns
        x = -size[0] / 2 + d + (column + 0.5) * made.cell[0] + column * d
        z = floor + d + row * (made.cell[2] + d)
        out.append(np.array([x, -0.0015 if d else 0.0, z + FREE_M]))
    return out


def _units(made: _Set, art: Artwork, design: Design) -> list[Part]:
    """The pieces, items 2, 3, …; each in a colour of its own."""
    specimen, parts = stream(design, "specimen"), []
    same = bool(stream(design, "layout").random() < 0.25)
    for k, place in enumerate(_places(made)):
        turn = float(np.clip(specimen.normal(0, 0.12), -0.3, 0.3))
        size = made.cell - 2 * FREE_M
        for part in made.kind.make(size, art if same else flavour(art, k), turn, k + 2):
            parts.append(replace(part, vertices=part.vertices + place))
    return parts


def _insert(made: _Set, tone: Float[np.ndarray, "3"]) -> Part:
    """A gift box's insert: a back plate and the ribs between cells; an empty cell is seen as such."""
    x, y, z = made.room
    d, floor = made.divider - 0.0004, made.wall + 0.0004
    deep = 0.55 * made.cell[1]
    back = move(box_mesh(np.array([x, 0.002, z]), 1.0), np.eye(3), np.array([0, y / 2 - 0.001, floor]))
    meshes, middle = [back], y / 2 - 0.0024 - deep / 2
    for column in range(made.columns + 1):
        at = -x / 2 + made.divider / 2 + column * (made.cell[0] + made.divider)
        meshes.append(move(box_mesh(np.array([d, deep, z]), 1.0), np.eye(3), np.array([at, middle, floor])))
    for row in range(made.rows + 1):
        at = floor + row * (made.cell[2] + made.divider) + 0.0002
        for column in range(made.columns):
            left = -x / 2 + made.divider + column * (made.cell[0] + made.divider) + made.cell[0] / 2
            rib = box_mesh(np.array([made.cell[0] - 0.0002, deep, d]), 1.0)
            meshes.append(move(rib, np.eye(3), np.array([left, middle, at])))
    color = (float(tone[0]), float(tone[1]), float(tone[2]))
    return solid(join(meshes), "insert", Material("insert", color, 0.0, 0.8))


def _paint(made: _Set, art: Artwork, atlas: Atlas, design: Design, panels: list[int]) -> UInt8[np.ndarray, "s s 3"]:
    register, scale = stream(design, "specimen").normal(0, 0.25, 2), atlas.patches[0].px_per_mm
    pictures = (print_box if made.form == "gift_box" else print_sleeve)(art, atlas, register)
    for panel, picture in zip(panels, pictures, strict=True):
        if panel == 5:  # the glued seam under the package
            cut_edge(picture, scale, "top", (225, 222, 214))
        if panel == 0 and made.hole is not None:
            high = 1000 * float(made.size[2])
            ring = [(1000 * float(a), high - 1000 * float(b)) for a, b in [*made.hole, made.hole[0]]]
            stroke(picture, scale, ring, 3.0, art.accent, opacity=0.9)
        if made.form == "gift_box" and panel in (0, 1, 2, 3):  # the lid ends above the base
            w, h = picture.shape[1] / scale, picture.shape[0] / scale
            stroke(picture, scale, [(0, 0.93 * h), (w, 0.93 * h)], 0.5, (14, 12, 10), opacity=0.8)
    return paint_atlas(atlas, pictures)


def _walls(made: _Set, art: Artwork, design: Design, bow: Float[np.ndarray, "6"]) -> tuple[Sheet, ...]:
    """The package's board; a sleeve is open at both ends, so it encloses no space."""
    stock, size = STOCKS["coated_board"], made.size
    without = () if made.form == "gift_box" else ENDS
    holes = {0: [] if made.hole is None else [made.hole]}
    rows: tuple[float, ...] = ()
    if made.notch:
        middle, wide = float(size[2]) / 2, float(size[0])
        rows = (middle - made.notch, middle + made.notch)
        holes[0].append(notch_outline((wide, middle), made.notch, step=0.0028))
        holes[2] = [notch_outline((0.0, middle), made.notch, step=0.0028)]
    fold = FOLD_M if without else 0.0034  # wider than the wall is thick
    mesh = board_box(
        size, stock.mechanics.spacing_mm / 1000, edge=fold, marks=((), (), rows), holes=holes, without=without
    )
    panels = [k for k in range(6) if k not in without]
    quads = box_panels(size)
    sides = [tuple(1000 * float(np.linalg.norm(side)) for side in quads[k][1:]) for k in panels]
    atlas = pack_atlas([(w, h) for w, h in sides], design.texture_px)
    order = np.zeros(6, np.uint8)
    order[panels] = np.arange(len(panels))
    uv = mesh_uv(replace(mesh, panel=order[mesh.panel]), atlas)
    print_ = printed(stock, stream(design, "colours"), _paint(made, art, atlas, design, panels))
    wall = make_sheet(
        "sleeve" if without else "gift box", mesh.vertices, mesh.faces, uv, np.zeros(len(mesh.faces), np.uint8),
        (print_, *back_and_edge(stock)), stock.mechanics, thickness_mm=1000 * made.wall, levels=1, crease_deg=48.0,
        relief=add_relief(bow_relief(size, bow), fold_relief(size, fold / 2.4, without=without)),
        panel=mesh.panel, panels=BOX_PANELS,
    )  # fmt: skip
    if made.hole is None or made.form != "gift_box":
        return (wall,)
    return wall, film_sheet(size, made.hole, depth=made.wall + 0.0001)


def build_sleeve_set(item_identifier: str, config: SleeveSetConfig, design: Design) -> Product:
    """Draw one set."""
    made = _draw_form(config, design)
    bow, bowed = draw_bow(stream(design, "specimen"), config.bow_mm)
    if made.hole is not None:
        bow[0] *= 0.3
    art = draw_artwork(design, made.kind.category, net=f"{made.count} pieces")
    units = _units(made, art, design)
    x, y, z = made.size
    points = np.concatenate([part.vertices for part in units])
    whole = np.array([max(x, float(np.ptp(points[:, 0]))), y, z])
    board = 2 * (x * y + y * z + x * z) * 1000 * made.wall * STOCKS["coated_board"].density_kg_m3
    mass = float(made.count * np.prod(made.cell) * made.kind.density_kg_m3 * 1000 * 0.9 + board)
    box = made.form == "gift_box"
    contents = [*units]
    if box:
        contents.append(_insert(made, stream(design, "colours").choice([0.75, 0.5, 0.08]) * np.array([1, 0.97, 0.9])))
    a, b = float(x) / 2, float(y) / 2
    lid = Hinge("top flap", ("top",), (a, b, float(z)), (-a, b, float(z)), 150.0, "tuck")
    looks = {
        "bow": bowed, "cutout": made.hole is not None and not box,
        "window": made.hole is not None and box, "open_ends": not box, "thumb_notch": made.notch > 0,
    }  # fmt: skip
    return Product(
        item_identifier=item_identifier, family="sleeve_set", shape="box", packaging="outer",
        item_material="cardboard", sheets=_walls(made, art, design, bow), contents=tuple(contents),
        core=np.stack([points.min(axis=0), points.max(axis=0)]),
        attributes=catalogue_entry(
            art, category=made.kind.category, size_m=whole, mass_g=mass, units=made.count
        ),
        mass_g=mass, hinges=(lid,) if box else (),
        lookalikes=tuple(sorted(name for name, has in looks.items() if has)),
    )  # fmt: skip
