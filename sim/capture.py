"""One item seen by all cameras (contract C1): synthetic and real captures are the same type."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8, UInt16

from .lens import PINHOLE, Lens
from .scene import Kind, kind_bit

Severity = Literal["none", "minor", "major"]
Role = Literal["query", "twin", "reference"]
Row4 = tuple[float, float, float, float]
Rows = tuple[Row4, Row4, Row4, Row4]
"""A 4×4 transform, row by row: unlike an array it compares and goes into JSON as it is."""

VISIBLE_PIXELS, VISIBLE_SHARE = 12, 0.04
"""A damage counts as seen by a camera from this many pixels and this share of its area on."""


@dataclass(frozen=True)
class View:
    """What one camera recorded, and the truth about it where it is known (None where a real source lacks it)."""

    camera: str
    rgb: UInt8[np.ndarray, "h w 3"]
    """sRGB."""
    K: Float[np.ndarray, "3 3"] | None = None
    """Intrinsics in pixels, pixel centres at +0.5; ``lens`` comes before them."""
    T_world_cam: Float[np.ndarray, "4 4"] | None = None
    """OpenCV camera frame (x right, y down, z forward): ``p_world = T_world_cam @ p_cam``."""
    depth: Float[np.ndarray, "h w"] | None = None
    """z-depth in metres, 0 = no return; None for a camera without depth."""
    item: UInt8[np.ndarray, "h w"] | None = None
    part: UInt16[np.ndarray, "h w"] | None = None
    damage: UInt8[np.ndarray, "h w"] | None = None
    """Label images of contract C2. On a real view, ``damage`` is set only where a person drew it."""
    lens: Lens = PINHOLE
    """How the picture is distorted: all images of the view alike."""


@dataclass(frozen=True)
class Damage:
    """One damage of an item, with what was measured on it."""

    kind: Kind
    generator: str
    parameters: Mapping[str, Any]
    """The generator's config as drawn, physical units in the names."""
    measures: Mapping[str, float]
    """Physical measures, unit in the name: ``depth_mm``, ``area_mm2``, ``volume_ml``."""
    severity: Severity
    tolerable: bool
    visible_fraction: Mapping[str, float]
    """Per camera: share of the damaged surface area that the camera sees, 0-1."""


@dataclass(frozen=True)
class Capture:
    """Views of one item with labels, measures, links and provenance."""

    capture_id: str
    item_identifier: str | None
    origin: Literal["synthetic", "real"]
    views: tuple[View, ...]
    defect: bool | None
    """True if a damage is there that some camera sees; None where a real source does not say."""
    major_defect: bool | None = None
    defect_types: tuple[str, ...] = ()
    item_material: str | None = None
    role: Role = "query"
    """query; twin: the pristine copy of a damaged query; reference: a gallery picture of the pristine product."""
    split: str | None = None
    """train, validation or test, fixed by a hash of the product."""
    group: str | None = None
    """Resampling unit of the bootstrap: product for synthetic, photographs taken together for real."""
    session: str | None = None
    T_world_item: Rows | None = None
    """Pose of the item: ``p_world = T_world_item @ p_item``, metres; None where nobody knows it.

    A damaged item has its twin's: the pose is that of the pristine form.
    """
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """category, title, dimensions_mm, catalogue_mass_g, actual_mass_g, expected_units, actual_units."""
    damages: tuple[Damage, ...] = ()
    twin_id: str | None = None
    reference_ids: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """recipe_hash, seed, index, renderer, versions."""


def is_seen(damage: Damage, view: View) -> bool:
    """Whether a view shows enough of a damage for a person to find it."""
    if view.damage is None:
        return False
    pixels = int(np.count_nonzero(view.damage & kind_bit(damage.kind)))
    return pixels >= VISIBLE_PIXELS and damage.visible_fraction.get(view.camera, 0.0) >= VISIBLE_SHARE


def pose_rows(T: Float[np.ndarray, "4 4"]) -> Rows:
    """A transform as plain rows."""
    a, b, c, d = ((float(row[0]), float(row[1]), float(row[2]), float(row[3])) for row in T)
    return a, b, c, d
