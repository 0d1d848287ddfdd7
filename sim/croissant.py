"""``croissant.json``: what a data set's files and columns mean, in the words that catalogues of data sets read.

The vocabulary is Croissant 1.0 (http://mlcommons.org/croissant/1.0). Nothing in it depends on the clock, so there is no
``datePublished``: whoever publishes a set adds it.
"""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from .manifest import column_help
from .store import Source, as_store

CROISSANT = "croissant.json"
_TERMS = (
    "citeAs column conformsTo data dataType equivalentProperty examples extract field fileObject fileProperty fileSet "
    "format includes isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace "
    "samplingRate separator source subField transform"
)
_SPECIAL: dict[str, Any] = {
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    **{term: f"cr:{term}" for term in _TERMS.split()},
    **_SPECIAL,
}
MEMBERS = {
    "json": ("*.json", "application/json", "labels, measures in physical units, cameras and provenance of a capture"),
    "rgb": ("*.rgb.jpg", "image/jpeg", "sRGB picture of a camera"),
    "depth": ("*.depth.png", "image/png", "uint16 depth along the optical axis, 0.1 mm per step, 0 = no return"),
    "item": ("*.item.png", "image/png", "uint8: 0 is background and tray, then one number per unit"),
    "part": ("*.part.png", "image/png", "uint16: 8 × part + surface"),
    "damage": ("*.damage.png", "image/png", "uint8 bit mask, one bit per kind of damage"),
}
"""What lies in a shard, by the pattern of its name."""


def croissant_text(
    folder: Source, table: pa.Table, *, name: str, description: str, licence: str, provenance: str, limits: str
) -> str:
    """The JSON of a folder with this manifest."""
    document: Mapping[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": description,
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": licence,
        "isLiveDataset": False,
        "rai:dataCollection": provenance,
        "rai:dataLimitations": limits,
        "distribution": [_manifest_file(folder), _shard_files(), *_member_files()],
        "recordSet": [_records(table)],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _manifest_file(folder: Source) -> dict[str, Any]:
    path = as_store(folder) / "manifest.parquet"
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "description": "One row per capture.",
        "contentUrl": path.name,
        "contentSize": f"{path.size()} B",
        "encodingFormat": "application/x-parquet",
        "sha256": path.sha256(),
    }


def _shard_files() -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": "shards",
        "name": "shards",
        "description": "WebDataset shards; the file `checksums` has the SHA-256 of each.",
        "encodingFormat": "application/x-tar",
        "includes": "shard-*.tar",
    }


def _member_files() -> list[dict[str, Any]]:
    return [
        {
            "@type": "cr:FileSet",
            "@id": f"shards/{name}",
            "name": f"shards-{name}",
            "description": meaning,
            "containedIn": {"@id": "shards"},
            "encodingFormat": kind,
            "includes": pattern,
        }
        for name, (pattern, kind, meaning) in MEMBERS.items()
    ]


def _records(table: pa.Table) -> dict[str, Any]:
    meaning = dict(column_help(table))
    return {
        "@type": "cr:RecordSet",
        "@id": "captures",
        "name": "captures",
        "description": "The rows of the manifest.",
        "key": {"@id": "captures/capture_id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"captures/{column.name}",
                "name": column.name,
                "description": meaning[column.name],
                "dataType": _data_type(column.type),
                "source": {"fileObject": {"@id": "manifest.parquet"}, "extract": {"column": column.name}},
            }
            for column in table.schema
        ],
    }


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
