"""The real set of a study: read from anywhere, split so that nothing is shared, and drawn from in nested subsets."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ...sim.capture import Capture
from ...sim.errors import DamagelandError
from ...sim.seed import generator_for
from ...sim.shards import read_captures
from ...sim.store import as_store
from ..adapters.table import find_real_sets
from ..scoring import worst_severity
from .spec import SplitSpec, StudySpec

Part = Literal["train", "calibration", "test"]
PARTS: tuple[Part, ...] = ("train", "calibration", "test")
NAMED_SPLITS: Mapping[str, Part] = {"train": "train", "validation": "calibration", "test": "test"}


@dataclass(frozen=True)
class RealRow:
    """What is known of a real capture beside its pictures."""

    capture_id: str
    part: Part
    unit: str
    """Captures of one unit share products, sessions or groups, and lie in one part."""
    group: str
    """What the bootstrap draws."""
    defect: bool
    major_defect: bool | None
    severity: str | None
    kinds: tuple[str, ...]
    family: str | None
    lookalike: bool
    generators: tuple[str, ...]


@dataclass(frozen=True)
class Reals:
    """A real set, or one that stands in for it."""

    name: str
    source: str
    pretend: bool
    """Whether it was rendered."""
    captures: Callable[[], Iterable[Capture]]
    """Queries whose label is known, as a photographer would have delivered them."""
    references: Callable[[], Iterable[Capture]]
    rows: tuple[RealRow, ...]

    def of(self, part: Part, defect: bool | None = None) -> tuple[RealRow, ...]:
        """Rows of a part; damaged or intact ones alone if asked."""
        return tuple(r for r in self.rows if r.part == part and defect in (None, r.defect))

    @property
    def called(self) -> str:
        """What the report calls captures of this set."""
        return "pretend-real" if self.pretend else "real"


def open_reals(spec: StudySpec) -> Reals:
    """Open the real set and split it; refuse a set that cannot be split or lacks a class where it is needed."""
    assert spec.real is not None
    pretend = spec.real_format is None and (as_store(spec.real) / "manifest.parquet").is_file()
    captures, references, name = _rendered(spec.real) if pretend else _photographed(spec.real, spec.real_format)
    labels = [replace(capture, views=()) for capture in captures()]
    rows = split_rows(labels, spec.split, spec.split_seed, spec.real)
    reals = Reals(name, spec.real, pretend, captures, references, rows)
    _require_classes(reals)
    return reals


Sources = tuple[Callable[[], Iterable[Capture]], Callable[[], Iterable[Capture]], str]


def _rendered(source: str) -> Sources:
    """Queries of a rendered data set without what no photographer delivers: twins, and masks of item and parts."""

    def captures() -> Iterable[Capture]:
        for capture in read_captures(source, roles=("query",)):
            views = tuple(replace(view, item=None, part=None) for view in capture.views)
            yield replace(capture, views=views, twin_id=None, split=None, session=None)

    return captures, lambda: read_captures(source, roles=("reference",)), as_store(source).name


def _photographed(source: str, layout: str | None) -> Sources:
    sets = find_real_sets(Path(source), layout)
    if len(sets) > 1:
        raise DamagelandError(f"{source} holds {len(sets)} sets: a study is about one, so name its folder")
    found = sets[0].read()
    known = lambda: (c for c in found.of(("query",)) if c.defect is not None)  # noqa: E731
    return known, lambda: found.of(("reference",)), sets[0].name


def split_rows(captures: Sequence[Capture], shares: SplitSpec, seed: int, where: str) -> tuple[RealRow, ...]:
    """Give each capture its part: as its table says, or by lot among units that share no product, session or group."""
    units = find_units(captures, shares.links)
    if all(capture.split in NAMED_SPLITS for capture in captures):
        parts: dict[str, Part] = {capture.capture_id: NAMED_SPLITS[capture.split or ""] for capture in captures}
        _require_apart(captures, units, parts, where)
    else:
        drawn = draw_parts([(units[c.capture_id], bool(c.defect)) for c in captures], shares, seed)
        parts = {capture.capture_id: drawn[units[capture.capture_id]] for capture in captures}
    return tuple(_row(capture, parts[capture.capture_id], units[capture.capture_id]) for capture in captures)


def find_units(captures: Iterable[Capture], kinds: Collection[str] = ("product", "session", "group")) -> dict[str, str]:
    """Name of the unit of each capture: what hangs together by product, session or group is one unit."""
    above: dict[str, str] = {}

    def root(name: str) -> str:
        above.setdefault(name, name)
        while above[name] != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    captures = list(captures)
    for capture in captures:
        links = (("product", capture.item_identifier), ("session", capture.session), ("group", capture.group))
        for kind, value in links:
            if value and kind in kinds:
                a, b = sorted((root(f"capture {capture.capture_id}"), root(f"{kind} {value}")))
                above[b] = a
    return {capture.capture_id: root(f"capture {capture.capture_id}") for capture in captures}


def _require_apart(
    captures: Sequence[Capture], units: Mapping[str, str], parts: Mapping[str, Part], where: str
) -> None:
    seen: dict[str, Capture] = {}
    for capture in captures:
        first = seen.setdefault(units[capture.capture_id], capture)
        if parts[first.capture_id] != parts[capture.capture_id]:
            raise DamagelandError(
                f"{where}: captures {first.capture_id!r} ({first.split}) and {capture.capture_id!r} ({capture.split}) "
                "share a product, session or group, directly or through others, but not the split: what is learned "
                "from one would be measured on the other. Give them one split, or leave the column empty"
            )


def draw_parts(labelled: Sequence[tuple[str, bool]], shares: SplitSpec, seed: int) -> dict[str, Part]:
    """Deal units to parts by lot, the largest first, each to the part that still lacks most of what it holds."""
    counts: dict[str, list[int]] = {}
    for unit, damaged in labelled:
        counts.setdefault(unit, [0, 0])[damaged] += 1
    wanted = {"train": shares.train, "calibration": shares.calibration}
    wanted["test"] = 1 - sum(wanted.values())
    total = np.maximum(1, np.sum(list(counts.values()), axis=0))
    held = {part: np.zeros(2) for part in PARTS}
    names = sorted(counts)
    order = generator_for(seed, 0, "study/split").permutation(len(names))
    drawn: dict[str, Part] = {}
    for i in sorted(order, key=lambda i: -sum(counts[names[i]])):  # stable: equal ones stay in the order of the lot
        holds = np.array(counts[names[i]]) > 0
        lack = {part: float(((wanted[part] - held[part] / total)[holds] / wanted[part]).min()) for part in PARTS}
        part = max(PARTS, key=lambda name: lack[name])
        held[part] += counts[names[i]]
        drawn[names[i]] = part
    return drawn


def _row(capture: Capture, part: Part, unit: str) -> RealRow:
    return RealRow(
        capture_id=capture.capture_id,
        part=part,
        unit=unit,
        group=capture.group or capture.item_identifier or capture.capture_id,
        defect=bool(capture.defect),
        major_defect=capture.major_defect,
        severity=worst_severity(capture),
        kinds=capture.defect_types,
        family=capture.attributes.get("category"),
        lookalike=bool(capture.attributes.get("lookalikes")),
        generators=tuple(sorted({damage.generator for damage in capture.damages})),
    )


def _require_classes(reals: Reals) -> None:
    wanted: tuple[tuple[Part, bool], ...] = (
        ("train", True), ("train", False), ("calibration", False), ("test", True), ("test", False),
    )  # fmt: skip
    for part, defect in wanted:
        if not reals.of(part, defect):
            kind = "damaged" if defect else "intact"
            units = len({row.unit for row in reals.rows})
            raise DamagelandError(
                f"{reals.source}: no {kind} capture in the {part} part. The set has {len(reals.rows)} labelled "
                f"captures in {units} units that share no product, session or group; training and test need both "
                "classes, thresholds intact captures of their own. Add captures, name splits in its table, or leave "
                "sessions out of `split.links` where all captures come from a few of them"
            )


def subset(reals: Reals, k: int, intact_per_damaged: float, seed: int) -> frozenset[str]:
    """Names of k damaged captures of the pool and of the intact ones beside them; a smaller k gives a part of these."""
    chosen: list[str] = []
    for defect, count in ((True, k), (False, round(k * intact_per_damaged))):
        pool = sorted(row.capture_id for row in reals.of("train", defect))
        order = generator_for(seed, int(defect), "study/subset").permutation(len(pool))
        chosen += [pool[i] for i in order[: max(count, 1)]]
    return frozenset(chosen)
