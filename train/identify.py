"""Which product is this? Nearest neighbours over pristine galleries, for captures whose bar code nobody could read.

A view is described once: keypoints (root-SIFT, Arandjelovic and Zisserman, CVPR 2012) and how its colours are
distributed. Two views are as alike as many keypoints agree on one affine map, and as their colours overlap; a product
is as near as its nearest views. Descriptors of any other backbone are compared patch by patch. Below a threshold
nothing is near, and the product is *unknown*: the threshold is chosen on the gallery alone, from how near each product
comes to its nearest other one, which is what a product outside the gallery would do.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, UInt8

from ..sim.capture import Capture, View
from ..sim.errors import DamagelandError
from ..sim.seed import generator_for
from .crops import Square, cut, to_tensor
from .data import check_view
from .patches import MARGIN, Backbone, load_backbone
from .pose import FLOOR_M, TALL_M, is_pinhole, project, unproject
from .references import ReferenceBook
from .threshold import Threshold, choose_threshold

KEYPOINTS, COLOURS = "keypoints", "colours"
SIDE_PX = 320
"""Pictures are scaled to this before they are described, so that scores of any camera mean the same."""
MOST_KEYPOINTS = 400
RATIO = 0.85
"""Lowe's: the nearest descriptor must be nearer than this share of the second nearest."""
OFF_PX = 8.0
"""A pair agrees with a map if it is this near."""
LEAST_PAIRS = 4
SHORTLIST = 48
"""Views of the gallery, nearest by colour, whose keypoints are compared with a view."""
LIGHTNESS, HUES = 6, 12
HUE_STEP = 10
COLOUR_WEIGHT = 6.0
"""Of the overlap of colours, beside the logarithm of agreeing keypoints."""
CENTRE = 0.2
"""Deviation of the weight of colours around the middle, over the side, where nothing tells the item from the rest."""
LEAST_ITEM_PX, SOLID = 40, 0.3
"""Pixels of the smallest thing that is taken for an item, and the least share that it fills of the box around it."""
MOST_CALIBRATED = 120
"""Products that the threshold is chosen on."""


@dataclass(frozen=True)
class Fingerprint:
    """What is remembered of a view."""

    xy: Float32[np.ndarray, "n 2"]
    """Where each descriptor lies [px of the scaled picture]."""
    descriptors: Float32[np.ndarray, "n d"]
    """Of unit length."""
    colours: Float32[np.ndarray, " b"]
    """Square roots of the shares of colours: their product sums to Bhattacharyya's coefficient."""


Describe = Callable[[UInt8[np.ndarray, "s s 3"], Float32[np.ndarray, "s s"]], tuple[np.ndarray, np.ndarray]]
"""From a scaled picture and the item's share of each pixel to places and descriptors."""


@dataclass(frozen=True)
class Eye:
    """A way to describe views and to compare them."""

    name: str
    describe: Describe
    alike: Callable[[Fingerprint, Fingerprint], float]
    """How alike two views are beside their colours; 0 is not at all."""
    colour_weight: float = COLOUR_WEIGHT
    shortlist: int = SHORTLIST


@dataclass(frozen=True)
class Enrolled:
    """A gallery, described: products in order of name, and their views."""

    eye: Eye
    products: tuple[str, ...]
    product: tuple[int, ...]
    """Of each view."""
    capture: tuple[str, ...]
    """Identifier of each view's capture."""
    prints: tuple[Fingerprint, ...]

    @cached_property
    def colours(self) -> Float32[np.ndarray, "v b"]:
        """Colours of all views."""
        return np.stack([one.colours for one in self.prints])


@dataclass(frozen=True)
class Identification:
    """The nearest products of a capture."""

    capture_id: str
    candidates: tuple[tuple[str, float], ...]
    """Product and score, the nearest first."""
    known: bool
    """Whether the nearest is near enough; if not, the product is unknown."""

    @property
    def item_identifier(self) -> str | None:
        """The product, None if unknown."""
        return self.candidates[0][0] if self.known else None


def make_eye(backbone: str = KEYPOINTS, weights: Path | None = None) -> Eye:
    """``keypoints`` (the default), ``colours`` alone, ``plain`` patches, or any network of timm with local weights."""
    if backbone == KEYPOINTS:
        return Eye(backbone, _keypoints, _agreeing)
    if backbone == COLOURS:
        return Eye(backbone, _nothing, lambda a, b: 0.0)
    return Eye(backbone, _patches(load_backbone(backbone, weights)), _nearest_patches, colour_weight=1.0)


def enrol_gallery(references: Iterable[Capture], eye: Eye | None = None) -> Enrolled:
    """Describe pristine references; captures without a product are left out."""
    found: list[tuple[str, str, Fingerprint]] = []
    eye = eye or make_eye()
    for capture in references:
        if capture.item_identifier is not None:
            found += [(capture.item_identifier, capture.capture_id, p) for p in fingerprints(eye, capture)]
    if not found:
        raise DamagelandError("the gallery holds no picture of a named product: add references first")
    products = tuple(sorted({name for name, _, _ in found}))
    return Enrolled(
        eye,
        products,
        tuple(products.index(name) for name, _, _ in found),
        tuple(name for _, name, _ in found),
        tuple(one for _, _, one in found),
    )


def fingerprints(eye: Eye, capture: Capture) -> list[Fingerprint]:
    """Describe the views of a capture; where depth shows the item, only the item. True masks are not looked at."""
    if not capture.views:
        raise DamagelandError(f"capture {capture.capture_id} has no view: there is nothing to identify")
    for view in capture.views:
        check_view(view, f"capture {capture.capture_id}, camera {view.camera}")
    return [_fingerprint(eye, view, mask) for view, mask in zip(capture.views, find_items(capture), strict=True)]


def find_items(capture: Capture) -> list[Bool[np.ndarray, "h w"]]:
    """Where each view shows the item: what stands on the tray by depth, drawn into views without; else everywhere."""
    own, points = [], [np.zeros((0, 3), np.float32)]
    for view in capture.views:
        mask = None
        if view.depth is not None and view.K is not None and view.T_world_cam is not None and is_pinhole(view):
            world = unproject(view.depth, view.K, view.T_world_cam)
            mask = _standing((view.depth > 0) & (world[..., 2] > FLOOR_M) & (world[..., 2] < TALL_M))
            points.append(world[mask] if mask is not None else points[0])
        own.append(mask)
    cloud = np.concatenate(points)
    found = [_drawn(view, cloud) if mask is None else mask for view, mask in zip(capture.views, own, strict=True)]
    return [np.ones(v.rgb.shape[:2], bool) if m is None else m for v, m in zip(capture.views, found, strict=True)]


def _standing(raised: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"] | None:
    """The largest solid thing that does not reach the picture's edge: walls and a tray's rim reach it, or are thin."""
    opened = cv2.morphologyEx(raised.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, regions, boxes, _ = cv2.connectedComponentsWithStats(opened)
    height, width = raised.shape
    best, largest = 0, LEAST_ITEM_PX
    for k in range(1, count):
        x, y, w, h, area = (int(v) for v in boxes[k])
        inside = x > 0 and y > 0 and x + w < width and y + h < height
        if inside and area >= SOLID * w * h and area > largest:
            best, largest = k, area
    return regions == best if best else None


def _drawn(view: View, cloud: Float32[np.ndarray, "n 3"]) -> Bool[np.ndarray, "h w"] | None:
    """Points of other views in one that has none of its own, closed."""
    if not len(cloud) or not is_pinhole(view):
        return None
    height, width = view.rgb.shape[:2]
    column, row, z = project(cloud, view)
    seen = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (z > 0)
    dots = np.zeros((height, width), np.uint8)
    dots[row[seen], column[seen]] = 1
    mask = cv2.morphologyEx(dots, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)) > 0
    return mask if mask.any() else None


def _fingerprint(eye: Eye, view: View, mask: Bool[np.ndarray, "h w"]) -> Fingerprint:
    rows, columns = np.nonzero(mask)
    x0, x1, y0, y1 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    margin = 1.0 if mask.all() else MARGIN
    square = Square((x0 + x1) / 2, (y0 + y1) / 2, margin * max(x1 - x0, y1 - y0) / 2)
    rgb, share = cut(view.rgb, square, SIDE_PX), cut(mask.astype(np.float32), square, SIDE_PX).astype(np.float32)
    xy, descriptors = eye.describe(rgb, share)
    weight = share if not mask.all() else share * _around_the_middle()
    return Fingerprint(xy.astype(np.float32), descriptors.astype(np.float32), _colours(rgb, weight))


def _around_the_middle() -> Float32[np.ndarray, "s s"]:
    across = (np.arange(SIDE_PX) + 0.5) / SIDE_PX - 0.5
    return np.exp(-(across[:, None] ** 2 + across[None] ** 2) / (2 * CENTRE**2)).astype(np.float32)


def _colours(rgb: UInt8[np.ndarray, "s s 3"], weight: Float32[np.ndarray, "s s"]) -> Float32[np.ndarray, " b"]:
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(int)
    hues = np.clip((lab[..., 1:] - 128 + HUE_STEP * HUES // 2) // HUE_STEP, 0, HUES - 1)
    bins = (lab[..., 0] * LIGHTNESS // 256 * HUES + hues[..., 0]) * HUES + hues[..., 1]
    shares = np.bincount(bins.ravel(), weight.ravel(), minlength=LIGHTNESS * HUES * HUES)
    return np.sqrt(shares / max(float(shares.sum()), 1e-9)).astype(np.float32)


# Ways to describe and compare


def _nothing(rgb: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((0, 2)), np.zeros((0, 1))


def _keypoints(rgb: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sift = cv2.SIFT.create(nfeatures=MOST_KEYPOINTS, contrastThreshold=0.02)
    mask = (share > 0.5).astype(np.uint8) * 255
    points, found = sift.detectAndCompute(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), mask)
    if not points:
        return np.zeros((0, 2)), np.zeros((0, 128))
    return np.array([p.pt for p in points]), np.sqrt(found / np.maximum(found.sum(1, keepdims=True), 1e-9))


def _agreeing(a: Fingerprint, b: Fingerprint) -> float:
    """Logarithm of how many keypoints of two views agree on one affine map."""
    if len(a.descriptors) < LEAST_PAIRS or len(b.descriptors) < LEAST_PAIRS:
        return 0.0
    cosine = a.descriptors @ b.descriptors.T
    two = np.argpartition(-cosine, 1, axis=1)[:, :2]
    near = np.take_along_axis(cosine, two, 1)
    first = two[np.arange(len(two)), near.argmax(1)]
    apart = np.sqrt(np.maximum(2 - 2 * np.sort(near, 1)[:, ::-1], 0))
    pairs = np.flatnonzero(apart[:, 0] < RATIO * apart[:, 1])
    if len(pairs) < LEAST_PAIRS:
        return 0.0
    # OpenCV draws from a generator of its own that starts anew with each call: the same pairs give the same map.
    _, agree = cv2.estimateAffine2D(
        a.xy[pairs], b.xy[first[pairs]], method=cv2.RANSAC, ransacReprojThreshold=OFF_PX, maxIters=500
    )
    return 0.0 if agree is None else float(np.log1p(int(agree.sum())))


def _patches(backbone: Backbone) -> Describe:
    def describe(rgb: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            found = backbone(to_tensor(rgb[None]))[0]
        inside = (
            F.adaptive_avg_pool2d(torch.from_numpy(share)[None, None], (found.shape[1], found.shape[2]))[0, 0] > 0.5
        )
        rows, columns = np.nonzero(inside.numpy())
        centred = found - found.mean((1, 2), keepdim=True)
        unit = F.normalize(centred, dim=0).numpy()[:, rows, columns].T
        return np.stack([columns, rows], 1), unit

    return describe


def _nearest_patches(a: Fingerprint, b: Fingerprint) -> float:
    """Mean similarity of each patch to the nearest of the other view."""
    if not len(a.descriptors) or not len(b.descriptors):
        return 0.0
    return float((a.descriptors @ b.descriptors.T).max(1).mean())


# Scores and the decision


def score_products(enrolled: Enrolled, capture: Capture) -> Float[np.ndarray, " p"]:
    """How near a capture is to each product: the mean over its views of the nearest of the product's.

    The capture itself is no reference of its own, if the gallery holds it.
    """
    other = np.array([name != capture.capture_id for name in enrolled.capture])
    return _score(enrolled, fingerprints(enrolled.eye, capture), other)


def _score(
    enrolled: Enrolled, prints: Sequence[Fingerprint], allowed: Bool[np.ndarray, " v"]
) -> Float[np.ndarray, " p"]:
    eye, product = enrolled.eye, np.array(enrolled.product)
    total = np.zeros(len(enrolled.products))
    for one in prints:
        overlap = np.where(allowed, enrolled.colours @ one.colours, -1.0)
        scores = eye.colour_weight * overlap.astype(float)
        for k in np.argsort(-overlap, kind="stable")[: eye.shortlist]:
            if allowed[k]:
                scores[k] += eye.alike(one, enrolled.prints[k])
        best = np.full(len(total), -eye.colour_weight)
        np.maximum.at(best, product, scores)
        total += best
    return total / max(len(prints), 1)


def keep_products(enrolled: Enrolled, names: Collection[str]) -> Enrolled:
    """A gallery of some of its products."""
    kept = [k for k, p in enumerate(enrolled.product) if enrolled.products[p] in names]
    products = tuple(name for name in enrolled.products if name in names)
    return Enrolled(
        enrolled.eye,
        products,
        tuple(products.index(enrolled.products[enrolled.product[k]]) for k in kept),
        tuple(enrolled.capture[k] for k in kept),
        tuple(enrolled.prints[k] for k in kept),
    )


def choose_unknown(enrolled: Enrolled, *, budget: float = 0.05, delta: float = 0.05, seed: int = 0) -> Threshold:
    """Choose the score above which a product is known, so that few strangers are taken for one of the gallery.

    One capture of each product is held against all other products: it is a stranger to them.
    """
    if len(enrolled.products) < 2:
        count = len(enrolled.products)
        raise DamagelandError(
            f"the gallery holds {count} product(s): it takes two or more to tell how near strangers come"
        )
    rng = generator_for(seed, 0, "identify threshold")
    names, product = np.array(enrolled.capture), np.array(enrolled.product)
    drawn = np.sort(rng.permutation(len(enrolled.products))[:MOST_CALIBRATED])
    scores = []
    for p in drawn:
        own = product == p
        chosen = names == rng.choice(np.unique(names[own]))
        prints = [enrolled.prints[k] for k in np.flatnonzero(chosen & own)]
        scores.append(np.delete(_score(enrolled, prints, ~own), p).max())
    return choose_threshold(np.array(scores), fpr=budget, delta=delta)


def identify(enrolled: Enrolled, capture: Capture, threshold: float, *, top: int = 5) -> Identification:
    """The nearest products of a capture, and whether the first is near enough."""
    return decide(enrolled, capture.capture_id, score_products(enrolled, capture), threshold, top=top)


def decide(
    enrolled: Enrolled, capture_id: str, scores: Float[np.ndarray, " p"], threshold: float, *, top: int = 5
) -> Identification:
    """Order products by score; equal ones by name."""
    order = np.argsort(-scores, kind="stable")[:top]
    candidates = tuple((enrolled.products[k], float(scores[k])) for k in order)
    return Identification(capture_id, candidates, known=candidates[0][1] > threshold)


class Finder:
    """References of a capture: those of its product, or, where nobody read its bar code, of the product it looks like.

    An unknown product has none. A photograph is looked for among photographs and a render among renders, since products
    that we made up are on no shelf. The gallery is described when the first such capture comes.
    """

    def __init__(self, book: ReferenceBook, *, eye: Eye | None = None, seed: int = 0) -> None:
        self.book, self.seed = book, seed
        self._eye = eye
        self._ready: dict[str, tuple[Enrolled, float] | None] = {}

    def __call__(self, capture: Capture) -> tuple[Capture, ...]:
        """References of a capture."""
        if capture.item_identifier is not None:
            return self.book.find(capture)
        ready = self._gallery(capture.origin)
        name = None if ready is None else identify(ready[0], capture, ready[1]).item_identifier
        return () if name is None else self.book.find(replace(capture, item_identifier=name))

    def _gallery(self, origin: str) -> tuple[Enrolled, float] | None:
        """Described references of an origin with their threshold; None of fewer than two products."""
        if origin not in self._ready:
            held = [c for captures in self.book.by_product.values() for c in captures if c.origin == origin]
            enough = len({c.item_identifier for c in held}) > 1
            enrolled = enrol_gallery(held, self._eye) if enough else None
            limit = 0.0 if enrolled is None else choose_unknown(enrolled, seed=self.seed).value
            self._ready[origin] = None if enrolled is None else (enrolled, limit)
        return self._ready[origin]


def describe_threshold(threshold: Threshold) -> str:
    """One sentence on what the threshold promises."""
    rests = f"{threshold.negatives:,} products of the gallery, each held against the others"
    if threshold.certified:
        return (
            f"Below {threshold.value:.3f} a product is unknown: at most {threshold.fpr_budget:.3g} of products outside "
            f"the gallery are taken for one inside, with probability {1 - threshold.delta:.3g}, if they are like its "
            f"own; chosen on {rests}."
        )
    return (
        f"Below {threshold.value:.3f} a product is unknown. That is a quantile of {rests}; it promises nothing: a "
        f"share of {threshold.fpr_budget:.3g} takes {threshold.negatives_needed:,} products to promise."
    )
