"""Imported meshes: a GLB of another library goes all the way to shards; units, repairs, and clear errors."""

import json
import struct
from pathlib import Path

import data_glb
import numpy as np
import pytest
import scenes
import trimesh
from damageland.generators.design import Design
from damageland.generators.imported.collapse import collapse_short
from damageland.generators.imported.meshfile import Folder, Surface
from damageland.generators.imported.repair import refine
from damageland.generators.mesh import boundary_half_edges, enclosed_volume, finish_sheet, mesh_edges
from damageland.generators.products.imported_mesh import ImportedMeshConfig, build_imported_mesh
from damageland.generators.recipe import ProductSpec
from damageland.sim.errors import DamagelandError
from damageland.sim.scene import Material
from pydantic import ValidationError

GREY = Material("grey", (0.5, 0.5, 0.5), 0.0, 1.0)


def build(folder: Path, number: int = 0, **settings):
    config = ImportedMeshConfig(folder=folder, **settings)
    return build_imported_mesh("x", config, Design(7, number, "imported_mesh"))


def repairs(product) -> set[str]:
    return set(product.attributes["repairs"].split(",")) - {""}


def cube(side: float = 0.1):
    """Vertices and faces of a cube; y up and z up are the same to it."""
    box = trimesh.creation.box((side, side, side))
    return np.array(box.vertices), np.array(box.faces)


def export(folder: Path, name: str, vertices, faces, **settings) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    body = trimesh.Trimesh(vertices, faces, process=False, **settings)
    body.export(folder / name)
    return folder


def is_closed(product) -> bool:
    faces = product.sheets[0].faces
    edges, face_edge = mesh_edges(faces)
    return bool((np.bincount(face_edge.ravel(), minlength=len(edges)) == 2).all())


# ---- A textured object ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mugs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mugs")
    data_glb.write_mug(folder / "enamel_mug.glb", 48)
    return folder


def test_mug_is_ready_for_damage(mugs: Path):
    """Metres and y up as glTF says, closed, on z = 0 and centred, some thousand even vertices, UVs inside."""
    product = build(mugs)
    sheet = product.sheets[0]
    size = np.ptp(sheet.vertices, axis=0)
    np.testing.assert_allclose(size, [0.1075, 0.082, 0.095], atol=1e-3)
    np.testing.assert_allclose(product.attributes["dimensions_mm"], 1000 * size, atol=0.06)
    assert abs(sheet.vertices[:, 2].min()) < 1e-9
    assert 2000 < len(sheet.vertices) < 9000
    assert is_closed(product) and enclosed_volume(sheet.vertices, sheet.faces) == pytest.approx(1.04e-4, rel=0.03)
    assert sheet.uv.min() >= 0 and sheet.uv.max() <= 1
    assert product.attributes["title"] == "Enamel mug"
    assert {"vertices_merged", "degenerate_faces_dropped", "several_shells_kept"} <= repairs(product)
    part, gone = finish_sheet(sheet)
    assert gone is None and part.damage.max() == 0


def colour_at(product, point) -> np.ndarray:
    """Texture colour at the corner of the mesh nearest to a point."""
    sheet = product.sheets[0]
    corner = np.linalg.norm(sheet.vertices[sheet.faces].reshape(-1, 3) - point, axis=1).argmin()
    texture = sheet.materials[sheet.material[corner // 3]].base_color_texture
    assert texture is not None
    u, v = sheet.uv.reshape(-1, 2)[corner]
    h, w = texture.shape[:2]
    return texture[min(int((1 - v) * h), h - 1), min(int(u * w), w - 1)].astype(int)


@pytest.mark.parametrize("sectors", [48, 500])
def test_the_picture_stays_where_it_was(tmp_path: Path, sectors: int):
    """Red band outside at its height, cream above, blue handle: with few faces and with many."""
    data_glb.write_mug(tmp_path / "mug.glb", sectors)
    product = build(tmp_path)
    x = float(np.ptp(product.sheets[0].vertices[:, 0])) / 2
    axis = x - 0.0665 - 0.0005  # the handle moves the middle to +x
    height = 0.095 * (1 - 0.34 / 0.75)
    np.testing.assert_allclose(colour_at(product, [axis * -1, 0.041, height]), [178, 34, 34], atol=14)
    np.testing.assert_allclose(colour_at(product, [0.0, -0.041, 0.085]), [236, 226, 205], atol=14)
    np.testing.assert_allclose(colour_at(product, [x, 0, 0.048]), [40, 60, 150], atol=14)


def test_glb_to_shards(mugs: Path, tmp_path: Path):
    """A GLB goes the whole way: damaged captures with twins, labels and repairs, in a shard that reads back."""
    from damageland.generators.shoot import render_shard
    from damageland.sim.shards import read_shard, shard_path

    products = (ProductSpec(family="imported_mesh", count=1, config={"folder": str(mugs)}),)
    plan = scenes.tiny_plan(products=products, captures=2)
    render_shard(plan, 0, tmp_path)
    captures = list(read_shard(shard_path(tmp_path, 0)))
    assert {c.role for c in captures} == {"reference", "query", "twin"}
    for capture in captures:
        assert capture.attributes["title"] == "Enamel mug"
        assert "several_shells_kept" in capture.attributes["repairs"]
    damaged = [c for c in captures if c.role == "query"]
    assert any(view.damage.any() for c in damaged for view in c.views)


def test_same_file_same_product(mugs: Path):
    """Building twice gives the same bytes; longest_mm scales it, within the range and by the design."""
    a, b = build(mugs), build(mugs)
    assert a.sheets[0].vertices.tobytes() == b.sheets[0].vertices.tobytes()
    assert a.sheets[0].uv.tobytes() == b.sheets[0].uv.tobytes()
    scaled = build(mugs, longest_mm=(200.0, 240.0))
    assert 200 <= max(scaled.attributes["dimensions_mm"]) <= 240
    assert scaled.mass_g > 4 * a.mass_g
    assert build(mugs, mass_g=321.0).mass_g == 321.0


# ---- Formats, units, colours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["glb", "obj", "ply", "stl"])
def test_all_formats(tmp_path: Path, kind: str):
    """A cube of 100 mm is one, from each format in its usual unit."""
    vertices, faces = cube(0.1 if kind == "glb" else 100.0)
    product = build(export(tmp_path, f"cube.{kind}", vertices, faces))
    np.testing.assert_allclose(product.attributes["dimensions_mm"], 100, atol=0.1)
    assert is_closed(product)
    assert product.mass_g == pytest.approx(400, rel=0.01)
    assert ("unit_taken_for_mm" in repairs(product)) == (kind != "glb")


@pytest.mark.parametrize(("unit", "side"), [("m", 0.2), ("cm", 20.0), ("mm", 200.0), ("inch", 7.874)])
def test_units(tmp_path: Path, unit: str, side: float):
    """The unit is taken as told."""
    product = build(export(tmp_path, "cube.ply", *cube(side)), unit=unit)
    np.testing.assert_allclose(product.attributes["dimensions_mm"], 200, atol=0.1)


def test_up_and_stand(tmp_path: Path):
    """A tall GLB box stands up along y; ``stand: stable`` lays it on its largest side."""
    box = trimesh.creation.box((0.1, 0.2, 0.03))
    export(tmp_path, "box.glb", np.array(box.vertices), np.array(box.faces))
    np.testing.assert_allclose(build(tmp_path).attributes["dimensions_mm"], (100, 30, 200), atol=0.1)
    np.testing.assert_allclose(build(tmp_path, up="z").attributes["dimensions_mm"], (100, 200, 30), atol=0.1)
    laid = build(tmp_path, stand="stable")
    assert laid.attributes["dimensions_mm"][2] == pytest.approx(30, abs=0.1) and "made_to_stand" in repairs(laid)


@pytest.mark.parametrize("kind", ["ply", "glb"])
def test_vertex_colours_are_painted(tmp_path: Path, kind: str):
    """Colours of vertices become a texture: red on top, blue at the bottom."""
    vertices, faces = cube(0.1)
    up = 1 if kind == "glb" else 2
    tones = np.where(vertices[:, up : up + 1] > 0, [1.0, 0, 0], [0, 0, 1.0])
    if kind == "glb":
        data_glb.write_glb(tmp_path / "cube.glb", vertices, faces, colours=tones)
    else:
        export(tmp_path, "cube.ply", vertices, faces, vertex_colors=(255 * tones).astype(np.uint8))
    product = build(tmp_path, unit="m")
    assert "texture_painted_anew" in repairs(product)
    np.testing.assert_allclose(colour_at(product, [0.03, 0.03, 0.1]), [255, 0, 0], atol=40)
    np.testing.assert_allclose(colour_at(product, [0.03, 0.03, 0.0]), [0, 0, 255], atol=40)


def test_factor_colour_needs_no_picture(tmp_path: Path):
    """A material with a colour and no texture keeps its colour."""
    data_glb.write_glb(tmp_path / "cube.glb", *cube(), factor=(0.8, 0.1, 0.05, 1.0))
    sheet = build(tmp_path).sheets[0]
    assert sheet.materials[0].base_color_texture is None
    np.testing.assert_allclose(sheet.materials[0].base_color, (0.8, 0.1, 0.05), atol=0.01)
    assert sheet.materials[0].roughness == pytest.approx(0.25)


@pytest.mark.parametrize(("repeat", "word"), [(1.0, "repeated_texture_unrolled"), (5.3, "texture_painted_anew")])
def test_repeating_pictures(tmp_path: Path, repeat: float, word: str):
    """UVs in another tile are shifted back; UVs across several tiles are painted anew."""
    vertices, faces = cube()
    soup = vertices[faces].reshape(-1, 3)
    uv = np.tile([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]], (len(faces), 1)) * repeat + 3
    data_glb.write_glb(tmp_path / "c.glb", soup, np.arange(36).reshape(-1, 3), uv=uv, png=data_glb.paint(64))
    product = build(tmp_path)
    assert word in repairs(product)
    uv = product.sheets[0].uv
    assert uv.min() >= 0 and uv.max() <= 1


# ---- Repairs --------------------------------------------------------------------------------------------------------


def test_no_texture_is_grey_and_says_so(tmp_path: Path):
    """Without texture and colours the product is plain grey, with a word about it."""
    assert "no_texture_plain_grey" in repairs(build(export(tmp_path, "cube.stl", *cube(100.0))))


def test_flipped_faces_are_turned(tmp_path: Path):
    """All faces inside out, and some of them: both come back with the outside out."""
    vertices, faces = cube(100.0)
    some = faces.copy()
    some[:4] = some[:4, ::-1]
    for name, wrong in (("all", faces[:, ::-1]), ("some", some)):
        product = build(export(tmp_path / name, "cube.ply", vertices, wrong))
        sheet = product.sheets[0]
        assert enclosed_volume(sheet.vertices, sheet.faces) == pytest.approx(1e-3, rel=1e-6)
        assert "flipped_faces_turned" in repairs(product)


def test_small_holes_are_filled_large_ones_are_not(tmp_path: Path):
    """One missing face of a fine ball is closed; a missing side of a cube is an error, or an open shell if allowed."""
    ball = trimesh.creation.icosphere(3, 50.0)
    product = build(export(tmp_path / "ball", "ball.ply", ball.vertices, ball.faces[1:]))
    assert "holes_filled" in repairs(product) and is_closed(product)
    vertices, faces = cube(100.0)
    up = vertices[faces].mean(axis=1)[:, 2]
    folder = export(tmp_path / "box", "box.ply", vertices, faces[up < 49])
    with pytest.raises(DamagelandError, match=r"box\.ply: not closed.*open_ok"):
        build(folder)
    product = build(folder, open_ok=True)
    assert "left_open" in repairs(product) and len(boundary_half_edges(product.sheets[0].faces)[0])


def test_non_manifold_edges_are_split(tmp_path: Path):
    """Two cubes that share an edge become two closed shells."""
    vertices, faces = cube(50.0)
    both = np.concatenate([vertices, vertices + np.array([50.0, 50.0, 0])])
    product = build(export(tmp_path, "two.ply", both, np.concatenate([faces, faces + 8])))
    assert "non_manifold_split" in repairs(product) and is_closed(product)


def test_double_and_degenerate_faces_go(tmp_path: Path):
    """Faces without area and faces given twice are dropped."""
    vertices, faces = cube(100.0)
    faces = np.concatenate([faces, faces[:2], [[0, 0, 1]]])
    product = build(export(tmp_path, "cube.ply", vertices, faces))
    assert {"double_faces_dropped", "degenerate_faces_dropped"} <= repairs(product) and is_closed(product)


def test_fine_meshes_are_decimated(tmp_path: Path):
    """A ball of 160,000 vertices ends with some thousand, closed, of the same size."""
    ball = trimesh.creation.icosphere(7, 50.0)
    product = build(export(tmp_path, "ball.stl", ball.vertices, ball.faces))
    sheet = product.sheets[0]
    assert len(sheet.vertices) < 9000 and "decimated" in repairs(product) and is_closed(product)
    assert enclosed_volume(sheet.vertices, sheet.faces) == pytest.approx(4 / 3 * np.pi * 0.05**3, rel=0.01)


def surface_of(vertices, faces) -> Surface:
    none = np.zeros(len(faces), np.int64)
    return Surface(np.asarray(vertices, float), np.asarray(faces), np.zeros((len(faces), 3, 2)), None, none, (GREY,))


def test_refine_and_collapse_keep_the_surface():
    """Splitting keeps shape exactly and bounds the edges; collapsing keeps it closed, and corners where they are."""
    vertices, faces = cube(1.0)
    fine = refine(surface_of(vertices, faces), 0.11)
    edges, face_edge = mesh_edges(fine.faces)
    assert (np.bincount(face_edge.ravel()) == 2).all()
    assert np.linalg.norm(np.subtract(*fine.vertices[edges].transpose(1, 0, 2)), axis=1).max() <= 0.11
    assert enclosed_volume(fine.vertices, fine.faces) == pytest.approx(1)
    points, even = collapse_short(fine.vertices, fine.faces, 0.2)
    edges, face_edge = mesh_edges(even)
    assert (np.bincount(face_edge.ravel()) == 2).all() and len(points) < len(fine.vertices) / 2
    assert enclosed_volume(points, even) == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(np.ptp(points, axis=0), 1, atol=1e-9)


# ---- Errors ---------------------------------------------------------------------------------------------------------


def test_count_beyond_the_files(mugs: Path):
    """More products than files is one clear error."""
    with pytest.raises(DamagelandError, match="product 2 is asked for, but there are 1 mesh files"):
        build(mugs, 1)


def test_folder_missing_or_empty(tmp_path: Path):
    """A folder that is not there, and one without meshes."""
    with pytest.raises(DamagelandError, match="no such folder"):
        build(tmp_path / "none")
    (tmp_path / "model.pkl").write_bytes(b"x")
    (tmp_path / "model.ply.gz").write_bytes(b"x")
    with pytest.raises(DamagelandError, match="holds no mesh file"):
        build(tmp_path)


@pytest.mark.parametrize("kind", ["glb", "ply", "stl"])
def test_fifty_million_faces_are_refused_from_the_header(tmp_path: Path, kind: str):
    """A tiny file that claims 50 million faces is refused before it is read."""
    path = tmp_path / f"huge.{kind}"
    if kind == "glb":
        data_glb.write_glb(path, *cube(), claim_corners=150_000_000)
    elif kind == "ply":
        path.write_text(
            "ply\nformat ascii 1.0\nelement vertex 8\nproperty float x\nelement face 50000000\nend_header\n"
        )
    else:
        path.write_bytes(b"\0" * 80 + struct.pack("<I", 50_000_000))
    with pytest.raises(DamagelandError, match=r"claims 50,000,000 faces.*max_faces"):
        build(tmp_path)


def test_too_many_faces_in_an_obj(tmp_path: Path):
    """OBJ has no header: its lines are counted."""
    export(tmp_path, "ball.obj", *(lambda b: (b.vertices, b.faces))(trimesh.creation.icosphere(3, 50.0)))
    with pytest.raises(DamagelandError, match="claims 1,280 faces"):
        build(tmp_path, max_faces=1000)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(tmp_path: Path, bad: float):
    """NaN and infinity are named."""
    vertices, faces = cube(100.0)
    vertices[3, 1] = bad
    with pytest.raises(DamagelandError, match="NaN or infinite"):
        build(export(tmp_path, "cube.ply", vertices, faces))


@pytest.mark.parametrize(("side", "message"), [(0.0, "zero size"), (1e-4, "unit may be wrong"), (8.0, "unit may be")])
def test_wrong_sizes(tmp_path: Path, side: float, message: str):
    """Nothing, a speck, and a house."""
    with pytest.raises(DamagelandError, match=message):
        build(export(tmp_path, "cube.ply", *cube(side)), unit="m")


def test_flat_and_empty(tmp_path: Path):
    """A plane is no product, nor is a file without faces or bytes."""
    flat = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    with pytest.raises(DamagelandError, match="flat or without area"):
        build(export(tmp_path / "flat", "flat.ply", flat, [[0, 1, 2], [0, 2, 3]]), unit="m")
    (tmp_path / "points").mkdir()
    (tmp_path / "points" / "points.obj").write_text("v 0 0 0\nv 1 0 0\n")
    with pytest.raises(DamagelandError, match="no faces"):
        build(tmp_path / "points")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "empty.stl").write_bytes(b"")
    with pytest.raises(DamagelandError, match="the file is empty"):
        build(tmp_path / "empty")


@pytest.mark.parametrize("kind", ["glb", "obj", "ply", "stl"])
def test_not_what_the_suffix_says(tmp_path: Path, kind: str):
    """A picture under a mesh's name is refused by name."""
    (tmp_path / f"fake.{kind}").write_bytes(data_glb.paint(16))
    with pytest.raises(DamagelandError, match=rf"fake\.{kind}: "):
        build(tmp_path)


def test_cut_off_files(tmp_path: Path):
    """Half a GLB and half a PLY are errors, not crashes."""
    path = data_glb.write_mug(tmp_path / "g" / "mug.glb", 24)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DamagelandError, match="cut off"):
        build(tmp_path / "g")
    export(tmp_path / "p", "ball.ply", *cube(100.0))
    whole = (tmp_path / "p" / "ball.ply").read_bytes()
    (tmp_path / "p" / "ball.ply").write_bytes(whole[: len(whole) - 60])
    with pytest.raises(DamagelandError, match=r"ball\.ply"):
        build(tmp_path / "p")


ESCAPES = (
    "../secret.png", "/etc/passwd", "sub/../../secret.png", "%2e%2e/secret.png", "file:///etc/passwd", "..\\secret.png",
)  # fmt: skip


@pytest.mark.parametrize("uri", ESCAPES)
def test_nothing_outside_the_folder_is_read(tmp_path: Path, uri: str):
    """URIs that leave the folder are refused, from GLB, from OBJ's material file, and by the resolver itself."""
    (tmp_path / "secret.png").write_bytes(data_glb.paint(16))
    folder = tmp_path / "in"
    uvs = np.zeros((8, 2))
    data_glb.write_glb(folder / "cube.glb", *cube(), uv=uvs, image_uri=uri)
    with pytest.raises(DamagelandError, match="not in its folder"):
        build(folder)
    (folder / "cube.glb").unlink()
    vertices, faces = cube(100.0)
    export(folder, "cube.obj", vertices, faces)
    text = (folder / "cube.obj").read_text()
    (folder / "cube.obj").write_text(f"mtllib cube.mtl\nusemtl a\n{text}")
    (folder / "cube.mtl").write_text(f"newmtl a\nKd 1 1 1\nmap_Kd {uri}\n")
    with pytest.raises(DamagelandError, match="not in its folder"):
        build(folder)
    (folder / "cube.obj").write_text(f"mtllib {uri}\n{text}")
    with pytest.raises(DamagelandError, match="not in its folder"):
        build(folder)
    with pytest.raises(OSError, match="not in its folder"):
        Folder(folder / "cube.obj").get(uri)


def test_links_out_of_the_folder_are_refused(tmp_path: Path):
    """A symbolic link does not lead out either."""
    (tmp_path / "secret.png").write_bytes(data_glb.paint(16))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    data_glb.write_glb(tmp_path / "in" / "cube.glb", *cube(), uv=np.zeros((8, 2)), image_uri="link.png")
    with pytest.raises(DamagelandError, match="not in its folder"):
        build(tmp_path / "in")


def test_missing_files_beside_the_mesh(tmp_path: Path):
    """A texture, a buffer and a material file that are not there are named."""
    data_glb.write_glb(tmp_path / "a" / "cube.glb", *cube(), uv=np.zeros((8, 2)), image_uri="paint.png")
    with pytest.raises(DamagelandError, match=r"'paint\.png', which is missing"):
        build(tmp_path / "a")
    export(tmp_path / "b", "cube.obj", *cube(100.0))
    text = (tmp_path / "b" / "cube.obj").read_text()
    (tmp_path / "b" / "cube.obj").write_text(f"mtllib lost.mtl\n{text}")
    with pytest.raises(DamagelandError, match=r"'lost\.mtl', which is missing"):
        build(tmp_path / "b")
    tree = {
        "asset": {"version": "2.0"}, "buffers": [{"uri": "lost.bin", "byteLength": 12}], "meshes": [], "accessors": []
    }  # fmt: skip
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    (tmp_path / "c").mkdir()
    head = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON")
    (tmp_path / "c" / "x.glb").write_bytes(head + text)
    with pytest.raises(DamagelandError, match=r"'lost\.bin', which is missing"):
        build(tmp_path / "c")


def test_picture_bombs_are_refused(tmp_path: Path):
    """A PNG whose header claims 60,000 px a side is refused without being unpacked."""
    png = bytearray(data_glb.paint(16))
    png[16:24] = struct.pack(">II", 60_000, 60_000)
    import zlib

    png[29:33] = struct.pack(">I", zlib.crc32(bytes(png[12:29])))
    data_glb.write_glb(tmp_path / "cube.glb", *cube(), uv=np.zeros((8, 2)), png=bytes(png))
    with pytest.raises(DamagelandError, match=r"picture 0"):
        build(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [{"unit": "furlong"}, {"longest_mm": (1.0, 2.0)}, {"longest_mm": (300.0, 200.0)}, {"stock": "cheese"},
     {"item_material": "cheese"}, {"mass_g": -1.0}, {"max_faces": 10**9}, {"colour": 1}],
)  # fmt: skip
def test_impossible_settings(tmp_path: Path, wrong: dict):
    """Settings that cannot be are refused by the config."""
    with pytest.raises(ValidationError):
        ImportedMeshConfig(folder=tmp_path, **wrong)
