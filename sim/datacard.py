"""The data card of an output folder: ``README.md``, ``card.jpg``, ``croissant.json``; all derived from the shards."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import cv2
import jinja2
import numpy as np
import pyarrow as pa
import simplejpeg
import yaml
from jaxtyping import Float, UInt8

from .capture import Capture, Severity, View
from .croissant import CROISSANT, croissant_text
from .files import sha256_of
from .manifest import column_help, pc, split_list
from .scene import KINDS, SURFACES
from .shards import DEPTH_UNIT_M, read_headers, read_shard, shard_paths
from .store import Source, Store, as_store

CARD_FILES = ("README.md", "card.jpg", CROISSANT)
PANEL_PX = 224
"""Side of one square picture of the strip."""

_TEMPLATE = """\
---
pretty_name: {{ name }}
license: other
task_categories: [image-classification, image-segmentation]
tags: [damage, anomaly-detection, synthetic, rgb-d, webdataset]
---

# {{ name }}: damaged products in RGB-D with exact labels

![Twin, damaged, damage mask, depth]({{ picture }})

Each row is one {{ "damaged capture" if damaged else "capture" }}: its undamaged twin, the picture itself, the label of
the damage in red, and depth (near is red, far is blue, black is no return).

## What is inside

{{ products }} products, {{ captures }} captures, {{ shards }} shards ({{ "%.1f"|format(megabytes) }} MB),
{{ origins }}.

| captures by | |
|---|---|
{% for title, counts in tables %}| {{ title }} | {{ counts }} |
{% endfor %}
| damages by kind | none (tolerable) | minor | major |
|---|---|---|---|
{% for kind, counts in severities %}| {{ kind }} | {{ counts|join(" | ") }} |
{% endfor %}
| camera | pixels | colour | depth | labels |
|---|---|---|---|---|
{% for camera in cameras %}| {{ camera.name }} | {{ camera.size }} | yes | {{ camera.depth }} | {{ camera.labels }} |
{% endfor %}
## How to read it

With Python's own `tarfile` (any tar tool will do):

```python
import io, json, tarfile
from PIL import Image
with tarfile.open("{{ example.shard }}") as tar:
    labels = json.load(tar.extractfile("{{ example.id }}.json"))
    picture = Image.open(io.BytesIO(tar.extractfile("{{ example.image }}").read()))
```

With [`webdataset`](https://github.com/webdataset/webdataset):

```python
import json, webdataset
shards = "shard-{000000..{{ "%06d"|format(shards - 1) }}}.tar"
for sample in webdataset.WebDataset(shards, shardshuffle=False):
    labels = json.loads(sample["json"])
    jpeg = sample["{{ example.key }}"]
```

Decode the 16-bit PNGs yourself (`cv2.imdecode(…, cv2.IMREAD_UNCHANGED)`): webdataset's own image decoders cut them to
8 bits. With damageland: `damageland.sim.shards.read_captures(folder)`.

| member of a shard | what it holds |
|---|---|
| `<capture_id>.json` | labels, measures in physical units, cameras, provenance |
| `<capture_id>.<camera>.rgb.jpg` | sRGB picture |
| `<capture_id>.<camera>.depth.png` | uint16 depth along the optical axis in units of {{ depth_mm }} mm, 0 = no return |
| `<capture_id>.<camera>.item.png` | uint8: 0 is background and tray, then one number per unit |
| `<capture_id>.<camera>.part.png` | uint16: 8 × part + surface, surfaces in order: {{ surfaces }} |
| `<capture_id>.<camera>.damage.png` | uint8 bit mask, bit 0 first: {{ kinds }} |

All images of a camera are aligned to the pixel. In the JSON, `K` is the pinhole matrix in pixels (pixel centres at
+0.5) and `T_world_cam` takes points of the camera frame (x right, y down, z forward; metres) to the world.

In other formats: `damageland export coco <this folder> --out <new folder>`, or `kaputt`, `mvtec3d`, `bop`, `yolo`,
`folder` instead of `coco`. Catalogues of data sets read `croissant.json`.

## Manifest

`manifest.parquet` and `manifest.csv` hold the same rows, one per capture:

| column | meaning |
|---|---|
{% for column, meaning in columns %}| `{{ column }}` | {{ meaning }} |
{% endfor %}
## Where it comes from

{{ provenance }}
`sha256sum -c checksums` verifies every file, `damageland check` also what is in them.

## Licence

{{ licence }}

## Limits

{{ limits }}
"""
_OURS = "Our own renderings, made by damageland; no third-party material. Whoever renders a set chooses its licence."
_THEIRS = "Holds captures that were not rendered by damageland: the licence of their source applies to them."
_LIMITS_SYNTHETIC = """\
- Rendered, not photographed: materials, wear and damage are models of the real thing. Measure on real photographs
  before you rely on a detector trained here.
- How often kinds and severities occur is the recipe's choice, not a statistic of any warehouse.
- The label of a missing unit or of a lost surface is amodal: it shows where the thing would be seen.
- A damage that no camera sees makes no positive; the JSON's `visible_fraction` says how much of it is seen.
- `defect` is said of a capture, all cameras together: a damage on one side does not show in a picture of the other.
- `T_world_item` in the JSON is where the item's pristine form lies; contents and units have no poses of their own."""
_LIMITS_REAL = "- Labels of real captures are those of their source; label images exist only where a person drew them."


@dataclass
class Summary:
    """What the card says of the captures' JSON: gathered in one pass, so that a million need no memory."""

    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Of the first capture; the recipe's part of it holds for all."""
    sizes: dict[str, set[str]] = field(default_factory=dict)
    """Sizes of pictures by camera, in the order in which cameras come."""
    images: dict[str, set[str]] = field(default_factory=dict)
    """Which images a camera has."""
    damages: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind and severity."""
    renderers: set[str] = field(default_factory=set)


def summarise(headers: Iterable[Mapping[str, Any]]) -> Summary:
    """Walk through the JSON of captures once."""
    summary = Summary()
    for number, header in enumerate(headers):
        if number == 0:
            summary.provenance = header["provenance"]
        for view in header["views"]:
            summary.sizes.setdefault(view["camera"], set()).add(f"{view['width']}×{view['height']}")
            summary.images.setdefault(view["camera"], set()).update(name.split(".")[0] for name in view["images"])
        summary.damages.update((damage["kind"], damage["severity"]) for damage in header["damages"])
        summary.renderers.add(str(header["provenance"].get("renderer", "none")))
    return summary


def write_card(source: Source, table: pa.Table) -> None:
    """Write the data card of a folder from its shards and its manifest."""
    folder = as_store(source)
    summary = summarise(header for path in shard_paths(folder) for header in read_headers(path))
    origins = _origins(table)
    croissant = croissant_text(
        folder,
        table,
        name=recipe_name(folder),
        description=f"{table.num_rows} captures of packaged products, some of them damaged, in colour and depth, "
        "labelled to the pixel.",
        licence=licence_text(origins),
        provenance=_provenance(folder, summary),
        limits=_limits(origins),
    )
    (folder / "card.jpg").write(simplejpeg.encode_jpeg(contact_strip(folder, table), 88, "RGB", "444"))
    (folder / "README.md").write(card_text(folder, table, summary))
    (folder / CROISSANT).write(croissant)


def _limits(origins: Collection[str]) -> str:
    return "\n".join([_LIMITS_SYNTHETIC] * ("synthetic" in origins) + [_LIMITS_REAL] * ("real" in origins))


def card_text(folder: Store, table: pa.Table, summary: Summary) -> str:
    """Markdown of the data card; depends on the shards and the recipe only, not on the clock or the folder's name."""
    paths = shard_paths(folder)
    first = table.slice(0, 1).to_pylist()[0]
    origins = _origins(table)
    image = first["query_image"].partition("/")[2]
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    return environment.from_string(_TEMPLATE).render(
        name=recipe_name(folder),
        picture="card.jpg",
        damaged=bool(pc.any(table["defect"]).as_py()),
        products=len(table["item_identifier"].unique()),
        captures=table.num_rows,
        shards=len(paths),
        megabytes=sum(path.size() for path in paths) / 1e6,
        origins=" and ".join(origins),
        tables=_counts(table),
        severities=_severities(summary),
        cameras=_cameras(summary),
        example={
            "shard": first["shard"],
            "id": first["capture_id"],
            "image": image,
            "key": image.partition(".")[2].lower(),  # webdataset lowers keys
        },
        depth_mm=f"{DEPTH_UNIT_M * 1000:g}",
        surfaces=", ".join(SURFACES),
        kinds=", ".join(KINDS),
        columns=column_help(table),
        provenance=_provenance(folder, summary),
        licence=licence_text(origins),
        limits=_limits(origins),
    )


def licence_text(origins: Collection[str]) -> str:
    """What may be done with captures of these origins."""
    return _OURS if set(origins) == {"synthetic"} else _THEIRS


def _recipe(folder: Store) -> Mapping[str, Any]:
    path = folder / "recipe.lock.yaml"
    recipe = yaml.safe_load(path.read_text()) if path.is_file() else None
    return recipe if isinstance(recipe, Mapping) else {}


def recipe_name(folder: Store) -> str:
    """Name of the recipe that an output folder holds."""
    return str(_recipe(folder).get("name", "damageland set"))


def _origins(table: pa.Table) -> list[str]:
    return sorted(table["origin"].unique().to_pylist())


def _counts(table: pa.Table) -> list[tuple[str, str]]:
    """Counts of captures by role, split, kind, severity, generator, material and family, in a fixed order."""

    def tally(name: str) -> Counter[str]:
        return Counter(value or "unknown" for value in table[name].to_pylist())

    families = table["family"].to_pylist() if "family" in table.column_names else []
    tables = (
        ("role", tally("role")),
        ("split", tally("split")),
        ("kind of damage", Counter(split_list(table, "defect_types"))),
        ("severity", tally("severity")),
        ("generator", Counter(split_list(table, "generators"))),
        ("material", tally("item_material")),
        ("family", Counter(str(family) for family in families if family)),
    )
    return [
        (title, ", ".join(f"{key}: {n}" for key, n in sorted(counts.items()))) for title, counts in tables if counts
    ]


def _severities(summary: Summary) -> list[tuple[str, list[int]]]:
    """Damages (a capture may have several) by kind and severity."""
    counts = summary.damages
    kinds = [kind for kind in KINDS if any(counts[kind, severity] for severity in get_args(Severity))]
    return [(kind, [counts[kind, severity] for severity in get_args(Severity)]) for kind in kinds]


def _cameras(summary: Summary) -> list[dict[str, str]]:
    return [
        {
            "name": name,
            "size": ", ".join(sorted(summary.sizes[name])),
            "depth": "yes" if "depth" in images else "no",
            "labels": ", ".join(label for label in ("item", "part", "damage") if label in images) or "none",
        }
        for name, images in summary.images.items()
    ]


def _provenance(folder: Store, summary: Summary) -> str:
    provenance = summary.provenance
    lines = [f"- recipe: {recipe_name(folder)}, in full in `recipe.lock.yaml`"] if _recipe(folder) else []
    if (folder / "recipe.lock.yaml").is_file():
        lines.append(f"- SHA-256 of `recipe.lock.yaml`: `{sha256_of(folder / 'recipe.lock.yaml')}`")
    if "recipe_hash" in provenance:
        lines.append(f"- recipe hash: `{provenance['recipe_hash']}`")
    lines.append("- renderers: " + ", ".join(sorted(summary.renderers)))
    if "seed" in provenance:
        lines.append(f"- seed: {provenance['seed']}")
    versions = provenance.get("versions")
    if isinstance(versions, Mapping) and versions:
        lines.append("- versions: " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())))
    return "\n".join(lines) + "\n"


# Pictures


def contact_strip(folder: Store, table: pa.Table, *, count: int = 6) -> UInt8[np.ndarray, "h w 3"]:
    """Some captures, one per row (twin, damaged, damage mask over the picture, depth), of all generators in turn."""
    chosen = table.take(_choose(table, count)).to_pylist()
    ids = {row["capture_id"] for row in chosen} | {row["twin_id"] for row in chosen}
    captures = _load(folder, table, {i for i in ids if i})
    lines = [_line(captures[row["capture_id"]], captures.get(row["twin_id"] or "")) for row in chosen]
    gap = np.full((4, lines[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for line in lines for part in (line, gap)][:-1])


def _choose(table: pa.Table, count: int) -> list[int]:
    """Damaged queries, or whatever there is; the first of each generator, then the second of each, and so on."""
    defect, role, generators = (table[name].to_pylist() for name in ("defect", "role", "generators"))
    everything = range(table.num_rows)
    candidates = [k for k in everything if defect[k]] or [k for k in everything if role[k] == "query"] or everything
    turn: Counter[str] = Counter()
    ranked = []
    for k in candidates:
        ranked.append((turn[generators[k]], k))
        turn[generators[k]] += 1
    return [k for _, k in sorted(ranked)[:count]]


def _load(folder: Store, table: pa.Table, ids: set[str]) -> dict[str, Capture]:
    shards = table.filter(pc.is_in(table["capture_id"], pa.array(sorted(ids))))["shard"].unique().to_pylist()
    return {c.capture_id: c for name in sorted(shards) for c in read_shard(folder / name) if c.capture_id in ids}


def _line(capture: Capture, twin: Capture | None) -> UInt8[np.ndarray, "h w 3"]:
    view = max(capture.views, key=_interest)
    other = next((v for v in twin.views if v.camera == view.camera), None) if twin is not None else None
    panels = [
        (other.rgb if other else None, "twin"),
        (view.rgb, "damaged" if capture.defect else "capture"),
        (overlay_damage(view), "damage"),
        (colour_depth(view.depth) if view.depth is not None else None, "depth"),
    ]
    return np.concatenate([_panel(image, caption) for image, caption in panels], axis=1)


def _interest(view: View) -> float:
    """Cameras that see much damage, and have depth, make the better picture."""
    share = 0.0 if view.damage is None else float((view.damage > 0).mean())
    return share * (2 if view.depth is not None else 1) + 1e-6 * (view.depth is not None)


def overlay_damage(view: View) -> UInt8[np.ndarray, "h w 3"] | None:
    """The picture with damaged pixels in red, or None without labels."""
    if view.damage is None:
        return None
    red = np.array([230, 30, 30])
    mixed = np.where((view.damage > 0)[..., None], 0.45 * view.rgb + 0.55 * red, view.rgb)
    return mixed.astype(np.uint8)


def colour_depth(depth: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Depth [m] in colours from red (near) to blue (far), stretched between percentiles; black is no return."""
    valid = depth > 0
    near, far = np.percentile(depth[valid], [1, 99]) if valid.any() else (0.0, 1.0)
    grey = np.clip((far - depth) / max(far - near, 1e-6), 0, 1) * 255
    colour = cv2.cvtColor(cv2.applyColorMap(grey.astype(np.uint8), cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    return np.where(valid[..., None], colour, 0).astype(np.uint8)


def _panel(image: UInt8[np.ndarray, "h w 3"] | None, caption: str) -> UInt8[np.ndarray, "p p 3"]:
    """A captioned square with the whole image in it; a dark one where there is none."""
    panel = np.full((PANEL_PX, PANEL_PX, 3), 32, np.uint8)
    if image is not None:
        scale = PANEL_PX / max(image.shape[:2])
        h, w = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
        top, left = (PANEL_PX - h) // 2, (PANEL_PX - w) // 2
        panel[top : top + h, left : left + w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
    text = caption if image is not None else f"no {caption}"
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(panel, text, (6, PANEL_PX - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness, cv2.LINE_AA)
    return panel
