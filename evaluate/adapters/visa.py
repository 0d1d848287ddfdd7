"""VisA: a folder per object with normal and anomalous pictures, and tables that split them.

With ``split_csv/1cls.csv`` (or ``1cls.csv``) beside the objects, its test rows are measured and its training rows are
the gallery; without, all pictures are measured. Masks hold class indices, which look black: whatever is not 0 is
damage.
"""

from pathlib import Path

from ...sim.capture import Capture
from ...sim.errors import DamagelandError
from ..folder import read_table
from ..images import inside
from .entry import Captures, Entry, Files, from_files, missing, pictures_in, refuse_shared, stream

COLUMNS = ("object", "split", "label", "image", "mask")


def is_visa(folder: Path) -> bool:
    """Whether a folder is an object of VisA."""
    return (folder / "Data" / "Images" / "Normal").is_dir()


def read_visa(folder: Path) -> Captures:
    """An object of VisA."""
    tables = (folder.parent / "split_csv" / "1cls.csv", folder.parent / "1cls.csv")
    table = next((path for path in tables if path.is_file()), None)
    return stream(folder, _without_table(folder) if table is None else _from_table(folder, table))


def _without_table(folder: Path) -> list[Entry]:
    images, masks = folder / "Data" / "Images", folder / "Data" / "Masks" / "Anomaly"
    entries = [_entry(folder, path, None, "test") for path in pictures_in(images / "Normal")]
    for path in pictures_in(images / "Anomaly"):
        mask = masks / f"{path.stem}.png"
        if not mask.is_file():
            raise missing(mask, path)
        entries.append(_entry(folder, path, mask, "test"))
    return entries


def _from_table(folder: Path, table: Path) -> list[Entry]:
    root, entries, seen = folder.parent, list[Entry](), list[tuple[str, str]]()
    for where, row in read_table(table, COLUMNS):
        if row["object"] != folder.name:
            continue
        if row["label"] not in ("normal", "anomaly"):
            raise DamagelandError(f"{where}: label is {row['label']!r}, expected normal or anomaly")
        image = inside(where, "image", root, row["image"])
        mask = inside(where, "mask", root, row["mask"]) if row["label"] == "anomaly" else None
        seen.append((row["image"], row["split"]))
        entries.append(_entry(folder, image, mask, row["split"]))
    refuse_shared(table, "picture", seen)
    return entries


def _entry(folder: Path, path: Path, mask: Path | None, split: str) -> Entry:
    label = Capture(
        f"{path.parent.name.lower()}-{path.stem}",
        folder.name if split == "train" else None,
        "real",
        (),
        mask is not None,
        role="reference" if split == "train" else "query",
        split=split,
        attributes={"category": folder.name},
    )
    return from_files(label, Files("query", path, masks=() if mask is None else (mask,), intact=mask is None))
