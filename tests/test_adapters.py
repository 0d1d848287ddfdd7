"""Adapters on tiny sets that ``data_real`` draws in the layout of each."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import data_real as real
import fakes
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import scenes
import tifffile
from damageland.evaluate.adapters.table import ADAPTERS, find_real_sets
from damageland.evaluate.predictions import Scored
from damageland.evaluate.run import evaluate_scorer
from damageland.sim.capture import Capture
from damageland.sim.errors import DamagelandError
from damageland.sim.export.source import Selection
from damageland.sim.export.table import export
from damageland.sim.output import claim_output, finish, record_shard
from damageland.sim.shards import shard_path, write_shard

PATCH = real.mark() > 0


def read(folder: Path, format: str | None = None) -> list[Capture]:
    """All captures of the one set in a folder."""
    (one,) = find_real_sets(folder, format)
    return list(one.read())


def by_id(captures: list[Capture]) -> dict[str, Capture]:
    return {capture.capture_id: capture for capture in captures}


def refused(folder: Path) -> str:
    with pytest.raises(DamagelandError) as caught:
        read(folder)
    return str(caught.value)


def test_a_set_of_others_goes_all_the_way_to_the_report(tmp_path: Path) -> None:
    """Strata, audit and the format stand in the report; a format that it is not is refused before any writing."""

    def scorer(capture: Capture) -> Scored:
        return Scored(capture.capture_id, 0.7 if capture.defect else 0.2, bool(capture.defect), (), (), (), {})

    folder = real.kaputt(tmp_path / "kaputt")
    report = evaluate_scorer(scorer, {}, real=[folder], data=None, out=tmp_path / "out", progress=False)
    text = report.read_text()
    assert "without small crop" in text and "byte for byte" in text and "(kaputt)" in text
    with pytest.raises(DamagelandError, match="loco"):
        evaluate_scorer(scorer, {}, real=[folder], data=None, out=tmp_path / "no", format="loco", progress=False)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("name", real.SETS)
def test_every_layout_is_recognised_and_read(name: str, tmp_path: Path) -> None:
    """A set is known by its layout, from itself or from the folder above, and by --format; both classes are in."""
    folder = real.SETS[name](tmp_path / "above" / "thing")
    (one,) = find_real_sets(folder)
    assert one.format == name
    assert [s.format for s in find_real_sets(tmp_path / "above")] == [name]
    assert find_real_sets(folder, name)[0].name == one.name == ("toy" if name == "realiad" else "thing")
    captures = list(one.read())
    queries = [capture for capture in captures if capture.role == "query"]
    assert {True, False} <= {capture.defect for capture in queries}
    assert captures == sorted(captures, key=lambda c: c.role == "reference")  # references last
    assert all(c.origin == "real" and c.views and c.defect is not True for c in captures if c.role == "reference")
    for view in (view for capture in captures if capture.defect is False for view in capture.views):
        assert view.damage is None or not view.damage.any()
    assert f"| `{name}` |" in (Path(__file__).parents[1] / "docs" / "real-captures.md").read_text()


def test_masks_are_where_the_damage_is(tmp_path: Path) -> None:
    """Masks of 255, of 236 to 255, and of class 1 that look black all mark the patch; silhouettes never do."""
    for name in ("mvtec", "mvtec3d", "visa", "eyecandies", "rgbd"):
        captures = read(real.SETS[name](tmp_path / name))
        for capture in captures:
            if capture.defect:
                assert all(np.array_equal(PATCH, view.damage > 0) for view in capture.views), name
    loco = by_id(read(real.loco(tmp_path / "loco")))
    assert np.array_equal(PATCH, loco["test-structural_anomalies-001"].views[0].damage > 0)
    both = loco["test-logical_anomalies-000"].views[0].damage > 0
    assert both.sum() == PATCH.sum() + 6  # two masks, one picture
    for name in ("kaputt", "tampar", "armbench-images", "armbench-video"):
        damaged = [c for c in read(real.SETS[name](tmp_path / name)) if c.defect]
        assert damaged and all(view.damage is None for capture in damaged for view in capture.views), name


@pytest.mark.parametrize("unpacked", [False, True])
def test_kaputt_by_either_root(unpacked: bool, tmp_path: Path) -> None:
    """Kinds by commas and as a list, silhouettes as items, the small crop as a stratum, references by item."""
    captures = by_id(read(real.kaputt(tmp_path / "k", unpacked=unpacked)))
    queries = [captures[f"test{i}"] for i in range(4)]
    assert [q.defect_types for q in queries] == [("deformation", "spillage"), ("penetration",), (), ()]
    assert [(q.defect, q.major_defect, q.split) for q in queries[:2]] == [(True, True, "test"), (True, False, "test")]
    assert [q.attributes.get("strata") for q in queries] == [None, None, None, ("small crop",)]
    assert all(q.views[0].item.all() for q in queries)
    assert [captures[name].item_identifier for q in queries for name in q.reference_ids] == ["B0", "B1", "B2"]
    (one,) = find_real_sets(tmp_path / "k")
    (tmp_path / "k" / ("query-image" if unpacked else "") / "data/test/query-data/image/test1.jpg").write_text("broken")
    assert [c.role for c in one.read().of(("reference",))] == ["reference"] * 3  # no query is looked at
    gallery, impure = one.audit()
    assert "3 references of 4 items; 1 items have none" in gallery and impure.startswith(
        "1 references are byte for byte"
    )


def test_depth_comes_in_metres(tmp_path: Path) -> None:
    """The third channel of points, u16 between two ends, millimetres and float metres: all become metres, 0 is none."""
    dent = by_id(read(real.mvtec3d(tmp_path / "m")))["test-dent-000"].views[0].depth
    assert dent[10, 12] == pytest.approx(0.51) and dent[20, 20] == pytest.approx(0.5) and not dent[0].any()
    candy = by_id(read(real.eyecandies(tmp_path / "e")))["test_public-01"]
    assert len(candy.views) == 6 and candy.defect_types == ("deformation",)
    assert candy.views[0].depth[[0, -1], [0, -1]] == pytest.approx([0.25, 0.75])
    assert candy.views[0].K[0] == pytest.approx([711.11 * 32 / 512, 0, 16])
    session = by_id(read(real.rgbd(tmp_path / "r")))
    for name, K in (
        ("000000", [[30, 0, 16], [0, 31, 12], [0, 0, 1]]),
        ("000002", [[40, 0, 16.5], [0, 40, 12.5], [0, 0, 1]]),
    ):
        view = session[name].views[0]
        assert view.depth[5, 5] == pytest.approx(0.8) and not view.depth[0].any()
        assert pytest.approx(np.array(K)) == view.K
    assert session["000002"].defect is None and session["000001"].group == "Q"


def test_pieces_videos_and_parcels(tmp_path: Path) -> None:
    """Five cameras are one capture, frames are views, several items in a pick no label, tampering is a lookalike."""
    pieces = by_id(read(real.realiad(tmp_path / "i")))
    bad = pieces["NG-AK-S0003"]
    assert [view.camera for view in bad.views] == ["C1", "C2", "C3", "C4", "C5"]
    assert [bool(view.damage.any()) for view in bad.views] == [True, True, False, False, False]
    assert bad.views[0].rgb.shape == (48, 64, 3)  # the largest there is
    videos = by_id(read(real.armbench_video(tmp_path / "v")))
    assert [videos[f"v{i}"].defect for i in range(1, 5)] == [False, True, True, None]
    assert [videos[f"v{i}"].defect_types for i in (2, 3)] == [("actuation",), ("deconstruction",)]
    assert all(len(video.views) == 5 for video in videos.values())
    picks = by_id(read(real.armbench_images(tmp_path / "a")))
    assert [picks[n].defect for n in ("p1_0", "p2_0", "p2_1", "p3_0")] == [False, True, None, True]
    assert (picks["p3_0"].defect_types, picks["p1_1"].group) == (("penetration",), "p1")
    parcels = by_id(read(real.tampar(tmp_path / "t")))
    queries = [c for c in parcels.values() if c.role == "query"]
    assert [(c.item_identifier, c.defect, c.attributes["lookalikes"]) for c in queries] == [
        ("id_00", False, ""), ("id_01", True, ""), ("id_02", False, "te,lh")]  # fmt: skip
    assert all(c.capture_id.startswith("test-") and c.views[0].item.sum() == 22 * 16 for c in queries)


def shared_kaputt(folder: Path) -> None:
    rows = pyarrow.parquet.read_table(folder / "query-test.parquet").to_pylist()
    rows[0]["item_identifier"] = "B4"
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), folder / "query-test.parquet")


def shared_realiad(folder: Path) -> None:
    path = folder / "realiad_jsons/realiad_jsons/toy.json"
    tables = json.loads(path.read_text())
    tables["train"].append(tables["test"][0])
    path.write_text(json.dumps(tables))


def nan_points(folder: Path) -> None:
    path = folder / "test/dent/xyz/000.tiff"
    points = tifffile.imread(path)
    points[3, 4] = np.nan
    tifffile.imwrite(path, points)


def nan_metres(folder: Path) -> None:
    np.save(folder / "depth/000002.npy", np.full(real.SIZE, np.nan, np.float32))


def pickled_depth(folder: Path) -> None:
    np.save(folder / "depth/000002.npy", np.array([{"a": 1}], dtype=object))


def edit_json(path: str, **changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        content = json.loads((folder / path).read_text())
        (folder / path).write_text(json.dumps(content | changes))

    return edit


def remove(path: str) -> Callable[[Path], None]:
    return lambda folder: (folder / path).unlink()


def resize(path: str) -> Callable[[Path], None]:
    return lambda folder: cv2.imwrite(str(folder / path), np.full((24, 33), 255, np.uint8)) and None


def outside(folder: Path) -> None:
    (folder / "labels.csv").write_text("frame,defect,damage_mask\n000001,1,../secret.png\n")


def odd_value(folder: Path) -> None:
    real.save(folder / "ground_truth/logical_anomalies/001/000.png", real.mark(77))


def no_intact(folder: Path) -> None:
    for path in (folder / "test/good").iterdir():
        path.unlink()


TRAPS: dict[str, tuple[str, Callable[[Path], None], list[str]]] = {
    "items in two splits": ("kaputt", shared_kaputt, ["item 'B4' is in both"]),
    "pieces in two splits": ("realiad", shared_realiad, ["piece 'OK/S0002' is in both train and test"]),
    "picks in two splits": ("armbench-images", lambda f: (f / "train.csv").write_text("p2\n") and None, ["pick 'p2'"]),
    "no intact": ("mvtec", no_intact, ["all 2 labelled captures are damaged", "without intact ones"]),
    "NaN points": ("mvtec3d", nan_points, ["000.tiff", "1 depths that are NaN", "write 0"]),
    "NaN metres": ("rgbd", nan_metres, ["000002.npy", "768 depths that are NaN"]),
    "pickle": ("rgbd", pickled_depth, ["000002.npy", "not a readable array of numbers"]),
    "mask size": ("mvtec", resize("ground_truth/broken_large/000_mask.png"), ["32x24", "33x24", "000_mask.png"]),
    "no mask": ("mvtec", remove("ground_truth/broken_large/001_mask.png"), ["001_mask.png does not exist"]),
    "no points": ("mvtec3d", remove("test/good/xyz/001.tiff"), ["001.tiff does not exist"]),
    "LOCO value": ("loco", odd_value, ["[77]", "missing_part"]),
    "LOCO config": ("loco", lambda f: real.save_json(f / "defects_config.json", [{"a": 1}]), ["pixel_value"]),
    "VisA label": ("visa", lambda f: real.save_csv(f.parent / "split_csv/1cls.csv", [
        ["object", "split", "label", "image", "mask"], [f.name, "test", "bad", "x", ""]]), ["line 2", "'bad'"]),
    "ends of depth": ("eyecandies", lambda f: (f / "test_public/data/01_info_depth.yaml").write_text(
        "normalization: {min: .nan, max: 1}") and None, ["01_info_depth.yaml", "nan"]),
    "label": ("armbench-images", edit_json("data/p1/p1_0.json", label="broken"), ["p1_0.json", "'broken'", "nominal"]),
    "bits": ("armbench-video", edit_json("annotations/v1.json", label=[0, 2]), ["v1.json", "[0, 2]"]),
    "an id that leads out": ("armbench-images", lambda f: (f / "test.csv").write_text("../p1\n") and None, ["line 1"]),
    "category": ("tampar", edit_json("tampar_test.json", annotations=[{"id": 1, "image_id": 0, "category_id": 7}]),
                 ["tampar_test.json", "unknown category"]),
    "rows for columns": ("rgbd", edit_json("camera_intrinsic.json", intrinsic_matrix=[30, 0, 16, 0, 31, 12, 0, 0, 1]),
                         ["camera_intrinsic.json", "column by column"]),
    "no intrinsics": ("rgbd", remove("camera_intrinsic.json"), ["intrinsic.json does not exist"]),
    "a mask that leads out": ("rgbd", outside, ["line 2", "../secret.png", "leads out"]),
}  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS)
def test_traps_are_one_clear_error(trap: str, tmp_path: Path) -> None:
    """Each mistake names the file and the value, and says what was expected."""
    name, spoil, expected = TRAPS[trap]
    folder = real.SETS[name](tmp_path / "root" / "thing")
    (tmp_path / "root" / "secret.png").write_bytes(b"x")
    spoil(folder)
    text = refused(folder)
    assert all(part in text for part in expected), text


def test_what_is_no_set_is_told_all_layouts(tmp_path: Path) -> None:
    """An empty folder and an unknown format are answered with what there is."""
    (tmp_path / "empty").mkdir()
    assert all(name in refused(tmp_path / "empty") for name in ADAPTERS)
    with pytest.raises(DamagelandError, match="--format mvtek: expected one of folder, kaputt"):
        find_real_sets(tmp_path, "mvtek")
    with pytest.raises(DamagelandError, match="logical_anomalies"):
        find_real_sets(real.mvtec(tmp_path / "m"), "loco")


def test_an_export_comes_back_through_its_adapter(tmp_path: Path) -> None:
    """Kaputt tables and MVTec 3D folders that this project writes are read as what they were."""
    out = tmp_path / "set"
    claim_output(out, scenes.tiny_plan(size=48, captures=1).lock)
    captures = [c for i in range(3) for c in fakes.fake_product(1, i, split="test")]
    write_shard(shard_path(out, 0), captures)
    record_shard(shard_path(out, 0))
    finish(out, 1)
    only = Selection(cameras=("top",))
    export("kaputt", out, tmp_path / "kaputt", only)
    export("mvtec3d", out, tmp_path / "mvtec3d", only)
    back = by_id(read(tmp_path / "kaputt"))
    for name, capture in ((c.capture_id, c) for c in captures if c.role == "query"):
        assert (back[name].item_identifier, back[name].split) == (capture.item_identifier, "test")
        assert np.array_equal(back[name].views[0].item, capture.views[0].item)
        assert back[name].reference_ids
    clouds = by_id(read(tmp_path / "mvtec3d"))
    seen = next(c for c in captures if c.defect and f"test-deformation-{c.capture_id}--top" in clouds)
    view = clouds[f"test-deformation-{seen.capture_id}--top"].views[0]
    assert np.array_equal(view.damage > 0, seen.views[0].damage > 0)
    np.testing.assert_allclose(view.depth, seen.views[0].depth, atol=1e-6)


GARBAGE = (b"", b"\xff\xfe\x00garbage", b"{}", b'[1, {"id": []}]', b"a,b\n1,2\n")


@pytest.mark.parametrize("name", real.SETS)
def test_garbage_is_never_a_traceback(name: str, tmp_path: Path) -> None:
    """Whatever one file of a set is overwritten with or cut to, the set is read or refused with a clear error."""
    folder = real.SETS[name](tmp_path / "root" / "thing")
    chosen = {path.suffix if "S0" in path.parent.name else (path.parent.name, path.suffix): path
              for path in sorted((tmp_path / "root").rglob("*")) if path.is_file()}  # fmt: skip
    for path in chosen.values():
        whole = path.read_bytes()
        content = json.loads(whole) if path.suffix == ".json" and b"NaN" not in whole else {}
        odd = [json.dumps(content | {key: value}).encode() for key in content for value in (5, [{"id": "x"}])
               ] if isinstance(content, dict) else []  # fmt: skip
        for spoilt in (*GARBAGE, whole[: len(whole) // 2], *odd):
            path.write_bytes(spoilt)
            try:
                for one in find_real_sets(folder, name):
                    list(one.read())
                    one.audit()
            except DamagelandError as error:
                assert len(str(error)) > 20
        path.write_bytes(whole)
