"""ARMBench's two sets of package defects: pictures of picks, and videos of them.

``test.csv`` lists what is measured, one pick per line. Several items in one pick (``multi_pick``) are no damage, nor
are they intact packages: such pictures have no label here. ``polygon`` outlines no damage that we could be sure of, so
there are no masks. Of a video, some frames are views of one capture: from ``cropped_frames/<id>/``, else from
``videos/<id>.mp4``.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...sim.capture import Capture, View
from ...sim.errors import DamagelandError
from .entry import Captures, Entry, Files, from_files, is_nan, missing, pictures_in, read_json, refuse_shared, stream

KINDS = {
    "open_book_jacket": "actuation",
    "open_book": "actuation",
    "open_box": "actuation",
    "crush_box": "deformation",
    "empty_bag": "missing_unit",
    "torn_bag": "penetration",
}
"""Sublabels whose kind is plain; partial_box and book_jacket have none."""
IMAGE_LABELS = {"nominal": False, "package_defect": True, "multi_pick": None}
VIDEO_LABELS: dict[str, tuple[str, ...]] = {
    "nominal": (),
    "open": ("actuation",),
    "deconstruction": ("deconstruction",),
}
FRAMES = 5


def is_armbench_images(folder: Path) -> bool:
    """Whether a folder is ARMBench's set of pictures."""
    return (folder / "test.csv").is_file() and (folder / "data").is_dir()


def is_armbench_video(folder: Path) -> bool:
    """Whether a folder is ARMBench's set of videos."""
    return (folder / "test.csv").is_file() and (folder / "annotations").is_dir()


def _picks(folder: Path) -> list[str]:
    """Ids of the test split, none of which may be in the training split."""
    pairs = []
    for split in ("train", "test"):
        path = folder / f"{split}.csv"
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else []
        except UnicodeDecodeError as error:
            raise DamagelandError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8") from None
        for number, line in enumerate(lines, 1):
            name = line.strip().strip('"')
            if name and (Path(name).name != name or name in (".", "..")):
                raise DamagelandError(f"{path}, line {number}: {line!r} is no id of a pick")
            pairs += [(name, split)] if name else []
    refuse_shared(folder, "pick", pairs)
    return [name for name, split in dict.fromkeys(pairs) if split == "test"]


def read_armbench_images(folder: Path) -> Captures:
    """Every labelled picture of the test picks; those of a pick are one group."""
    entries = []
    for pick in _picks(folder):
        for path in sorted((folder / "data" / pick).glob("*.json")):
            entries.append(_image(path, pick))
    return stream(folder, entries)


def _image(path: Path, pick: str) -> Entry:
    content = read_json(path)
    label = content.get("label") if isinstance(content, dict) else None
    if not isinstance(label, str) or label not in IMAGE_LABELS:
        raise DamagelandError(f"{path}: label is {label!r}, expected {', '.join(IMAGE_LABELS)}")
    name = Path(str(content.get("id", path.stem))).name.removesuffix(".jpg")
    picture = path.parent / f"{name}.jpg"
    if not picture.is_file():
        raise missing(picture, path)
    told = content.get("sublabel")
    words = () if is_nan(told) else tuple(told) if isinstance(told, list) else (str(told),)
    words = tuple(str(word) for word in words if word)
    damaged = IMAGE_LABELS[label]
    capture = Capture(
        name,
        None,
        "real",
        (),
        damaged,
        defect_types=tuple(dict.fromkeys(KINDS[word] for word in words if word in KINDS)) if damaged else (),
        split="test",
        group=pick,
        attributes={"defect_names": words if damaged else ()},
    )
    return from_files(capture, Files("pick", picture, intact=damaged is False))


def read_armbench_video(folder: Path) -> Captures:
    """Every video of the test split."""
    return stream(folder, [_video(folder, pick) for pick in _picks(folder)])


def _video(folder: Path, pick: str) -> Entry:
    path = folder / "annotations" / f"{pick}.json"
    if not path.is_file():
        raise missing(path, folder / "test.csv")
    content = read_json(path)
    kinds = _video_kinds(path, content.get("label") if isinstance(content, dict) else content)
    capture = Capture(
        pick,
        None,
        "real",
        (),
        None if kinds is None else bool(kinds),
        defect_types=kinds or (),
        split="test",
        group=pick,
    )
    frames = pictures_in(folder / "cropped_frames" / pick)
    if frames:
        chosen = [frames[i] for i in spread(len(frames))]
        intact = capture.defect is False
        return from_files(capture, *(Files(f"frame{i}", one, intact=intact) for i, one in enumerate(chosen)))
    video = folder / "videos" / f"{pick}.mp4"
    if not video.is_file():
        raise missing(video, path)
    return Entry(capture, partial(_decode, path=video))


def _video_kinds(path: Path, label: Any) -> tuple[str, ...] | None:
    """Kinds by name or by two bits (open, deconstruction); None where the label is NaN."""
    if is_nan(label):
        return None
    if isinstance(label, list) and len(label) == 2 and all(bit in (0, 1) for bit in label):
        return tuple(kind for kind, bit in zip(("actuation", "deconstruction"), label, strict=True) if bit)
    if isinstance(label, str) and label in VIDEO_LABELS:
        return VIDEO_LABELS[label]
    raise DamagelandError(f"{path}: label is {label!r}, expected {', '.join(VIDEO_LABELS)}, or two bits")


def spread(count: int) -> list[int]:
    """Numbers of some frames, evenly over a video, ends left out where they can be."""
    return sorted({int((i + 0.5) * count / FRAMES) for i in range(FRAMES)})


def _decode(label: Capture, *, path: Path) -> Capture:
    video = cv2.VideoCapture(str(path))
    try:
        count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        wanted, views = set(spread(count)) if count > 0 else set(), []
        for number in range(max(count, 0)):
            ok, frame = video.read()
            if not ok:
                break
            if number in wanted:
                rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                blank = np.zeros(rgb.shape[:2], np.uint8) if label.defect is False else None
                views.append(View(camera=f"frame{len(views)}", rgb=rgb, damage=blank))
    finally:
        video.release()
    if not views:
        raise DamagelandError(f"{path} is not a readable video")
    return replace(label, views=tuple(views))
