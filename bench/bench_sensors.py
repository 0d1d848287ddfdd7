"""Depth sensors beside real frames, in one table: ``python bench/bench_sensors.py [REAL=folder]``.

REAL is a folder in the layout of docs/real-captures.md whose captures have depth. Of every frame: the share of pixels
without return; the spread about planes, by distance, where the surface is smooth; the width of the holes that lie
between near and far. Without REAL only our sensors are shown.
"""

import itertools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from damageland.evaluate.folder import find_sets, read_folder
from damageland.generators.compose import finish_product
from damageland.generators.contact import draw_products, line_up
from damageland.sim.booth import BoothSpec, draw_booth
from damageland.sim.boothspec import SENSORS
from damageland.sim.depth import record_depth
from damageland.sim.scene import Scene
from damageland.sim.seed import generator_for
from damageland.sim.truth import trace_truth
from jaxtyping import Float

WINDOW = 11
"""Side of the windows to which planes are fitted [pixels]."""
BINS_M = (0.5, 0.8, 1.1, 1.4, 1.7)
JUMP_M = 0.03
LONGEST_PX = 60
"""A longer run without return is no hole of an edge."""
SHOWN = (
    ("folding_carton", "tin"),
    ("corrugated_shipper",),
    ("book", "folding_carton"),
    ("glass_jar", "folding_carton"),
)
"""Families on the table, frame by frame."""


@dataclass(frozen=True)
class Statistics:
    """What one set of frames shows."""

    zero_share: float
    spread_mm: Mapping[float, float]
    """By the lower end of each bin of distance; not a number where too few windows are smooth."""
    hole_px: float
    """Mean width of holes between near and far, for a focal length of 500 pixels."""
    frames: int


def spreads(depth: Float[np.ndarray, "h w"]) -> tuple[np.ndarray, np.ndarray]:
    """Distance [m] of smooth windows, and the standard deviation [mm] about the plane fitted to each.

    A plane is linear in 1/z, whatever the focal length.
    """
    rows, columns = (side // WINDOW * WINDOW for side in depth.shape)
    tiles = depth[:rows, :columns].reshape(rows // WINDOW, WINDOW, columns // WINDOW, WINDOW).transpose(0, 2, 1, 3)
    tiles = tiles.reshape(-1, WINDOW * WINDOW).astype(np.float64)
    tiles = tiles[(tiles > 0).all(axis=1)]
    tiles = tiles[np.ptp(tiles, axis=1) < 0.06]
    v, u = np.indices((WINDOW, WINDOW)).reshape(2, -1) - (WINDOW - 1) / 2
    basis = np.linalg.qr(np.stack([np.ones(len(u)), u, v], axis=1))[0]
    inverse = 1 / tiles
    z = tiles.mean(axis=1)
    rest = (inverse - inverse @ basis @ basis.T) * z[:, None] ** 2
    spread = rest.std(axis=1) * np.sqrt(len(u) / (len(u) - 3))
    # A crease or a step between two surfaces is no noise: its residual bends, so that neighbours agree.
    grid = rest.reshape(-1, WINDOW, WINDOW)
    bend = np.abs(grid[:, 3:8, 3:8].mean(axis=(1, 2)) - grid.mean(axis=(1, 2)))
    smooth = bend < 0.6 * spread
    return z[smooth], 1000 * spread[smooth]


def holes(depth: Float[np.ndarray, "h w"]) -> np.ndarray:
    """Widths [px], along rows, of runs without return between near and far; 0 where the two touch."""
    widths = []
    for row in depth:
        at = np.flatnonzero(row > 0)
        gap = np.diff(at) - 1
        jump = np.abs(np.diff(row[at])) > JUMP_M
        widths.append(gap[jump & (gap <= LONGEST_PX)])
    return np.concatenate(widths)


def measure(frames: list[np.ndarray], focal_px: float) -> Statistics:
    """Statistics of frames of one sensor."""
    z, spread = (np.concatenate(parts) for parts in zip(*map(spreads, frames), strict=True))
    by_distance = {}
    for low, high in itertools.pairwise(BINS_M):
        inside = spread[(z >= low) & (z < high)]
        by_distance[low] = float(np.median(inside)) if len(inside) >= 20 else float("nan")
    width = float(np.mean(np.concatenate([holes(frame) for frame in frames]))) * 500 / focal_px
    return Statistics(float(np.mean([np.mean(f == 0) for f in frames])), by_distance, width, len(frames))


def table_scene(k: int) -> Scene:
    """Products on a table, as in frame ``k``."""
    products = [draw_products(family, 1, seed=40 + k, texture_px=512)[0] for family in SHOWN[k % len(SHOWN)]]
    return line_up([finish_product(product) for product in products])


def rendered(preset: str, *, frames: int = 4) -> tuple[list[np.ndarray], float]:
    """Frames of a device over a table, seen as hand-held pictures are, and its focal length."""
    camera = {
        "name": "cam", "width": 640, "height": 480, "hfov_deg": 57, "azimuth_deg": [-30, 30], "elevation_deg": [25, 50],
        "distance_mm": [800, 1100], "depth": {"preset": preset, "view": {"width": 640, "height": 480, "hfov_deg": 57}},
    }  # fmt: skip
    walls = [{"azimuth_deg": 0, "distance_mm": 1200}]
    spec = BoothSpec.model_validate({"name": "table", "tray_size_mm": 4000, "walls": walls, "cameras": [camera]})
    out, focal = [], 0.0
    for k in range(frames):
        booth = draw_booth(spec, generator_for(7, k, "booth"))
        cam = booth.cameras[0]
        truth = trace_truth(table_scene(k), booth)[cam.name]
        out.append(record_depth(truth, cam, generator_for(7, k, f"depth {preset}")))
        focal = float(cam.K[0, 0])
    return out, focal


def real_frames(folder: Path) -> Iterator[np.ndarray]:
    """Depth of all captures of a folder."""
    for found in find_sets(folder):
        for capture in read_folder(found):
            yield from (view.depth for view in capture.views if view.depth is not None)


def line(name: str, s: Statistics) -> str:
    """One row of the table."""
    spread = "  ".join("    -" if np.isnan(value) else f"{value:5.2f}" for value in s.spread_mm.values())
    return f"{name:18s} {s.frames:6d}  {100 * s.zero_share:6.1f}   {spread}   {s.hole_px:6.1f}"


def main() -> None:
    """Print the table."""
    given = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    bins = "  ".join(f"{low:g}-{high:g}" for low, high in itertools.pairwise(BINS_M))
    print("sensor             frames  zero %   spread about planes [mm] at metres   hole px")
    print(f"{'':35s} {bins}")
    if "REAL" in given:
        frames = list(real_frames(Path(given["REAL"])))
        print(line("real frames", measure(frames, 570.0)), flush=True)
    for preset in sorted(path.stem for path in SENSORS.glob("*.yaml")):
        frames, focal = rendered(preset)
        print(line(preset, measure(frames, focal)), flush=True)


if __name__ == "__main__":
    main()
