"""Can anything but the damage tell a damaged item from a sound one? ``make bench-leaks``, or ``--units 60`` for a look.

What is learnt of each unit is kept in a folder, so that ``--seconds 400`` makes as many as it can and the next call
goes on: pictures are rendered once, trials are quick.

Units of a recipe are captured by the fast preview: damaged ones with their twins, and sound ones. Then classifiers try,
products apart:

- a small convolutional network on crops of undamaged surface (colour and depth) of damaged items against the same
  crops of their twins;
- boosted trees on statistics of the meshes far from the damage, against the twins' at the same places;
- boosted trees on the sizes of the files that a training script reads, against the twins';
- boosted trees on each metadata column that it may read, and on all of them together, against the sound units (a
  twin's columns are its item's).

An area under the ROC curve of 0.5 is a coin; the interval is a bootstrap over products. Columns that *are* the label,
or link to it (``role``, ``twin_id``, ``severity``, …), are listed and left out. Missing units change count and mass by
right: columns are judged on units without a missing one.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from damageland.generators.compose import Composed, compose
from damageland.generators.damage.table import DAMAGES
from damageland.generators.mesh import face_areas, face_normals, mesh_edges
from damageland.generators.recipe import ASSETS, Plan, make_plan, read_plan, reference_count
from damageland.generators.shoot import shoot
from damageland.sim.capture import Capture, View
from damageland.sim.manifest import FIRST_COLUMNS, LAST_COLUMNS, capture_row
from damageland.sim.scene import Part, Scene
from damageland.sim.shards import describe_capture, encode_capture
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.spatial import cKDTree
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

RECIPE = ASSETS / "recipes" / "damages.yaml"
CROP, MARGIN, PER_VIEW = 32, 7, 2
"""Side of a crop [px], its distance from any damaged pixel, crops per view."""
EQUAL = 1e-9
COVERED = 0.6
"""Least share of a crop that shows the item."""
FOLDS, EPOCHS = 4, 12
FILES = ("rgb", "depth", "item.")
"""Kinds of files whose sizes are judged."""
FAR_M = 0.03
"""So far from any labelled face a wall is as it was."""
IS_LABEL = {
    "capture_id": "twins are named after their item", "defect": "the label", "major_defect": "the label",
    "defect_types": "the label", "role": "query or twin: the label", "twin_id": "link to the twin",
    "severity": "the label", "tolerable": "the label", "generators": "the label", "visible_fraction_max": "the label",
    "query_image": "holds the capture_id", "shard": "where it lies", "offset": "where it lies",
    "bytes": "judged with the sizes of files", "index": "shared by twins", "seed": "one for all",
    "resampled": "shared by twins", "rejected": "shared by twins", "set_back": "shared by twins",
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """A damaged unit and its twin."""

    group: str
    composed: Composed
    damaged: Capture
    twin: Capture


@dataclass(frozen=True)
class Trial:
    """Scores of one attempt to tell damaged (1) from sound (0)."""

    name: str
    truth: np.ndarray
    score: np.ndarray
    group: np.ndarray

    def area(self) -> float:
        return float(roc_auc_score(self.truth, self.score))

    def interval(self, rounds: int = 400) -> tuple[float, float]:
        """95 % bootstrap over products."""
        rng, names = np.random.default_rng(0), np.unique(self.group)
        rows = {name: np.flatnonzero(self.group == name) for name in names}
        areas = []
        for _ in range(rounds):
            chosen = np.concatenate([rows[name] for name in rng.choice(names, len(names))])
            areas.append(roc_auc_score(self.truth[chosen], self.score[chosen]))
        low, high = np.quantile(areas, [0.025, 0.975])
        return float(low), float(high)


# ---- Crops ----------------------------------------------------------------------------------------------------------


def places(damaged: View, twin: View, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Corners of crops on the item, far from any damage, the same in both pictures."""
    assert damaged.item is not None and twin.item is not None and damaged.damage is not None
    both = ((damaged.item > 0) & (twin.item > 0)).astype(np.float32)
    spoilt = (damaged.damage > 0).astype(np.uint8)
    near = cv2.dilate(spoilt, np.ones((2 * MARGIN + 1,) * 2, np.uint8)).astype(np.float32)
    covered, touched = (cv2.boxFilter(m, -1, (CROP, CROP), anchor=(0, 0), normalize=True) for m in (both, near))
    h, w = both.shape
    good = (covered >= COVERED) & (touched == 0)
    good[h - CROP :] = good[:, w - CROP :] = False
    rows, columns = np.nonzero(good)
    if len(rows) == 0:
        return []
    chosen = rng.choice(len(rows), min(PER_VIEW, len(rows)), replace=False)
    return [(int(rows[k]), int(columns[k])) for k in chosen]


def crop(view: View, at: tuple[int, int]) -> np.ndarray:
    """Colour and depth about their means, as channels."""
    window = slice(at[0], at[0] + CROP), slice(at[1], at[1] + CROP)
    colour = view.rgb[window].astype(np.float32).transpose(2, 0, 1) / 255
    depth = np.zeros((2, CROP, CROP), np.float32)
    if view.depth is not None:
        z = view.depth[window]
        seen = z > 0
        depth[1] = seen
        depth[0] = np.where(seen, np.clip((z - (np.median(z[seen]) if seen.any() else 0)) / 0.02, -2, 2), 0)
    return np.concatenate([colour - 0.5, depth])


def crops_of(pair: Pair, number: int) -> np.ndarray:
    """Crops of unit ``number`` (n, 2, 5, side, side): damaged and twin at the same places."""
    rng, found = np.random.default_rng([7, number]), [np.zeros((0, 2, 5, CROP, CROP), np.float32)]
    for a, b in zip(pair.damaged.views, pair.twin.views, strict=True):
        found += [np.stack([crop(a, at), crop(b, at)])[None] for at in places(a, b, rng)]
    return np.concatenate(found)


def network() -> torch.nn.Module:
    layers: list[torch.nn.Module] = []
    for into, out in ((5, 24), (24, 48), (48, 64)):
        norm = torch.nn.BatchNorm2d(out)
        layers += [torch.nn.Conv2d(into, out, 3, padding=1), norm, torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
    return torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 1))


def crop_scores(images: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Out-of-fold scores of a network trained on the other products' crops."""
    score = np.zeros(len(labels))
    for fold, (train, test) in enumerate(GroupKFold(FOLDS).split(images, labels, groups)):
        torch.manual_seed(fold)
        net = network()
        optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-3)
        x, y = torch.from_numpy(images[train]), torch.from_numpy(labels[train].astype(np.float32))
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(x)).split(128):
                batch = x[rows].flip(3) if float(torch.rand(1)) < 0.5 else x[rows]
                loss = torch.nn.functional.binary_cross_entropy_with_logits(net(batch)[:, 0], y[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        net.eval()
        with torch.no_grad():
            found = np.concatenate([net(b)[:, 0].numpy() for b in torch.from_numpy(images[test]).split(512)])
        score[test] = middle_rank(found)  # folds are compared by rank: their networks differ in offset
    return score


# ---- Meshes, files, columns -----------------------------------------------------------------------------------------


def spoilt_places(scene: Scene) -> cKDTree:
    """Middles of all labelled faces, of what is gone too."""
    parts = (*scene.parts, *scene.gone)
    return cKDTree(np.concatenate([part.triangles[part.damage > 0].mean(axis=1) for part in parts]))


def mesh_row(parts: Sequence[Part], spoilt: cKDTree) -> list[float]:
    """Statistics of the faces far from the damage: edge lengths, shapes, valences, shading normals, sizes of textures.

    Twins are asked about the same places: what a damage has replaced, or a picture that it has added (a stain, a torn
    rim), tells nothing about how meshes are made.
    """
    lengths, shapes, valence, bend, textures = [], [], [], [], []
    for part in parts:
        far = spoilt.query(part.triangles.mean(axis=1), distance_upper_bound=FAR_M)[0] > FAR_M
        kept = far & (part.damage == 0)
        faces = part.faces[kept]
        if len(faces) < 8:
            continue
        edges, _ = mesh_edges(faces)
        lengths.append(np.linalg.norm(part.vertices[edges[:, 0]] - part.vertices[edges[:, 1]], axis=1) * 1000)
        longest = np.linalg.norm(part.vertices[faces] - part.vertices[faces[:, [1, 2, 0]]], axis=2).max(axis=1)
        shapes.append(2 * face_areas(part.vertices, faces) / longest**2)
        valence.append(np.bincount(edges.ravel())[np.unique(edges)])
        flat = face_normals(part.vertices, faces)
        flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-30)
        bend.append(np.einsum("ij,ij->i", flat, part.normals[kept].mean(axis=1)))
        pictures = [part.materials[k].base_color_texture for k in np.unique(part.material[kept])]
        textures += [picture.shape[0] for picture in pictures if picture is not None]
    row: list[float] = []
    for values in (lengths, shapes, valence, bend):
        known = np.concatenate(values) if values else np.full(1, np.nan)  # small items may be spoilt all over
        row += list(np.quantile(known, [0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98]))
    return [*row, float(max(textures, default=0)), float(len(textures))]


def boosted(rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, folds: int = FOLDS) -> np.ndarray:
    """Out-of-fold scores of boosted trees."""
    score = np.zeros(len(labels))
    for train, test in GroupKFold(folds).split(rows, labels, groups):
        least = min(20, max(4, len(train) // 8))  # so that few units can be told apart at all
        trees = HistGradientBoostingClassifier(max_iter=80, min_samples_leaf=least, random_state=0)
        found = trees.fit(rows[train], labels[train]).predict_proba(rows[test])[:, 1]
        score[test] = middle_rank(found)
    return score


def middle_rank(scores: np.ndarray) -> np.ndarray:
    """Ranks as shares; equal scores have the middle, 0.5 if all are equal."""
    return (rankdata(scores) - 0.5) / len(scores)


def file_row(capture: Capture, suffixes: Sequence[str]) -> list[float]:
    """Bytes of the capture's files of the given kinds, in order of their names."""
    files = encode_capture(capture)
    return [float(len(files[name])) for name in sorted(files) if any(s in name for s in suffixes)]


def column_rows(rows: Sequence[dict]) -> dict[str, np.ndarray]:
    """Numbers for every column of the manifest that is neither a label nor a link to one."""
    own = {f"{name}_" for name in DAMAGES}
    names = sorted({n for row in rows for n in row if n not in IS_LABEL and not any(n.startswith(o) for o in own)})
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        if all(isinstance(v, int | float | bool) or v is None for v in values):
            columns[name] = np.array([np.nan if v is None else float(v) for v in values])
        else:
            codes = {text: k for k, text in enumerate(sorted({str(v) for v in values}))}
            columns[name] = np.array([float(codes[str(v)]) for v in values])
    return columns


# ---- Units ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """What the trials ask of one unit of a recipe."""

    about: dict
    """``damaged``, ``group``, ``seed``, ``missing``, ``resampled``, ``rejected``, and the manifest's ``row``."""
    crops: np.ndarray
    mesh: np.ndarray
    """Statistics of the damaged item's mesh and of its twin's (2, n); empty of a sound unit, as all of these."""
    sizes: dict[str, np.ndarray]


def make_pair(plan: Plan, number: int) -> tuple[Composed, list[Capture]]:
    """Compose and capture unit ``number``; every other one is of a recipe with another seed."""
    seed = plan.recipe.seed + number % 2
    other = make_plan(plan.recipe.model_copy(update={"seed": seed}), plan.booth, folder=plan.folder)
    composed = compose(other, reference_count(plan.recipe) + number // 2)
    return composed, list(shoot(other, composed))


def make_unit(plan: Plan, number: int) -> Unit:
    """Capture a unit and keep what the trials ask of it."""
    composed, made = make_pair(plan, number)
    seed, mishap, query = int(made[0].provenance["seed"]), composed.mishap, made[0]
    about = {
        "damaged": composed.twin is not None,
        "group": f"{seed}-{query.group}",
        "seed": seed,
        "missing": any(damage.kind == "missing_unit" for damage in query.damages),
        "resampled": mishap.resampled,
        "rejected": len(mishap.rejected),
        "row": capture_row(describe_capture(query), "x.tar"),
    }
    crops, mesh, sizes = np.zeros((0, 2, 5, CROP, CROP), np.float32), np.zeros((0, 0)), {}
    if composed.twin is not None:
        pair = Pair(about["group"], composed, *made)
        crops, spoilt = crops_of(pair, number), spoilt_places(composed.scene)
        mesh = np.array([mesh_row(scene.parts, spoilt) for scene in (composed.scene, composed.twin)])
        sizes = {kind: np.array([file_row(c, (kind,)) for c in made]) for kind in FILES}
    return Unit(about, crops, mesh, sizes)


def save_unit(unit: Unit, path: Path) -> None:
    """Write a unit's file, whole."""
    half = path.with_suffix(".tmp")
    with half.open("wb") as file:
        text = np.array(json.dumps(unit.about, default=str))
        arrays: dict[str, Any] = {f"size {k}": v for k, v in unit.sizes.items()}
        np.savez_compressed(file, about=text, crops=unit.crops, mesh=unit.mesh, **arrays)
    half.replace(path)


def load_unit(path: Path) -> Unit:
    """Read a unit's file."""
    with np.load(path, allow_pickle=False) as file:
        sizes = {kind: file[f"size {kind}"] for kind in FILES if f"size {kind}" in file}
        return Unit(json.loads(str(file["about"])), file["crops"], file["mesh"], sizes)


def made_by(plan: Plan) -> str:
    """What units depend on: the recipe, the booth and all code that makes them."""
    digest = hashlib.sha256(f"{plan.recipe!r} {plan.booth!r} {Path(__file__).read_text()}".encode())
    for folder in ("sim", "generators"):
        for path in sorted((Path(__file__).resolve().parents[1] / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def make_units(plan: Plan, units: int, keep: Path, seconds: float) -> list[Unit]:
    """All units, those of earlier calls as they were kept; fewer if the time is over."""
    folder, until = keep / made_by(plan), time.monotonic() + seconds
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in track(range(units), "units"):
        path = folder / f"{number:05d}.npz"
        if not path.is_file():
            if time.monotonic() > until:
                break
            save_unit(make_unit(plan, number), path)
        made.append(load_unit(path))
    return made


# ---- All together ---------------------------------------------------------------------------------------------------


def twin_trials(units: Sequence[Unit]) -> Iterator[Trial]:
    """Damaged items against their twins: crops, meshes, sizes of files."""
    group = np.array([unit.about["group"] for unit in units])
    crops = np.concatenate([unit.crops for unit in units])
    images, labels = crops.reshape(-1, *crops.shape[2:]), np.tile([1, 0], len(crops))
    own = np.repeat(group, [2 * len(unit.crops) for unit in units])
    yield Trial(f"undamaged crops ({len(labels)})", labels, crop_scores(images, labels, own), own)
    truth, group = np.tile([1, 0], len(units)), np.repeat(group, 2)
    mesh = np.concatenate([unit.mesh for unit in units])
    yield Trial("mesh statistics, sound places", truth, boosted(mesh, truth, group), group)
    for kind in FILES:
        sizes = np.concatenate([unit.sizes[kind] for unit in units])
        yield Trial(f"file sizes: {kind.strip('.')}", truth, boosted(sizes, truth, group), group)


def column_trials(units: Sequence[Unit]) -> Iterator[Trial]:
    """Damaged units against sound ones, by what a manifest says of them."""
    truth = np.array([int(unit.about["damaged"]) for unit in units])
    group = np.array([unit.about["group"] for unit in units])
    # Kinds and severities are spread evenly over a recipe, so what one half has too many of, the other lacks: trees
    # would be wrong more often than a coin. Two recipes of different seeds know nothing of each other.
    seed = np.array([unit.about["seed"] for unit in units])
    columns = column_rows([unit.about["row"] for unit in units])
    for name, values in columns.items():
        yield Trial(f"column {name}", truth, boosted(values[:, None], truth, seed, 2), group)
    every = np.stack(list(columns.values()), axis=1)
    yield Trial("all columns together", truth, boosted(every, truth, seed, 2), group)


def trials(units: Sequence[Unit]) -> list[Trial]:
    """All attempts."""
    pairs = [unit for unit in units if unit.about["damaged"]]
    return [*twin_trials(pairs), *column_trials([unit for unit in units if not unit.about["missing"]])]


def table_of(found: Sequence[Trial]) -> Table:
    """One row per attempt, with its interval and whether it is a coin."""
    table = Table("what is tried", "AUROC", "95 % over products", "0.5 ± 0.03")
    for trial in found:
        area, (low, high) = trial.area(), trial.interval()
        inside = "yes" if abs(area - 0.5) <= 0.03 else "interval has it" if low <= 0.53 and high >= 0.47 else "NO"
        table.add_row(trial.name, f"{area:.3f}", f"{low:.3f} to {high:.3f}", inside)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--units", type=int, default=300)
    parser.add_argument("--keep", type=Path, help="folder of finished units: the next call goes on there")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="make no further unit after so many")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    plan = read_plan(arguments.recipe)
    changes = {"damaged_share": 0.6, "captures": arguments.units, "cycles_share": 0.0}
    plan = make_plan(plan.recipe.model_copy(update=changes), plan.booth, folder=plan.folder)
    console = Console(width=110)
    with tempfile.TemporaryDirectory() as own:
        units = make_units(plan, arguments.units, arguments.keep or Path(own), arguments.seconds)
    if len(units) < arguments.units:
        console.print(f"{len(units)} of {arguments.units} units are made; call again with the same --keep to go on.")
        return
    found = trials(units)
    console.print(table_of(found))
    failed, rejected = (sum(unit.about[name] for unit in units) for name in ("resampled", "rejected"))
    pairs = sum(unit.about["damaged"] for unit in units)
    apart = [np.nanmax(np.abs(u.mesh[0] - u.mesh[1]), initial=0.0) for u in units if u.about["damaged"]]
    console.print(
        f"Meshes at sound places are their twins' in {np.sum(np.array(apart) < EQUAL)} of {pairs} pairs, and differ by "
        f"at most {max(apart):.2g} (mm, shares, valences) in the others."
    )
    console.print(
        f"{pairs} pairs, {len(units) - pairs} sound units; {failed} solves drawn anew, {rejected} damages given up."
    )
    console.print("Left out: " + "; ".join(f"{name} ({why})" for name, why in IS_LABEL.items()))
    unknown = [n for n in IS_LABEL if n not in (*FIRST_COLUMNS, *LAST_COLUMNS)]
    assert not unknown, unknown
    if arguments.json:
        arguments.json.write_text(json.dumps({trial.name: trial.area() for trial in found}, indent=1))


if __name__ == "__main__":
    main()
