"""A shrink-wrapped multipack: two to twelve of one product in a film sleeve, open in an oval at both ends."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.spatial import ConvexHull

from ...sim.scene import SURFACES, Material, Part, transform_part
from ..artwork import Artwork, draw_artwork, paint_panel
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, back_and_edge, printed
from ..mesh import Relief, Sheet, face_normals, finish_sheet, make_sheet
from ..shapes import BOX_PANELS, Mesh, loft, mesh_uv
from .beverage_can import BeverageCanConfig, build_beverage_can
from .folding_carton import GOODS, FoldingCartonConfig, build_folding_carton
from .pet_bottle import PetBottleConfig, build_pet_bottle
from .product import Product, catalogue_entry
from .tin import TinConfig, build_tin

LIFT = 0.00045
"""How far the film's outer side is from what it is stretched over [m]."""
COUNTS = (2, 3, 4, 6, 8, 9, 10, 12)
"""Multipacks are full rectangles."""
CATEGORIES = {"can": ("beer", "cola", "juice"), "bottle": ("water", "cola", "juice"), "tin": ("tinned food",)}
"""Goods of each kind of unit; cartons have their family's."""
KINDS = ("can", "bottle", "carton", "soap", "tin")


class MultipackConfig(BaseModel):
    """Ranges from which each multipack is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    units: tuple[int, int] = Field(default=(2, 12), description=f"units in a pack; it holds one of {COUNTS}")
    kinds: dict[str, float] = Field(
        default={"can": 0.35, "bottle": 0.2, "carton": 0.2, "soap": 0.15, "tin": 0.1},
        description="share of each kind of unit",
    )
    printed_share: float = Field(default=0.4, ge=0, le=1, description="share of films with a printed band")
    opening_share: tuple[float, float] = Field(
        default=(0.3, 0.62), description="size of the end openings over the end's"
    )
    wrinkle_mm: tuple[float, float] = Field(
        default=(0.3, 1.3), description="height of the wrinkles at corners and openings"
    )
    largest_mm: float = Field(default=420.0, gt=0, description="no side of a pack exceeds this")

    @model_validator(mode="after")
    def _can_be_made(self) -> "MultipackConfig":
        if not any(self.units[0] <= n <= self.units[1] for n in COUNTS):
            raise ValueError(f"`units` is {self.units}: give a range with at least one of {COUNTS} in it")
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown or sum(self.kinds.values()) <= 0:
            raise ValueError(f"`kinds` has {', '.join(unknown) or 'no weight'}: choose from {', '.join(KINDS)}")
        return self


@dataclass(frozen=True)
class _Group:
    """Units as they stand, before the film goes round them."""

    product: Product
    seats: Float[np.ndarray, "n 3"]
    """Where each unit's foot stands [m]."""
    size: Float[np.ndarray, "3"]
    """Of the whole group."""
    unit: Float[np.ndarray, "3"]
    round_: bool
    grid: tuple[int, int, int]
    """Units along x, y and z."""


def _build_unit(kind: str, design: Design) -> Product:
    """One of the product that the pack repeats, from its own family."""
    alone = replace(design, family=f"multipack {kind}")
    if kind == "can":
        return build_beverage_can("unit", BeverageCanConfig(condensation_share=0.0), alone)
    if kind == "bottle":
        return build_pet_bottle("unit", PetBottleConfig(), alone)
    if kind == "tin":
        return build_tin("unit", TinConfig(), alone)
    long, short = ((75.0, 105.0), (0.3, 0.5)) if kind == "soap" else ((100.0, 170.0), (0.3, 0.6))
    plain = FoldingCartonConfig(
        long_mm=long,
        short_share=short,
        bow_mm=(0.0, 0.3),
        window_share=0.0,
        hang_hole_share=0.0,
        perforation_share=0.0,
        notch_share=0.0,
    )
    return build_folding_carton("unit", plain, alone)


def _outside(product: Product) -> list[Part]:
    """What is seen of a unit: outer sides, what is mounted on them, and through clear walls what is inside."""
    made = [finish_sheet(replace(sheet, levels=0))[0] for sheet in product.sheets]
    clear = any(material.transmission > 0.3 for sheet in product.sheets for material in sheet.materials)
    seen = [SURFACES.index(name) for name in ("outer", "edge", *(("contents",) if clear else ()))]
    shown = []
    for part in [*made, *product.contents]:
        keep = np.isin(part.surface, seen)
        if keep.any():
            used, inverse = np.unique(part.faces[keep], return_inverse=True)
            shown.append(
                replace(
                    part, vertices=part.vertices[used], faces=inverse.reshape(-1, 3), uv=part.uv[keep],
                    normals=part.normals[keep], material=part.material[keep], surface=part.surface[keep],
                    damage=part.damage[keep],
                )
            )  # fmt: skip
    return shown


def _arrange(product: Product, parts: list[Part], config: MultipackConfig, rng: np.random.Generator) -> _Group:
    """A full rectangle of units, in one layer or two if they are flat, about as long as packs are."""
    points = np.concatenate([p.vertices for p in parts])
    size = np.ptp(points, axis=0) + 0.0003
    counts = [n for n in COUNTS if config.units[0] <= n <= config.units[1]]
    count = int(rng.choice(counts, p=np.array([1 / n**0.5 for n in counts]) / sum(1 / n**0.5 for n in counts)))
    wish = rng.uniform(0.9, 1.7)
    options = []
    for layers in (1, 2, 3) if product.shape == "box" else (1,):
        for deep in range(1, 5):
            if count % (layers * deep) == 0:
                whole = size * np.array([count // (layers * deep), deep, layers])
                tall = max(0.0, float(whole[2] / min(whole[0], whole[1])) - 1.6)
                excess = max(0.0, 1000 * float(whole.max()) - config.largest_mm)
                options.append((excess, abs(float(np.log(whole[0] / whole[1] / wish))) + tall, layers, deep))
    _, _, layers, deep = min(options)
    grid = np.array([count // (layers * deep), deep, layers])
    at = np.stack(np.meshgrid(*[np.arange(n) for n in grid], indexing="ij"), -1).reshape(-1, 3).astype(float)
    seats = (at - (grid - 1) / 2 * [1, 1, 0]) * size + [0, 0, LIFT]
    return _Group(
        product, seats, size * grid, size, product.shape == "round", (int(grid[0]), int(grid[1]), int(grid[2]))
    )


def _place(group: _Group, parts: list[Part], rng: np.random.Generator) -> tuple[Part, ...]:
    """Units in their seats, numbered; round ones are turned as they came off the line."""
    low = np.concatenate([p.vertices for p in parts])
    middle = (low.min(axis=0) + low.max(axis=0)) / 2 * [1, 1, 0] + [0, 0, low[:, 2].min()]
    out: list[Part] = []
    for k, seat in enumerate(group.seats):
        angle = rng.uniform(0, 2 * np.pi) if group.round_ else 0.0
        pose = np.eye(4)
        pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        pose[:3, 3] = seat - pose[:3, :3] @ middle
        out += [replace(transform_part(p, pose), name=f"unit {k + 2} {p.name}", item=k + 2) for p in parts]
    return tuple(out)


def _extremes(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "p 3"]:
    """The outermost points of a hull in directions spread over the sphere: film has no finer facets."""
    turns = np.arange(500) + 0.5
    polar, around = np.arccos(1 - 2 * turns / 500), np.pi * (1 + 5**0.5) * turns
    ways = np.stack([np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar)], 1)
    return points[np.unique(np.argmax(points @ ways.T, axis=0))]


def _unit_hull(group: _Group, parts: list[Part]) -> Float[np.ndarray, "n 3"]:
    """Corners of a unit's convex hull, its foot at the origin; round units are turned at random, so all round."""
    points = np.concatenate([p.vertices for p in parts])
    points = points - (points.min(axis=0) + points.max(axis=0)) / 2 * [1, 1, 0] - [0, 0, points[:, 2].min()]
    points = points[ConvexHull(points).vertices]
    if not group.round_:
        return points
    unit = _extremes(points)
    far, angle = np.hypot(unit[:, 0], unit[:, 1]), np.arange(24) / 24 * 2 * np.pi
    rings = np.concatenate([np.stack([far * np.cos(t), far * np.sin(t), unit[:, 2]], 1) for t in angle])
    return rings[ConvexHull(rings).vertices]


def _stretch(mesh: Mesh, group: _Group, parts: list[Part]) -> Mesh:
    """Pull a mesh about the group onto the convex hull of what is in it, as film shrinks on."""
    unit = _unit_hull(group, parts)
    rough = unit if group.round_ else _extremes(unit)
    planes = np.unique(ConvexHull((rough[None] + group.seats[:, None]).reshape(-1, 3)).equations.round(7), axis=0)
    normal = planes[:, :3]
    centre = np.array([0, 0, group.size[2] / 2 + LIFT])
    # Between its points a mesh cuts corners: round units need more room, except where the pack stands.
    room = np.where(group.round_ & (normal[:, 2] > -0.99), 0.0011, LIFT)
    reach = room + (unit @ normal.T).max(axis=0) + ((group.seats - centre) @ normal.T).max(axis=0)
    rays = mesh.vertices - centre
    slope = rays @ normal.T
    share = np.where(slope > 1e-12, reach / np.maximum(slope, 1e-12), np.inf).min(axis=1)
    return replace(mesh, vertices=centre + rays * share[:, None])


def _snapped(sectors: int, corners: Float[np.ndarray, "4"]) -> Float[np.ndarray, "2 s"]:
    """Where along the ring the points of even and odd rows are: evenly, but with one on each of the box's edges."""
    out = (np.arange(sectors + 1)[None] + np.array([[0.0], [0.5]])) / sectors
    for row in out:
        for corner in corners:
            row[int(np.argmin(np.abs(row - corner)))] = corner
    return out


def _sleeve(group: _Group, opening: float, spacing: float) -> tuple[Mesh, Float[np.ndarray, " r"]]:
    """A tube along x round the group's box, drawn in to ovals at both ends; s = 0 is the middle of the bottom.

    Also gives each row's x [m].
    """
    a, b, h = group.size[0] / 2, group.size[1] / 2, group.size[2] / 2
    knots = np.array([[0, -h], [b, -h], [b, h], [-b, h], [-b, -h], [0, -h]])
    share = np.cumsum([0, b, 2 * h, 2 * b, 2 * h, b]) / (4 * (b + h))
    sectors = max(24, round(4 * (b + h) / spacing))
    places = _snapped(sectors, share[1:5])
    end = np.linspace(opening, 1, max(3, round((1 - opening) * min(b, h) / spacing)) + 1)
    body = np.linspace(-a, a, max(4, round(2 * a / spacing)) + 1)
    size = np.concatenate([end[:-1], np.ones(len(body)), end[-2::-1]])
    x = np.concatenate([np.full(len(end) - 1, -a), body, np.full(len(end) - 1, a)])

    def section(row: int, angle: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m 3"]:
        at = places[row % 2] % 1.0
        y, z = (np.interp(at, share, knots[:, k]) for k in (0, 1))
        turn = np.arctan2(z / h, y / b)
        s, oval = size[row], 0.85 * (1 - size[row]) / (1 - opening)  # the opening is round, the pack's edge is not
        y, z = (s * ((1 - oval) * v + oval * w) for v, w in ((y, b * np.cos(turn)), (z, h * np.sin(turn))))
        return np.stack([np.full(len(angle), x[row]), y, z + h + LIFT], 1)

    climb = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(size) * min(b, h)))])
    mesh = loft(section, climb, sectors, panel=0)
    row, column = np.divmod(mesh.faces, sectors + 1)
    st = mesh.st.copy()
    st[..., 0] = places[row % 2, column]
    return replace(mesh, st=st), x


def _wrinkles(group: _Group, height: float, rng: np.random.Generator) -> Relief:
    """Ridges that run out of the openings over the ends and some way along the pack, strongest at the corners."""
    a, b, h = group.size / 2
    waves = [(int(n), rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1)) for n in rng.integers(11, 46, 7)]
    fade = rng.uniform(0.1, 0.3) * a

    def relief(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        turn = np.arctan2((points[:, 2] - h) / h, points[:, 1] / b)
        wave = np.asarray(sum(s * np.cos(n * turn + phase) for n, phase, s in waves)) / len(waves) ** 0.5
        inner = np.maximum(np.abs(points[:, 1]) / b, np.abs(points[:, 2] - h) / h)
        on_end = np.abs(points[:, 0]) > a - 0.0015
        along = np.where(on_end, np.clip(1.5 - inner, 0.3, 1), 0.5 * np.exp(-(a - np.abs(points[:, 0])) / fade))
        corner = 0.35 + 0.65 * np.abs(np.sin(2 * turn)) ** 2
        off_floor = np.clip(points[:, 2] / 0.004, 0, 1)  # the pack stands flat
        overlap = (points[:, 2] < 0.002) & (np.abs(points[:, 1]) > 0.2 * b)  # the film's ends lie on each other between
        return height * np.clip(wave, 0, 2) * along * corner * off_floor - 0.00015 * overlap

    return relief


def _film_picture(group: _Group, artwork: Artwork, atlas: Atlas) -> UInt8[np.ndarray, "s s 3"]:
    """The printed band, unrolled: round the pack to the right from the bottom's middle, along the pack upwards."""
    patch = atlas.patches[0]
    around, along = patch.picture_size
    _, b, h = group.size
    art = np.empty((along, around, 3), np.uint8)
    art[:] = artwork.ground
    one = around / (2 * (b + h))
    faces: tuple[tuple[str, float, float, int], ...] = (
        ("back", b / 2, h, -1), ("front", b / 2 + h, b, 1), ("front", b / 2 + h + b, h, 1)
    )  # fmt: skip
    for kind, start, wide, way in faces:
        x, tall = round(start * one), max(16, round(wide * one))
        panel = paint_panel(artwork, "back" if kind == "back" else "front", along, tall, px_per_mm=patch.px_per_mm)
        turned = np.rot90(panel[:tall, :along], way)
        room = art[:, x : x + turned.shape[1]]
        room[:] = turned[: room.shape[0], : room.shape[1]]
    return paint_atlas(atlas, [art])


def _panels(mesh: Mesh) -> UInt8[np.ndarray, " f"]:
    """Which side of the pack each face is on, in the order of BOX_PANELS."""
    normal = face_normals(mesh.vertices, mesh.faces)
    ways = np.array([[0, -1, 0], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, 0, 1], [0, 0, -1]], float)
    return np.argmax(normal @ ways.T, axis=1).astype(np.uint8)


def _film(
    group: _Group, parts: list[Part], artwork: Artwork, config: MultipackConfig, design: Design,
    rng: np.random.Generator,
) -> Sheet:  # fmt: skip
    stock = STOCKS["clear_film"]
    x, y, z = (float(v) for v in group.size)
    spacing = float(np.clip(np.sqrt(2 * (x * y + y * z + z * x) / (0.87 * 6000)), 0.0034, 0.0069))
    opening = rng.uniform(*config.opening_share)
    mesh, rows = _sleeve(group, opening, spacing)
    mesh = _stretch(mesh, group, parts)
    band = 0.5 * x * rng.uniform(0.55, 0.95) if rng.random() < config.printed_share else 0.0
    # Whole rows between two sections are printed, or the print's border would be jagged.
    ink = np.repeat(np.abs(rows[1:] + rows[:-1]) / 2 < band, len(mesh.faces) // (len(rows) - 1))
    colours = stream(design, "colours")
    colours.random(6)
    clear = printed(stock, colours)
    specimen = stream(design, "specimen")
    specimen.random(40)
    uv = np.clip(mesh.st, 0, 1)
    faces = (clear, *back_and_edge(stock))
    if ink.any():
        atlas = pack_atlas([(2000 * (y + z), 2000 * band)], design.texture_px, wrap=(0,))
        st = mesh.st.copy()
        t = mesh.st[ink][..., 1]
        st[ink, :, 1] = (t - t.min()) / (t.max() - t.min())
        uv = np.where(ink[:, None, None], mesh_uv(replace(mesh, st=st), atlas), uv)
        picture = _film_picture(group, artwork, atlas)
        faces = (Material("printed_film", (1.0, 1.0, 1.0), 0.0, clear.roughness + 0.05, picture), *faces)
    return make_sheet(
        "film", mesh.vertices, mesh.faces, uv, (0 if ink.any() else 1) * np.zeros(len(mesh.faces), np.uint8)
        + (~ink & ink.any()).astype(np.uint8), faces, stock.mechanics, thickness_mm=stock.thickness_mm, levels=1,
        crease_deg=stock.crease_deg, relief=_wrinkles(group, specimen.uniform(*config.wrinkle_mm) / 1000, specimen),
        panel=_panels(mesh), panels=BOX_PANELS,
    )  # fmt: skip


def _film_artwork(kind: str, unit: Product, count: int, design: Design) -> Artwork:
    """The unit's own pack design with the multipack's net contents and its own barcode."""
    alone, net = replace(design, family=f"multipack {kind}"), f"{count} pieces"
    made, wanted = [], (unit.attributes["brand"], str(unit.attributes["title"]).split(",")[0])
    for category in CATEGORIES.get(kind, tuple(GOODS)):
        made.append(draw_artwork(alone, category, net=net))
        if (made[-1].brand, made[-1].title.split(",")[0]) == wanted:
            break
    own = draw_artwork(design, made[-1].category, net=net)
    return replace(made[-1], ean=own.ean, title=f"{count} × {unit.attributes['title']}")


def build_multipack(item_identifier: str, config: MultipackConfig, design: Design) -> Product:
    """Draw one multipack."""
    rng = stream(design, "shape")
    weights = np.array(list(config.kinds.values()))
    kind = str(rng.choice(list(config.kinds), p=weights / weights.sum()))
    unit = _build_unit(kind, design)
    parts = _outside(unit)
    group = _arrange(unit, parts, config, rng)
    count = len(group.seats)
    contents = _place(group, parts, stream(design, "specimen"))
    artwork = _film_artwork(kind, unit, count, design)
    film = _film(group, parts, artwork, config, design, rng)
    size = np.array(unit.attributes["dimensions_mm"]) / 1000 * group.grid
    mass = count * unit.mass_g + 8.0 + 400.0 * float(size[0] * size[2])
    inset = np.array([0.15, 0.15, 0.06]) * group.unit if group.round_ else np.full(3, 0.001)
    low, high = -group.size / 2 + inset, group.size / 2 - inset
    lift = np.array([0, 0, group.size[2] / 2 + LIFT])
    return Product(
        item_identifier=item_identifier, family="multipack", shape="box", packaging="outer",
        item_material="plastic_tight_wrap", sheets=(film,), contents=contents, core=np.stack([low, high]) + lift,
        attributes=catalogue_entry(
            artwork, category=f"multipack of {kind}s", size_m=size + 2 * LIFT, mass_g=mass, units=count
        ),
        mass_g=mass,
        lookalikes=("opening", "wrinkles"),
    )  # fmt: skip
