"""A recorded RGB-D session: colour and depth of every frame, registered, with intrinsics for each or for all.

``color/<frame>.jpg`` or ``.png``; ``depth/<frame>.png`` (uint16, ``depth_scale`` steps per metre, 1000 without it) or
``.npy`` (float metres); ``intrinsics/<frame>.json``, else ``intrinsic.json`` or ``camera_intrinsic.json`` for all.
These are what Open3D's recorders write: ``width``, ``height``, ``intrinsic_matrix`` (nine numbers, column by column),
or ``fx, fy, cx, cy``. Their pixel centres are whole numbers; ours are at one half. ``labels.csv``, optional: ``frame``
and any of ``item_identifier, defect, major_defect, defect_types, group, session, damage_mask``; without it nothing is
labelled.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ...sim.capture import Capture
from ...sim.errors import DamagelandError
from ..folder import parse_boolean, parse_types, read_table
from ..images import checked_depth, inside, read_steps
from .entry import Captures, Entry, Files, from_files, missing, pictures_in, read_json, stream

SHARED = ("intrinsic.json", "camera_intrinsic.json")
STEPS_PER_M = 1000.0


def is_rgbd(folder: Path) -> bool:
    """Whether a folder is a recorded session."""
    return (folder / "color").is_dir() and (folder / "depth").is_dir()


def read_rgbd(folder: Path) -> Captures:
    """Every frame is a capture; frames of a session are one group unless labels say otherwise."""
    labels = _labels(folder / "labels.csv")
    frames = pictures_in(folder / "color")
    unknown = sorted(set(labels) - {path.stem for path in frames})
    if unknown:
        raise DamagelandError(f"{folder / 'labels.csv'}: frame {unknown[0]!r} is not in {folder / 'color'}")
    return stream(folder, [_entry(folder, path, labels.get(path.stem)) for path in frames])


def _labels(path: Path) -> dict[str, tuple[str, Mapping[str, str]]]:
    rows: dict[str, tuple[str, Mapping[str, str]]] = {}
    for where, fields in read_table(path, ("frame",)) if path.is_file() else ():
        if fields["frame"] in rows:
            raise DamagelandError(f"{where}: frame {fields['frame']!r} was labelled before")
        rows[fields["frame"]] = (where, fields)
    return rows


def _entry(folder: Path, path: Path, told: tuple[str, Mapping[str, str]] | None) -> Entry:
    where, fields = told or (str(folder), {})
    defect = parse_boolean(where, "defect", fields.get("defect", ""))
    mask = fields.get("damage_mask")
    label = Capture(
        path.stem,
        fields.get("item_identifier") or None,
        "real",
        (),
        defect,
        parse_boolean(where, "major_defect", fields.get("major_defect", "")),
        parse_types(where, fields.get("defect_types", "")),
        group=fields.get("group") or fields.get("item_identifier") or folder.name,
        session=fields.get("session") or folder.name,
    )
    K, per_metre = _intrinsics(folder, path.stem)
    depth_path, depth = _depth(folder, path, per_metre)
    masks = (inside(where, "damage_mask", folder, mask),) if mask else ()
    files = Files(
        "camera", path, masks=masks, intact=defect is False and not mask, depth=depth, depth_path=depth_path, K=K
    )
    return from_files(label, files)


def _depth(folder: Path, path: Path, per_metre: float) -> tuple[Path, Any]:
    steps, metres = (folder / "depth" / f"{path.stem}{suffix}" for suffix in (".png", ".npy"))
    if steps.is_file():
        return steps, partial(read_steps, steps, 1 / per_metre)
    if metres.is_file():
        return metres, partial(_metres, metres)
    raise missing(steps, path)


def _metres(path: Path) -> Float[np.ndarray, "h w"]:
    try:
        depth = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DamagelandError(f"{path} is not a readable array of numbers: {error}") from None
    if not isinstance(depth, np.ndarray) or depth.ndim != 2 or depth.dtype.kind != "f":
        raise DamagelandError(f"{path}: expected a float array (h, w) of metres")
    return checked_depth(path, depth)


def _intrinsics(folder: Path, frame: str) -> tuple[Float[np.ndarray, "3 3"], float]:
    """K with pixel centres at one half, and steps of depth per metre."""
    paths = (folder / "intrinsics" / f"{frame}.json", *(folder / name for name in SHARED))
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise missing(folder / SHARED[0], f"frame {frame!r}")
    content = read_json(path)
    try:
        matrix = content.get("intrinsic_matrix")
        if matrix is not None:
            K = np.array(matrix, dtype=np.float64).reshape(3, 3).T
        else:
            fx, fy, cx, cy = (float(content[name]) for name in ("fx", "fy", "cx", "cy"))
            K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
        per_metre = float(content.get("depth_scale") or STEPS_PER_M)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DamagelandError(f"{path}: expected intrinsic_matrix (nine numbers), or fx, fy, cx and cy") from None
    if not (np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0 and K[2].tolist() == [0, 0, 1] and per_metre > 0):
        raise DamagelandError(
            f"{path}: {K.tolist()} is no camera matrix; intrinsic_matrix goes column by column, as Open3D writes it"
        )
    K[:2, 2] += 0.5
    return K, per_metre
