"""Captures side by side as torch tensors, and random access to them in the shards of several data sets."""

import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float32, Int32, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from ..sim.capture import View
from ..sim.errors import DamagelandError
from ..sim.manifest import Row
from ..sim.scene import KINDS
from ..sim.shards import decode_views
from ..sim.store import Store
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
    defect: Float32[Tensor, " b"]
    """1 damaged, 0 not, NaN unknown."""
    kinds: Float32[Tensor, "b 7"]
    """1 where a damage of that kind (``KINDS``) is seen; NaN where ``defect`` is unknown."""
    severity: Int64[Tensor, " b"]
    """Worst seen: 0 none, 1 minor, 2 major; -1 unknown."""
    rows: tuple[Row, ...]
    """Each capture's row of the manifest: attributes, measures, links."""

    def __len__(self) -> int:
        return len(self.capture_ids)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Batch":
        """Copy all tensors to a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Batch":
        """Copy all tensors to pinned memory; torch's loader calls this."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: change(t) for name, t in tensors.items() if isinstance(t, Tensor)})


@dataclass(frozen=True)
class Pool:
    """The captures of one source that are drawn from. Arrow keeps a million rows in the memory of a few pictures."""

    store: Store
    rows: pa.Table

    def __len__(self) -> int:
        return self.rows.num_rows

    def place(self, k: int) -> tuple[str, str, int, int]:
        """Return capture_id, shard, offset and bytes of a capture."""
        return tuple(self.rows[name][k].as_py() for name in ("capture_id", "shard", "offset", "bytes"))


Drawn = tuple[int, int, tuple[View, ...]]
"""Source, row of its table, views."""


class Captures(Dataset[Drawn]):
    """Random access to the captures of all sources, and their way into a batch."""

    def __init__(self, pools: tuple[Pool, ...], cameras: tuple[str, ...], size_px: tuple[int, int] | None):
        self.pools, self.cameras, self.size_px = pools, cameras, size_px

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
            return s, k, decode_views(members, cameras=self.cameras)
        except DamagelandError as error:
            raise DamagelandError(f"{file}: {error}") from None

    def _rows(self, samples: Sequence[Drawn]) -> tuple[Row, ...]:
        """Rows of the manifests, each table asked once: a row of a hundred columns takes as long as a small picture."""
        wanted = {s: [k for source, k, _ in samples if source == s] for s in {s for s, _, _ in samples}}
        found = {s: iter(self.pools[s].rows.take(ks).to_pylist()) for s, ks in wanted.items()}
        return tuple(next(found[s]) for s, _, _ in samples)

    def collate(self, samples: Sequence[Drawn]) -> Batch:
        """Put captures side by side."""
        named = [{view.camera: view for view in views} for _, _, views in samples]
        height, width = self._size(samples)
        images = {
            name: np.zeros((len(samples), len(self.cameras), height, width, *rest), kind)
            for name, kind, rest in _IMAGES
        }
        K, T = np.zeros((len(samples), len(self.cameras), 3, 3)), np.zeros((len(samples), len(self.cameras), 4, 4))
        has = {name: np.zeros((len(samples), len(self.cameras)), bool) for name in images}
        for b, views in enumerate(named):
            for v, camera in enumerate(self.cameras):
                if camera in views:
                    _place(views[camera], (b, v), images, has, K, T)
        rows, tensor = self._rows(samples), torch.from_numpy
        return Batch(
            capture_ids=tuple(row["capture_id"] for row in rows),
            cameras=self.cameras,
            source=torch.tensor([s for s, _, _ in samples]),
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
            defect=torch.tensor([_flag(row["defect"]) for row in rows]),
            kinds=torch.tensor([_kinds(row) for row in rows]),
            severity=torch.tensor([_severity(row) for row in rows]),
            rows=rows,
        )

    def _size(self, samples: Sequence[Drawn]) -> tuple[int, int]:
        if self.size_px is not None:
            return self.size_px
        sizes = {view.rgb.shape[:2]: view.camera for _, _, views in samples for view in views}
        if len(sizes) > 1:
            found = ", ".join(f"{name} {w}x{h}" for (h, w), name in sizes.items())
            raise DamagelandError(f"views differ in size ({found}): give size_px=(height, width), or fewer cameras")
        return next(iter(sizes), (1, 1))


_IMAGES: tuple[tuple[str, Any, tuple[int, ...]], ...] = (
    ("rgb", np.uint8, (3,)), ("depth", np.float32, ()), ("item", np.uint8, ()), ("part", np.int32, ()),
    ("damage", np.uint8, ()),
)  # fmt: skip


def _place(
    view: View, at: tuple[int, int], images: Mapping[str, np.ndarray], has: Mapping[str, np.ndarray],
    K: np.ndarray, T: np.ndarray,
) -> None:  # fmt: skip
    """Write a view into its place of a batch's arrays, brought to their size."""
    height, width = images["rgb"].shape[2:4]
    for name, out in images.items():
        image = getattr(view, name)
        if image is not None:
            has[name][at] = True
            out[at] = image if image.shape[:2] == (height, width) else _resize(image, (width, height), name)
    if view.K is not None:
        scale = np.array([width / view.rgb.shape[1], height / view.rgb.shape[0], 1.0])
        K[at] = view.K * scale[:, None]
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
