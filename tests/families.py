"""One product of each family for tests to share. Import with ``import families``."""

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from damageland.generators.design import Design
from damageland.generators.mesh import finish_sheet
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.products.product import Product
from damageland.sim.scene import Part

OWN = tuple(name for name in FAMILIES if name != "imported_mesh")
"""Families that need no files of the user's."""
TESTS = Path(__file__).parent


@cache
def product(family: str, number: int = 0, specimen: int = 0, texture_px: int = 512) -> Product:
    """Product ``number`` of a family in its default ranges."""
    config, build = FAMILIES[family]
    design = Design(11, number, family, specimen=specimen, texture_px=texture_px)
    return build(f"test-{family}-{number:05d}", config(), design)


@cache
def parts(family: str, number: int = 0, specimen: int = 0) -> tuple[Part, ...]:
    """Its finished parts, sheets first."""
    made = product(family, number, specimen)
    return (*(finish_sheet(sheet)[0] for sheet in made.sheets), *made.contents)


def fingerprint(*made: Part | None) -> str:
    """SHA-256 of every array of finished parts."""
    digest = hashlib.sha256()
    for part in made:
        if part is None:
            continue
        for name in ("vertices", "faces", "uv", "normals", "material", "surface", "damage"):
            array = getattr(part, name)
            digest.update(f"{part.name} {part.item} {name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        for material in part.materials:
            bare = replace(material, base_color_texture=None, metallic_roughness_texture=None)
            digest.update(repr(bare).encode())
            for texture in (material.base_color_texture, material.metallic_roughness_texture):
                digest.update(b"" if texture is None else np.ascontiguousarray(texture).tobytes())
    return digest.hexdigest()


def fingerprints() -> str:
    """One line per family, built afresh: what a second process must repeat."""
    lines = []
    for family in OWN:
        config, build = FAMILIES[family]
        made = build("x", config(), Design(11, 1, family, specimen=3, texture_px=512))
        whole = fingerprint(*(finish_sheet(sheet)[0] for sheet in made.sheets), *made.contents)
        lines.append(f"{family} {whole} {sorted(made.attributes.items())} {made.mass_g!r} {made.lookalikes}")
    return "\n".join(lines)
