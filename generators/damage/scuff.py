"""Scuff: rust on tin, stains and rubbed print on board. Yields ``superficial``: the surface changes, not the shape."""

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import KINDS, Material
from ..artwork import fractal_noise
from ..mesh import Sheet, face_areas
from ..products.product import Product
from .outcome import Outcome, marked_faces
from .subject import Subject

SUPERFICIAL = KINDS.index("superficial")


class ScuffConfig(BaseModel):
    """How surfaces are spoilt. Strength scales the share of the surface that is covered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: tuple[float, float] = Field(
        default=(0.003, 0.35), description="share of the sheet covered, at strength 0 and 1"
    )
    patch_mm: tuple[float, float] = Field(default=(4.0, 45.0), description="size of the largest patches")
    edge_pull: tuple[float, float] = Field(default=(0.0, 1.2), description="how much rust prefers the ends of a tin")


def _rusts(material: Material) -> bool:
    return material.name.startswith("tinplate") and material.metallic_roughness_texture is not None


def _spoilable(sheet: Sheet) -> tuple[int, ...]:
    """Materials of the outer side that are printed or painted: clear film shows neither stain nor rub."""
    outer = range(len(sheet.materials) - 2)  # the last two are the inner side and the cut edge
    return tuple(
        k for k in outer if sheet.materials[k].base_color_texture is not None and sheet.materials[k].transmission < 0.5
    )


def scuff_applies(product: Product) -> bool:
    """Whether a wall carries a print or bare tinplate."""
    return _target(product) is not None


def _target(product: Product) -> int | None:
    """The first wall of the package that can be spoilt: of a glass jar its label, of a blister pack its card."""
    return next((k for k, s in enumerate(product.sheets) if s.item == product.sheets[0].item and _spoilable(s)), None)


def _mask(sheet: Sheet, config: ScuffConfig, share: float, rng: np.random.Generator) -> Float[np.ndarray, "h w"]:
    """How spoilt each texel is, 0-1: a fractal field cut so that ``share`` of the sheet's texels are covered."""
    texture = sheet.materials[_spoilable(sheet)[0]].base_color_texture
    assert texture is not None
    height, width = texture.shape[:2]
    texels_per_mm = np.sqrt(height * width / (1e6 * face_areas(sheet.rest, sheet.faces).sum()))
    field = fractal_noise(rng, height, width, cell_px=texels_per_mm * rng.uniform(*config.patch_mm), octaves=6)
    if _rusts(sheet.materials[0]):
        field += rng.uniform(*config.edge_pull) * _nearness_to_ends(sheet, height, width)
    level = float(np.quantile(field, 1 - share))
    return np.clip((field - level) * 3.0 + 0.5, 0, 1) * (field > level - 0.15)


def _nearness_to_ends(sheet: Sheet, height: int, width: int) -> Float[np.ndarray, "h w"]:
    """0 at half height to 1 at the ends, for each texel of the body; water stands at the seams."""
    z = sheet.rest[:, 2]
    rise = (np.abs(2 * (z - z.min()) / np.ptp(z) - 1) ** 4)[sheet.faces].mean(axis=1)
    corners = sheet.uv * np.array([width, -height]) + np.array([0, height])
    image = np.zeros((height, width), np.float32)
    body = np.ptp(z[sheet.faces], axis=1) > 1e-4
    for corner, value in zip(np.round(corners[body] * 16).astype(np.int32), rise[body], strict=True):
        cv2.fillConvexPoly(image, corner, float(value), shift=4)
    return image.astype(np.float64)


def _rusted(material: Material, mask: Float[np.ndarray, "h w"], rng: np.random.Generator) -> Material:
    """Tinplate under rust: orange to dark brown, rough, no longer metal."""
    color, rough_metal = material.base_color_texture, material.metallic_roughness_texture
    assert color is not None and rough_metal is not None
    height, width = mask.shape
    age = np.clip(0.5 + 0.4 * fractal_noise(rng, height, width, cell_px=40.0, octaves=5), 0, 1)[..., None]
    fresh, old = np.array([0.85, 0.5, 0.17]), np.array([0.42, 0.22, 0.1])
    tone = (fresh * (1 - age) + old * age) * rng.uniform(0.8, 1.15) * 255
    cover = mask[..., None]
    painted = color * (1 - cover) + np.clip(tone, 0, 255) * cover
    spoilt = rough_metal.astype(np.float64)
    spoilt[..., 1] = np.maximum(spoilt[..., 1], 255 * mask)
    spoilt[..., 2] *= 1 - 0.92 * mask
    return replace(
        material, base_color_texture=painted.astype(np.uint8), metallic_roughness_texture=spoilt.astype(np.uint8)
    )


def _stained(material: Material, mask: Float[np.ndarray, "h w"], rng: np.random.Generator) -> Material:
    """Board that is soiled (darker) or rubbed (its fibres show)."""
    color = material.base_color_texture
    assert color is not None
    cover = mask[..., None]
    if rng.random() < 0.5:
        dirt = np.array([0.5, 0.42, 0.33]) * rng.uniform(0.5, 1.1)
        painted = color * (1 - 0.75 * cover * (1 - dirt))
    else:
        lines = fractal_noise(rng, *mask.shape, cell_px=6.0, octaves=2)
        rubbed = cover * np.clip(0.5 + 0.5 * lines, 0, 1)[..., None]
        painted = color * (1 - rubbed) + np.array([205, 198, 186]) * rubbed
    return replace(material, base_color_texture=np.clip(painted, 0, 255).astype(np.uint8))


def _spoilt(material: Material, mask: Float[np.ndarray, "h w"], rng: np.random.Generator) -> Material:
    return (_rusted if _rusts(material) else _stained)(material, mask, rng)


def _vertex_cover(sheet: Sheet, mask: Float[np.ndarray, "h w"]) -> Float[np.ndarray, " v"]:
    """Mask at each vertex: the largest over the texels that its corners show."""
    height, width = mask.shape
    soft = cv2.GaussianBlur(mask, (0, 0), 1.5)
    x: Int[np.ndarray, "f 3"] = np.clip(sheet.uv[..., 0] * width, 0, width - 1).astype(int)
    y: Int[np.ndarray, "f 3"] = np.clip((1 - sheet.uv[..., 1]) * height, 0, height - 1).astype(int)
    cover = np.zeros(len(sheet.rest))
    printed = np.isin(sheet.material, _spoilable(sheet))
    np.maximum.at(cover, sheet.faces[printed].ravel(), soft[y, x][printed].ravel())
    return cover


def scuff(subject: Subject, config: ScuffConfig, strength: float, rng: np.random.Generator) -> Outcome:
    """Spoil the surface of a product's first printed sheet; strength 0 is the identity."""
    product = subject.product
    target = _target(product) or 0
    sheet = product.sheets[target]
    low, high = config.share
    share = low * (high / low) ** strength
    if strength > 0:
        mask = _mask(sheet, config, share, rng)
        seeds, spoilable = rng.integers(2**31), _spoilable(sheet)
        painted = tuple(
            _spoilt(m, mask, np.random.default_rng(seeds)) if k in spoilable else m
            for k, m in enumerate(sheet.materials)
        )
        marks = sheet.marks.copy()
        marks[:, SUPERFICIAL] = np.maximum(marks[:, SUPERFICIAL], 2 * _vertex_cover(sheet, mask))
        sheet = replace(sheet, materials=painted, marks=marks)
    covered = marked_faces(sheet, SUPERFICIAL) & ~sheet.removed
    return Outcome(
        product=replace(product, sheets=(*product.sheets[:target], sheet, *product.sheets[target + 1 :])),
        kind="superficial",
        generator="scuff",
        parameters={"share": share, "strength": strength},
        measures={"area_mm2": 1e6 * float(face_areas(sheet.rest, sheet.faces)[covered].sum())},
    )
