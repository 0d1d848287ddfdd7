"""Tiny stand-ins for real data sets, in the layout of each to the letter, their traps included; all drawn here.

``python tests/data_real.py FOLDER`` writes all of them, to look at or to try a command on.
"""

import csv
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import tifffile
import yaml
from damageland.sim.seed import generator_for

SIZE = (24, 32)
DENT = (slice(8, 14), slice(10, 18))
"""Where a damaged thing is damaged."""


def draw(seed: int, *, damaged: bool = False, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A bright box on a smooth ground, with a dark patch where it is damaged, uint8 (h, w, 3) RGB."""
    rng = generator_for(seed, 0, "drawn")
    _, columns = np.mgrid[0 : size[0], 0 : size[1]]
    shade = 90 + 20 * np.sin(columns / 7 + rng.uniform(0, 6)) + rng.normal(0, 3, size)
    shade[4:-4, 5:-5] += 80
    if damaged:
        shade[DENT] -= 100
    return np.repeat(np.clip(shade, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def mark(value: int = 255, *, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A mask of the patch."""
    mask = np.zeros(size, np.uint8)
    mask[DENT] = value
    return mask


def save(path: Path, image: np.ndarray) -> Path:
    """Write an image, RGB where it has colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = image.ndim == 3
    assert cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if colour else image)
    return path


def save_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def save_csv(path: Path, rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


# Kaputt


def kaputt(root: Path, *, unpacked: bool = False) -> Path:
    """Four items in two splits; kinds by commas and as a list; a small crop; a reference that is a damaged query.

    ``unpacked`` puts the pictures under query-image/ and so on, and the tables into datasets/.
    """
    kinds = ["deformation,spillage", "['penetration']", None, None]
    for split, first in (("train", 4), ("test", 0)):
        rows, references = [], []
        for i in range(4):
            name, damaged = f"{split}{i}", i < 2
            files = {}
            for part, image in (
                ("image", draw(first + i, damaged=damaged)),
                ("crop", draw(i, damaged=damaged, size=(190 if i == 3 else 210, 220))),
                ("mask", np.full(SIZE, 255, np.uint8)),
            ):
                value = f"data/{split}/query-data/{part}/{name}.{'png' if part == 'mask' else 'jpg'}"
                save(root / (f"query-{part}" if unpacked else ".") / value, image)
                files[f"query_{part}"] = value
            labels = {"defect": damaged, "major_defect": i == 0, "defect_types": kinds[i], "item_material": "cardboard"}
            rows.append({"capture_id": name, "item_identifier": f"B{first + i}"} | labels | files)
            value = f"data/{split}/reference-data/image/{name}.jpg"
            save(
                root / ("reference-image" if unpacked else ".") / value,
                draw(90 + i) if i else draw(first, damaged=True),
            )
            references.append({"item_identifier": f"B{first + i}", "reference_image": value})
        folder = root / "datasets" if unpacked else root
        folder.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), folder / f"query-{split}.parquet")
        pyarrow.parquet.write_table(pa.Table.from_pylist(references[:3]), folder / f"reference-{split}.parquet")
    return root


# MVTec


def mvtec(root: Path) -> Path:
    """A category of MVTec AD."""
    for i in range(2):
        save(root / "train" / "good" / f"{i:03d}.png", draw(i))
        save(root / "test" / "good" / f"{i:03d}.png", draw(10 + i))
        save(root / "test" / "broken_large" / f"{i:03d}.png", draw(20 + i, damaged=True))
        save(root / "ground_truth" / "broken_large" / f"{i:03d}_mask.png", mark())
    return root


def mvtec3d(root: Path) -> Path:
    """A category of MVTec 3D-AD: points in metres, zeros where nothing came back."""
    for split, kind, damaged in (("train", "good", False), ("test", "good", False), ("test", "dent", True)):
        for i in range(2):
            folder, name = root / split / kind, f"{i:03d}"
            save(folder / "rgb" / f"{name}.png", draw(i, damaged=damaged))
            points = np.dstack(
                [*np.meshgrid(np.linspace(-0.1, 0.1, 32), np.linspace(-0.1, 0.1, 24)), np.full(SIZE, 0.5)]
            )
            points[DENT] += [0, 0, 0.01 * damaged]
            points[0] = 0
            (folder / "xyz").mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / "xyz" / f"{name}.tiff", points.astype(np.float32))
            if split == "test":
                save(folder / "gt" / f"{name}.png", mark(255 * damaged))
    return root


def loco(root: Path) -> Path:
    """A category of MVTec LOCO: masks count down from 255, one picture has two, and a config names the values."""
    for i in range(2):
        save(root / "train" / "good" / f"{i:03d}.png", draw(i))
        save(root / "validation" / "good" / f"{i:03d}.png", draw(5 + i))
        save(root / "test" / "good" / f"{i:03d}.png", draw(10 + i))
        for kind, value in (("logical_anomalies", 255), ("structural_anomalies", 236)):
            save(root / "test" / kind / f"{i:03d}.png", draw(20 + i, damaged=True))
            save(root / "ground_truth" / kind / f"{i:03d}" / "000.png", mark(value))
    second = np.zeros(SIZE, np.uint8)
    second[20:22, 3:6] = 254
    save(root / "ground_truth" / "logical_anomalies" / "000" / "001.png", second)
    names = {255: "missing_part", 254: "additional_part", 236: "scratch"}
    config = [
        {"defect_name": name, "pixel_value": value, "saturation_threshold": 30, "relative_saturation": False}
        for value, name in names.items()
    ]
    save_json(root / "defects_config.json", config)
    return root


# Others


def visa(root: Path) -> Path:
    """An object of VisA with a split table; masks hold class 1, which looks black."""
    rows = [["object", "split", "label", "image", "mask"]]
    for i in range(4):
        normal = f"{root.name}/Data/Images/Normal/{i:04d}.JPG"
        save(root.parent / normal, draw(i))
        rows.append([root.name, "train" if i < 2 else "test", "normal", normal, ""])
    for i in range(2):
        bad, mask = f"{root.name}/Data/Images/Anomaly/{i:03d}.JPG", f"{root.name}/Data/Masks/Anomaly/{i:03d}.png"
        save(root.parent / bad, draw(20 + i, damaged=True))
        save(root.parent / mask, mark(1))
        rows.append([root.name, "test", "anomaly", bad, mask])
    save_csv(root.parent / "split_csv" / "1cls.csv", rows)
    return root


def realiad(root: Path) -> Path:
    """A category of Real-IAD in two sizes: pieces seen by five cameras, of which two see the anomaly."""
    tables: dict[str, object] = {"meta": {"normal_class": "OK", "prefix": "toy/"}}
    for split, pieces in (("train", ["OK/S0001"]), ("test", ["OK/S0002", "NG/AK/S0003"])):
        rows = []
        for piece in pieces:
            for camera in range(1, 6):
                damaged = piece.startswith("NG") and camera < 3
                stem = f"{piece}/toy_{piece[-4:]}_{'AK' if damaged else 'OK'}_C{camera}_20231028100000"
                for size, k in (("realiad_256", 1), ("realiad_1024", 2)):
                    big = (SIZE[0] * k, SIZE[1] * k)
                    save(root / size / "toy" / f"{stem}.jpg", draw(camera, damaged=damaged, size=big))
                    if damaged:
                        save(root / size / "toy" / f"{stem}.png", mark(255, size=big))
                rows.append(
                    {
                        "category": "toy",
                        "anomaly_class": "AK" if damaged else "OK",
                        "image_path": f"{stem}.jpg",
                        "mask_path": f"{stem}.png" if damaged else None,
                    }
                )
        tables[split] = rows
    save_json(root / "realiad_jsons" / "realiad_jsons" / "toy.json", tables)
    save_json(root / "realiad_jsons" / "realiad_jsons_sv" / "toy.json", {"not": "this one"})
    return root


def eyecandies(root: Path) -> Path:
    """A category of Eyecandies: six lightings, u16 depth between two ends, a mask per kind; train ids have 3 digits."""
    for split, stems in (("train", ["000"]), ("test_public", ["00", "01"]), ("test_private", ["000"])):
        for number, stem in enumerate(stems):
            start, damaged = root / split / "data", split == "test_public" and number == 1
            for light in range(6):
                save(start / f"{stem}_image_{light}.png", draw(light, damaged=damaged))
            save(start / f"{stem}_depth.png", np.linspace(0, 65535, 24 * 32).reshape(SIZE).astype(np.uint16))
            ends = {"normalization": {"min": 0.25, "max": 0.75}}
            (start / f"{stem}_info_depth.yaml").write_text(yaml.safe_dump(ends))
            if split != "test_private":
                for kind in ("bumps", "dents", "colors", "normals"):
                    save(start / f"{stem}_{kind}_mask.png", mark(255 * (damaged and kind == "dents")))
                save(start / f"{stem}_mask.png", mark(255 * damaged))
    return root


def armbench_images(root: Path) -> Path:
    """ARMBench pictures: ids with and without .jpg, NaN, a pick of several items, which is no damage."""
    labels = {
        "p1": [("nominal", None), ("nominal", None)],
        "p2": [("package_defect", "open_box"), ("multi_pick", None)],
        "p3": [("package_defect", "torn_bag")],
    }
    for pick, pictures in labels.items():
        for i, (label, sublabel) in enumerate(pictures):
            name = f"{pick}_{i}"
            save(root / "data" / pick / f"{name}.jpg", draw(i, damaged=label == "package_defect"))
            content = {"id": name + ".jpg" * (i == 0), "label": label, "sublabel": sublabel or float("nan")}
            save_json(root / "data" / pick / f"{name}.json", content | {"polygon": [[1, 1], [9, 1], [9, 9]]})
    (root / "test.csv").write_text("p1\np2\np3\n")
    (root / "train.csv").write_text("p9\n")
    return root


def armbench_video(root: Path) -> Path:
    """ARMBench videos: names and bits as labels, one NaN, frames for all but one, which has a film."""
    labels = {"v1": "nominal", "v2": "open", "v3": [0, 1], "v4": float("nan")}
    for number, (name, label) in enumerate(labels.items()):
        save_json(root / "annotations" / f"{name}.json", {"id": name, "label": label})
        frames = [draw(10 * number + i, damaged=number in (1, 2), size=(32, 32)) for i in range(8)]
        if name == "v3":
            (root / "videos").mkdir()
            film = cv2.VideoWriter(str(root / "videos" / "v3.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (32, 32))
            for frame in frames:
                film.write(frame[..., ::-1])
            film.release()
            continue
        for i, frame in enumerate(frames):
            save(root / "cropped_frames" / name / f"{i:04d}.jpg", frame)
    (root / "test.csv").write_text("\n".join(labels) + "\n")
    return root


def tampar(root: Path) -> Path:
    """TAMPAR: COCO tables per split, polygons of boxes, surfaces, and a table of who was tampered with."""
    names = [{"id": 0, "name": "normal box"}, {"id": 1, "name": "damaged box"}]
    for split in ("validation", "test"):
        images, annotations = [], []
        for parcel, category in ((0, 0), (1, 1), (2, 0)):
            name = f"{split}/table/id_{parcel:02d}_20230516_1.jpg"
            save(root / name, draw(parcel, damaged=category == 1))
            save(root / name.replace(".jpg", "_uvmap_gt.png"), draw(parcel))
            images.append({"id": parcel, "file_name": name, "width": 32, "height": 24})
            box = [5, 4, 26, 4, 26, 19, 5, 19]
            annotations.append({"id": parcel, "image_id": parcel, "category_id": category, "segmentation": [box]})
        content = {"images": images, "annotations": annotations, "categories": names}
        save_json(root / f"tampar_{split}.json", content)
    for parcel in range(3):
        save(root / "uvmaps" / f"id_{parcel:02d}_uvmap.png", draw(40 + parcel, size=(36, 36)))
    rows = [
        ["id", "center", "top", "bottom", "left", "right"],
        ["0"] + [""] * 5,
        ["1"] + [""] * 5,
        ["2", "te", "", "", "lh", ""],
    ]
    save_csv(root / "tampering_mapping.csv", rows)
    return root


def rgbd(root: Path) -> Path:
    """A recorded session: depth in millimetres, one frame in metres with intrinsics of its own."""
    for i in range(3):
        save(root / "color" / f"{i:06d}.jpg", draw(i, damaged=i == 1))
        depth = np.full(SIZE, 0.8, np.float32)
        depth[0] = 0
        if i == 2:
            np.save(root / "depth" / f"{i:06d}.npy", depth)
        else:
            save(root / "depth" / f"{i:06d}.png", np.round(depth * 1000).astype(np.uint16))
    matrix = [30.0, 0, 0, 0, 31.0, 0, 15.5, 11.5, 1]  # column by column
    save_json(root / "camera_intrinsic.json", {"width": 32, "height": 24, "intrinsic_matrix": matrix})
    save_json(root / "intrinsics" / "000002.json", {"fx": 40, "fy": 40, "cx": 16, "cy": 12})
    save(root / "marks" / "1.png", mark())
    rows = [["frame", "item_identifier", "defect", "defect_types", "damage_mask"]]
    save_csv(
        root / "labels.csv", [*rows, ["000000", "P", "0", "", ""], ["000001", "Q", "1", "deformation", "marks/1.png"]]
    )
    return root


SETS: Mapping[str, Callable[[Path], Path]] = {
    "kaputt": kaputt,
    "mvtec": mvtec,
    "mvtec3d": mvtec3d,
    "loco": loco,
    "visa": visa,
    "realiad": realiad,
    "eyecandies": eyecandies,
    "armbench-images": armbench_images,
    "armbench-video": armbench_video,
    "tampar": tampar,
    "rgbd": rgbd,
}
"""By the name of their adapter."""

if __name__ == "__main__":
    for name, write in SETS.items():
        print(write(Path(sys.argv[1]) / name / name))
