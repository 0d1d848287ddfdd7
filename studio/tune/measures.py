"""What is measured on a damage mask, the same on real and on rendered views: size, count, place, shape, depth loss."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from ...sim.capture import Capture, View
from ...sim.errors import DamagelandError
from ...sim.scene import KINDS

LEAST_PX = 12
"""Smaller patches of a mask are not counted."""
RING_PX = 9
"""Width of the ring around a mask whose plane tells how deep the mask lies."""
FEWEST = 8
"""Fewer values of a measure than this are not fitted to."""
UNITS = {
    "size": "root of the masked share of the item",
    "count": "patches per view",
    "radius": "distance of the mask's middle from the item's, over half the item's diagonal",
    "height": "the same, upwards in the picture",
    "roundness": "second axis of the mask over the first",
    "depth_loss": "mm that the mask lies behind the plane around it (median)",
    "major": "share of captures with major damage",
} | {f"kind {kind}": "share of captures that show it" for kind in KINDS}


@dataclass(frozen=True)
class Observation:
    """What one view shows of a damage; captures with several views give several."""

    capture_id: str
    group: str
    values: Mapping[str, float]


def observe(captures: Iterable[Capture]) -> Iterator[Observation]:
    """Measure every damaged query: its views with a mask, or the capture as a whole where nobody drew one."""
    for capture in captures:
        if capture.role != "query" or not capture.defect:
            continue
        labels = labels_of(capture)
        group = capture.group or capture.item_identifier or capture.capture_id
        shown = [measure_view(view) for view in capture.views if view.damage is not None and view.damage.any()]
        told = [one for one in shown if one is not None] or [{}]
        for values in told:
            yield Observation(capture.capture_id, group, {**values, **labels})


def labels_of(capture: Capture) -> dict[str, float]:
    """Severity and kinds as numbers, where they are known."""
    found = {} if capture.major_defect is None else {"major": float(capture.major_defect)}
    if capture.defect_types:
        found |= {f"kind {kind}": float(kind in capture.defect_types) for kind in KINDS}
    return found


def measure_view(view: View) -> dict[str, float] | None:
    """Measures of a view's mask; None if all of it is specks. Without an item mask the item is the whole picture."""
    assert view.damage is not None
    mask = _without_specks(view.damage > 0)
    if not mask.any():
        return None
    item = view.item > 0 if view.item is not None and view.item.any() else np.ones(mask.shape, bool)
    rows, columns = np.nonzero(mask)
    low, high = _extent(item)
    middle, half = (low + high) / 2, float(np.hypot(*(high - low))) / 2
    off = np.array([columns.mean() + 0.5, rows.mean() + 0.5]) - middle
    found = {
        "size": float(np.sqrt(mask.sum() / max(int(item.sum()), 1))),
        "count": float(cv2.connectedComponents(mask.astype(np.uint8))[0] - 1),
        "radius": float(np.hypot(*off)) / half,
        "height": float(-off[1]) / half,
        "roundness": _roundness(rows, columns),
    }
    depth = None if view.depth is None else depth_loss_mm(view.depth, mask, item)
    return found if depth is None else {**found, "depth_loss": depth}


def _without_specks(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    count, regions, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    large = [k for k in range(1, count) if boxes[k, cv2.CC_STAT_AREA] >= LEAST_PX]
    return np.isin(regions, large)


def _extent(item: Bool[np.ndarray, "h w"]) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero(item)
    return np.array([columns.min(), rows.min()], float), np.array([columns.max() + 1, rows.max() + 1], float)


def _roundness(rows: np.ndarray, columns: np.ndarray) -> float:
    spread = np.cov(np.stack([rows, columns]).astype(float)) + np.eye(2) / 12  # of a pixel itself
    first, second = np.sqrt(np.linalg.eigvalsh(spread))[::-1]
    return float(second / first)


def depth_loss_mm(
    depth: Float[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"], item: Bool[np.ndarray, "h w"]
) -> float | None:
    """How far behind the plane of its surroundings on the item a mask lies; None if too little of either is known."""
    around = cv2.dilate(mask.astype(np.uint8), np.ones((2 * RING_PX + 1, 2 * RING_PX + 1), np.uint8)) > 0
    ring, inner = around & ~mask & item & (depth > 0), mask & (depth > 0)
    if ring.sum() < 3 * LEAST_PX or inner.sum() < LEAST_PX:
        return None
    rows, columns = np.nonzero(ring)
    plane, *_ = np.linalg.lstsq(np.stack([rows, columns, np.ones(len(rows))], 1), depth[ring].astype(float), rcond=None)
    rows, columns = np.nonzero(inner)
    expected = np.stack([rows, columns, np.ones(len(rows))], 1) @ plane
    return float(1000 * np.median(depth[inner] - expected))


OF = ", "
"""Between a measure and the kind of damage whose views it is taken of: ``size, deformation``."""


def values_of(observations: Sequence[Observation], name: str) -> tuple[Float[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Values of a measure, of all views or of those that show a kind, and which observations they are of."""
    measure, _, kind = name.partition(OF)
    where = [
        k
        for k, one in enumerate(observations)
        if measure in one.values and (not kind or one.values.get(f"kind {kind}") == 1)
    ]
    return np.array([observations[k].values[measure] for k in where], float), np.array(where, np.int64)


def unit_of(name: str) -> str:
    """What a measure is."""
    return UNITS[name.partition(OF)[0]]


def common_measures(real: Sequence[Observation], pool: Sequence[Observation]) -> tuple[str, ...]:
    """Measures that both sides have often enough, and that differ at all between rendered views.

    Where the real side says which kinds it shows, each kind's are taken apart: many small marks may be slight
    dents or short scratches.
    """
    kinds = [kind for kind in KINDS if (values_of(real, f"kind {kind}")[0] == 1).sum() >= FEWEST]
    wanted = [f"{name}{OF}{kind}" for name in UNITS if not name.startswith("kind ") for kind in kinds]
    wanted = (wanted or [name for name in UNITS if not name.startswith("kind ")]) + [f"kind {kind}" for kind in KINDS]
    found = []
    for name in wanted:
        ours, theirs = values_of(real, name)[0], values_of(pool, name)[0]
        if min(len(ours), len(theirs)) >= FEWEST and np.ptp(theirs) > 0:
            found.append(name)
    if not found:
        raise DamagelandError(
            f"nothing to fit to: {len(real)} damaged real views and {len(pool)} rendered ones share no measure that "
            f"{FEWEST} of each have. Draw masks (damage_mask in query.csv), or fill in major_defect and defect_types"
        )
    return tuple(found)
