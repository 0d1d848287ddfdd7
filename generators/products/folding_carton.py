"""A closed folding carton: printed board, tuck flaps, something in it."""

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import Material
from ..artwork import draw_artwork, paint_panel
from ..atlas import pack_atlas, paint_atlas
from ..design import Design, stream
from ..materials import STOCKS, back_and_edge, printed
from ..mesh import Relief, make_sheet
from ..shapes import BOX_PANELS, box_mesh, box_panels, mesh_uv, move, solid
from .product import Hinge, Product, catalogue_entry


class FoldingCartonConfig(BaseModel):
    """Ranges from which each carton is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    long_mm: tuple[float, float] = Field(default=(90.0, 230.0), description="longest side")
    middle_share: tuple[float, float] = Field(default=(0.5, 0.9), description="middle side over longest")
    short_share: tuple[float, float] = Field(default=(0.2, 0.6), description="shortest side over longest")
    bow_mm: tuple[float, float] = Field(default=(0.0, 1.2), description="benign outward bow of each panel, no damage")


def bow_relief(size: Float[np.ndarray, "3"], bow: Float[np.ndarray, "6"]) -> Relief:
    """Panels bulge a little, most in their middle; ``bow`` [m] in the order of BOX_PANELS."""

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        out = np.zeros(len(points))
        for (origin, side_u, side_v), rise in zip(box_panels(size), bow, strict=True):
            o, su, sv = (np.array(q, float) for q in (origin, side_u, side_v))
            normal = np.cross(su, sv)
            normal /= np.linalg.norm(normal)
            on = np.abs((points - o) @ normal) < 1e-6
            u, v = (points - o) @ su / (su @ su), (points - o) @ sv / (sv @ sv)
            bump = np.clip(np.sin(np.pi * np.clip(u, 0, 1)) * np.sin(np.pi * np.clip(v, 0, 1)), 0, 1)
            out += np.where(on, rise * bump, 0.0)
        return out

    return height


def build_folding_carton(item_identifier: str, config: FoldingCartonConfig, design: Design) -> Product:
    """Draw one carton."""
    rng, specimen = stream(design, "shape"), stream(design, "specimen")
    longest = rng.uniform(*config.long_mm)
    sides = longest * np.array([1, rng.uniform(*config.middle_share), rng.uniform(*config.short_share)])
    size = rng.permutation(sides) / 1000 * design.grow ** (1 / 3)
    litres = float(np.prod(size)) * 1000
    mass = litres * rng.uniform(150, 450) + 30
    stock = STOCKS["coated_board"]
    artwork = draw_artwork(design, "biscuits", net=f"{mass - 30:.0f} g")
    mesh = box_mesh(size, stock.mechanics.spacing_mm / 1000)
    sides_mm = [(1000 * float(np.linalg.norm(u)), 1000 * float(np.linalg.norm(v))) for _, u, v in box_panels(size)]
    atlas = pack_atlas(sides_mm, design.texture_px)
    kinds = ("front", "side", "back", "side", "top", "bottom")
    pictures = [
        paint_panel(artwork, kind, *patch.picture_size, px_per_mm=patch.px_per_mm)
        for kind, patch in zip(kinds, atlas.patches, strict=True)
    ]
    texture = paint_atlas(atlas, pictures)
    bow = specimen.uniform(*config.bow_mm, 6) / 1000
    bow[5] *= -1  # the bottom bows in, or the box would rock
    sheet = make_sheet(
        "board", mesh.vertices, mesh.faces, mesh_uv(mesh, atlas), np.zeros(len(mesh.faces), np.uint8),
        (printed(stock, stream(design, "colours"), texture), *back_and_edge(stock)), stock.mechanics,
        thickness_mm=stock.thickness_mm, levels=1, crease_deg=stock.crease_deg,
        relief=bow_relief(size, bow), panel=mesh.panel, panels=BOX_PANELS,
    )  # fmt: skip
    clearance = specimen.uniform(4, 9) / 1000 + stock.thickness_mm / 1000
    tone = rng.uniform(0.05, 0.6, 3)
    inner = move(box_mesh(size - 2 * clearance, 1.0), np.eye(3), np.array([0, 0, clearance]))
    block = solid(inner, "inner bag", Material("contents", (float(tone[0]), float(tone[1]), float(tone[2])), 0.0, 0.6))
    x, y, z = (float(v) for v in size)
    return Product(
        item_identifier=item_identifier,
        family="folding_carton",
        shape="box",
        packaging="outer",
        item_material="cardboard",
        sheets=(sheet,),
        contents=(block,),
        core=np.stack([-size / 2 + clearance, size / 2 - clearance]) + np.array([0, 0, z / 2]),
        attributes=catalogue_entry(artwork, category="folding carton", size_m=size, mass_g=mass),
        mass_g=mass,
        hinges=(
            Hinge("top flap", ("top",), (x / 2, y / 2, z), (-x / 2, y / 2, z), 150.0, "tuck"),
            Hinge("bottom flap", ("bottom",), (-x / 2, y / 2, 0), (x / 2, y / 2, 0), 150.0, "tuck"),
        ),
        lookalikes=("bow",),
    )
