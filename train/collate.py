"""Captures side by side as torch tensors, and random access to them in the shards of several data sets."""

import math
import tarfile
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float32, Int32, Int64, UInt8
from torch import Tensor

from ..sim.errors import DamagelandError
from ..sim.lens import PINHOLE, Lens
from ..sim.manifest import Row
from ..sim.scene import KINDS
from ..sim.shards import EncodedView, encoded_views
from ..sim.store import File, Store
from ..sim.tarstream import parse_block


@dataclass(frozen=True)
class Batch:
    """Captures side by side: b of them, v views each. Views that a capture lacks are zero and not ``present``."""

    capture_ids: tuple[str, ...]
    cameras: tuple[str, ...]
    source: Int64[Tensor, " b"]
    """Which of the data sets each came from."""
    rgb: UInt8[Tensor, "b v 3 h w"]
    """sRGB."""
    depth: Float32[Tensor, "b v h w"]
    """z-depth [m]; 0 = no return, or no depth at all."""
    item: UInt8[Tensor, "b v h w"]
    part: Int32[Tensor, "b v h w"]
    damage: UInt8[Tensor, "b v h w"]
    """Label images of contract C2; ``damage`` has one bit per kind."""
    present: Bool[Tensor, "b v"]
    has_depth: Bool[Tensor, "b v"]
    has_item: Bool[Tensor, "b v"]
    has_damage: Bool[Tensor, "b v"]
    """Whether the view has this image; real views may lack them."""
    K: Float32[Tensor, "b v 3 3"]
    """Intrinsics in pixels of these images; zero where unknown."""
    T_world_cam: Float32[Tensor, "b v 4 4"]
    """OpenCV camera frame; zero where unknown."""
    lenses: tuple[tuple[Lens, ...], ...]
    """Distortion that comes before K, of each capture's views."""
    defect: Float32[Tensor, " b"]
    """1 damaged, 0 not, NaN unknown."""
    kinds: Float32[Tensor, "b 7"]
    """1 where a damage of that kind (``KINDS``) is seen; NaN where ``defect`` is unknown."""
    severity: Int64[Tensor, " b"]
    """Worst seen: 0 none, 1 minor, 2 major; -1 unknown."""
    row: Int64[Tensor, " b"]
    """Which row of its data set's table it is: ``ShardStream.rows`` has the attributes, measures and links there."""

    def __len__(self) -> int:
        return len(self.capture_ids)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Batch":
        """Copy all tensors to a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Batch":
        """Copy all tensors to pinned memory."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: change(t) for name, t in tensors.items() if isinstance(t, Tensor)})


@dataclass(frozen=True)
class Pool:
    """The captures of one source that are drawn from. Arrow keeps a million rows in the memory of a few pictures."""

    store: Store
    rows: pa.Table
    """Of the manifest."""
    defect: Float32[np.ndarray, " n"]
    kinds: Float32[np.ndarray, "n 7"]
    severity: Int64[np.ndarray, " n"]
    """As in a Batch: turning a row of Arrow into Python takes as long as a small picture."""

    def __len__(self) -> int:
        return self.rows.num_rows

    def place(self, k: int) -> tuple[str, str, int, int]:
        """Return capture_id, shard, offset and bytes of a capture."""
        return tuple(self.rows[name][k].as_py() for name in ("capture_id", "shard", "offset", "bytes"))


def make_pool(store: Store, rows: pa.Table) -> Pool:
    """Take rows of a manifest as what is drawn from."""
    rows = rows.combine_chunks()
    labels = rows.select(["defect", "major_defect", "defect_types"]).to_pylist()
    return Pool(
        store,
        rows,
        np.array([_flag(row["defect"]) for row in labels], np.float32),
        np.array([_kinds(row) for row in labels], np.float32).reshape(-1, len(KINDS)),
        np.array([_severity(row) for row in labels], np.int64),
    )


Drawn = tuple[int, int, File, tuple[EncodedView, ...]]
"""Source, row of its table, shard, views: decoded only once a batch has a place for them."""


class _Blocks:
    """Memory of batches that are gone, for those to come: fresh pages of a batch cost as much as half its decoding."""

    def __init__(self) -> None:
        self._free: dict[int, deque[bytearray]] = defaultdict(deque)

    def array(self, shape: tuple[int, ...], kind: Any) -> np.ndarray:
        """Make an array with anything in it; its memory is taken again once no view and no tensor holds it."""
        size = math.prod(shape) * np.dtype(kind).itemsize
        free = self._free[size]
        try:
            block = free.pop()
        except IndexError:
            block = bytearray(size)
        # Views of views refer to the first array that is no view of another: here to `whole`, which rests on no array.
        whole = np.frombuffer(block, np.uint8)
        weakref.finalize(whole, free.append, block).atexit = False
        return whole.view(kind).reshape(shape)


class Captures:
    """Random access to the captures of all sources, and their way into a batch."""

    def __init__(self, pools: tuple[Pool, ...], cameras: tuple[str, ...], size_px: tuple[int, int] | None):
        self.pools, self.cameras, self.size_px = pools, cameras, size_px
        self._blocks = _Blocks()

    def __getitem__(self, at: tuple[int, int]) -> Drawn:
        s, k = at
        pool = self.pools[s]
        capture_id, shard, offset, size = pool.place(k)
        file = pool.store / shard
        members = _members(file.read_range(offset, size))
        if f"{capture_id}.json" not in members:
            raise DamagelandError(
                f"{file}: no capture {capture_id} at byte {offset}, where the manifest has it; run "
                f"`damageland check {pool.store}`"
            )
        try:
            return s, k, file, encoded_views(members, cameras=self.cameras)
        except DamagelandError as error:
            raise DamagelandError(f"{file}: {error}") from None

    def collate(self, samples: Sequence[Drawn]) -> Batch:
        """Put captures side by side."""
        height, width = self._size(samples)
        shape = (len(samples), len(self.cameras))
        images = {name: self._blocks.array((*shape, height, width, *rest), kind) for name, kind, rest in _IMAGES}
        has = {name: np.zeros(shape, bool) for name in images}
        K, T = np.zeros((*shape, 3, 3)), np.zeros((*shape, 4, 4))
        for b, (_, _, file, views) in enumerate(samples):
            try:
                for view in views:
                    _place(view, (b, self.cameras.index(view.camera)), images, has, K, T)
            except DamagelandError as error:
                raise DamagelandError(f"{file}: {error}") from None
        for name, image in images.items():
            if not has[name].all():
                image[~has[name]] = 0
        drawn = [(self.pools[s], k) for s, k, *_ in samples]
        tensor = torch.from_numpy
        return Batch(
            capture_ids=tuple(pool.rows["capture_id"][k].as_py() for pool, k in drawn),
            cameras=self.cameras,
            source=torch.tensor([s for s, *_ in samples]),
            rgb=tensor(images["rgb"]).permute(0, 1, 4, 2, 3),
            depth=tensor(images["depth"]),
            item=tensor(images["item"]),
            part=tensor(images["part"]),
            damage=tensor(images["damage"]),
            present=tensor(has["rgb"]),
            has_depth=tensor(has["depth"]),
            has_item=tensor(has["item"]),
            has_damage=tensor(has["damage"]),
            K=tensor(K).float(),
            T_world_cam=tensor(T).float(),
            lenses=tuple(self._lenses(views) for *_, views in samples),
            defect=tensor(np.stack([pool.defect[k] for pool, k in drawn])),
            kinds=tensor(np.stack([pool.kinds[k] for pool, k in drawn])),
            severity=tensor(np.stack([pool.severity[k] for pool, k in drawn])),
            row=torch.tensor([k for _, k in drawn]),
        )

    def _lenses(self, views: Sequence[EncodedView]) -> tuple[Lens, ...]:
        by_camera = {view.camera: view.lens for view in views}
        return tuple(by_camera.get(camera, PINHOLE) for camera in self.cameras)

    def _size(self, samples: Sequence[Drawn]) -> tuple[int, int]:
        if self.size_px is not None:
            return self.size_px
        sizes = {(view.height, view.width): view.camera for *_, views in samples for view in views}
        if len(sizes) > 1:
            found = ", ".join(f"{name} {w}x{h}" for (h, w), name in sizes.items())
            raise DamagelandError(f"views differ in size ({found}): give size_px=(height, width), or fewer cameras")
        return next(iter(sizes), (1, 1))


_IMAGES: tuple[tuple[str, Any, tuple[int, ...]], ...] = (
    ("rgb", np.uint8, (3,)), ("depth", np.float32, ()), ("item", np.uint8, ()), ("part", np.int32, ()),
    ("damage", np.uint8, ()),
)  # fmt: skip


def _place(
    view: EncodedView, at: tuple[int, int], images: Mapping[str, np.ndarray], has: Mapping[str, np.ndarray],
    K: np.ndarray, T: np.ndarray,
) -> None:  # fmt: skip
    """Decode a view into its place of a batch's arrays, brought to their size."""
    height, width = images["rgb"].shape[2:4]
    for name in view.images:
        if (view.height, view.width) == (height, width):
            view.decode_into(name, images[name][at])
        else:
            images[name][at] = _resize(view.decode(name), (width, height), name)
        has[name][at] = True
    if view.K is not None:
        scale = np.array([width / view.width, height / view.height, 1.0])
        K[at] = np.array(view.K) * scale[:, None]
    if view.T_world_cam is not None:
        T[at] = view.T_world_cam


def _resize(image: np.ndarray, size: tuple[int, int], name: str) -> np.ndarray:
    """Colour is averaged; depth and labels are picked, for a mean of two surfaces is neither."""
    if name == "rgb":
        smaller = size[0] < image.shape[1] or size[1] < image.shape[0]
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * m / n).astype(int), m - 1)  # pixel centres at +0.5, as K has them
        for n, m in zip(size[::-1], image.shape, strict=True)
    )
    return image[rows[:, None], columns]


def _members(data: bytes) -> dict[str, bytes]:
    """Members of a run of an uncompressed tar; what is no whole member is left out, and missed by the decoder."""
    members, at = {}, 0
    while at + tarfile.BLOCKSIZE <= len(data):
        try:
            name, size, _ = parse_block(data[at : at + tarfile.BLOCKSIZE])
        except (tarfile.HeaderError, ValueError):
            break
        start = at + tarfile.BLOCKSIZE
        members[name] = data[start : start + size]
        at = start + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return members


def _flag(value: bool | None) -> float:
    return float("nan") if value is None else float(value)


def _kinds(row: Row) -> list[float]:
    if row["defect"] is None:
        return [float("nan")] * len(KINDS)
    seen = row["defect_types"].split(",")
    return [float(kind in seen) for kind in KINDS]


def _severity(row: Row) -> int:
    if row["defect"] is None:
        return -1
    if not row["defect"]:
        return 0
    return -1 if row["major_defect"] is None else 2 if row["major_defect"] else 1
