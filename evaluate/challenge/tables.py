"""The tables of the challenge: what is known before a picture is looked at, and what has to be predicted.

Every table is there twice, as parquet and as csv with the same rows. What only the renderer knows (measures,
generators, severity, lookalikes, how many units are really there) is left out of the columns that may be learned from.
Twins are in the train split alone: elsewhere the name of one would give its label away.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from jaxtyping import Float

from ...sim.errors import DamagelandError
from ...sim.files import write_atomic
from ...sim.manifest import manifest_rows
from ...sim.scene import KINDS
from ...sim.store import Source

SPLITS = ("train", "validation", "test")
KEYS = ("capture_id", "item_identifier", "item_material")
LABELS = ("defect", "major_defect", "defect_types")
KNOWN = (
    "role", "family", "category", "title", "description", "brand", "ean",
    "dimensions_mm_x", "dimensions_mm_y", "dimensions_mm_z", "catalogue_mass_g", "actual_mass_g", "expected_units",
    "captured_on", "cameras", "query_image",
)  # fmt: skip
"""What a station knows of a capture beside its pictures: the catalogue's entry, the scale, the day."""
NUMBERS = (
    "dimensions_mm_x",
    "dimensions_mm_y",
    "dimensions_mm_z",
    "catalogue_mass_g",
    "actual_mass_g",
    "expected_units",
)
NAMES = ("item_material", "family")
Row = Mapping[str, Any]


def challenge_rows(data: Source) -> dict[str, list[Row]]:
    """Queries of each split, in training their twins too; a set that lacks a class in train or test is refused."""
    rows = manifest_rows(data)
    found: dict[str, list[Row]] = {
        split: [r for r in rows if r["split"] == split and r["role"] in ("query", "twin" if split == "train" else "")]
        for split in SPLITS
    }
    for split in ("train", "test"):
        labels = {bool(row["defect"]) for row in found[split]}
        if len(labels) < 2:
            raise DamagelandError(
                f"{data}: the {split} split lacks {'damaged' if True not in labels else 'intact'} queries: a challenge "
                "needs both; render more products, or a smaller damaged_share"
            )
    return found


def write_tables(data: Source, out: Path) -> list[Path]:
    """Write ``query-<split>`` (labels but in the test), ``reference-<split>`` and ``sample_submission``."""
    rows = challenge_rows(data)
    written = []
    for split in SPLITS:
        labels = LABELS if split != "test" else ()
        written += write_twins(out / f"query-{split}", rows[split], (*KEYS, *labels, *KNOWN))
    references = [row for row in manifest_rows(data) if row["role"] == "reference"]
    for split in SPLITS:
        written += write_twins(
            out / f"reference-{split}", [r for r in references if r["split"] == split], (*KEYS, *KNOWN)
        )
    sample = [{"capture_id": row["capture_id"], "pred": 0.5} for row in rows["test"]]
    return written + write_twins(out / "sample_submission", sample, ("capture_id", "pred"))


def write_twins(stem: Path, rows: Sequence[Row], columns: Sequence[str]) -> list[Path]:
    """Write rows as ``<stem>.parquet`` and ``<stem>.csv``; columns that no row has are left out."""
    kept = [name for name in columns if not rows or any(name in row for row in rows)]
    table = pa.table({name: pa.array([row.get(name) for row in rows]) for name in kept})
    parquet, csv = io.BytesIO(), io.BytesIO()
    pyarrow.parquet.write_table(table, parquet)
    pyarrow.csv.write_csv(table, csv)
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("parquet", "csv")]
    for path, content in zip(paths, (parquet, csv), strict=True):
        write_atomic(path, content.getvalue())
    return paths


def features(rows: Sequence[Row], names: Mapping[str, Sequence[str]]) -> Float[np.ndarray, "n d"]:
    """What may be learned from, as numbers: columns, the scale over the catalogue, and names one-hot."""

    def number(row: Row, name: str) -> float:
        value = row.get(name)
        return float("nan") if value is None else float(value)

    plain = np.array([[number(row, name) for name in NUMBERS] for row in rows]).reshape(len(rows), len(NUMBERS))
    mass, weighed = plain[:, NUMBERS.index("catalogue_mass_g")], plain[:, NUMBERS.index("actual_mass_g")]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = (weighed / mass)[:, None]
    hot = [[float(row.get(name) == value) for name in NAMES for value in names[name]] for row in rows]
    return np.concatenate([plain, ratio, np.array(hot).reshape(len(rows), -1)], axis=1)


def predict_tables(data: Source) -> list[Row]:
    """Our entry that looks at no picture: gradient boosting on the tabular columns, for damage and each kind."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows = challenge_rows(data)
    names = {name: sorted({str(row.get(name)) for row in rows["train"]}) for name in NAMES}
    learn, ask = features(rows["train"], names), features(rows["test"], names)
    tells = [len(np.unique(column[np.isfinite(column)])) > 1 for column in learn.T]
    learn, ask = learn[:, tells], ask[:, tells]

    def scores(shown: np.ndarray) -> np.ndarray:
        if shown.all() or not shown.any() or not any(tells):
            return np.full(len(ask), float(shown.mean()))
        model = HistGradientBoostingClassifier(max_iter=60, min_samples_leaf=10, random_state=0)
        return model.fit(learn, shown).predict_proba(ask)[:, 1]

    kinds = [str(row["defect_types"] or "").split(",") for row in rows["train"]]
    columns = {"pred": scores(np.array([bool(row["defect"]) for row in rows["train"]]))}
    columns |= {kind: scores(np.array([kind in shown for shown in kinds])) for kind in KINDS}
    return [
        {"capture_id": row["capture_id"]} | {name: float(values[i]) for name, values in columns.items()}
        for i, row in enumerate(rows["test"])
    ]
