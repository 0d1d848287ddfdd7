"""Kaputt: parquet tables of queries and references, and folders of pictures, crops and silhouettes."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import simplejpeg

from .folder import TRACE
from .source import SPLITS, DataSet, Shot
from .target import Target

NAME = "kaputt"
NO_ITEM = "do not show the item"
QUERY = pa.schema(
    [
        ("capture_id", pa.string()),
        ("item_identifier", pa.string()),
        ("item_material", pa.string()),
        ("defect", pa.bool_()),
        ("major_defect", pa.bool_()),
        ("defect_types", pa.string()),
        ("query_image", pa.string()),
        ("query_crop", pa.string()),
        ("query_mask", pa.string()),
    ]
)
REFERENCE = pa.schema(
    [(name, pa.string()) for name in ("item_identifier", "reference_image", "reference_crop", "reference_mask")]
)
SUFFIXES = {"image": "jpg", "crop": "jpg", "mask": "png"}
BATCH = 4096
"""Rows held in memory before they go to the file."""


class Tables:
    """Parquet files ``datasets/<query|reference>-<split>.parquet`` that are written as rows come."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.rows: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        self.writers: dict[tuple[str, str], pyarrow.parquet.ParquetWriter] = {}

    def add(self, table: str, split: str, row: Mapping[str, Any]) -> None:
        """Append a row."""
        rows = self.rows.setdefault((table, split), [])
        rows.append(row)
        if len(rows) >= BATCH:
            self._flush((table, split))

    def flush(self) -> None:
        """Write the rows that are still held, and empty tables for splits without any: readers open all six."""
        for key in ((table, split) for table in ("query", "reference") for split in SPLITS):
            self._flush(key)

    def close(self) -> None:
        """No more rows."""
        for writer in self.writers.values():
            writer.close()

    def _flush(self, key: tuple[str, str]) -> None:
        schema = QUERY if key[0] == "query" else REFERENCE
        if key not in self.writers:
            path = self.target.path(f"datasets/{key[0]}-{key[1]}.parquet")
            self.writers[key] = pyarrow.parquet.ParquetWriter(path, schema)
        self.writers[key].write_table(pa.Table.from_pylist(self.rows.get(key, []), schema=schema))
        self.rows[key] = []


def export_kaputt(data: DataSet, target: Target) -> None:
    """Write ``datasets/*.parquet`` and ``<query|reference>-<image|crop|mask>/data/<split>/…``."""
    alone = len(data.selection.cameras or data.cameras) == 1
    with closing(Tables(target)) as tables:
        for shot in data.shots():
            mask = shot.item(NAME) > 0
            if shot.label.trace or not mask.any():
                target.left_out[TRACE if mask.any() else NO_ITEM] += 1
                continue
            table = "reference" if shot.capture.role == "reference" else "query"
            name = shot.capture.capture_id if alone else shot.name
            values = {kind: f"data/{shot.split}/{table}-data/{kind}/{name}.{SUFFIXES[kind]}" for kind in SUFFIXES}
            target.write(f"{table}-image/{values['image']}", shot.jpeg())
            x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
            crop = np.ascontiguousarray(shot.view.rgb[y : y + height, x : x + width])
            target.write(f"{table}-crop/{values['crop']}", simplejpeg.encode_jpeg(crop, 95, "RGB", "444"))
            target.write_png(f"{table}-mask/{values['mask']}", np.where(mask, 255, 0).astype(np.uint8))
            target.views[shot.split] += 1
            files = {f"{table}_{kind}": value for kind, value in values.items()}
            tables.add(table, shot.split, _labels(shot, name, table) | files)
        tables.flush()


def _labels(shot: Shot, name: str, table: str) -> dict[str, Any]:
    capture, label = shot.capture, shot.label
    if table == "reference":
        return {"item_identifier": capture.item_identifier}
    return {
        "capture_id": name,
        "item_identifier": capture.item_identifier,
        "item_material": capture.item_material,
        "defect": label.defect,
        "major_defect": label.major,
        "defect_types": ",".join(label.kinds) or None,
    }
