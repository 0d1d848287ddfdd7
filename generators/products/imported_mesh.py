"""Your own objects: a folder of GLB, OBJ, PLY or STL files as a catalogue, one product per file.

Repairs are listed in the product's ``repairs`` attribute: ``vertices_merged``, ``degenerate_faces_dropped``,
``double_faces_dropped``, ``flipped_faces_turned``, ``several_shells_kept``, ``non_manifold_split``, ``holes_filled``,
``left_open``, ``decimated``, ``refined``, ``repeated_texture_unrolled``, ``texture_painted_anew``,
``no_texture_plain_grey``, ``unit_taken_for_mm`` (or m, cm), ``made_to_stand``.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import fast_simplification
import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ...sim.errors import DamagelandError
from ..design import Design, stream
from ..imported.bake import paint_anew, shrink_pictures, unroll
from ..imported.collapse import collapse_short
from ..imported.meshfile import SUFFIXES, Surface, list_meshes, read_surface
from ..imported.repair import fill_holes, longest_side, orient, refine, split_non_manifold, weld
from ..materials import STOCKS, back_and_edge
from ..mesh import boundary_half_edges, enclosed_volume, face_areas, make_sheet
from ..rest import mass_centre, stable_poses
from .product import Product

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
SMALLEST_M, LARGEST_M = 0.005, 3.0
MOST_VERTICES = 7000
"""Finer meshes are decimated: damage is simulated at some 5,000 vertices."""
KAPUTT_MATERIALS = (
    "cardboard", "plastic_loose_bag", "plastic_hard", "plastic_tight_wrap", "plastic_bubble_wrap", "book_paper",
    "book_other", "book_plastic_tight_wrap", "paper", "other",
)  # fmt: skip


class ImportedMeshConfig(BaseModel):
    """Where the meshes are, and what their files do not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Field(description="folder of mesh files, beside the recipe; product k is file k in sorted order")
    unit: Literal["m", "cm", "mm", "inch", "auto"] = Field(
        default="auto",
        description="of coordinates; auto: GLB is m, the others m, mm or cm, whichever gives 2 cm to 1 m",
    )
    up: Literal["y", "z", "auto"] = Field(default="auto", description="axis that points up; auto: y for GLB, else z")
    stand: Literal["as_given", "stable"] = Field(
        default="as_given", description="which side is down: the file's, or that of the most likely stable pose"
    )
    longest_mm: tuple[float, float] | None = Field(
        default=None, description="scale the longest side into this range; left as it is if null"
    )
    mass_g: float | None = Field(default=None, gt=0, le=100_000, description="from volume and density if null")
    density_kg_m3: float = Field(default=400.0, gt=0, le=25_000, description="of the whole, hollow parts included")
    item_material: str = Field(default="other", description="Kaputt's name")
    shape: Literal["box", "round", "soft"] = Field(
        default="box", description="where a fall meets it: corners and edges, rims and sides, or it gives way"
    )
    packaging: Literal["outer", "primary"] = Field(
        default="primary", description="primary packaging holds the product itself: the same dent is worse there"
    )
    brittle: bool = Field(
        default=False, description="breaks instead of denting: nothing that bends plastically applies"
    )
    category: str = Field(default="imported object", description="category in the catalogue")
    stock: str = Field(default="hdpe", description="how the wall bends, and its inner side: one of the stocks")
    thickness_mm: float = Field(default=0.8, ge=0.05, le=20, description="of the wall")
    crease_deg: float = Field(default=40.0, ge=0, le=180, description="folds sharper than this are shaded as edges")
    open_ok: bool = Field(default=False, description="take meshes with large holes as open shells")
    max_faces: int = Field(
        default=2_000_000, ge=12, le=20_000_000, description="files that say they hold more are refused unread"
    )
    max_texture_px: int = Field(default=2048, ge=16, le=8192, description="larger pictures are scaled down")

    @field_validator("stock")
    @classmethod
    def _known_stock(cls, value: str) -> str:
        if value not in STOCKS:
            raise ValueError(f"expected one of {', '.join(sorted(STOCKS))}")
        return value

    @field_validator("item_material")
    @classmethod
    def _known_material(cls, value: str) -> str:
        if value not in KAPUTT_MATERIALS:
            raise ValueError(f"expected one of {', '.join(KAPUTT_MATERIALS)}")
        return value

    @field_validator("longest_mm")
    @classmethod
    def _sound_range(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not 1000 * SMALLEST_M <= value[0] <= value[1] <= 1000 * LARGEST_M:
            raise ValueError("expected [low, high] in mm with 5 ≤ low ≤ high ≤ 3000")
        return value


@dataclass(frozen=True)
class _Ready:
    """A mesh file made ready: metres, z up, on z = 0 and on the axis."""

    surface: Surface
    volume_m3: float


def _noted(surface: Surface, word: str) -> Surface:
    return replace(surface, notes=tuple(dict.fromkeys((*surface.notes, word))))


def _check_numbers(path: Path, surface: Surface) -> None:
    if surface.faces.min() < 0 or surface.faces.max() >= len(surface.vertices):
        raise DamagelandError(f"{path}: a face names a vertex that is not there. Export it again.")
    used = surface.vertices[np.unique(surface.faces)]
    bad = int((~np.isfinite(used)).any(axis=1).sum()) + int((~np.isfinite(surface.uv)).any(axis=(1, 2)).sum())
    if bad:
        raise DamagelandError(f"{path}: {bad} coordinates are NaN or infinite. Clean the mesh before exporting it.")
    if longest_side(surface) <= 0:
        raise DamagelandError(f"{path}: zero size: all its vertices are in one place. Export it again.")


def _to_metres(path: Path, surface: Surface, config: ImportedMeshConfig) -> Surface:
    """Scale by the unit and turn z up."""
    unit, size = config.unit, longest_side(surface)
    if unit == "auto":
        fits = [u for u in ("m", "mm", "cm") if 0.02 <= size * METRES[u] <= 1.0]
        unit = "m" if path.suffix.lower() == ".glb" else (fits or ["m"])[0]
        if path.suffix.lower() != ".glb":
            surface = _noted(surface, f"unit_taken_for_{unit}")
    points = surface.vertices * METRES[unit]
    if config.longest_mm is None and not SMALLEST_M <= size * METRES[unit] <= LARGEST_M:
        raise DamagelandError(
            f"{path}: its longest side is {1000 * size * METRES[unit]:.6g} mm if its unit is {unit}; expected "
            f"{1000 * SMALLEST_M:.0f} to {1000 * LARGEST_M:.0f} mm. The unit may be wrong: set unit, or longest_mm."
        )
    if config.up == "y" or (config.up == "auto" and path.suffix.lower() == ".glb"):
        points = np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1)
    return replace(surface, vertices=points)


def _mend(path: Path, surface: Surface, config: ImportedMeshConfig) -> Surface:
    surface = weld(surface)
    if len(surface.faces) < 4 or np.linalg.matrix_rank(surface.vertices - surface.vertices[0], tol=1e-6) < 3:
        raise DamagelandError(f"{path}: flat or without area: {len(surface.faces)} sound faces. Export a solid object.")
    surface = fill_holes(split_non_manifold(orient(surface)))
    rim = len(boundary_half_edges(surface.faces)[0])
    if rim and not config.open_ok:
        raise DamagelandError(
            f"{path}: not closed: {rim} edges have a face on one side only, and the holes are too large to guess what "
            "was there. Close it, or set open_ok: true to take it as an open shell."
        )
    return _noted(surface, "left_open") if rim else surface


def _bare(surface: Surface, vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Surface:
    """Another mesh of the same thing, without its pictures."""
    none = np.zeros(len(faces), np.int64)
    return replace(
        surface, vertices=vertices, faces=faces, uv=np.zeros((len(faces), 3, 2)), colours=None, material=none
    )  # fmt: skip


def _thinned(surface: Surface) -> Surface:
    """A very fine mesh brought down quickly; its pictures are lost."""
    scale = 100 / longest_side(surface)  # the library's limits are absolute: in metres it takes off handles
    points, faces = fast_simplification.simplify(
        surface.vertices * scale, surface.faces.astype(np.int32), target_count=4 * MOST_VERTICES, agg=4
    )[:2]
    thin = _bare(surface, points / scale, faces.astype(np.int64))
    return fill_holes(split_non_manifold(orient(weld(thin))))


def _evened(surface: Surface, spacing: float) -> Surface:
    """Vertices evenly ``spacing`` apart, more or less; pictures are lost."""
    thin = _thinned(surface) if len(surface.vertices) > 3 * MOST_VERTICES else surface
    short, long = 0.6 * spacing, 1.5 * spacing
    middle = refine(_bare(surface, *collapse_short(thin.vertices, thin.faces, short)), long)
    even = _bare(surface, *collapse_short(middle.vertices, middle.faces, short))
    if len(boundary_half_edges(surface.faces)[0]) == 0 and len(boundary_half_edges(even.faces)[0]):
        raise DamagelandError("it tore when it was decimated. Decimate it to 5,000 vertices in your own tool.")
    return even


def _simulated(surface: Surface, config: ImportedMeshConfig, px: int) -> Surface:
    """Bring the mesh to what damage is simulated on, with pictures in [0, 1]."""
    spacing = _spacing(surface)
    fine = refine(surface, 1.5 * spacing) if len(surface.vertices) <= MOST_VERTICES else surface
    even = len(fine.vertices) > MOST_VERTICES
    if even:
        fine = _evened(surface, spacing)
    word = "decimated" if len(fine.vertices) < len(surface.vertices) else "refined"
    notes = surface.notes if len(fine.vertices) == len(surface.vertices) else (*surface.notes, word)
    if not even or _is_plain(surface):
        plain = unroll(replace(fine, notes=notes))
        if plain is not None:
            return plain
    return paint_anew(
        replace(surface, notes=notes), fine.vertices, fine.faces,
        px=min(config.max_texture_px, max(1024, px)), reach=0.01 * longest_side(surface),
    )  # fmt: skip


def _is_plain(surface: Surface) -> bool:
    """Whether all of it is one colour."""
    m = surface.materials[0]
    pictures = m.base_color_texture is not None or m.metallic_roughness_texture is not None
    return len(surface.materials) == 1 and not pictures and surface.colours is None


def _spacing(surface: Surface) -> float:
    """Distance [m] of some 5,000 evenly spread vertices."""
    area = float(face_areas(surface.vertices, surface.faces).sum())
    return float(np.sqrt(area / 5000 * 2 / np.sqrt(3)))


def _stood(surface: Surface, config: ImportedMeshConfig) -> Surface:
    """On z = 0, centred on the axis."""
    points = surface.vertices
    if config.stand == "stable":
        R = stable_poses(points, mass_centre(points))[0][0]
        if not np.allclose(R, np.eye(3), atol=1e-6):
            points, surface = points @ R.T, _noted(surface, "made_to_stand")
    low, high = points.min(axis=0), points.max(axis=0)
    return replace(surface, vertices=points - np.array([*(low + high)[:2] / 2, low[2]]))


@lru_cache(maxsize=16)
def _ready(path: Path, stamp: tuple[int, int], settings: str, px: int) -> _Ready:
    """Read and mend a file; ``stamp`` (size and time) makes a changed file a new one.

    ``settings`` is the config as JSON; ``px`` the side of a texture that has to be painted anew.
    """
    config = ImportedMeshConfig.model_validate_json(settings)
    raw = read_surface(path, most_faces=config.max_faces)
    _check_numbers(path, raw)
    raw = replace(raw, materials=shrink_pictures(raw.materials, config.max_texture_px))
    mended = _mend(path, _to_metres(path, raw, config), config)
    try:
        surface = _stood(_simulated(mended, config, px), config)
    except DamagelandError as error:
        raise DamagelandError(f"{path}: {error}") from None
    return _Ready(surface, abs(enclosed_volume(mended.vertices, mended.faces)))


def _drawn_scale(surface: Surface, config: ImportedMeshConfig, design: Design) -> float:
    grow = design.grow ** (1 / 3)
    if config.longest_mm is None:
        return grow
    return grow * float(stream(design, "shape").uniform(*config.longest_mm)) / 1000 / longest_side(surface)


def _title(path: Path) -> str:
    words = path.stem.replace("_", " ").replace("-", " ").split()
    return " ".join(words).capitalize() or path.stem


def _attributes(
    path: Path, ready: _Ready, config: ImportedMeshConfig, design: Design, size: Float[np.ndarray, "3"], mass: float
) -> dict[str, object]:
    return {
        "category": config.category,
        "brand": "",
        "title": _title(path),
        "description": f"{_title(path)}, from {path.name}",
        "ean": "",
        "dimensions_mm": tuple(round(1000 * float(v), 1) for v in size),
        "catalogue_mass_g": float(round(mass)),
        "expected_units": 1,
        "edition": design.edition,
        "repairs": ",".join(ready.surface.notes),
    }


def build_imported_mesh(item_identifier: str, config: ImportedMeshConfig, design: Design) -> Product:
    """Build product ``design.number`` from the file of that number."""
    files = list_meshes(config.folder)
    if design.number >= len(files):
        raise DamagelandError(
            f"{config.folder}: product {design.number + 1} is asked for, but there are {len(files)} mesh files "
            f"({', '.join(SUFFIXES)}). Lower count to {len(files)}, or add files."
        )
    path = files[design.number]
    stat = path.stat()
    ready = _ready(path, (stat.st_size, stat.st_mtime_ns), config.model_dump_json(), design.texture_px)
    surface, stock = ready.surface, STOCKS[config.stock]
    scale = _drawn_scale(surface, config, design)
    vertices = surface.vertices * scale
    size = np.ptp(vertices, axis=0)
    mass = config.mass_g or max(1.0, 1000 * config.density_kg_m3 * ready.volume_m3 * scale**3)
    spacing = 1000 * _spacing(surface) * scale
    sheet = make_sheet(
        "body", vertices, surface.faces, surface.uv, surface.material.astype(np.uint8),
        (*surface.materials, *back_and_edge(stock)), replace(stock.mechanics, spacing_mm=spacing),
        thickness_mm=min(config.thickness_mm, 100 * float(size.min())), levels=1, crease_deg=config.crease_deg,
    )  # fmt: skip
    return Product(
        item_identifier=item_identifier,
        family="imported_mesh",
        shape=config.shape,
        packaging=config.packaging,
        item_material=config.item_material,
        sheets=(sheet,),
        contents=(),
        core=None,
        attributes=_attributes(path, ready, config, design, size, mass),
        mass_g=float(mass),
        brittle=config.brittle,
    )
