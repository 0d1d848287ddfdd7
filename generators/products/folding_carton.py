"""A folding carton: tucked or glued ends, perhaps a window, a hang tab, a tear strip; something in it."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field

from ..artwork import Artwork, Ink, draw_artwork, paste_seal
from ..atlas import Atlas, pack_atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, Stock, back_and_edge, printed
from ..mesh import Relief, Sheet, make_sheet
from ..shapes import BOX_PANELS, Mesh, box_panels, mesh_uv
from .board import (
    FOLD_M,
    add_relief,
    board_box,
    bow_relief,
    draw_bow,
    film_sheet,
    flat_mesh,
    fold_relief,
    notch_outline,
    sheet_points,
    slit_relief,
    superellipse,
    ticks,
    tuck_flap,
)
from .boardprint import area, crumple, cut_edge, extent_mm, half_disc, perforation, print_box, slit, stroke
from .filling import Filling, fill_box
from .product import Hinge, Product, catalogue_entry
from .ranges import within

GOODS: dict[str, tuple[tuple[float, float], Filling, bool]] = {
    "biscuits": ((220, 380), "tray", False),
    "tea": ((140, 260), "bag", True),
    "pasta": ((380, 520), "bag", True),
    "cereal": ((110, 190), "bag", True),
    "soap": ((700, 950), "block", False),
    "rice": ((700, 850), "bag", True),
    "crackers": ((180, 300), "foil", False),
    "cocoa": ((400, 560), "foil", True),
    "batteries": ((900, 1500), "box", False),
    "tissues": ((110, 180), "stack", False),
    "chocolate": ((350, 650), "tray", False),
    "tablets": ((180, 350), "tray", False),
    "toys": ((120, 300), "tray", False),
    "shampoo": ((500, 800), "bottle", True),
    "cream": ((400, 700), "bottle", True),
    "cosmetics": ((300, 650), "bottle", False),
    "candles": ((400, 700), "block", False),
    "electronics": ((250, 700), "box", False),
    "sweets": ((350, 600), "bag", True),
    "pet food": ((350, 500), "foil", True),
}
"""Grams per litre of carton, what the goods come in, and whether they could run out."""
TONES: dict[str, tuple[float, float, float]] = {
    "biscuits": (0.5, 0.28, 0.11), "tea": (0.09, 0.05, 0.025), "pasta": (0.72, 0.48, 0.14),
    "cereal": (0.6, 0.33, 0.1), "rice": (0.78, 0.74, 0.62), "chocolate": (0.1, 0.04, 0.02),
    "tablets": (0.8, 0.8, 0.78), "soap": (0.75, 0.68, 0.55), "candles": (0.75, 0.68, 0.52),
}  # fmt: skip
"""Linear RGB of goods that are of one colour; others come in any."""
SEEN = tuple(name for name, (_, filling, _) in GOODS.items() if filling in ("bag", "tray", "bottle"))
"""Goods that a window is cut for."""
WHITE: Ink = (232, 230, 224)
KRAFT: Ink = (176, 140, 100)
GAP_M = 0.0012
"""Between the wall's inner side and what lies in the carton, at least."""


class FoldingCartonConfig(BaseModel):
    """Ranges from which each carton is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    long_mm: Annotated[tuple[float, float], within(30, 600)] = Field(default=(90.0, 230.0), description="longest side")
    middle_share: Annotated[tuple[float, float], within(0.2, 1)] = Field(
        default=(0.5, 0.9), description="middle side over longest"
    )
    short_share: Annotated[tuple[float, float], within(0.1, 1)] = Field(
        default=(0.2, 0.6), description="shortest side over longest"
    )
    bow_mm: Annotated[tuple[float, float], within(0, 5)] = Field(
        default=(0.0, 1.2), description="benign outward bow of each panel, no damage"
    )
    window_share: float = Field(default=0.15, ge=0, le=1, description="share with a film window in front")
    hang_hole_share: float = Field(default=0.12, ge=0, le=1, description="share with a hang tab and its hole")
    perforation_share: float = Field(default=0.15, ge=0, le=1, description="share with a tear strip or a shelf cut")
    notch_share: float = Field(default=0.1, ge=0, le=1, description="share with a thumb notch")
    kraft_share: float = Field(default=0.15, ge=0, le=1, description="share of uncoated brown board")
    seal_share: float = Field(default=0.1, ge=0, le=1, description="share with a seal stuck over the top's front edge")
    crushed_look_share: float = Field(
        default=0.05, ge=0, le=1, description="share printed as if crumpled, by design and not by damage"
    )


@dataclass(frozen=True)
class _Carton:
    """One carton's drawn form."""

    category: str
    size: Float[np.ndarray, "3"]
    """Without the hang tab [m]."""
    ends: str
    """tuck, seal or cereal: how top and bottom close."""
    kraft: bool
    window: Float[np.ndarray, "k 2"] | None
    """Its outline on the front panel [m]."""
    tab: float
    """Height of the hang tab [m]; 0 without."""
    tear: str | None
    """strip, shelf or corner: what is perforated."""
    notch: float
    """Radius of the thumb notch [m]; 0 without."""
    crushed: bool
    seal: float | None
    """How far right a seal sticks over the top's front edge."""

    @property
    def board(self) -> Ink:
        """The unprinted board's colour."""
        return KRAFT if self.kraft else WHITE

    @property
    def stock(self) -> Stock:
        """What it is made of."""
        return STOCKS["uncoated_board" if self.kraft else "coated_board"]


def _draw_form(config: FoldingCartonConfig, design: Design) -> _Carton:
    rng = stream(design, "shape")
    category = str(rng.choice(list(GOODS)))
    long = rng.uniform(*config.long_mm)
    middle, short = (long * rng.uniform(*share) for share in (config.middle_share, config.short_share))
    short = min(short, middle)
    order = (middle, short, long) if rng.random() < 0.65 else (long, short, middle)
    size = np.array(order) / 1000 * design.grow ** (1 / 3)
    window, hang, tear, notch, kraft, crushed = (
        bool(rng.random() < share)
        for share in (
            config.window_share, config.hang_hole_share, config.perforation_share, config.notch_share,
            config.kraft_share, config.crushed_look_share,
        )
    )  # fmt: skip
    if window and category not in SEEN:
        category = str(rng.choice(SEEN))
    ends = "cereal" if category == "cereal" else str(rng.choice(["tuck", "seal"], p=[0.65, 0.35]))
    half = size[[0, 2]] * rng.uniform(0.22, 0.34, 2)
    middle_at = (float(size[0] / 2), float(np.clip(rng.uniform(0.34, 0.45) * size[2], half[1] + 0.008, None)))
    outline = superellipse(
        middle_at, (float(half[0]), float(half[1])), power=float(rng.choice([2.0, 3.0, 5.0, 9.0])), step=0.003
    )
    seal = float(rng.choice([0.06, 0.5, 0.94])) if rng.random() < config.seal_share else None
    return _Carton(
        category=category, size=size, ends=ends, kraft=kraft, window=outline if window else None,
        tab=float(np.clip(0.3 * size[0], 0.028, 0.045)) if hang and size.max() < 0.19 else 0.0,
        tear=str(rng.choice(["strip", "shelf", "corner"])) if tear and not window else None,
        notch=min(0.009, 0.16 * float(size[0])) if notch and ends == "tuck" else 0.0, crushed=crushed,
        seal=None if notch else seal,
    )  # fmt: skip


def _print_ends(form: _Carton, pictures: list[UInt8[np.ndarray, "_ _ 3"]], scale: float) -> None:
    """Slits, raw edges and flap ends at top and bottom, and the glued seam at the back."""
    front, right, _, left, top, bottom = pictures
    for side, end, at in (("top", top, 1.0), ("bottom", bottom, 0.0)):
        for wall in (right, left):
            cut_edge(wall, scale, side, form.board)
        w, h = extent_mm(end, scale)
        if form.ends == "tuck":
            cut_edge(front, scale, side, form.board)
            row = h - 0.9 if at else 0.9
            stroke(end, scale, [(0, row), (w, row)], 0.35, (18, 16, 14), opacity=0.5)
            for x in (0.0, w):  # slit locks: the ends of the tuck's fold are cut in
                stroke(end, scale, [(x, row), (abs(x - 5.0), row)], 0.6, (14, 12, 10), opacity=0.8)
        else:
            share = 0.62 if form.ends == "cereal" else 0.94
            row = share * h if at else (1 - share) * h
            slit(end, scale, [(0, row), (w, row)], form.board, width_mm=0.3)
    if form.ends == "cereal":
        w, h = extent_mm(top, scale)
        tongue = [(0.36 * w, 0.62 * h), (0.39 * w, 0.78 * h), (0.61 * w, 0.78 * h), (0.64 * w, 0.62 * h)]
        stroke(top, scale, tongue, 0.35, (30, 26, 22), opacity=0.7)
        stroke(top, scale, [(0.34 * w, 0.42 * h), (0.66 * w, 0.42 * h)], 0.7, (30, 26, 22), opacity=0.6)
    cut_edge(left, scale, "left", form.board)


def _print_openings(form: _Carton, art: Artwork, pictures: list[UInt8[np.ndarray, "_ _ 3"]], scale: float) -> None:
    front, right, _, left, _, _ = pictures
    w, h = extent_mm(front, scale)
    if form.tear == "strip":  # a zip across three panels
        for picture in (front, right, left):
            wide = extent_mm(picture, scale)[0]
            for row in (0.2 * h, 0.2 * h + 8):
                perforation(picture, scale, [(0, row), (wide, row)], dash_mm=2.6, gap_mm=1.6)
        tongue = [(0.0, 0.2 * h), (10.0, 0.2 * h + 1), (10.0, 0.2 * h + 7), (0.0, 0.2 * h + 8)]
        area(front, scale, tongue, art.accent, opacity=0.8)
    elif form.tear == "shelf":  # the display cut: low in front, rising along the sides
        perforation(front, scale, [(0, 0.6 * h), (w, 0.6 * h)])
        for picture, turn in ((right, False), (left, True)):
            wide = extent_mm(picture, scale)[0]
            path = [(0, 0.6 * h), (0.45 * wide, 0.55 * h), (wide, 0.15 * h)]
            perforation(picture, scale, [(wide - x, y) for x, y in path] if turn else path)
    elif form.tear == "corner":  # a pouring spout at the top of a side
        wide = extent_mm(right, scale)[0]
        spout = [(0.2 * wide, 0.0), (0.2 * wide, 0.16 * h), (0.5 * wide, 0.2 * h), (0.8 * wide, 0.16 * h)]
        perforation(right, scale, [*spout, (0.8 * wide, 0.0)], dash_mm=2.0, gap_mm=1.4)
    if form.notch:
        stroke(front, scale, half_disc((0.5 * w, 0.0), 1000 * form.notch), 0.5, form.board)
    if form.window is not None:
        ring = [(1000 * float(x), h - 1000 * float(y)) for x, y in [*form.window, form.window[0]]]
        stroke(front, scale, ring, 5.0, art.accent, opacity=0.9)


def _kraft_ground(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Ink on brown board: what was white is board, and nothing is brighter."""
    tone = np.array([KRAFT], np.float32) / 245
    table = np.clip(np.arange(256, dtype=np.float32)[:, None] * tone * 0.97 + 4, 0, 255).astype(np.uint8)
    return np.stack([table[:, k][picture[..., k]] for k in range(3)], axis=-1)


def _paint(
    form: _Carton, art: Artwork, atlas: Atlas, design: Design, register: Float[np.ndarray, "2"]
) -> UInt8[np.ndarray, "s s 3"]:
    scale, rng = atlas.patches[0].px_per_mm, stream(design, "layout")
    pictures = print_box(art, atlas, register)
    if form.crushed:
        pictures = [crumple(picture, rng, strength=1.0) for picture in pictures]
    if form.kraft:
        pictures = [_kraft_ground(picture) for picture in pictures]
    _print_openings(form, art, pictures, scale)
    _print_ends(form, pictures, scale)
    if form.seal is not None:
        paste_seal(art, pictures[4], pictures[0], share=form.seal, px_per_mm=scale)
    if form.tab:
        patch = atlas.patches[6]
        tab = pictures[2][: patch.picture_size[1]].copy()
        tab[:] = np.median(pictures[2][:8].reshape(-1, 3), axis=0).astype(np.uint8)
        pictures.append(tab)
    return paint_atlas(atlas, pictures)


def _hang_tab(form: _Carton) -> Mesh:
    """A panel above the back with a euro hole: a round middle with two arms."""
    x, y, z = (float(v) for v in form.size)
    high, middle = form.tab, (x / 2, 0.55 * form.tab)
    arm, disc = min(0.016, 0.3 * x), 0.0045
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    wide, narrow = arm * np.abs(np.cos(angle)) ** 0.7, 0.0018
    r = np.maximum(disc, np.minimum(wide, narrow / np.maximum(np.abs(np.sin(angle)), 1e-6)))
    hole = np.array(middle) + np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)
    hole = hole[np.concatenate([[True], np.linalg.norm(np.diff(hole, axis=0), axis=1) > 4e-4])]
    points = sheet_points(ticks(x, 0.004), ticks(high, 0.004, edge=0.0), [hole])
    cut = 0.3 * high  # the upper corners are cut off
    keep = np.minimum(points[:, 0], x - points[:, 0]) + (high - points[:, 1]) >= cut - 1e-9
    corners = np.array([(0, 0), (x, 0), (x, high - cut), (x - cut, high), (cut, high), (0, high - cut)])
    points = np.concatenate([points[keep], corners[2:]])
    points = np.unique(np.round(points, 9), axis=0)
    faces = flat_mesh(points, [hole], corners)
    used, faces = np.unique(faces, return_inverse=True)
    points, faces = points[used], faces.reshape(-1, 3)
    st = points / np.array([x, high])
    # The tab shows its back to the front too: what is seen from there is the other side's board.
    place = np.stack([x / 2 - points[:, 0], np.full(len(points), y / 2), z + points[:, 1]], axis=1)
    return Mesh(place, faces, st[faces], np.full(len(faces), 6, np.uint8))


def _openings(form: _Carton):
    """Outlines cut from the front [m], and rows of vertices per axis: at a notch's ends and along perforations."""
    outlines, x = [] if form.window is None else [form.window], float(form.size[0]) / 2
    across = (x - form.notch, x + form.notch) if form.notch else ()
    if form.notch:
        outlines.append(notch_outline((x, float(form.size[2])), form.notch, step=0.0028))
    return outlines, (across, (), tuple(at for at, _ in _tears(form)))


def _tears(form: _Carton) -> list[tuple[float, tuple[int, ...]]]:
    """Height [m] of each level perforation and the panels that it crosses; others are printed only."""
    high = float(form.size[2])
    if form.tear == "strip":
        return [(0.8 * high, (0, 1, 3)), (0.8 * high - 0.008, (0, 1, 3))]
    return [(0.4 * high, (0,))] if form.tear == "shelf" else []


def _reliefs(form: _Carton, bow: Float[np.ndarray, "6"], radius: float) -> Relief:
    """Bow, round folds, and the slit along the tuck's fold."""
    if form.window is not None:
        bow = bow * np.array([0.3, 1, 1, 1, 1, 1])  # a panel with a hole is flat, and the film stays behind it
    parts = [bow_relief(form.size, bow), fold_relief(form.size, radius)]
    if form.ends == "tuck":
        parts.append(slit_relief(form.size, 4, axis=1, at=FOLD_M / 2, half=FOLD_M / 2, depth=0.00035))
    for at, panels in _tears(form):  # a perforation is pressed in where its knife went through
        parts += [slit_relief(form.size, k, axis=1, at=at, half=0.0025, depth=0.0002) for k in panels]
    return add_relief(*parts)


def _walls(
    form: _Carton, art: Artwork, design: Design, bow: Float[np.ndarray, "6"], register: Float[np.ndarray, "2"]
) -> tuple[Sheet, ...]:
    stock, size = form.stock, form.size
    openings, rows = _openings(form)
    mesh = board_box(size, stock.mechanics.spacing_mm / 1000, holes={0: openings}, marks=rows)
    sides = [(1000 * float(np.linalg.norm(u)), 1000 * float(np.linalg.norm(v))) for _, u, v in box_panels(size)]
    if form.tab:
        sides.append((sides[2][0], 1000 * form.tab))
    atlas = pack_atlas(sides, design.texture_px)
    print_ = printed(stock, stream(design, "colours"), _paint(form, art, atlas, design, register))
    inside, edge = back_and_edge(stock)
    if form.stock.name == "coated_board":
        inside = replace(inside, base_color=(0.56, 0.54, 0.5))
    radius = float(stream(design, "shape").uniform(0.7, 1.1)) / 1000
    sheets = [
        make_sheet(
            "board", mesh.vertices, mesh.faces, mesh_uv(mesh, atlas), np.zeros(len(mesh.faces), np.uint8),
            (print_, inside, edge), stock.mechanics, thickness_mm=stock.thickness_mm, levels=1, crease_deg=48.0,
            relief=_reliefs(form, bow, radius), panel=mesh.panel, panels=BOX_PANELS,
        )
    ]  # fmt: skip
    if form.tab:
        tab = _hang_tab(form)
        # Two layers of board glued together: both sides are printed alike.
        sheets.append(
            make_sheet(
                "hang tab", tab.vertices, tab.faces, mesh_uv(tab, atlas), np.zeros(len(tab.faces), np.uint8),
                (print_, print_, edge), stock.mechanics, thickness_mm=2 * stock.thickness_mm, levels=0,
                crease_deg=48.0, panels=("tab",),
            )
        )  # fmt: skip
    if form.notch:
        sheets.append(tuck_flap(size, stock, wide=float(size[0]) - 0.004, high=min(0.018, 0.25 * float(size[2]))))
    if form.window is not None:
        sheets.append(film_sheet(size, form.window, depth=stock.thickness_mm / 1000 + 0.0002))
    return tuple(sheets)


def _hinges(form: _Carton) -> tuple[Hinge, ...]:
    x, y, z = (float(v) / 2 for v in form.size)
    closed = "tuck" if form.ends == "tuck" else "glue"
    return (
        Hinge(
            "top flap", ("top", "tuck flap") if form.notch else ("top",), (x, y, 2 * z), (-x, y, 2 * z), 150.0, closed
        ),
        Hinge("bottom flap", ("bottom",), (-x, y, 0), (x, y, 0), 150.0, closed),
    )


def _fill_ml(inner: Float[np.ndarray, "3"], kind: Filling) -> float:
    """A bottle is round and has a neck; a bag fills a carton better."""
    litres = 1000 * float(np.prod(inner))
    return 550 * litres * float(inner[:2].min() / inner[:2].max()) if kind == "bottle" else 800 * litres


def build_folding_carton(item_identifier: str, config: FoldingCartonConfig, design: Design) -> Product:
    """Draw one carton."""
    form, specimen = _draw_form(config, design), stream(design, "specimen")
    register = specimen.normal(0, 0.25, 2)
    bow, bowed = draw_bow(specimen, config.bow_mm)
    rng = stream(design, "words")
    density, kind, pours = GOODS[form.category]
    litres = float(np.prod(form.size)) * 1000
    net = float(rng.uniform(*density)) * litres
    art = draw_artwork(design, form.category, net=f"{5 * max(1, round(net / 5))} g")
    clear = form.stock.thickness_mm / 1000 + GAP_M
    inner = form.size - 2 * np.array([clear, clear, clear])
    inner[1] -= 0.0 if form.window is None else 0.001
    if kind in ("bag", "foil"):
        inner[2] *= specimen.uniform(0.85, 0.97)  # the goods settle
    loose = stream(design, "colours").uniform(0.06, 0.6, 3)
    tone = np.array(TONES[form.category]) * (0.8 + 0.5 * loose) if form.category in TONES else loose
    filling, rigid = fill_box(
        kind, inner, clear, (float(tone[0]), float(tone[1]), float(tone[2])), specimen=specimen,
        shape=stream(design, "shape"), art=art,
    )  # fmt: skip
    points = np.concatenate([part.vertices for part in filling])
    x, y, z = form.size
    walls = 2 * (x * y + y * z + x * z) * form.stock.thickness_mm * form.stock.density_kg_m3  # g: m² mm kg/m³
    looks = {
        "bow": bowed, "window": form.window is not None, "hang_hole": form.tab > 0,
        "perforation": form.tear is not None, "thumb_notch": form.notch > 0, "crushed_look": form.crushed,
        "closure_seal": form.seal is not None,
    }  # fmt: skip
    mass = float(net + walls)
    return Product(
        item_identifier=item_identifier, family="folding_carton", shape="box", packaging="outer",
        item_material="cardboard", sheets=_walls(form, art, design, bow, register), contents=filling,
        core=np.stack([points.min(axis=0), points.max(axis=0)]) if rigid else None,
        attributes=catalogue_entry(
            art, category=form.category, size_m=form.size + np.array([0, 0, form.tab]), mass_g=mass
        ),
        mass_g=mass, hinges=_hinges(form),
        lookalikes=tuple(sorted(name for name, has in looks.items() if has)),
        fill_ml=_fill_ml(inner, kind) if pours else 0.0,
    )  # fmt: skip
