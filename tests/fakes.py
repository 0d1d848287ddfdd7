"""Small made-up captures, so that tests of storage and training need no renderer. Import with ``import fakes``."""

import time
from functools import partial
from pathlib import Path

import numpy as np
from damageland.sim.capture import Capture, Damage, Role, View
from damageland.sim.lens import PINHOLE, Lens
from damageland.sim.scene import KINDS, Kind
from damageland.sim.seed import generator_for
from damageland.sim.shards import shard_path, write_shard
from damageland.sim.task import capture_done


def fake_view(
    rng: np.random.Generator,
    camera: str,
    *,
    damage_bit: int = 0,
    with_depth: bool = True,
    size: tuple[int, int] = (48, 64),
) -> View:
    """A grey box on a smooth background, with a dark square where it is damaged; size is (height, width)."""
    h, w = size
    rows, columns = np.mgrid[0:h, 0:w]
    item = ((abs(rows - h / 2) < h / 3) & (abs(columns - w / 2) < w / 3)).astype(np.uint8)
    shade = 60 + 80 * item + 20 * np.sin(columns / 9 + rng.uniform(0, 6)) + rng.normal(0, 2, (h, w))
    damage = np.zeros((h, w), np.uint8)
    if damage_bit:
        top, left = rng.integers(h // 4, h // 2), rng.integers(w // 4, w // 2)
        damage[top : top + h // 6, left : left + w // 6] = damage_bit
        shade = np.where(damage > 0, shade - 55, shade)
    depth = np.where(item > 0, 0.8, 1.0) + rng.normal(0, 1e-3, (h, w)) + 0.01 * (damage > 0)
    depth[rng.random((h, w)) < 0.03] = 0
    T = np.eye(4)
    T[:3, 3] = rng.normal(0, 0.5, 3)
    return View(
        camera=camera,
        rgb=np.repeat(np.clip(shade, 0, 255).astype(np.uint8)[..., None], 3, axis=2),
        K=np.array([[w, 0, w / 2], [0, w, h / 2], [0, 0, 1.0]]),
        T_world_cam=T,
        depth=np.round(depth, 4).astype(np.float32) if with_depth else None,
        item=item,
        part=(item.astype(np.uint16) * 8 * 3 + (damage > 0)).astype(np.uint16),
        damage=damage,
        lens=PINHOLE if with_depth else Lens("brown_conrady", (0.05, -0.01, 0.0, 0.0, 0.0)),
    )


def fake_damage(rng: np.random.Generator, *, kind: Kind = "deformation", cameras: tuple[str, ...] = ()) -> Damage:
    """A crush with made-up measures."""
    depth_mm = float(rng.uniform(1, 20))
    return Damage(
        kind=kind,
        generator="crush",
        parameters={"push_mm": depth_mm * 1.2, "direction": (0.0, 0.6, -0.8)},
        measures={"depth_mm": depth_mm, "area_mm2": float(rng.uniform(50, 900))},
        severity="major" if depth_mm > 8 else "minor",
        tolerable=depth_mm < 3,
        visible_fraction={camera: float(rng.uniform(0.1, 1)) for camera in cameras},
    )


def fake_capture(
    rng: np.random.Generator,
    capture_id: str,
    *,
    product: str = "P000",
    role: Role = "query",
    damaged: bool = False,
    split: str = "train",
    cameras: tuple[str, ...] = ("top", "left"),
    size: tuple[int, int] = (48, 64),
    twin_id: str | None = None,
    reference_ids: tuple[str, ...] = (),
    index: int = 0,
) -> Capture:
    """One capture; only its first camera has depth."""
    kind: Kind = "deformation"
    bit = 1 << KINDS.index(kind) if damaged else 0
    damages = (fake_damage(rng, kind=kind, cameras=cameras),) if damaged else ()
    return Capture(
        capture_id=capture_id,
        item_identifier=product,
        origin="synthetic",
        views=tuple(
            fake_view(rng, camera, damage_bit=bit, with_depth=i == 0, size=size) for i, camera in enumerate(cameras)
        ),
        defect=damaged,
        major_defect=any(damage.severity == "major" for damage in damages),
        defect_types=tuple(damage.kind for damage in damages),
        item_material="corrugate",
        role=role,
        split=split,
        group=product,
        attributes={
            "category": "folding_carton",
            "title": 'Tea, "green"\nloose',
            "dimensions_mm": (120.0, 80.5, 60.0),
            "actual_units": 1,
            "catalogue_mass_g": None,
        },
        damages=damages,
        twin_id=twin_id,
        reference_ids=reference_ids,
        provenance={"recipe_hash": "0" * 64, "seed": 7, "index": index, "renderer": "preview", "versions": {"x": "1"}},
    )


def fake_product(seed: int, index: int, *, split: str = "train", size: tuple[int, int] = (48, 64)) -> list[Capture]:
    """A damaged query, its pristine twin and a reference of one product; query and twin share pose and noise."""
    product, make = f"P{index:03d}", partial(fake_capture, split=split, size=size, index=index, product=f"P{index:03d}")
    reference = f"{product}-ref"
    query = make(
        generator_for(seed, index, "query"),
        f"{product}-query",
        damaged=True,
        twin_id=f"{product}-twin",
        reference_ids=(reference,),
    )
    twin = make(generator_for(seed, index, "query"), f"{product}-twin", role="twin", reference_ids=(reference,))
    return [query, twin, make(generator_for(seed, index, "reference"), reference, role="reference")]


def fake_shard(k: int, out: Path, *, delay_s: float = 0.0, seed: int = 7, log: Path | None = None) -> None:
    """Write shard k with one product, slowly if wished; a partial of this is what ``run_shards`` takes.

    ``log`` is a folder that gets one letter more in the file ``k`` for each call.
    """
    if log is not None:
        with (log / str(k)).open("a") as file:
            file.write("x")

    def slowly():
        for capture in fake_product(seed, k):
            time.sleep(delay_s / 3)
            yield capture

    write_shard(shard_path(out, k), slowly(), on_capture=capture_done)
