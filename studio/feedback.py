"""``damageland feedback``: which packaging breaks how, for vendors and packaging engineers, as one page.

Rates by family, material and kind, severity, cost at stated prices, each with an interval, and where on the unfolded
package damage lies. From a data set, a manifest alone, or a folder of real captures; with a prediction file, what a
model calls damaged takes the place of the labels.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import binomtest

from ..evaluate.adapters.kaputt import read_parquet
from ..evaluate.adapters.table import find_real_sets
from ..evaluate.metrics import CONFIDENCE, Estimate
from ..evaluate.predictions import Predictions, read_predictions
from ..sim.capture import Capture
from ..sim.errors import DamagelandError
from ..sim.manifest import manifest_rows
from ..sim.shards import read_captures
from ..sim.yamlfile import read_yaml
from .feedback_sites import Heat, heat_maps

NEEDED = ("capture_id", "defect")
PARTS = {"family": "Packaging family", "item_material": "Material"}
SEVERITIES = ("minor", "major")


class Price(BaseModel):
    """What one damaged item costs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minor: float = Field(ge=0, description="an item with minor damage, in the currency")
    major: float = Field(ge=0, description="an item with major damage")


class Prices(Price):
    """Prices of damage, for all families or for some of them."""

    currency: str = Field(default="EUR", min_length=1, max_length=8)
    families: dict[str, Price] = Field(default={}, description="families with prices of their own")


@dataclass(frozen=True)
class Item:
    """One captured item."""

    capture_id: str
    group: str
    family: str
    item_material: str
    kinds: tuple[str, ...]
    damaged: bool
    severity: str | None
    """minor or major, None where nobody says, or where nothing is damaged."""
    synthetic: bool


@dataclass(frozen=True)
class Line:
    """A row of a table: a part of the items, and what was counted in it."""

    name: str
    items: int
    products: int
    damaged: int
    rate: Estimate
    minor: Estimate
    major: Estimate
    unknown: int
    """Damaged items whose severity nobody says."""
    cost: Estimate
    """Per 1,000 items, in the currency."""


@dataclass(frozen=True)
class Feedback:
    """All that the page shows."""

    source: str
    labels: str
    """Whose labels these are."""
    items: tuple[Item, ...]
    total: Line
    parts: Mapping[str, tuple[Line, ...]]
    kinds: Mapping[str, tuple[tuple[str, int, Estimate], ...]]
    """By family: kind, damaged items that show it, and its share of the damaged."""
    heat: Mapping[str, Heat]
    heat_note: str
    prices: Prices | None


def wilson(hits: int, trials: int) -> Estimate:
    """A share with Wilson's interval (1927); no value without trials."""
    if trials == 0:
        return Estimate(None)
    found = binomtest(hits, trials).proportion_ci(CONFIDENCE, "wilson")
    return Estimate(hits / trials, float(found.low), float(found.high))


def expected_cost(items: Sequence[Item], prices: Prices) -> Estimate:
    """Cost of 1,000 such items; the interval joins exact ones of both severities, so it holds, and is wide.

    Of two severities each is taken at half of the risk (Bonferroni), by Clopper and Pearson.
    """
    known = [item for item in items if not item.damaged or item.severity in SEVERITIES]
    if not known:
        return Estimate(None)
    value = low = high = most = 0.0
    for family in sorted({item.family for item in known}):
        own = [item for item in known if item.family == family]
        price = prices.families.get(family, prices)
        share = len(own) / len(known)
        most += 1000 * share * max(price.minor, price.major)
        for severity in SEVERITIES:
            hits = sum(item.severity == severity for item in own)
            exact = binomtest(hits, len(own)).proportion_ci(1 - (1 - CONFIDENCE) / 2, "exact")
            each = 1000 * share * float(getattr(price, severity))
            value, low, high = value + each * hits / len(own), low + each * exact.low, high + each * exact.high
    return Estimate(value, low, min(high, most))


# Reading


def collect(
    source: str, *, predictions: Path | None = None, threshold: float | None = None, prices: Path | None = None
) -> Feedback:
    """Read everything and count."""
    if (predictions is None) != (threshold is None):
        raise DamagelandError(
            "--predictions and --threshold go together: the file says how likely each capture is damaged, the "
            "threshold from which score on it counts as damaged"
        )
    if threshold is not None and not 0 <= threshold <= 1:
        raise DamagelandError(f"--threshold {threshold}: expected a number in [0, 1]")
    stated = None if prices is None else read_yaml(prices, Prices)
    scored = None if predictions is None else read_predictions(predictions, threshold)
    rows, captures = _rows(source)
    items = _items(source, rows, scored)
    unknown = sorted(set(stated.families) - {item.family for item in items}) if stated else []
    if unknown:
        known = ", ".join(sorted({item.family for item in items}))
        raise DamagelandError(f"{prices}: families {', '.join(unknown)} are not in {source}, which has {known}")
    heat, note = _heat(captures, scored)
    return Feedback(
        source=source,
        labels="the data's labels" if scored is None else f"{predictions} above {threshold:g}",
        items=tuple(items),
        total=_line("all", items, stated),
        parts={title: _lines(items, name, stated) for name, title in PARTS.items()},
        kinds={} if scored is not None else _kinds(items),
        heat=heat,
        heat_note=note,
        prices=stated,
    )


def _rows(source: str) -> tuple[Sequence[Mapping[str, Any]], Callable[[], Iterable[Capture]] | None]:
    """Rows of a manifest, and how to read the captures, if there are any."""
    path = Path(source)
    if "://" not in source and path.is_file():
        return _read_manifest(path), None
    if "://" in source or (path.is_dir() and any(path.glob("shard-*.tar"))):
        return manifest_rows(source), lambda: read_captures(source, roles=("query", "twin"))
    rows: list[dict[str, Any]] = []
    for one in find_real_sets(path):
        rows += [_real_row(capture) for capture in one.read().of(("query",))]
    return rows, None


def _read_manifest(path: Path) -> Sequence[Mapping[str, Any]]:
    if path.suffix.lower() == ".parquet":
        return read_parquet(path, NEEDED)
    if path.suffix.lower() == ".csv":
        options = pyarrow.csv.ParseOptions(newlines_in_values=True)
        try:
            table = pyarrow.csv.read_csv(path, parse_options=options)
        except (OSError, pa.ArrowException) as error:
            raise DamagelandError(f"{path} cannot be read as a table ({error}); expected a manifest") from None
    else:
        raise DamagelandError(f"{path}: expected a data set's folder, or its manifest.parquet or manifest.csv")
    missing = [name for name in NEEDED if name not in table.column_names]
    if missing or not pa.types.is_boolean(table["defect"].type):
        wrong = (
            f"lacks the columns {', '.join(missing)}" if missing else "has a column defect that is not true or false"
        )
        raise DamagelandError(f"{path} {wrong}: it is no manifest of damageland")
    return table.to_pylist()


def _real_row(capture: Capture) -> dict[str, Any]:
    severity = {True: "major", False: "minor", None: None}[capture.major_defect] if capture.defect else None
    return {
        "capture_id": capture.capture_id,
        "item_identifier": capture.item_identifier,
        "item_material": capture.item_material,
        "group": capture.group,
        "defect": capture.defect,
        "defect_types": ",".join(capture.defect_types),
        "severity": severity,
        "category": capture.attributes.get("category"),
        "origin": capture.origin,
        "role": capture.role,
    }


def _items(source: str, rows: Sequence[Mapping[str, Any]], scored: Predictions | None) -> list[Item]:
    queries = [row for row in rows if row.get("role") in (None, "query")]
    if scored is not None:
        known = {str(row["capture_id"]) for row in rows}
        strange = sorted(set(scored.rows) - known)
        if strange:
            raise DamagelandError(f"{scored.path}: {strange[0]!r} and {len(strange) - 1} more are not in {source}")
        queries = [row for row in queries if str(row["capture_id"]) in scored.rows]
    items = [_item(row, scored) for row in queries if scored is not None or row["defect"] is not None]
    if not items:
        raise DamagelandError(f"{source} holds no query of which it is known whether it is damaged: nothing to count")
    return items


def _item(row: Mapping[str, Any], scored: Predictions | None) -> Item:
    name = str(row["capture_id"])
    damaged = bool(row["defect"]) if scored is None else scored.rows[name].pred > (scored.threshold or 0.0)
    severity = row.get("severity") if row["defect"] and damaged else None
    kinds = tuple(k for k in str(row.get("defect_types") or "").split(",") if k) if damaged else ()
    return Item(
        capture_id=name,
        group=str(row.get("group") or row.get("item_identifier") or name),
        family=str(row.get("family") or row.get("category") or "unknown"),
        item_material=str(row.get("item_material") or "unknown"),
        kinds=kinds,
        damaged=damaged,
        severity=severity if severity in SEVERITIES else None,
        synthetic=row.get("origin") == "synthetic",
    )


def _heat(
    captures: Callable[[], Iterable[Capture]] | None, scored: Predictions | None
) -> tuple[Mapping[str, Heat], str]:
    if captures is None:
        return {}, "Sites are not shown: they take the captures of a rendered data set, with depth, cameras and poses."
    if scored is None:
        found = heat_maps(captures())
    elif any(row.masks for row in scored.rows.values()):
        marked = {}
        for capture in captures():
            if capture.capture_id in scored.rows:
                one = scored(capture)
                marked[capture.capture_id] = dict(zip(one.cameras, one.masks, strict=True))
        found = heat_maps((replace_missing(c, marked) for c in captures()), marked)
    else:
        return {}, "Sites are not shown: the prediction file names no masks."
    found = {name: heat for name, heat in found.items() if heat.captures}
    return found, "" if found else "Sites are not shown: no view has depth, a calibrated pinhole camera and a pose."


def replace_missing(capture: Capture, marked: Mapping[str, Any]) -> Capture:
    """A query that was not predicted shows no view, so that it counts neither as seen nor as damaged."""
    return capture if capture.role == "twin" or capture.capture_id in marked else replace(capture, views=())


# Counting


def _lines(items: Sequence[Item], part: str, prices: Prices | None) -> tuple[Line, ...]:
    names = sorted({str(getattr(item, part)) for item in items})
    lines = [_line(name, [item for item in items if getattr(item, part) == name], prices) for name in names]
    return tuple(sorted(lines, key=lambda line: (-(line.rate.value or 0), line.name)))


def _line(name: str, items: Sequence[Item], prices: Prices | None) -> Line:
    damaged = [item for item in items if item.damaged]
    judged = [item for item in damaged if item.severity in SEVERITIES]
    minor, major = (sum(item.severity == severity for item in judged) for severity in SEVERITIES)
    return Line(
        name=name,
        items=len(items),
        products=len({item.group for item in items}),
        damaged=len(damaged),
        rate=wilson(len(damaged), len(items)),
        minor=wilson(minor, len(judged)),
        major=wilson(major, len(judged)),
        unknown=len(damaged) - len(judged),
        cost=Estimate(None) if prices is None else expected_cost(items, prices),
    )


def _kinds(items: Sequence[Item]) -> dict[str, tuple[tuple[str, int, Estimate], ...]]:
    found = {}
    for family in sorted({item.family for item in items}):
        damaged = [item for item in items if item.damaged and item.family == family]
        counts = {kind: sum(kind in item.kinds for item in damaged) for item in damaged for kind in item.kinds}
        ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
        if damaged:
            found[family] = tuple((kind, hits, wilson(hits, len(damaged))) for kind, hits in ordered)
    return found
