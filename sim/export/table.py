"""The formats of exports, and the one function that writes any of them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import jinja2
from rich.console import Console
from rich.progress import Progress

from ..errors import DamagelandError
from ..store import Source
from .bop import export_bop
from .coco import export_coco
from .folder import export_folder
from .kaputt import export_kaputt
from .mvtec3d import export_mvtec3d
from .source import DataSet, Selection, close_match, open_data_set
from .target import Target, building
from .yolo import export_yolo


@dataclass(frozen=True)
class Format:
    """A format: what writes it, and what a data set keeps and loses in it."""

    write: Callable[[DataSet, Target], None]
    help: str
    keeps: str
    loses: str


FORMATS: dict[str, Format] = {
    "kaputt": Format(
        export_kaputt,
        "parquet tables of queries and references with pictures, crops and silhouettes",
        "labels, kinds and material in Kaputt's words; splits; pictures as they are; the item's silhouette. Queries "
        "and twins become queries, references become references.",
        "Depth, cameras, severity beyond major or not, damage masks (Kaputt's masks are silhouettes), which query is "
        "whose twin. Each camera's view is a row of its own, so an item may have more than three references.",
    ),
    "mvtec3d": Format(
        export_mvtec3d,
        "rgb, xyz and gt per view, sorted by category, split and damage",
        "depth as points in metres, one mask of damage in `test`, splits, colour without further loss. A packaging "
        "family is a category; queries, twins and references without damage are all `good`.",
        "Kinds that overlap (the folder is `combined`, the mask their union), tolerable damage (it is `good`, its mask "
        "empty), twins and references, views without depth, and damaged views of training and validation products: "
        "the format trains on good ones only.",
    ),
    "coco": Format(
        export_coco,
        "instances with run-length masks, one JSON per split",
        "the damage image bit by bit, one annotation per kind and view; overlaps; severity, tolerable, amodal, role, "
        "twin and references as further keys, which readers of the format pass over.",
        "Depth, item and part images, cameras, measures. Kinds are told apart, two dents in one view are not.",
    ),
    "bop": Format(
        export_bop,
        "scenes with cameras, item poses, depth and silhouettes",
        "depth to the step, cameras, the item's pose in mm, its silhouette; the damage image in a folder `damage` of "
        "our own; roles and labels in `captures.csv`.",
        "Meshes (there is no `models/`), poses of single units, kinds and severity inside the format's own files. What "
        "stands in front of an item is not known: `mask` repeats `mask_visib`, and `visib_fract` is 1.",
    ),
    "yolo": Format(
        export_yolo,
        "segmentation polygons per picture, and data.yaml",
        "a polygon around each connected piece of damage, by kind; splits; pictures without damage as negatives.",
        "Depth, cameras, twins, references, severity. Kinds of which every damage is tolerable have no polygons. Holes "
        "in a mask become slits; each piece counts as an instance.",
    ),
    "folder": Format(
        export_folder,
        "pictures in folders good/<kind> per split, and a table",
        "pictures as they are, the verdict of each view as its folder, roles and links in `captures.csv`.",
        "Depth, masks, cameras. Several kinds in one view are `combined`; views that show only a trace of a damage, "
        "and views nobody judged, have no folder and are left out.",
    ),
}

_README = """\
# {{ data.name }} as {{ name }}

Made by `damageland export {{ name }}` from the data set whose file `checksums` has the SHA-256
`{{ data.fingerprint }}`.

- views: {{ views }}
- cameras: {{ cameras }}; roles: {{ roles }}; splits: {{ splits }}
{% for reason, count in left_out %}- left out: {{ count }} views that {{ reason }}
{% endfor %}
**Kept:** {{ entry.keeps }}

**Lost:** {{ entry.loses }}

**Licence:** {{ data.licence }}
"""


def export(name: str, source: Source, out: Path, selection: Selection, *, progress: bool = False) -> Target:
    """Write a finished data set in another format: whole, or not at all. ``progress`` shows a bar."""
    if name not in FORMATS:
        raise DamagelandError(f"format {name!r}: expected one of {', '.join(FORMATS)}{close_match(name, FORMATS)}")
    entry, data = FORMATS[name], open_data_set(source, selection)
    with building(out) as target:
        with Progress(console=Console(stderr=True), transient=True, disable=not progress) as bar:
            task = bar.add_task(f"{name}: captures", total=data.captures)
            entry.write(replace(data, on_capture=lambda: bar.advance(task)), target)
        if not target.views:
            raise DamagelandError(f"nothing of {source} to export as {name}: {_why_empty(target.left_out)}")
        target.write("README.md", _readme(name, data, target))
    return target


def _why_empty(left_out: Counter[str]) -> str:
    if not left_out:
        return "no capture has the cameras, roles and splits asked for"
    return "; ".join(f"{count} views {reason}" for reason, count in sorted(left_out.items()))


def _readme(name: str, data: DataSet, target: Target) -> str:
    selection = data.selection
    return jinja2.Template(_README, undefined=jinja2.StrictUndefined, keep_trailing_newline=True).render(
        name=name,
        data=data,
        entry=FORMATS[name],
        views=", ".join(f"{count} {split}" for split, count in sorted(target.views.items())),
        cameras=", ".join(selection.cameras or data.cameras),
        roles=", ".join(selection.roles) or "all",
        splits=", ".join(selection.splits) or "all",
        left_out=sorted(target.left_out.items()),
    )
