"""Galleries that live: pristine references by design, added to and never rewritten, named by their content.

A gallery is a folder. ``objects/<sha256>.tar`` holds one reference capture each, as a shard does; its name is the hash
of its bytes. ``versions/000001.json``, ``000002.json``, … list what the gallery held after each addition, and name the
hash of the version before, so that any earlier state can be read and any change of the past is noticed. A new design
needs no training: references are added, and the models compare with them.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from ..sim.capture import Capture
from ..sim.errors import DamagelandError
from ..sim.files import write_atomic
from ..sim.shards import read_shard, write_shard
from .references import ReferenceBook, design_of, slim

FORMAT_VERSION = 1
LEAST_FIT = 0.35
"""A newcomer must fit the best of its design's other references at least this share as well as those fit each other."""
NAME = re.compile(r"\d{6}\.json")

Judge = Callable[[Capture, Sequence[Capture]], float]
"""How well references explain a capture, at most 1; ``fit_between`` is the usual one."""


class Entry(BaseModel):
    """One reference of a version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    capture_id: str
    item_identifier: str
    design: str
    """Which design of the product it shows, e.g. ``0``; captures of one design are compared with each other."""
    valid_from: str
    """Day from which this design is on the shelf, or empty."""


class Version(BaseModel):
    """What a gallery held after an addition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = FORMAT_VERSION
    number: int
    parent_sha256: str | None
    """Of the file of the version before."""
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Refused:
    """A capture that was not let in, and why."""

    capture_id: str
    reason: str


@dataclass(frozen=True)
class Gallery:
    """A folder of references; functions below read and add to it."""

    folder: Path

    @property
    def numbers(self) -> list[int]:
        """Versions there are, in order."""
        folder = self.folder / "versions"
        found = sorted(p.name for p in folder.iterdir() if NAME.fullmatch(p.name)) if folder.is_dir() else []
        return [int(name[:6]) for name in found]

    def path_of(self, number: int) -> Path:
        """File of a version."""
        return self.folder / "versions" / f"{number:06d}.json"


def read_version(gallery: Gallery, number: int | None = None) -> Version:
    """Read a version, the newest by default, after checking that nobody changed it or what came before it."""
    numbers = gallery.numbers
    if not numbers:
        raise DamagelandError(f"{gallery.folder} is no gallery: it has no versions/000001.json; add references first")
    wanted = numbers[-1] if number is None else number
    if wanted not in numbers:
        raise DamagelandError(f"{gallery.folder} has no version {wanted}: expected one of 1 to {numbers[-1]}")
    parent: str | None = None
    version: Version | None = None
    for step in range(1, wanted + 1):
        path = gallery.path_of(step)
        try:
            data = path.read_bytes()
            version = Version.model_validate(json.loads(data))
        except (OSError, ValueError, ValidationError) as error:
            raise DamagelandError(f"{path} is not a gallery's version ({error}): restore it from a copy") from None
        if version.number != step or version.parent_sha256 != parent:
            raise DamagelandError(
                f"{path} does not follow {step - 1:06d}.json: a gallery is added to and never changed; restore both "
                "from a copy"
            )
        parent = hashlib.sha256(data).hexdigest()
    assert version is not None
    return version


def book_of(gallery: Gallery, number: int | None = None) -> ReferenceBook:
    """References of a version by product; every object is checked against its name."""
    return ReferenceBook.of([read_entry(gallery, entry) for entry in read_version(gallery, number).entries])


def read_entry(gallery: Gallery, entry: Entry) -> Capture:
    """Read one reference."""
    path = gallery.folder / "objects" / f"{entry.sha256}.tar"
    if not re.fullmatch(r"[0-9a-f]{64}", entry.sha256) or not path.is_file():
        raise DamagelandError(
            f"{path} is missing although the gallery lists {entry.capture_id}: restore it from a copy"
        )
    if hashlib.sha256(path.read_bytes()).hexdigest() != entry.sha256:
        raise DamagelandError(f"{path} is not what its name says: it was changed or damaged; restore it from a copy")
    (capture,) = read_shard(path)
    return capture


def add_references(
    gallery: Gallery, captures: Sequence[Capture], judge: Judge | None = None, *, confirmed: bool = False
) -> tuple[Version | None, list[Refused]]:
    """Add pristine captures as a new version; return it, and what was refused.

    A capture comes in if it is not known to be damaged, names its product, and looks like the other references of its
    design: ``judge`` measures how well those explain it, and it must not fall far behind what they reach among
    themselves. With fewer than two others there is nothing to compare with. ``confirmed`` says that a person has
    looked, and leaves that check out: a side that no reference shows yet looks like an outlier too. Nothing new gives
    None.
    """
    held = list(read_version(gallery).entries) if gallery.numbers else []
    known = {entry.sha256 for entry in held}
    members = [(entry, read_entry(gallery, entry)) for entry in held]
    fresh: list[tuple[Entry, bytes]] = []
    refused: list[Refused] = []
    for capture in captures:
        reason = _unfit(capture)
        entry, data = _pack(capture) if reason is None else (None, b"")
        if entry is not None and entry.sha256 in known:
            continue
        if entry is not None and judge is not None and not confirmed:
            reason = _outlier(capture, [c for e, c in members if _design(e) == _design(entry)], judge)
        if reason is not None or entry is None:
            refused.append(Refused(capture.capture_id, reason or ""))
            continue
        known.add(entry.sha256)
        fresh.append((entry, data))
        members.append((entry, capture))
    return (_write(gallery, held, fresh) if fresh else None), refused


def _design(entry: Entry) -> tuple[str, str]:
    return entry.item_identifier, entry.design


def _unfit(capture: Capture) -> str | None:
    if capture.item_identifier is None:
        return "it names no product (item_identifier)"
    if capture.defect is not False:
        return "it is damaged" if capture.defect else "nobody says that it is intact (defect)"
    return None if capture.views else "it has no view"


def _outlier(capture: Capture, others: Sequence[Capture], judge: Judge) -> str | None:
    """Why a newcomer differs from its design's other references, None if it does not."""
    if len(others) < 2:
        return None
    usual = float(np.median([judge(c, [o for o in others if o is not c]) for c in others]))
    own = judge(capture, others)
    if own >= LEAST_FIT * usual:
        return None
    return (
        f"it fits the {len(others)} references of its design at {own:.2f}, which fit each other at {usual:.2f}: "
        "another design, a damage or a side not shown yet; add it with a design of its own, or confirm it"
    )


def _pack(capture: Capture) -> tuple[Entry, bytes]:
    """A capture as the bytes of its object, and its entry."""
    kept = replace(slim(capture), role="reference", twin_id=None, reference_ids=())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "object.tar"
        write_shard(path, [kept])
        data = path.read_bytes()
    entry = Entry(
        sha256=hashlib.sha256(data).hexdigest(),
        capture_id=capture.capture_id,
        item_identifier=capture.item_identifier or "",
        design=design_of(capture),
        valid_from=str(capture.attributes.get("captured_on", "")),
    )
    return entry, data


def _write(gallery: Gallery, held: Sequence[Entry], fresh: Sequence[tuple[Entry, bytes]]) -> Version:
    """Objects first, the version that names them last: a killed addition leaves the gallery as it was."""
    (gallery.folder / "objects").mkdir(parents=True, exist_ok=True)
    (gallery.folder / "versions").mkdir(exist_ok=True)
    number = (gallery.numbers or [0])[-1] + 1
    parent = None if number == 1 else hashlib.sha256(gallery.path_of(number - 1).read_bytes()).hexdigest()
    for entry, data in fresh:
        write_atomic(gallery.folder / "objects" / f"{entry.sha256}.tar", data)
    version = Version(number=number, parent_sha256=parent, entries=(*held, *(entry for entry, _ in fresh)))
    write_atomic(gallery.path_of(number), version.model_dump_json(indent=1) + "\n")
    return version
