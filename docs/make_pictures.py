"""Render the picture strip of the README: ``python docs/make_pictures.py`` (needs the render extra).

Each row is one entry of ROWS: twin, damaged, damage mask over the picture, depth. Colour is photoreal, labels are
exact. ``--sheet FILE`` renders candidates with the fast preview instead, to choose rows from.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from damageland.generators.compose import compose
from damageland.generators.recipe import Plan, Recipe, make_plan
from damageland.generators.shoot import shoot
from damageland.sim.booth import BoothSpec
from damageland.sim.datacard import colour_depth, overlay_damage

PICTURE = Path(__file__).resolve().parent / "pictures" / "strip.jpg"
SIDE, SAMPLES = 216, 24
ROWS = (("tin", "crush", 4), ("tin", "hole", 8), ("folding_carton", "crush", 2), ("folding_carton", "hole", 4))
"""(family, generator, seed) of each row."""

STUDIO = {
    "name": "studio",
    "tray_size_mm": 3000,
    "tray": {"value": 0.35, "saturation": 0, "roughness": 0.7, "grain": 0},
    "walls": [{"azimuth_deg": 25, "distance_mm": 700, "surface": {"value": 0.25, "saturation": 0, "grain": 0}}],
    "lights": [
        {"azimuth_deg": -25, "elevation_deg": 50, "distance_mm": 900, "size_mm": 450, "radiance": 10},
        {"azimuth_deg": 100, "elevation_deg": 35, "distance_mm": 900, "size_mm": 250, "radiance": 6},
    ],
    "environment": {"ambient": 0.35, "panels": [6, 6], "panel_log10": [-1, 0.4], "panel_tint": 0.05},
}
CAMERA = {
    "name": "front",
    "hfov_deg": 26,
    "azimuth_deg": 25,
    "elevation_deg": 24,
    "exposure_ev": 0.8,
    "noise": 0.002,
    "blur_px": 0.3,
    "depth": {"noise_mm_at_1m": 0.5},
}


def plan_of(family: str, generator: str, seed: int, *, photoreal: bool) -> Plan:
    """A recipe of one damaged capture of one product, and a camera that frames it."""
    recipe = Recipe.model_validate(
        {
            "name": "strip",
            "seed": seed,
            "captures": 1,
            "damaged_share": 1.0,
            "gallery": 0,
            "cycles_share": float(photoreal),
            "cycles_samples": SAMPLES,
            "products": [{"family": family, "count": 1}],
            "damages": [{"generator": generator, "strength": 0.75}],
        }
    )
    size = 2 * SIDE if photoreal else SIDE
    camera = CAMERA | {"width": size, "height": size, "distance_mm": 500.0}
    pristine = recipe.model_copy(update={"damaged_share": 0.0})
    trial = compose(make_plan(pristine, BoothSpec.model_validate(STUDIO | {"cameras": [camera]})), 0)
    points = np.concatenate([part.vertices for part in trial.scene.parts]) * 1000
    extent = points.max(0) - points.min(0)
    camera |= {"distance_mm": 1.95 * float(np.linalg.norm(extent)), "aim_mm": 0.48 * float(extent[2])}
    return make_plan(recipe, BoothSpec.model_validate(STUDIO | {"cameras": [camera]}))


def panels(plan: Plan) -> list[np.ndarray]:
    """Twin, damaged, mask and depth of the plan's one capture, as pictures."""
    damaged, twin = (capture.views[0] for capture in shoot(plan, compose(plan, 0)))
    overlay, depth, item = overlay_damage(damaged), damaged.depth, damaged.item
    assert overlay is not None and depth is not None and item is not None
    low, high = np.percentile(depth[(item > 0) & (depth > 0)], [1, 99])  # all colours for the item
    depth = np.where(depth > 0, depth.clip(low, high), 0)
    return [_framed(picture) for picture in (twin.rgb, damaged.rgb, overlay, colour_depth(depth))]


def _framed(picture: np.ndarray) -> np.ndarray:
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(small, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def _caption(text: str) -> np.ndarray:
    """A white strip with a word in its middle."""
    strip = np.full((24, SIDE + 4, 3), 255, np.uint8)
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0]
    at = ((SIDE + 4 - width) // 2, 17)
    return cv2.putText(strip, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)


def strip() -> np.ndarray:
    """All rows under their captions."""
    rows = [np.concatenate(panels(plan_of(*row, photoreal=True)), axis=1) for row in ROWS]
    head = np.concatenate([_caption(text) for text in ("pristine twin", "damaged", "exact mask", "depth")], axis=1)
    return np.concatenate([head, *rows])


def sheet(count: int) -> np.ndarray:
    """Damaged picture and mask of many seeds by the fast preview, one row per family and damage."""
    rows = []
    for family in ("tin", "folding_carton"):
        for generator in ("crush", "hole"):
            cells = [panels(plan_of(family, generator, seed, photoreal=False))[1:3] for seed in range(count)]
            rows.append(np.concatenate([np.concatenate(cell) for cell in cells], axis=1))
    return np.concatenate(rows)


def main() -> None:
    """Write the strip, or the sheet of candidates."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sheet", type=Path, help="write candidates here, and nothing else")
    parser.add_argument("--count", type=int, default=8, help="seeds on the sheet")
    arguments = parser.parse_args()
    target = arguments.sheet or PICTURE
    picture = sheet(arguments.count) if arguments.sheet else strip()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), 84, "RGB", "444"))
    print(f"{target}: {picture.shape[1]} x {picture.shape[0]} pixels, {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
