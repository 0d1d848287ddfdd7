"""A book: paperback or hardcover, printed or in cloth, its pages seen on three sides; perhaps shrink-wrapped."""

from dataclasses import dataclass, replace
from typing import Annotated

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import Material, Part
from ..artwork import Artwork, draw_artwork, fractal_noise
from ..atlas import pack_atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, Stock, back_and_edge, printed
from ..mesh import Relief, Sheet, make_sheet
from ..shapes import Mesh, grid, join, mesh_uv, solid
from .board import board_box, fold_relief, ticks
from .boardprint import stroke
from .bookcover import book_title, paint_book
from .product import Hinge, Product, catalogue_entry
from .ranges import within

PANELS = ("back", "spine", "front", "back joint", "front joint")
"""A joint is the strip between the spine and the line at which a cover turns."""
PAPER_KG_M3 = 780.0
CLEAR_M = 0.0004
"""Between the cover's inner side and the pages."""
FILM_M = 0.0008
"""Between a wrapped book and its film."""


class BookConfig(BaseModel):
    """Ranges from which each book is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height_mm: Annotated[tuple[float, float], within(80, 450)] = Field(
        default=(170.0, 260.0), description="height of the cover"
    )
    width_share: Annotated[tuple[float, float], within(0.4, 1.5)] = Field(
        default=(0.62, 0.8), description="width over height"
    )
    thickness_mm: Annotated[tuple[float, float], within(6, 90)] = Field(
        default=(12.0, 45.0), description="over both covers"
    )
    hardcover_share: float = Field(default=0.5, ge=0, le=1, description="share of hardcovers; the rest are paperbacks")
    cloth_share: float = Field(default=0.2, ge=0, le=1, description="share of hardcovers in cloth, not printed paper")
    wrapped_share: float = Field(default=0.15, ge=0, le=1, description="share shrink-wrapped in clear film")
    ajar_share: float = Field(default=0.2, ge=0, le=1, description="share whose cover stands open a little, by nature")
    bow_mm: Annotated[tuple[float, float], within(0, 4)] = Field(
        default=(0.0, 0.9), description="benign bow of each cover, no damage"
    )


@dataclass(frozen=True)
class _Book:
    """One book's drawn form, metres. The spine faces -x, the front -y."""

    width: float
    thick: float
    height: float
    hard: bool
    cloth: bool
    wrapped: bool
    round_spine: float
    """How far the spine bulges; 0 is flat."""
    groove: float
    """Depth of the hinge's groove."""
    ajar: float
    """Angle at which the front stands open [rad]."""

    @property
    def stock(self) -> Stock:
        """The cover's."""
        return STOCKS["board_cover" if self.hard else "coated_board"]

    @property
    def wall(self) -> float:
        """The cover's thickness."""
        return self.stock.thickness_mm / 1000 if self.hard else 0.00035

    @property
    def hinge(self) -> float:
        """Distance of the hinge from the spine's edge."""
        return 0.0075 if self.hard else 0.006

    @property
    def turn(self) -> float:
        """Where along x the covers turn."""
        return -self.width / 2 + self.round_spine + self.hinge


def _draw_form(config: BookConfig, design: Design) -> _Book:
    rng = stream(design, "shape")
    height = rng.uniform(*config.height_mm) / 1000
    width = height * rng.uniform(*config.width_share)
    thick = rng.uniform(*config.thickness_mm) / 1000 * design.grow  # more pages, not larger ones
    hard, cloth, wrapped, flat = (
        bool(rng.random() < share) for share in (config.hardcover_share, config.cloth_share, config.wrapped_share, 0.4)
    )
    thick = max(thick, 0.013) if hard else thick
    specimen = stream(design, "specimen")
    ajar = specimen.random() < config.ajar_share and not wrapped
    return _Book(
        width=width, thick=thick, height=height, hard=hard, cloth=hard and cloth, wrapped=wrapped,
        round_spine=0.16 * thick if hard and not flat else 0.0, groove=rng.uniform(0.7, 1.1) / 1000 if hard else 0.0,
        ajar=float(min(np.radians(2.0), 0.0028 / width) * specimen.uniform(0.5, 1)) if ajar else 0.0,
    )  # fmt: skip


def _path(form: _Book) -> tuple[Float[np.ndarray, "n 2"], tuple[int, int]]:
    """The cover's outline from the back's fore edge to the front's, and where the spine starts and ends in it."""
    spacing = form.stock.mechanics.spacing_mm / 1000
    a, half, start = form.width / 2, form.thick / 2, -form.width / 2 + form.round_spine
    g = form.hinge
    marks = (g - 0.0028, g, g + 0.0028) if form.hard else (g,)
    away = ticks(a - start, spacing, edge=0.0, marks=marks)
    side = start + away  # from the spine to the fore edge
    across = np.linspace(1, -1, max(3, round(form.thick / spacing) + 1))[1:-1]
    bulge = form.round_spine * np.sqrt(np.clip(1 - across**2, 0, 1)) ** 1.2
    back = np.stack([side[::-1], np.full(len(side), half)], axis=1)
    spine = np.stack([start - bulge, half * across], axis=1)
    reach = np.clip(side - (start + g), 0, None)
    front = np.stack([side - reach * (1 - np.cos(form.ajar)), -half - reach * np.sin(form.ajar)], axis=1)
    return np.concatenate([back, spine, front]), (len(back) - 1, len(back) + len(spine))


def _cover_mesh(form: _Book) -> tuple[Mesh, list[tuple[float, float]]]:
    """Back, spine and front as one open strip, and the panels' sizes [mm]; a book's cover encloses no space."""
    path, (first, last) = _path(form)
    rows = ticks(form.height, form.stock.mechanics.spacing_mm / 1000, edge=0.0)
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    made, sides = [], []
    for panel, (a, b) in enumerate(((0, first), (first, last), (last, len(path) - 1))):
        even, faces = grid(b - a, len(rows) - 1)
        at = np.round(even * np.array([b - a, len(rows) - 1])).astype(int)
        s = (arc[a + at[:, 0]] - arc[a]) / (arc[b] - arc[a])
        st = np.stack([s, rows[at[:, 1]] / form.height], axis=1)
        points = np.concatenate([path[a + at[:, 0]], rows[at[:, 1]][:, None]], axis=1)
        made.append(Mesh(points, faces, st[faces], np.full(len(faces), panel, np.uint8)))
        sides.append((1000 * float(arc[b] - arc[a]), 1000 * form.height))
    return join(made), sides


def _cover_relief(form: _Book, bow: Float[np.ndarray, "2"]) -> Relief:
    """Hinge grooves and the covers' slight bow."""
    start = form.turn
    reach = form.width / 2 - start

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        x, y, z = points.T
        cover = np.abs(y) > form.thick / 2 - 1e-6
        groove = -form.groove * np.clip(1 - np.abs(x - start) / 0.0028, 0, 1)
        share = np.clip((x - start) / reach, 0, 1)
        rise = np.where(y > 0, bow[0], bow[1]) * np.sin(np.pi * share) * np.sin(np.pi * z / form.height)
        return np.where(cover, groove + rise, 0.0)

    return height


def _pages(form: _Book, design: Design) -> Part:
    """The block of pages: a box that follows the hinge's grooves, hollow at the fore edge if the spine is round."""
    over = 0.003 if form.hard else CLEAR_M
    half = form.thick / 2 - form.wall - CLEAR_M
    start = -form.width / 2 + form.wall + CLEAR_M
    size = np.array([form.width / 2 - over - start, 2 * half, form.height - 2 * over])
    box = board_box(size, 0.006, edge=0.0, marks=((0.004, 0.0075, 0.011), (), ()))
    x, y, z = box.vertices.T
    x = x + size[0] / 2 + start
    turn = y / half
    if form.round_spine:
        hollow = 0.8 * form.round_spine * np.sqrt(np.clip(1 - turn**2, 0, 1))
        x = x + (form.round_spine - hollow) * np.where(x < 0, 1, 0) - hollow * np.where(x > 0, 1, 0)
    dip = form.groove * np.clip(1 - np.abs(x - form.turn) / 0.004, 0, 1)
    y = y * (1 - 1.15 * dip / half)
    points = np.stack([x, y, z + over], axis=1)
    along = np.clip((turn[box.faces] + 1) / 2, 0, 1)
    length = np.where(np.isin(box.panel, (4, 5))[:, None], box.vertices[box.faces][..., 0] / size[0] + 0.5,
                      box.vertices[box.faces][..., 2] / size[2])  # fmt: skip
    st = np.stack([along, np.clip(length, 0, 1)], axis=-1)
    texture = _page_lines(stream(design, "specimen"), round(1000 * form.thick / 0.13))
    material = Material("pages", (1.0, 1.0, 1.0), 0.0, 0.95, texture)
    return solid(Mesh(points, box.faces, st, box.panel), "pages", material)


def _page_lines(rng: np.random.Generator, sheets: int) -> UInt8[np.ndarray, "h w 3"]:
    """Edges of pages side by side: fine lines along the block, sewn sections, a yellowish tint."""
    width = 1024
    leaf = rng.normal(0, 1, max(sheets, 16)).astype(np.float32)
    line = cv2.resize(leaf[None], (width, 1), interpolation=cv2.INTER_LINEAR)[0]
    sewn = np.cos(np.arange(width) / width * 2 * np.pi * max(3, sheets // 16)).astype(np.float32)
    wander = fractal_noise(rng, 64, width, cell_px=40.0, octaves=3).astype(np.float32)
    tone = 1 + 0.045 * line[None] + 0.02 * sewn[None] + 0.012 * wander
    tint = np.array([236, 228, 208], np.float32) * np.float32(rng.uniform(0.95, 1.03))
    return np.clip(tone[..., None] * tint, 0, 255).astype(np.uint8)


def _cover(form: _Book, art: Artwork, author: str, design: Design, bow: Float[np.ndarray, "2"]) -> Sheet:
    mesh, sides = _cover_mesh(form)
    atlas = pack_atlas(sides, design.texture_px)
    scale = atlas.patches[0].px_per_mm
    sizes = tuple(patch.picture_size for patch in atlas.patches)
    pictures = paint_book(art, author, sizes, scale, stream(design, "layout"), cloth=form.cloth)
    for picture, at in ((pictures[0], sides[0][0] - 1000 * form.hinge), (pictures[2], 1000 * form.hinge)):
        # The hinge: pressed in on a hardcover, a scored line on a paperback.
        width, dark = (3.2, 0.16) if form.hard else (0.4, 0.22)
        stroke(picture, scale, [(at, 0), (at, 1000 * form.height)], width, (10, 10, 10), opacity=dark)
    joint = mesh.vertices[mesh.faces].mean(axis=1)[:, 0] < form.turn
    panel = mesh.panel + (joint & (mesh.panel != 1)) * np.where(mesh.panel == 0, 3, 2)
    stock, colours = form.stock, stream(design, "colours")
    print_ = printed(stock, colours, paint_atlas(atlas, pictures))
    if form.cloth:
        print_ = replace(print_, roughness=0.95)
    inside, edge = back_and_edge(stock)
    if form.hard:  # the cover's paper or cloth is turned in over the board's edge
        mean = (pictures[2].reshape(-1, 3).mean(axis=0) / 255) ** 2.2
        edge = replace(edge, base_color=(float(mean[0]), float(mean[1]), float(mean[2])))
    else:
        edge = replace(edge, base_color=(0.85, 0.84, 0.82))
    inside = replace(inside, base_color=(0.78, 0.75, 0.68))
    return make_sheet(
        "cover", mesh.vertices, mesh.faces, mesh_uv(mesh, atlas), np.zeros(len(mesh.faces), np.uint8),
        (print_, inside, edge), stock.mechanics, thickness_mm=1000 * form.wall, levels=1, crease_deg=50.0,
        relief=_cover_relief(form, bow), panel=panel.astype(np.uint8), panels=PANELS,
    )  # fmt: skip


def _wrap(form: _Book, design: Design) -> Sheet:
    """Shrink film: a taut box around the book with small wrinkles that run to its corners."""
    stock, rng, margin = STOCKS["clear_film"], stream(design, "specimen"), FILM_M
    size = np.array([form.width, form.thick, form.height]) + 2 * margin
    mesh = board_box(size, 0.006)
    phases = rng.uniform(0, 2 * np.pi, 3)

    def wrinkles(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        share = np.abs(points / size * 2 - np.array([0, 0, 1]))
        near = np.clip(share.max(axis=1) * np.median(share, axis=1) - 0.55, 0, 1)
        angle = np.arctan2(points[:, 2] - size[2] / 2, points[:, 0])
        return 0.0003 * near * (np.sin(38 * angle + phases[0]) + np.sin(61 * angle + phases[1]))

    fold = fold_relief(size, 0.0012)
    inside, edge = back_and_edge(stock)
    return make_sheet(
        "shrink film", mesh.vertices, mesh.faces, mesh.st, np.zeros(len(mesh.faces), np.uint8),
        (replace(inside, name="clear_film"), inside, edge), stock.mechanics, thickness_mm=0.02, levels=1,
        crease_deg=60.0, relief=lambda points: fold(points) + wrinkles(points), panel=mesh.panel, panels=("wrap",) * 6,
    )  # fmt: skip


def build_book(item_identifier: str, config: BookConfig, design: Design) -> Product:
    """Draw one book."""
    form, words = _draw_form(config, design), stream(design, "words")
    title, author = book_title(words)
    art = draw_artwork(design, "book", net=f"{int(form.thick / 0.0001)} pages")
    kind = "Hardcover" if form.hard else "Paperback"
    art = replace(art, title=title, description=f"{title} by {author}. {kind}, {art.net}.")
    bow = stream(design, "shape").uniform(*config.bow_mm, 2) / 1000 * (0.3 if form.wrapped else 1.0)
    pages = _pages(form, design)
    low, high = pages.vertices.min(axis=0), pages.vertices.max(axis=0)
    cover_kg = 2 * form.width * form.height * form.wall * 900
    mass = 1000 * (float(np.prod(high - low)) * PAPER_KG_M3 + cover_kg)
    sheets = [_cover(form, art, author, design, bow)]
    size = np.array([form.width, form.thick, form.height])
    if form.wrapped:  # the cover stays the wall that damage meets; the film follows it
        lift = np.array([0.0, 0.0, FILM_M])
        cover = replace(sheets[0], vertices=sheets[0].vertices + lift, rest=sheets[0].rest + lift)
        sheets, size = [cover, _wrap(form, design)], size + 2 * FILM_M
        pages, low, high = replace(pages, vertices=pages.vertices + lift), low + lift, high + lift
    thick, hinge = form.thick, form.turn
    looks = {"ajar_cover": form.ajar > 0, "bow": bool(bow.max() > 0.0006), "wrinkles": form.wrapped}
    return Product(
        item_identifier=item_identifier, family="book", shape="box", packaging="product",
        item_material="book_plastic_tight_wrap" if form.wrapped else "book_other" if form.cloth else "book_paper",
        sheets=tuple(sheets), contents=(pages,), core=np.stack([low, high]),
        attributes=catalogue_entry(art, category="book", size_m=size, mass_g=mass), mass_g=mass,
        hinges=(
            Hinge("front cover", ("front",), (hinge, -thick / 2, form.height), (hinge, -thick / 2, 0), 170.0, "fold"),
        ),
        lookalikes=tuple(sorted(name for name, has in looks.items() if has)),
    )  # fmt: skip
