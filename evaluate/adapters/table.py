"""The one table of layouts that ``--real`` takes: recognised by what lies in a folder, or named by ``--format``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...sim.errors import DamagelandError
from ..folder import QUERY_TABLE, read_folder, read_queries
from .armbench import is_armbench_images, is_armbench_video, read_armbench_images, read_armbench_video
from .entry import Captures, require_intact, subfolders
from .eyecandies import is_eyecandies, read_eyecandies
from .kaputt import audit_kaputt, is_kaputt, read_kaputt
from .mvtec import is_loco, is_mvtec_3d, is_mvtec_ad, read_loco, read_mvtec_3d, read_mvtec_ad
from .realiad import read_realiad, realiad_categories
from .rgbd import is_rgbd, read_rgbd
from .tampar import is_tampar, read_tampar
from .visa import is_visa, read_visa


@dataclass(frozen=True)
class RealSet:
    """A set of real captures: its name in reports, and how to read it."""

    name: str
    folder: Path
    format: str
    read: Callable[[], Captures]
    """Checks all labels at once; pictures are read as captures are asked for."""
    audit: Callable[[], list[str]] = list
    """Sentences about the set that its files tell."""


@dataclass(frozen=True)
class Adapter:
    """A layout of others: what a set of it looks like, how it is read, and what it cannot say."""

    layout: str
    sets: Callable[[Path], dict[str, Callable[[], Captures]]]
    """Sets in a folder by name, none if it is not of this layout."""
    lacks: str
    audit: Callable[[Path], list[str]] | None = None


def _one(
    holds: Callable[[Path], bool], read: Callable[[Path], Captures]
) -> Callable[[Path], dict[str, Callable[[], Captures]]]:
    """Sets that are a folder each."""
    return lambda path: {path.resolve().name: lambda: read(path)} if holds(path) else {}


def _folder(path: Path) -> Captures:
    rows = read_queries(path)
    require_intact(path / QUERY_TABLE, [row.defect for row in rows])
    return Captures(tuple(row.capture_id for row in rows), partial(read_folder, path))


def _realiad(path: Path) -> dict[str, Callable[[], Captures]]:
    return {name: lambda name=name: read_realiad(path, name) for name in realiad_categories(path)}


ADAPTERS: Mapping[str, Adapter] = {
    "folder": Adapter(
        f"{QUERY_TABLE} and the images it names",
        _one(lambda path: (path / QUERY_TABLE).is_file(), _folder),
        "nothing that its table names",
    ),
    "kaputt": Adapter(
        "datasets/query-<split>.parquet, or query-<split>.parquet",
        _one(is_kaputt, read_kaputt),
        "depth, masks of damage",
        audit_kaputt,
    ),
    "mvtec3d": Adapter(
        "train/good/{rgb,xyz}, test/<defect>/{rgb,xyz,gt}",
        _one(is_mvtec_3d, read_mvtec_3d),
        "kinds, severity, products",
    ),
    "loco": Adapter(
        "test/{good,logical_anomalies,structural_anomalies}, ground_truth/<type>/<stem>/000.png",
        _one(is_loco, read_loco),
        "depth, kinds, severity, products",
    ),
    "eyecandies": Adapter(
        "test_public/data/NN_image_0.png, NN_depth.png, NN_<kind>_mask.png",
        _one(is_eyecandies, read_eyecandies),
        "severity, products",
    ),
    "visa": Adapter(
        "Data/Images/{Normal,Anomaly}, Data/Masks/Anomaly",
        _one(is_visa, read_visa),
        "depth, kinds, severity, products",
    ),
    "realiad": Adapter(
        "realiad_<size>/<category> and realiad_jsons/realiad_jsons/<category>.json",
        _realiad,
        "depth, kinds, severity, products",
    ),
    "armbench-video": Adapter(
        "test.csv, annotations/<id>.json, cropped_frames/<id>/ or videos/<id>.mp4",
        _one(is_armbench_video, read_armbench_video),
        "depth, masks, severity, products",
    ),
    "armbench-images": Adapter(
        "test.csv, data/<id>/*.json and *.jpg",
        _one(is_armbench_images, read_armbench_images),
        "depth, masks, severity, products",
    ),
    "tampar": Adapter(
        "*.json in COCO's form, uvmaps/id_XX_uvmap.png",
        _one(is_tampar, read_tampar),
        "depth, masks of damage, severity",
    ),
    "rgbd": Adapter(
        "color/, depth/, intrinsic.json or intrinsics/<frame>.json",
        _one(is_rgbd, read_rgbd),
        "what labels.csv does not say",
    ),
    "mvtec": Adapter(
        "train/good, test/<defect>, ground_truth/<defect>/<stem>_mask.png",
        _one(is_mvtec_ad, read_mvtec_ad),
        "depth, kinds, severity, products",
    ),
}
"""Asked in this order; MVTec AD is last, since its layout is the least particular."""


def find_real_sets(path: Path, format: str | None = None) -> list[RealSet]:
    """Sets at a path: itself, or its direct subfolders; an error that lists the layouts if there is none."""
    if format is not None and format not in ADAPTERS:
        raise DamagelandError(f"--format {format}: expected one of {', '.join(ADAPTERS)}")
    if not path.is_dir():
        raise DamagelandError(f"{path} is not a folder: name a folder that holds {QUERY_TABLE} and the images it lists")
    chosen = ADAPTERS if format is None else {format: ADAPTERS[format]}
    found = _sets_in(path, chosen) or [one for folder in subfolders(path) for one in _sets_in(folder, chosen)]
    if not found:
        layouts = "\n".join(f"  {name}: {adapter.layout}" for name, adapter in chosen.items())
        raise DamagelandError(
            f"{path} holds no {QUERY_TABLE} and is of no other known layout, nor is any of its direct subfolders. "
            f"Known are\n{layouts}\nSee docs/real-captures.md"
        )
    return found


def _sets_in(folder: Path, adapters: Mapping[str, Adapter]) -> list[RealSet]:
    for name, adapter in adapters.items():
        sets = adapter.sets(folder)
        if sets:
            audit = adapter.audit
            return [
                RealSet(one, folder, name, read, list if audit is None else lambda audit=audit: audit(folder))
                for one, read in sets.items()
            ]
    return []
