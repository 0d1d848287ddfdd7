"""What is exported: views of a finished data set, one at a time, each with the labels that hold for it alone."""

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
import simplejpeg
from jaxtyping import UInt8, UInt16

from ..capture import Capture, Role, View, is_seen
from ..datacard import licence_text, recipe_name
from ..errors import DamagelandError
from ..files import parse_checksums
from ..scene import KINDS, Kind, kind_bit
from ..shards import decode_capture, header_of, quantise_depth, read_members, shard_paths
from ..store import File, Source, Store, as_store

CHECKSUMS = "checksums"
ROLES: tuple[str, ...] = get_args(Role)
SPLITS: tuple[str, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Selection:
    """What of a data set is exported; an empty tuple means all."""

    cameras: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()

    def keeps(self, header: Mapping[str, Any]) -> bool:
        """Whether a capture's role and split are asked for."""
        role, split = header["role"], header["split"] or SPLITS[0]
        return (not self.roles or role in self.roles) and (not self.splits or split in self.splits)


@dataclass(frozen=True)
class Label:
    """What one view shows. Other cameras of the capture may see more."""

    defect: bool | None
    """None where a real source does not say, or where the view shows a trace of damage too small to call."""
    major: bool | None
    kinds: tuple[Kind, ...]
    trace: bool = False
    """Some damaged pixels, but fewer than make a damage seen: neither a fair positive nor a fair negative."""

    @property
    def folder(self) -> str | None:
        """``good``, the kind, or ``combined`` for several; None without a verdict."""
        if self.defect is None:
            return None
        return "good" if not self.kinds else self.kinds[0] if len(self.kinds) == 1 else "combined"


@dataclass(frozen=True)
class Shot:
    """One view of one capture, decoded, and its files as they lie in the shard."""

    capture: Capture
    view: View
    members: Mapping[str, bytes]
    image_id: int
    """From 1; the same whatever is selected."""

    @property
    def name(self) -> str:
        """Name of this view's files: capture and camera."""
        return f"{self.capture.capture_id}--{self.view.camera}"

    @property
    def split(self) -> str:
        """train, validation or test; a capture without a split is for training."""
        return self.capture.split or SPLITS[0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.view.rgb.shape[1], self.view.rgb.shape[0]

    @cached_property
    def label(self) -> Label:
        """The labels of this view alone."""
        return label_view(self.capture, self.view)

    def jpeg(self) -> bytes:
        """The picture as JPEG: the shard's own bytes, so nothing is lost twice."""
        kept = self.members.get(f"{self.capture.capture_id}.{self.view.camera}.rgb.jpg")
        return kept if kept is not None else simplejpeg.encode_jpeg(self.view.rgb, 95, "RGB", "444")

    def png(self, name: str) -> bytes | None:
        """A label image or depth as it lies in the shard, or None: copied, so exact."""
        return self.members.get(f"{self.capture.capture_id}.{self.view.camera}.{name}.png")

    def depth_steps(self) -> UInt16[np.ndarray, "h w"] | None:
        """Depth as in the shard: steps of 0.1 mm, 0 = no return; None for a camera without depth."""
        return None if self.view.depth is None else quantise_depth(self.view.depth)

    def damage(self, format_name: str) -> UInt8[np.ndarray, "h w"]:
        """The damage image; an error where the source has none."""
        return _required(self, "damage", format_name)

    def item(self, format_name: str) -> UInt8[np.ndarray, "h w"]:
        """The item image; an error where the source has none."""
        return _required(self, "item", format_name)


def _required(shot: Shot, name: str, format_name: str) -> UInt8[np.ndarray, "h w"]:
    image = getattr(shot.view, name)
    if image is None:
        raise DamagelandError(
            f"capture {shot.capture.capture_id} ({shot.capture.origin}), camera {shot.view.camera}: no {name} image, "
            f"which format {format_name} needs; choose captures or cameras that have one, or the format `folder`"
        )
    return image


def label_view(capture: Capture, view: View) -> Label:
    """Labels of one view: a damage that only another camera sees is none here."""
    if view.damage is None or not capture.damages:  # a sound item, or a photograph of which no more is known
        kinds: Collection[str] = capture.defect_types
        return Label(capture.defect, capture.major_defect, tuple(kind for kind in KINDS if kind in kinds))
    there = [damage for damage in capture.damages if damage.severity != "none"]
    seen = [damage for damage in there if is_seen(damage, view)]
    if seen:
        kinds = {damage.kind for damage in seen}
        return Label(True, any(d.severity == "major" for d in seen), tuple(kind for kind in KINDS if kind in kinds))
    trace = any((view.damage & kind_bit(damage.kind)).any() for damage in there)
    return Label(None, None, (), trace=True) if trace else Label(False, False, ())


@dataclass(frozen=True)
class DataSet:
    """A finished data set and what is wanted of it."""

    store: Store
    selection: Selection
    cameras: tuple[str, ...]
    """All its cameras, in alphabetical order."""
    items: Mapping[str, int]
    """Numbers of its products, from 1, in alphabetical order."""
    name: str
    licence: str
    fingerprint: str
    """SHA-256 of its ``checksums``, and so of everything in it."""
    captures: int
    """All of them, whatever is selected."""
    on_capture: Callable[[], None] = lambda: None
    """Called after each capture, selected or not, for a progress bar."""

    def shots(self) -> Iterator[Shot]:
        """Views that are asked for, shard by shard: one capture is in memory at a time."""
        position = 0
        for path in shard_paths(self.store):
            for members in read_members(path):
                if self.selection.keeps(header_of(path, members)):
                    yield from self._views(path, members, position)
                position += 1
                self.on_capture()

    def _views(self, path: File, members: Mapping[str, bytes], position: int) -> Iterator[Shot]:
        try:
            capture = decode_capture(members)
        except DamagelandError as error:
            raise DamagelandError(f"{path}: {error}") from None
        if capture.split not in (None, *SPLITS):
            raise DamagelandError(
                f"{path}: capture {capture.capture_id}: split {capture.split!r}, expected one of {SPLITS}"
            )
        for view in capture.views:
            if view.camera not in self.cameras or capture.item_identifier not in (None, *self.items):
                raise DamagelandError(
                    f"{path}: capture {capture.capture_id} is not what manifest.parquet says: run `damageland check`"
                )
            if not self.selection.cameras or view.camera in self.selection.cameras:
                image_id = 1 + position * len(self.cameras) + self.cameras.index(view.camera)
                yield Shot(capture, view, members, image_id)


def open_data_set(source: Source, selection: Selection) -> DataSet:
    """Look at a data set without reading its shards: is it finished, and does it have what is asked for?"""
    store = as_store(source)
    names, recorded = [path.name for path in shard_paths(store)], store / CHECKSUMS
    listed = parse_checksums(recorded.read_text()) if recorded.is_file() else {}
    if not listed or sorted(name for name in listed if name.endswith(".tar")) != names:
        raise DamagelandError(
            f"{store} is not a finished data set ({CHECKSUMS} is missing or names other shards): "
            "run its `damageland render` command again"
        )
    captures, columns = _columns(store / "manifest.parquet", "cameras", "item_identifier", "origin")
    cameras = tuple(sorted({camera for text in columns["cameras"] for camera in text.split(",") if camera}))
    for flag, wanted, known in (
        ("--cameras", selection.cameras, cameras),
        ("--roles", selection.roles, ROLES),
        ("--splits", selection.splits, SPLITS),
    ):
        for name in wanted:
            if name not in known:
                raise DamagelandError(f"{flag} {name}: {store} has {', '.join(known)}{close_match(name, known)}")
    items = {name: number for number, name in enumerate(sorted(columns["item_identifier"]), start=1)}
    licence = licence_text(columns["origin"])
    return DataSet(store, selection, cameras, items, recipe_name(store), licence, recorded.sha256(), captures)


def _columns(path: File, *names: str) -> tuple[int, dict[str, list[str]]]:
    """Number of rows of a manifest, and the distinct values of some columns."""
    try:
        table = pyarrow.parquet.read_table(pa.BufferReader(path.read_bytes()), columns=list(names))
        return len(table), {n: [v for v in table[n].unique().to_pylist() if v is not None] for n in names}
    except (OSError, KeyError, pa.ArrowException) as error:
        raise DamagelandError(f"{path} cannot be read: {error}; run `damageland render` again") from None


def close_match(name: str, known: Collection[str]) -> str:
    """The end of a sentence about an unknown name: a hint if it looks mistyped."""
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else "."
