"""``damageland identify``: name the products of captures by galleries, and measure how often the name is right.

Sources and galleries are rendered data sets, folders of real captures, or galleries that live (``train/gallery.py``).
Where a set has no references, its sound captures are the gallery of each other: none is its own reference, and the
threshold for a product is chosen on the other half of the products, not on what it is measured on.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from ..evaluate.adapters.table import find_real_sets
from ..evaluate.metrics import Estimate, draw_resamples, estimate_rate
from ..sim.capture import Capture, Role
from ..sim.errors import DamagelandError
from ..sim.files import write_atomic
from ..sim.seed import generator_for
from ..sim.shards import read_captures, shard_paths
from ..train.console import track
from ..train.gallery import Gallery, book_of
from ..train.identify import (
    Enrolled,
    Eye,
    Identification,
    choose_unknown,
    decide,
    enrol_gallery,
    keep_products,
    score_products,
)
from ..train.threshold import Threshold


@dataclass(frozen=True)
class Identified:
    """A set whose captures were named, with what it takes to say how well."""

    enrolled: Enrolled
    threshold: Threshold
    own_gallery: bool
    """Whether captures were held against each other, for want of references."""
    truth: tuple[str | None, ...]
    rows: tuple[Identification, ...]
    scores: Float[np.ndarray, "n p"]
    limits: Float[np.ndarray, " n"]
    """The threshold that each row was held against."""


@dataclass(frozen=True)
class Accuracy:
    """How often the name is right, over captures whose product is known, with intervals by products."""

    captures: int
    products: int
    top1: Estimate
    top5: Estimate
    named: Estimate
    """Right and near enough: what the reference branch gets."""
    misnamed: Estimate
    """Near enough, and wrong."""
    strangers_named: Estimate
    """Near enough although its product was taken out of the gallery."""


def identify_set(
    source: str, gallery: str | None, *, eye: Eye, budget: float = 0.05, seed: int = 0, top: int = 5,
    progress: bool = True,
) -> Identified:  # fmt: skip
    """Name the captures of a set."""
    references = list(_read(gallery or source, ("reference",)))
    own = not references and gallery in (None, source)
    if own:
        references = [c for c in _read(source, ("query",)) if c.defect is False and c.item_identifier is not None]
    if not references:
        raise DamagelandError(
            f"{gallery or source} holds no references: name a gallery of `damageland.train.gallery`, a data set "
            "rendered with `gallery: 1` or more, or a folder of real captures with reference.csv"
        )
    enrolled = enrol_gallery(track(references, "gallery", total=len(references), enabled=progress), eye)
    threshold = choose_unknown(enrolled, budget=budget, seed=seed)
    halves = _other_halves(enrolled, budget, seed) if own else {}
    truth, rows, scores, limits = [], [], [], []
    for capture in track(_read(source, ("query",)), "identify", total=None, enabled=progress):
        limits.append(halves.get(capture.item_identifier or "", threshold.value))
        scores.append(score_products(enrolled, capture))
        rows.append(decide(enrolled, capture.capture_id, scores[-1], limits[-1], top=top))
        truth.append(capture.item_identifier)
    return Identified(
        enrolled, threshold, own, tuple(truth), tuple(rows),
        np.array(scores, float).reshape(-1, len(enrolled.products)), np.array(limits, float),
    )  # fmt: skip


def _read(source: str, roles: tuple[Role, ...]) -> Iterator[Capture]:
    """Captures of a data set (folder or URL), of a gallery that lives, or of folders of real captures."""
    path = Path(source)
    if "://" not in source and (path / "versions").is_dir():
        held = book_of(Gallery(path)).by_product.values()
        return (capture for captures in held for capture in captures if "reference" in roles)
    if "://" in source or (path.is_dir() and any(path.glob("shard-*.tar"))):
        shard_paths(source)
        return read_captures(source, roles=roles)
    return (capture for one in find_real_sets(path) for capture in one.read().of(roles))


def _other_halves(enrolled: Enrolled, budget: float, seed: int) -> dict[str, float]:
    """For each product, the threshold chosen on the half of the products that it is not in."""
    if len(enrolled.products) < 4:
        return {}
    order = generator_for(seed, 0, "identify halves").permutation(len(enrolled.products))
    halves = [{enrolled.products[k] for k in order[half::2]} for half in (0, 1)]
    values = [choose_unknown(keep_products(enrolled, half), budget=budget, seed=seed).value for half in halves]
    return {name: values[1 - half] for half in (0, 1) for name in halves[half]}


def measure(found: Identified, *, seed: int = 0) -> Accuracy | None:
    """Compare names with the products on record; None where no capture of the gallery's products has one."""
    products = found.enrolled.products
    rows = [k for k, name in enumerate(found.truth) if name in products]
    if not rows:
        return None
    own = np.array([products.index(found.truth[k] or "") for k in rows])
    scores, limits = found.scores[rows], found.limits[rows]
    at = scores[np.arange(len(rows)), own]
    rank = (scores > at[:, None]).sum(1) + ((scores == at[:, None]) & (np.arange(len(products)) < own[:, None])).sum(1)
    near = scores.max(1) > limits
    strange = np.where(np.arange(len(products)) == own[:, None], -np.inf, scores).max(1) > limits
    groups = [products[k] for k in own]

    def rate(what: Bool[np.ndarray, " n"]) -> Estimate:
        draws = draw_resamples(groups, generator_for(seed, 0, "bootstrap identify"))
        return estimate_rate(what, groups, draws)

    return Accuracy(
        captures=len(rows),
        products=len(set(groups)),
        top1=rate(rank == 0),
        top5=rate(rank < 5),
        named=rate(near & (rank == 0)),
        misnamed=rate(near & (rank > 0)),
        strangers_named=rate(strange),
    )


def describe(accuracy: Accuracy) -> str:
    """Lines for the terminal."""
    told = {
        "right at first": accuracy.top1,
        "among the first five": accuracy.top5,
        "named and right": accuracy.named,
        "named and wrong": accuracy.misnamed,
        "strangers named": accuracy.strangers_named,
    }
    lines = [f"{accuracy.captures} captures of {accuracy.products} products in the gallery:"]
    return "\n".join(lines + [f"  {name:<21}{interval(value)}" for name, value in told.items()])


def interval(estimate: Estimate) -> str:
    """A share with its interval."""
    if estimate.value is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def write_names(path: Path, rows: Sequence[Identification]) -> None:
    """Write a table: the product, empty where it is unknown, and the nearest candidates with their scores."""
    if not path.parent.is_dir():
        raise DamagelandError(f"--out {path}: there is no folder {path.parent}. Make it first.")
    most = max((len(row.candidates) for row in rows), default=0)
    head = ["capture_id", "item_identifier"]
    head += [f"{what}_{k + 1}" for k in range(most) for what in ("candidate", "score")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        cells = [cell for name, score in row.candidates for cell in (name, f"{score:.4f}")]
        writer.writerow([row.capture_id, row.item_identifier or "", *cells])
    write_atomic(path, text.getvalue())
