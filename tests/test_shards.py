"""Shards, manifest and data card: what is written is what is read, by us and by strangers; bad input is refused."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import cv2
import fakes
import numpy as np
import pyarrow.parquet
import pytest
import simplejpeg
import webdataset.compat
import yaml
from damageland.sim.capture import Capture, pose_rows
from damageland.sim.errors import DamagelandError
from damageland.sim.manifest import (
    FIRST_COLUMNS,
    LAST_COLUMNS,
    csv_agrees,
    manifest_rows,
    manifest_table,
    read_manifest,
    write_manifest,
)
from damageland.sim.output import check, claim_output, finish, record_shard
from damageland.sim.shards import (
    DEPTH_UNIT_M,
    decode_capture,
    encode_capture,
    quantise_depth,
    read_captures,
    read_shard,
    shard_path,
    write_shard,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards of three captures each."""
    for k in range(2):
        write_shard(shard_path(tmp_path, k), fakes.fake_product(7, k, split="test" if k else "train"))
    return tmp_path


def finished(folder: Path, count: int = 2) -> Path:
    """Turn the shards of a folder into a finished output."""
    (folder / "recipe.lock.yaml").write_text("name: tiny\nseed: 7\n")
    for k in range(count):
        record_shard(shard_path(folder, k))
    finish(folder, count)
    return folder


def assert_same(expected: Capture, got: Capture) -> None:
    """All but rgb is equal to the bit; rgb as close as JPEG gets."""
    assert replace(expected, views=()) == replace(got, views=())
    for a, b in zip(expected.views, got.views, strict=True):
        assert a.camera == b.camera
        for name in ("K", "T_world_cam", "item", "part", "damage", "depth"):
            x, y = getattr(a, name), getattr(b, name)
            assert (x is None) == (y is None), name
            if x is not None:
                assert x.dtype == y.dtype and np.array_equal(x, y), name
        assert b.rgb.dtype == np.uint8 and abs(a.rgb.astype(int) - b.rgb).mean() < 2


def rewrite(path: Path, edit) -> None:
    """Rewrite a tar after ``edit`` changed its {name: bytes}."""
    with tarfile.open(path) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar}  # pyright: ignore[reportOptionalMemberAccess]
    edit(members)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


# Round trip


def test_round_trip_is_exact_but_for_jpeg(folder: Path):
    """Every field, label and depth comes back as it was; JPEG alone loses, and little."""
    expected = [c for k in range(2) for c in fakes.fake_product(7, k, split="test" if k else "train")]
    got = list(read_captures(folder))
    assert len(got) == len(expected) == 6
    for a, b in zip(expected, got, strict=True):
        assert_same(a, b)


def test_real_capture_round_trips_with_everything_unknown(rng: np.random.Generator):
    """A photograph without depth, labels, calibration or product keeps its Nones."""
    bare = replace(
        fakes.fake_view(rng, "photo"), K=None, T_world_cam=None, depth=None, item=None, part=None, damage=None
    )
    capture = Capture(capture_id="img_1", item_identifier=None, origin="real", views=(bare,), defect=None)
    assert_same(capture, decode_capture(encode_capture(capture)))


def test_version_1_is_still_read(folder: Path):
    """Shards from before items had a pose read as ever; with one, it comes back to the bit."""

    def as_it_was(members: dict[str, bytes]) -> None:
        header = json.loads(members["P000-query.json"])
        del header["T_world_item"]
        members["P000-query.json"] = json.dumps(header | {"format_version": 1}).encode()

    rewrite(shard_path(folder, 0), as_it_was)
    before = next(read_shard(shard_path(folder, 0)))
    assert before.T_world_item is None
    posed = replace(before, T_world_item=pose_rows(np.linalg.inv(np.vander([0.1, 0.7, 1.3, 2.9]))))
    assert decode_capture(encode_capture(posed)).T_world_item == posed.T_world_item


def test_same_captures_same_bytes(tmp_path: Path):
    """Two writes of equal captures, at different times and places, give one and the same tar."""
    (tmp_path / "a").mkdir()
    for path in (tmp_path / "one.tar", tmp_path / "a" / "two.tar"):
        write_shard(path, fakes.fake_product(7, 3))
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "a" / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in tar} == {(0, 0, 0, "", "", 0o644)}
    assert sorted(p.name for p in tmp_path.glob("*")) == ["a", "one.tar"]


def test_depth_keeps_a_tenth_of_a_millimetre(rng: np.random.Generator):
    """Quantisation errs by half a step at most; what cannot be said is no return, and negative depth is refused."""
    depth = rng.uniform(0.1, 6.5, (20, 30)).astype(np.float32)
    assert abs(quantise_depth(depth) * DEPTH_UNIT_M - depth).max() <= DEPTH_UNIT_M / 2 + 1e-6
    odd = np.array([[np.nan, np.inf, 7.0, 0.0, 6.5535]])
    assert quantise_depth(odd).tolist() == [[0, 0, 0, 0, 65535]]
    with pytest.raises(DamagelandError, match="no return"):
        quantise_depth(np.array([[-0.1]]))


def test_filters(folder: Path):
    """Split and roles choose captures; an unknown role is an error, not an empty set."""
    assert [c.capture_id for c in read_captures(folder, split="test")] == ["P001-query", "P001-twin", "P001-ref"]
    assert {c.role for c in read_captures(folder, roles=("twin", "reference"))} == {"twin", "reference"}
    with pytest.raises(DamagelandError, match="unknown roles"):
        list(read_captures(folder, roles=["qurey"]))


def test_plain_webdataset_reads_it(folder: Path):
    """The webdataset library alone finds the same samples, keys, pictures and labels."""
    urls = [str(shard_path(folder, k)) for k in range(2)]
    samples = list(webdataset.compat.WebDataset(urls, shardshuffle=False))
    captures = list(read_captures(folder))
    assert [s["__key__"] for s in samples] == [c.capture_id for c in captures]
    for sample, capture in zip(samples, captures, strict=True):
        assert json.loads(sample["json"])["role"] == capture.role
        for view in capture.views:
            assert np.array_equal(view.rgb, simplejpeg.decode_jpeg(sample[f"{view.camera}.rgb.jpg"]))
            part = cv2.imdecode(np.frombuffer(sample[f"{view.camera}.part.png"], np.uint8), cv2.IMREAD_UNCHANGED)
            assert view.part is not None and part is not None and np.array_equal(view.part, part)
        assert "left.depth.png" not in sample and "top.depth.png" in sample


# Refusals


def test_misaligned_images_are_refused_on_writing(rng: np.random.Generator):
    """Image and depth of different size is one clear error that names capture, camera and both sizes."""
    capture = fakes.fake_capture(rng, "c1")
    # Array shapes are checked while testing, so a misaligned view cannot be made the honest way.
    object.__setattr__(capture.views[0], "depth", np.ones((10, 20), np.float32))
    with pytest.raises(DamagelandError, match=r"c1, camera top: rgb is 64x48 but depth is 20x10"):
        encode_capture(capture)


@pytest.mark.parametrize(
    "change",
    [
        {"capture_id": "a.b"},
        {"capture_id": "../x"},
        {"capture_id": "x" * 120},
        {"attributes": {"mass": float("nan")}},
        {"attributes": {"thing": object()}},
    ],
)
def test_what_a_shard_cannot_hold_is_refused(rng: np.random.Generator, change: dict):
    """Names that break keys or tars, and numbers that break JSON, do not get into a shard."""
    with pytest.raises(DamagelandError):
        encode_capture(replace(fakes.fake_capture(rng, "c1"), **change))


def test_failed_write_leaves_nothing(tmp_path: Path):
    """A generator that fails midway, or a duplicate id, leaves neither tar nor temporary file."""
    captures = fakes.fake_product(7, 0)
    with pytest.raises(DamagelandError, match="twice"):
        write_shard(tmp_path / "x.tar", captures + captures[:1])
    assert list(tmp_path.iterdir()) == []


def spoil_json(key: str, value: object):
    def edit(members: dict[str, bytes]) -> None:
        header = json.loads(members["P000-query.json"])
        header[key] = value
        members["P000-query.json"] = json.dumps(header).encode()

    return edit


def shrink_depth(members: dict[str, bytes]) -> None:
    members["P000-query.top.depth.png"] = cv2.imencode(".png", np.ones((5, 5), np.uint16))[1].tobytes()


def eight_bit_part(members: dict[str, bytes]) -> None:
    members["P000-query.top.part.png"] = cv2.imencode(".png", np.ones((48, 64), np.uint8))[1].tobytes()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (spoil_json("format_version", 99), "format_version 99"),
        (spoil_json("role", "qurey"), "role"),
        (spoil_json("defect", "yes"), "defect"),
        (spoil_json("colour", 1), "colour"),
        (spoil_json("capture_id", "other"), "must agree"),
        (lambda m: m.update({"P000-query.json": b"[1"}), "not the JSON"),
        (lambda m: m.update({"P000-query.top.rgb.jpg": b"nonsense"}), "P000-query.top.rgb.jpg is not a readable image"),
        (lambda m: m.update({"P000-query.top.item.png": b"nonsense"}), "P000-query.top.item.png is not a readable"),
        (lambda m: m.pop("P000-query.left.damage.png"), "P000-query.left.damage.png is missing"),
        (lambda m: m.pop("P000-query.json"), "json"),
        (shrink_depth, "P000-query.top.depth.png is 5x5 but"),
        (eight_bit_part, "P000-query.top.part.png holds uint8"),
    ],
)
def test_damaged_samples_name_file_and_member(folder: Path, edit, message: str):
    """Each kind of damage inside a tar is one error that names the tar and what is wrong in it."""
    path = shard_path(folder, 0)
    rewrite(path, edit)
    with pytest.raises(DamagelandError, match=message) as caught:
        list(read_shard(path))
    assert str(path) in str(caught.value)


def test_every_truncation_is_noticed(folder: Path):
    """Cut anywhere but in the padding, a tar is an error; it never just yields fewer captures."""
    path = shard_path(folder, 0)
    whole = path.read_bytes()
    content = len(whole.rstrip(b"\0"))
    with tarfile.open(path) as tar:
        edges = [m.offset for m in tar]
    for length in [*edges, *(e + 512 for e in edges), *range(0, content, 4099), content]:
        path.write_bytes(whole[:length])
        with pytest.raises(DamagelandError, match=r"shard-000000\.tar"):
            list(read_shard(path))


def test_broken_header_in_the_middle_is_noticed(folder: Path):
    """Python's tarfile silently stops at a broken header; we do not."""
    path = shard_path(folder, 0)
    with tarfile.open(path) as tar:
        offset = [m.offset for m in tar][8]
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagelandError, match="not a whole tar"):
        list(read_shard(path))


@pytest.mark.parametrize("name", ["/etc/x.json", "../x.json", "a/b.json", "..", "a/../../b.json"])
def test_escaping_names_are_refused(folder: Path, name: str):
    """Absolute names, folders and '..' are refused before anything is decoded."""
    rewrite(shard_path(folder, 0), lambda members: members.update({name: b"{}"}))
    with pytest.raises(DamagelandError, match="refused member"):
        list(read_shard(shard_path(folder, 0)))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes):
    """Only plain files are members of a shard."""
    with tarfile.open(tmp_path / "shard-000000.tar", "w") as tar:
        info = tarfile.TarInfo("a.json")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(DamagelandError, match="refused member"):
        list(read_captures(tmp_path))


def test_folder_without_shards(tmp_path: Path):
    """An empty, missing or wrong folder says so."""
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DamagelandError, match=str(path)):
            list(read_captures(path))


# Manifest, card, check


def test_manifest_parquet_and_csv_hold_the_same_rows(folder: Path):
    """Both hold the same rows, quotes, newlines, empty strings and nulls included; Kaputt's columns come first."""
    rows = manifest_rows(folder)
    rows[0]["item_material"], rows[1]["item_material"], rows[2]["item_material"] = None, "", 'a,"b"\n,'
    write_manifest(folder, manifest_table(rows))
    assert csv_agrees(folder)
    read = read_manifest(folder)
    assert [row["item_material"] for row in read[:3]] == [None, "", 'a,"b"\n,']
    names = list(read[0])
    assert names[: len(FIRST_COLUMNS)] == list(FIRST_COLUMNS) and names[-len(LAST_COLUMNS) :] == list(LAST_COLUMNS)
    assert (folder / "manifest.csv").read_text().splitlines()[0].replace('"', "").split(",") == names
    text = (folder / "manifest.csv").read_text().replace("P001-twin", "P001-tvin", 1)
    (folder / "manifest.csv").write_text(text)
    assert not csv_agrees(folder)


def test_manifest_says_what_the_captures_say(folder: Path):
    """Each row repeats its capture's labels, measures and attributes; query_image leads to the picture."""
    write_manifest(folder, manifest_table(manifest_rows(folder)))
    captures = {c.capture_id: c for c in read_captures(folder)}
    rows = read_manifest(folder)
    assert len(rows) == len(captures)
    for row in rows:
        capture = captures[row["capture_id"]]
        assert row["defect"] is capture.defect and row["split"] == capture.split
        assert row["defect_types"] == ",".join(capture.defect_types)
        assert (row["dimensions_mm_x"], row["dimensions_mm_z"]) == (120.0, 60.0)
        assert row["reference_ids"] == ",".join(capture.reference_ids)
        damages = capture.damages
        assert row["severity"] == (damages[0].severity if damages else "none")
        assert row["crush_depth_mm"] == (damages[0].measures["depth_mm"] if damages else None)
        assert row["visible_fraction_max"] == (max(damages[0].visible_fraction.values()) if damages else None)
        shard, _, member = row["query_image"].partition("/")
        with tarfile.open(folder / shard) as tar:
            assert tar.getmember(member).size > 0
    schema = pyarrow.parquet.read_schema(folder / "manifest.parquet")
    assert str(schema.field("crush_depth_mm").type) == "double" and str(schema.field("actual_units").type) == "int64"


def test_duplicate_ids_across_shards(folder: Path):
    """The same capture_id in two shards is an error that names both."""
    write_shard(shard_path(folder, 2), fakes.fake_product(7, 0))
    with pytest.raises(DamagelandError, match=r"P000-query is in both shard-000000.tar and shard-000002.tar"):
        manifest_rows(folder)


def test_attributes_cannot_shadow_columns(tmp_path: Path, rng: np.random.Generator):
    """An attribute named like a manifest column is refused instead of overwriting it."""
    write_shard(shard_path(tmp_path, 0), [replace(fakes.fake_capture(rng, "c"), attributes={"role": "x"})])
    with pytest.raises(DamagelandError, match="role"):
        manifest_rows(tmp_path)


def test_mixed_attributes_become_text(folder: Path):
    """A column of numbers and words is text; ints and floats together are floats."""
    rows = manifest_rows(folder)
    for i, row in enumerate(rows):
        row["mixed"], row["number"] = (i if i % 2 else "a"), (i if i % 2 else i + 0.5)
    table = manifest_table(rows)
    assert table["mixed"].to_pylist()[:2] == ["a", "1"] and table["number"].to_pylist()[:2] == [0.5, 1.0]


def test_card_tells_a_stranger_the_truth(folder: Path):
    """The card's counts are those of the shards, its code runs, its front matter parses, its picture shows the mask."""
    finished(folder)
    text = (folder / "README.md").read_text()
    assert yaml.safe_load(text.split("---")[1])["pretty_name"] == "tiny"
    assert "2 products, 6 captures, 2 shards" in text and "| role | query: 2, reference: 2, twin: 2 |" in text
    assert "deformation: 2" in text and "| top | 64×48 | yes | yes |" in text and "| left | 64×48 | yes | no |" in text
    for column in read_manifest(folder)[0]:
        assert f"| `{column}` | " in text
    snippet = text.split("```python\n")[2].split("```")[0]
    names: dict = {}
    exec(snippet.replace('"shard-', f'"{folder}/shard-'), names)
    assert names["labels"]["capture_id"] == "P001-ref" and simplejpeg.decode_jpeg(names["jpeg"]).shape == (48, 64, 3)
    picture = simplejpeg.decode_jpeg((folder / "card.jpg").read_bytes()).astype(int)
    assert picture.shape[1] == 4 * 224
    red = (picture[..., 0] - picture[..., 1:].max(axis=2) > 60)[:224]
    assert red[:, 448:672].sum() > 200 and red[:, :448].sum() == 0


def test_check_of_a_sound_set_is_silent(folder: Path):
    """A finished set has no problems."""
    assert check(finished(folder)) == []


def test_check_finds_a_flipped_bit_a_false_manifest_and_bad_labels(folder: Path, rng: np.random.Generator):
    """Each broken promise is named: checksum, manifest, damage on a twin, broken links, bits beyond the kinds."""
    finished(folder)
    rows = read_manifest(folder)
    rows[1]["defect"] = True
    write_manifest(folder, manifest_table(rows))
    text = "\n".join(check(folder))
    assert "manifest.parquet has changed" in text and "disagrees with capture P000-twin in ['defect']" in text

    query, twin, reference = fakes.fake_product(7, 0)
    view = replace(query.views[0], damage=np.full((48, 64), 128, np.uint8))
    bad = [
        replace(query, capture_id="bits", views=(view,), twin_id="nobody"),
        replace(twin, views=query.views),
        replace(reference, views=(replace(reference.views[0], rgb=np.zeros((48, 64, 3), np.uint8)),)),
    ]
    write_shard(shard_path(folder, 0), bad)
    text = "\n".join(check(folder))
    for expected in ("shard-000000.tar has changed", "bits beyond", "pristine twin", "nobody", "flat colour"):
        assert expected in text, expected


def test_claim(tmp_path: Path):
    """A folder belongs to one recipe: it may resume, another is refused with the difference, a foreign folder too."""
    out = tmp_path / "new" / "run"
    claim_output(out, "seed: 7\nname: a\n")
    claim_output(out, "seed: 7\nname: a\n")
    with pytest.raises(DamagelandError, match=r"(?s)choose another folder.*seed: 7 in the folder, 8 now"):
        claim_output(out, "seed: 8\nname: a\n")
    assert (out / "recipe.lock.yaml").read_text() == "seed: 7\nname: a\n"
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(DamagelandError, match=r"thesis.tex|new"):
        claim_output(tmp_path, "seed: 7\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "thesis.tex"]
