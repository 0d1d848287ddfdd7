"""Damage drawn on real photographs: regions with kind and severity, kept per rater as a set of real captures.

Each rater's drawings are a folder ``annotations/<rater>`` in the layout of docs/real-captures.md: ``query.csv``, the
photographs, their masks; and, beside them, the regions themselves, so that they can be drawn on later.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
from jaxtyping import UInt8
from pydantic import BaseModel, ConfigDict, Field

from ..evaluate.folder import QUERY_COLUMNS, QUERY_TABLE
from ..sim.errors import DamagelandError
from ..sim.files import write_atomic
from ..sim.scene import KINDS, Kind
from ..sim.yamlfile import parse_mapping
from .beside import read_photo
from .choices import check_name

FOLDER = "annotations"
COLUMNS = (*QUERY_COLUMNS, "damage_mask")
MARKED = 255
SUFFIXES = (".jpg", ".jpeg", ".png")


class Region(BaseModel):
    """A damaged region of one photograph."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = Field(description="kind of damage")
    severity: Literal["minor", "major"] = Field(description="how bad it is")
    shape: Literal["polygon", "brush"] = Field(description="an outline, or a stroke as wide as the brush")
    points: tuple[tuple[float, float], ...] = Field(min_length=1, description="pixels from the top left corner: x, y")
    radius_px: float = Field(default=0.0, ge=0, description="of the brush")


class _Regions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    regions: tuple[Region, ...]


@dataclass(frozen=True)
class Drawn:
    """One rater's drawing on one photograph."""

    capture_id: str
    photo_name: str
    photo: bytes
    """Of its file, as it came."""
    regions: tuple[Region, ...]
    """None drawn: the rater says that it is intact."""
    item_identifier: str = ""
    item_material: str = ""


def mask_of(regions: Sequence[Region], height: int, width: int) -> UInt8[np.ndarray, "h w"]:
    """Pixels inside any region."""
    mask = np.zeros((height, width), np.uint8)
    for region in regions:
        points = np.round(np.array(region.points)).astype(np.int32)
        if region.shape == "polygon":
            cv2.fillPoly(mask, [points], MARKED)
            continue
        wide = max(1, round(2 * region.radius_px))
        cv2.polylines(mask, [points], False, MARKED, wide, cv2.LINE_8)
        for x, y in points.tolist():  # round ends; a stroke of one point is a dot
            cv2.circle(mask, (x, y), wide // 2, MARKED, -1)
    return mask


def draw_regions(
    photo: UInt8[np.ndarray, "h w 3"], regions: Sequence[Region], open_points: Sequence[tuple[float, float]] = ()
) -> UInt8[np.ndarray, "h w 3"]:
    """A photograph with its regions in red, and the outline that is being drawn."""
    out = photo.copy()
    marked = mask_of(regions, *photo.shape[:2]) > 0
    out[marked] = (0.5 * out[marked] + 0.5 * np.array([225, 40, 40])).astype(np.uint8)
    if open_points:
        points = np.round(np.array(open_points)).astype(np.int32)
        thick = max(1, photo.shape[1] // 300)
        cv2.polylines(out, [points], False, (255, 230, 0), thick, cv2.LINE_AA)
        for x, y in points.tolist():
            cv2.circle(out, (x, y), 2 * thick, (255, 230, 0), -1)
    return out


def save_drawn(folder: Path, rater: str, drawn: Drawn) -> Path:
    """Add a drawing to a rater's set, or replace the one of the same capture; returns the set's folder."""
    own = folder / FOLDER / check_name(rater)
    capture_id, suffix = check_name(drawn.capture_id), Path(drawn.photo_name).suffix.lower()
    if suffix not in SUFFIXES:
        raise DamagelandError(f"{drawn.photo_name}: expected a photograph that ends in {', '.join(SUFFIXES)}.")
    height, width = read_photo(drawn.photo_name, drawn.photo).shape[:2]
    rows = _rows(own)
    for name in ("image", "mask", "regions"):
        (own / name).mkdir(parents=True, exist_ok=True)
    ok, mask = cv2.imencode(".png", mask_of(drawn.regions, height, width))
    assert ok
    write_atomic(own / "image" / f"{capture_id}{suffix}", drawn.photo)
    write_atomic(own / "mask" / f"{capture_id}.png", mask.tobytes())
    said = {"regions": [region.model_dump(mode="json") for region in drawn.regions]}
    write_atomic(own / "regions" / f"{capture_id}.json", json.dumps(said, indent=1) + "\n")
    rows[capture_id] = _row(drawn, capture_id, suffix)
    _write_rows(own, rows)  # last: the table names only what is there
    return own


def _row(drawn: Drawn, capture_id: str, suffix: str) -> dict[str, str]:
    kinds = {region.kind for region in drawn.regions}
    return {
        "capture_id": capture_id,
        "item_identifier": drawn.item_identifier,
        "item_material": drawn.item_material,
        "defect": str(bool(drawn.regions)),
        "major_defect": str(any(region.severity == "major" for region in drawn.regions)),
        "defect_types": ",".join(kind for kind in KINDS if kind in kinds),
        "query_image": f"image/{capture_id}{suffix}",
        "damage_mask": f"mask/{capture_id}.png",
    }


def _rows(own: Path) -> dict[str, dict[str, str]]:
    path = own / QUERY_TABLE
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise DamagelandError(f"{path}: not a table of the studio's; its columns are not {', '.join(COLUMNS)}.")
        return {row["capture_id"]: row for row in reader}


def _write_rows(own: Path, rows: Mapping[str, dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([rows[key][column] for column in COLUMNS] for key in sorted(rows))
    write_atomic(own / QUERY_TABLE, text.getvalue())


def load_regions(folder: Path, rater: str, capture_id: str) -> tuple[Region, ...]:
    """What a rater drew on a photograph before; nothing if there is none."""
    path = folder / FOLDER / check_name(rater) / "regions" / f"{check_name(capture_id)}.json"
    if not path.is_file():
        return ()
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagelandError(f"{path}: cannot be read ({error}). Draw it again.") from None
    return parse_mapping(data if isinstance(data, dict) else {}, _Regions, str(path)).regions


def capture_name(file_name: str) -> str:
    """A capture's name from its file's: lower case, and a dash for what cannot be in it."""
    stem = re.sub(r"[^a-z0-9]+", "-", Path(file_name).stem.lower()).strip("-")
    return stem[:63].strip("-") or "photo"


def raters(folder: Path) -> tuple[str, ...]:
    """Who has drawn."""
    return tuple(sorted(path.parent.name for path in (folder / FOLDER).glob(f"*/{QUERY_TABLE}")))


SEVERITIES = ("none", *get_args(Region.model_fields["severity"].annotation))


def verdicts(folder: Path, rater: str) -> dict[str, str]:
    """Severity that a rater gave each capture."""
    rows = _rows(folder / FOLDER / check_name(rater))
    return {
        key: "major" if row["major_defect"] == "True" else "minor" if row["defect"] == "True" else "none"
        for key, row in rows.items()
    }


def read_mask(folder: Path, rater: str, capture_id: str) -> UInt8[np.ndarray, "h w"]:
    """A rater's mask of a capture."""
    path = folder / FOLDER / check_name(rater) / "mask" / f"{check_name(capture_id)}.png"
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise DamagelandError(f"{path}: cannot be read. Draw it again.")
    return mask  # type: ignore[return-value]
