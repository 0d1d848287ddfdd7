"""Exports are read back by readers that share no code with the writers."""

import csv
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import fakes
import numpy as np
import pyarrow.parquet
import pytest
import scenes
import tifffile
import yaml
from damageland import cli
from damageland.generators.compose import compose
from damageland.generators.recipe import DamageSpec, unit_count
from damageland.generators.shoot import shoot
from damageland.sim.capture import Capture, Damage, View
from damageland.sim.export.source import Selection
from damageland.sim.export.table import FORMATS, export
from damageland.sim.output import claim_output, finish, record_shard
from damageland.sim.scene import KINDS
from damageland.sim.shards import read_captures, read_members, shard_path, write_shard
from pycocotools.coco import COCO

ROOT = Path(__file__).resolve().parents[1]
ALL = Selection()
BITS = {kind: 1 << bit for bit, kind in enumerate(KINDS)}
POSE = ((0.0, -1.0, 0.0, 0.05), (1.0, 0.0, 0.0, -0.02), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def harm(kind, severity, **seen: float) -> Damage:
    """A damage of which each camera sees a share."""
    return Damage(kind, "made up", {}, {}, severity, severity == "none", seen)


def ring() -> np.ndarray:
    """A damage image with a ring, kinds that overlap, pieces of one and two pixels, and one touching the border."""
    image = np.zeros((48, 64), np.uint8)
    image[10:30, 10:34] |= BITS["deformation"]
    image[15:25, 16:28] = 0
    image[17:19, 18:20] |= BITS["deformation"]  # an island in the hole
    image[20:40, 30:50] |= BITS["missing_unit"]
    image[20:26, 30:44] |= BITS["superficial"]
    image[3, 3] |= BITS["penetration"]
    image[44, 60:62] |= BITS["spillage"]
    image[36:48, 0:9] |= BITS["spillage"]
    return image


def odd_captures() -> list[Capture]:
    """What a renderer seldom makes: each is a case for some format."""
    rng = np.random.default_rng(3)

    def made(name: str, images: tuple[np.ndarray, np.ndarray], damages: tuple[Damage, ...], split: str) -> Capture:
        capture = fakes.fake_capture(rng, name, product="odd", split=split, cameras=("front", "top"))
        views = tuple(replace(view, damage=image) for view, image in zip(capture.views, images, strict=True))
        kinds = tuple(sorted({d.kind for d in damages if d.severity != "none"}))
        return replace(
            capture, views=views, damages=damages, defect=bool(kinds), major_defect=bool(kinds),
            defect_types=kinds, T_world_item=POSE, item_identifier="odd",
        )  # fmt: skip

    none, speck = np.zeros((48, 64), np.uint8), np.zeros((48, 64), np.uint8)
    speck[5, 5:8] = BITS["deformation"]
    many = (
        harm("deformation", "major", front=0.9, top=0.0),
        harm("missing_unit", "minor", front=1.0, top=0.0),
        harm("superficial", "none", front=1.0, top=0.0),
        harm("penetration", "minor", front=0.01, top=0.0),
        harm("spillage", "minor", front=0.6, top=0.0),
    )
    dent = (harm("deformation", "minor", front=0.0, top=0.8),)
    return [
        made("many", (ring(), none), many, "test"),
        made("turned-away", (speck, ring() & 2), dent, "test"),
        made("tolerable", (ring() & 2, none), (harm("deformation", "none", front=1.0, top=0.0),), "validation"),
    ]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tin for training and a carton for testing, rendered; and the odd captures."""
    out = tmp_path_factory.mktemp("exports") / "set"
    plan = scenes.tiny_plan(size=96, captures=1, damages=(DamageSpec(generator="crush", strength=(0.6, 1.0)),))
    rendered = [capture for k in range(unit_count(plan.recipe)) for capture in shoot(plan, compose(plan, k))]
    splits = {"tin": "train", "folding_carton": "test"}
    claim_output(out, plan.lock)
    write_shard(shard_path(out, 0), [replace(c, split=splits[str(c.attributes["family"])]) for c in rendered])
    write_shard(shard_path(out, 1), odd_captures())
    for k in range(2):
        record_shard(shard_path(out, k))
    finish(out, 2)
    return out


@pytest.fixture(scope="module")
def views(source: Path) -> dict[str, tuple[Capture, View]]:
    """All views of the data set by the name that exports give them."""
    return {f"{c.capture_id}--{v.camera}": (c, v) for c in read_captures(source) for v in c.views}


@pytest.fixture(scope="module")
def pictures(source: Path) -> dict[str, bytes]:
    """JPEG of every view as it lies in the shards."""
    found = {}
    for k in range(2):
        for members in read_members(shard_path(source, k)):
            for name, data in members.items():
                if name.endswith(".rgb.jpg"):
                    found["--".join(name.split(".")[:2])] = data
    return found


@pytest.fixture(scope="module")
def exported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set in every format."""
    out = tmp_path_factory.mktemp("exported")
    for name in FORMATS:
        export(name, source, out / name, ALL)
    return out


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def expected_label(capture: Capture, view: View) -> str | None:
    """The verdict on one view, from its pixels and the capture's damages; None is none."""
    assert view.damage is not None
    kinds, trace = [], False
    for damage in capture.damages:
        pixels = int(((view.damage & BITS[damage.kind]) > 0).sum())
        if damage.severity != "none" and pixels:
            if pixels >= 12 and damage.visible_fraction[view.camera] >= 0.04:
                kinds.append(damage.kind)
            else:
                trace = True
    if kinds:
        return kinds[0] if len(set(kinds)) == 1 else "combined"
    return None if trace else "good"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# One reader per format


def test_coco_is_read_by_pycocotools(exported: Path, views, pictures):
    """annToMask gives each bit of the damage image back; boxes, areas, ids, categories and pictures agree with it."""
    found = Counter()
    for path in sorted((exported / "coco" / "annotations").iterdir()):
        coco = COCO(str(path))
        split = path.stem.removeprefix("instances_")
        assert {c["name"]: c["id"] for c in coco.dataset["categories"]} == {k: i + 1 for i, k in enumerate(KINDS)}
        assert coco.dataset["licenses"][0]["name"] and len(coco.imgs) == len(coco.dataset["images"])
        for number, image in coco.imgs.items():
            name = image["file_name"].removesuffix(".jpg")
            capture, view = views[name]
            assert capture.split == split and (image["height"], image["width"]) == view.rgb.shape[:2]
            assert (exported / "coco" / "images" / split / image["file_name"]).read_bytes() == pictures[name]
            together = np.zeros(view.rgb.shape[:2], np.uint8)
            for annotation in coco.loadAnns(coco.getAnnIds(imgIds=[number])):
                kind = KINDS[annotation["category_id"] - 1]
                mask = coco.annToMask(annotation)
                rows, columns = np.nonzero(mask)
                x, y, w, h = annotation["bbox"]
                assert (x, y, w, h) == (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
                assert annotation["area"] == mask.sum() and annotation["iscrowd"] == 0
                assert annotation["amodal"] == (kind in ("missing_unit", "penetration"))
                severities = [d.severity for d in capture.damages if d.kind == kind]
                assert annotation["severity"] in severities
                assert annotation["tolerable"] == (set(severities) == {"none"})
                together |= mask * np.uint8(BITS[kind])
            assert np.array_equal(together, view.damage), name
            found[name] += 1
    assert found == dict.fromkeys(views, 1)


def test_coco_ids_do_not_depend_on_the_selection(exported: Path, source: Path, tmp_path: Path):
    """A picture keeps its id when cameras, roles or splits are left out."""
    export("coco", source, tmp_path / "few", Selection(cameras=("top",), roles=("query",), splits=("test",)))
    ids = {}
    for path in sorted((exported / "coco" / "annotations").iterdir()):
        ids |= {image["file_name"]: image["id"] for image in json.loads(path.read_text())["images"]}
    (path,) = (tmp_path / "few" / "annotations").iterdir()
    few = {image["file_name"]: image["id"] for image in json.loads(path.read_text())["images"]}
    assert len(set(ids.values())) == len(ids) and few and few.items() <= ids.items()
    assert {name.removesuffix(".jpg").split("--")[1] for name in few} == {"top"}


QUERY_TYPES = {
    "capture_id": "string", "item_identifier": "string", "item_material": "string", "defect": "bool",
    "major_defect": "bool", "defect_types": "string", "query_image": "string", "query_crop": "string",
    "query_mask": "string",
}  # fmt: skip


def test_kaputt_is_read_by_its_description(exported: Path, views, pictures):
    """Columns, types and folders are Kaputt's; masks are silhouettes, crops their boxes, labels those of the view."""
    root, seen = exported / "kaputt", set()
    tables = [f"{table}-{split}" for table in ("query", "reference") for split in ("test", "train", "validation")]
    assert sorted(path.stem for path in (root / "datasets").iterdir()) == tables
    for path in sorted((root / "datasets").iterdir()):
        table, split = path.stem.split("-")
        rows = pyarrow.parquet.read_table(path)
        names = ["item_identifier", "reference_image", "reference_crop", "reference_mask"]
        types = QUERY_TYPES if table == "query" else dict.fromkeys(names, "string")
        assert {field.name: str(field.type) for field in rows.schema} == types
        for row in rows.to_pylist():
            files = {kind: row[f"{table}_{kind}"] for kind in ("image", "crop", "mask")}
            name = Path(files["image"]).stem
            capture, view = views[name]
            assert files["image"] == f"data/{split}/{table}-data/image/{name}.jpg" and split == capture.split
            assert (root / f"{table}-image" / files["image"]).read_bytes() == pictures[name]
            mask = cv2.imread(str(root / f"{table}-mask" / files["mask"]), cv2.IMREAD_UNCHANGED)
            assert mask is not None and view.item is not None and np.array_equal(mask, 255 * (view.item > 0))
            crop = cv2.imread(str(root / f"{table}-crop" / files["crop"]))
            x, y, w, h = cv2.boundingRect(mask)
            assert crop is not None and crop.shape == (h, w, 3)
            assert abs(crop[..., ::-1].astype(int) - view.rgb[y : y + h, x : x + w]).mean() < 3
            assert row["item_identifier"] == capture.item_identifier
            assert (table == "reference") == (capture.role == "reference")
            if table == "query":
                label = expected_label(capture, view)
                kinds = set(row["defect_types"].split(",")) if row["defect_types"] else set()
                assert row["capture_id"] == name and row["defect"] == (label != "good") == bool(kinds)
                assert kinds <= set(capture.defect_types) and (label in ("good", "combined") or kinds == {label})
                assert row["item_material"] == capture.item_material and row["major_defect"] <= row["defect"]
            seen.add(name)
    assert seen == {name for name, (capture, view) in views.items() if expected_label(capture, view)}


def test_kaputt_with_one_camera_keeps_capture_ids(source: Path, views, tmp_path: Path):
    """With one camera, predictions for the export are predictions for the captures."""
    export("kaputt", source, tmp_path / "k", Selection(cameras=("top",), roles=("query", "twin")))
    tables = [pyarrow.parquet.read_table(path) for path in (tmp_path / "k" / "datasets").glob("query-*")]
    ids = {name for table in tables for name in table["capture_id"].to_pylist()}
    kept = {c.capture_id for c, v in views.values() if v.camera == "top" and expected_label(c, v)}
    assert ids == kept - {c.capture_id for c in read_captures(source, roles=["reference"])}


def test_mvtec3d_points_lead_back_to_pixels(exported: Path, views):
    """Through K, each point falls on the centre of its pixel with its depth; zeros are no return; gt is the damage."""
    root = exported / "mvtec3d"
    about = {row["file"]: row for row in table_of(root / "captures.csv")}
    seen, masks = set(), 0
    for path in sorted(root.glob("*/*/*/rgb/*.png")):
        family, split, label, _, _ = path.relative_to(root).parts
        capture, view = views[path.stem]
        assert (split, label) == (capture.split, expected_label(capture, view)) and view.depth is not None
        assert family == capture.attributes.get("family", capture.attributes["category"])
        assert split == "test" or label == "good"
        picture = cv2.imread(str(path))
        assert picture is not None and np.array_equal(picture[..., ::-1], view.rgb)
        xyz = tifffile.imread(path.parents[1] / "xyz" / f"{path.stem}.tiff")
        assert xyz.dtype == np.float32 and xyz.shape == view.rgb.shape
        there = view.depth > 0
        assert not xyz[~there].any() and there.any()
        assert np.abs(xyz[..., 2] - view.depth)[there].max() <= 1e-6, "metres"
        row = about[str(path.relative_to(root))]
        fx, fy, cx, cy = (float(row[name]) for name in ("fx", "fy", "cx", "cy"))
        rows, columns = np.nonzero(there)
        x, y, z = xyz[there].T
        assert np.abs(fx * x / z + cx - (columns + 0.5)).max() < 1e-3
        assert np.abs(fy * y / z + cy - (rows + 0.5)).max() < 1e-3
        gt = path.parents[1] / "gt" / path.name
        if split == "test":
            assert view.damage is not None
            mask = cv2.imread(str(gt), cv2.IMREAD_UNCHANGED)
            assert mask is not None and np.array_equal(mask, 255 * ((view.damage > 0) & (label != "good")))
            masks += mask.any()
        else:
            assert not gt.exists()
        seen.add(path.stem)
    fit = {
        name
        for name, (capture, view) in views.items()
        if view.depth is not None
        and (label := expected_label(capture, view))
        and (capture.split == "test" or label == "good")
    }
    assert seen == fit and masks >= 1
    assert (root / "folding_carton" / "test" / "combined" / "gt" / "many--front.png").is_file()


def test_bop_is_read_by_its_specification(exported: Path, source: Path, views):
    """Depth to the step; pixels, lifted by K and taken to the model frame by the poses, lie on the item."""
    root, seen, fits = exported / "bop", set(), 0
    info = json.loads((root / "dataset_info.json").read_text())
    for row in table_of(root / "captures.csv"):
        scene, number = root / row["folder"] / f"{int(row['scene_id']):06d}", int(row["im_id"])
        name = f"{row['capture_id']}--{row['camera']}"
        capture, view = views[name]
        seen.add(name)
        assert view.item is not None and (view.depth is None) == (row["camera"] == "top")
        camera, gt, gt_info = (
            json.loads((scene / f"scene_{kind}.json").read_text())[str(number)] for kind in ("camera", "gt", "gt_info")
        )
        ((instance,), (count,)) = (gt, gt_info)
        assert info["items"][str(instance["obj_id"])] == capture.item_identifier
        visible = cv2.imread(str(scene / "mask_visib" / f"{number:06d}_000000.png"), cv2.IMREAD_UNCHANGED)
        assert visible is not None and np.array_equal(visible > 0, view.item > 0)  # pyright: ignore
        assert count["px_count_visib"] == (visible > 0).sum() and tuple(count["bbox_visib"]) == cv2.boundingRect(
            visible
        )
        damage = cv2.imread(str(scene / "damage" / f"{number:06d}.png"), cv2.IMREAD_UNCHANGED)
        assert damage is not None and np.array_equal(damage, view.damage)  # pyright: ignore
        if view.depth is None:
            assert not (scene / "depth" / f"{number:06d}.png").exists()
            continue
        steps = cv2.imread(str(scene / "depth" / f"{number:06d}.png"), cv2.IMREAD_UNCHANGED)
        assert steps is not None and steps.dtype == np.uint16 and camera["depth_scale"] == 0.1
        assert np.array_equal((steps * 1e-4).astype(np.float32), view.depth)
        rows, columns = np.nonzero((view.item == 1) & (steps > 0))
        assert count["px_count_valid"] == np.count_nonzero((view.item > 0) & (steps > 0))
        z = steps[rows, columns] * camera["depth_scale"]
        rays = np.linalg.inv(np.reshape(camera["cam_K"], (3, 3))) @ np.stack([columns, rows, np.ones(len(rows))])
        R, t = np.reshape(instance["cam_R_m2c"], (3, 3)), np.array(instance["cam_t_m2c"])
        model = R.T @ (rays * z - t[:, None])
        R_w, t_w = np.reshape(camera["cam_R_w2c"], (3, 3)), np.array(camera["cam_t_w2c"])
        world = np.concatenate([R_w.T @ (rays * z - t_w[:, None]) / 1000, np.ones((1, len(rows)))])
        assert np.allclose(np.array(capture.T_world_item)[:3] @ np.concatenate([model / 1000, world[3:]]), world[:3])
        if capture.role != "query":  # a rendered, pristine item fills the box that its catalogue states
            x, y, height = capture.attributes["dimensions_mm"]
            half = np.array([[x / 2], [y / 2]]) + 4
            inside = (np.abs(model[:2]) <= half).all(axis=0) & (model[2] > -4) & (model[2] < height + 4)
            assert inside.mean() > 0.98 and np.ptp(model[2]) > 0.6 * min(x, y, height), name
            fits += 1
    assert seen == set(views) and fits == 6


def test_yolo_polygons_fill_the_masks(exported: Path, views, pictures):
    """Rasterised as its loaders do (truncated to whole pixels), the polygons of a kind are the kind's mask."""
    root, seen, drawn = exported / "yolo", set(), 0
    data = yaml.safe_load((root / "data.yaml").read_text())
    assert data["names"] == dict(enumerate(KINDS)) and set(data) == {"train", "val", "test", "names"}
    for folder in ("train", "val", "test"):
        for path in sorted((root / data[folder]).iterdir()):
            capture, view = views[path.stem]
            assert folder == ("val" if capture.split == "validation" else capture.split)
            assert path.read_bytes() == pictures[path.stem] and view.damage is not None
            masks = {kind: np.zeros(view.rgb.shape[:2], np.uint8) for kind in KINDS}
            for line in (root / "labels" / folder / f"{path.stem}.txt").read_text().splitlines():
                number, *numbers = line.split()
                points = np.reshape([float(v) for v in numbers], (-1, 2))
                assert len(points) >= 3 and points.min() >= 0 and points.max() <= 1
                corners = (points * view.rgb.shape[1::-1]).astype(np.int32)
                cv2.fillPoly(masks[KINDS[int(number)]], [corners], 1)
            for kind in KINDS:
                wanted = (view.damage & BITS[kind]) > 0
                if all(d.tolerable for d in capture.damages if d.kind == kind):
                    wanted &= False
                union = (wanted | (masks[kind] > 0)).sum()
                assert (wanted & (masks[kind] > 0)).sum() >= 0.95 * union, (path.stem, kind)
                drawn += wanted.any()
            seen.add(path.stem)
    assert seen == set(views) and drawn >= 6


def test_folder_holds_each_verdict(exported: Path, views, pictures):
    """Every view that has a verdict is in the folder of it, as it is in the shard, and in the table."""
    root = exported / "folder"
    found = {p.stem: p for p in root.glob("*/*/*.jpg")}
    rows = {row["file"]: row for row in table_of(root / "captures.csv")}
    labels = {name: expected_label(*pair) for name, pair in views.items()}
    assert found.keys() == {name for name, label in labels.items() if label}
    assert labels["many--front"] == "combined" and labels["many--top"] == "good"
    assert labels["turned-away--front"] is None and labels["turned-away--top"] == "deformation"
    for name, path in found.items():
        capture, view = views[name]
        assert path.relative_to(root).parts[:2] == (capture.split, labels[name])
        assert path.read_bytes() == pictures[name]
        row = rows[str(path.relative_to(root))]
        assert (row["capture_id"], row["camera"], row["role"]) == (capture.capture_id, view.camera, capture.role)
    assert len(rows) == len(found)


# Whole or not at all


def test_same_source_same_bytes(exported: Path, source: Path, tmp_path: Path):
    """An export depends on the data set and the selection alone."""
    for name in FORMATS:
        export(name, source, tmp_path / name, ALL)
        assert tree(tmp_path / name) == tree(exported / name), name
        text = (tmp_path / name / "README.md").read_text()
        assert FORMATS[name].loses in text and FORMATS[name].keeps in text


def test_command_line(source: Path, views, tmp_path: Path, monkeypatch, capsys):
    """The command takes its options, says what it made and what it left out; a mistake is exit code 2."""
    arguments = ["export", "folder", source, "--out", tmp_path / "o", "--cameras", "front", "top", "--splits", "test"]
    monkeypatch.setattr(sys, "argv", ["damageland", *map(str, arguments)])
    cli.main()
    said = capsys.readouterr().out
    count = len(list(tmp_path.glob("o/test/*/*.jpg")))
    chosen = [pair for pair in views.values() if pair[0].split == "test" and pair[1].camera != "side"]
    traces = [pair for pair in chosen if expected_label(*pair) is None]
    assert f"{count} views as folder" in said and count == len(chosen) - len(traces)
    assert f"left out: {len(traces)} views that show only a trace" in said
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2 and "is there already" in capsys.readouterr().err


def test_the_page_says_what_the_table_says():
    """docs/exports.md has every format, with what it keeps and loses."""
    page = " ".join((ROOT / "docs" / "exports.md").read_text().split())
    for name, entry in FORMATS.items():
        assert f"`{name}`" in page and entry.keeps in page and entry.loses in page
