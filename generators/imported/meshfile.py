"""Mesh files as they come: headers are checked first, then trimesh reads them and sees nothing beyond their folder.

What a header claims is checked before anything is read, so that a file of fifty million faces costs nothing but its
name in an error.
"""

import io
import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import PIL.Image
import trimesh
import trimesh.resolvers
from jaxtyping import Float, Int
from trimesh.visual.material import PBRMaterial

from ...sim.errors import DamagelandError
from ...sim.scene import Material

SUFFIXES = (".glb", ".obj", ".ply", ".stl")
MOST_BYTES = 512 * 2**20
LARGEST_PICTURE_PX = 16_384
UNDERSTOOD = ("KHR_materials_", "EXT_texture_webp", "KHR_mesh_quantization")
"""glTF extensions (or how their names begin) that change nothing a mesh needs, or that trimesh reads."""
GREY = Material("plain grey", (0.5, 0.5, 0.5), 0.0, 0.6)


@dataclass(frozen=True)
class Surface:
    """What a mesh file holds, in its own unit and axes; nothing is mended yet."""

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    uv: Float[np.ndarray, "f 3 2"]
    """Per corner, v up; beyond [0, 1] the picture repeats."""
    colours: Float[np.ndarray, "f 3 3"] | None
    """Linear RGB per corner that multiplies the material's."""
    material: Int[np.ndarray, " f"]
    materials: tuple[Material, ...]
    notes: tuple[str, ...] = ()
    """What was repaired, ignored or assumed."""


def list_meshes(folder: Path) -> tuple[Path, ...]:
    """Mesh files of a folder, sorted by name."""
    if not folder.is_dir():
        raise DamagelandError(f"{folder}: no such folder. Give a folder of mesh files ({', '.join(SUFFIXES)}).")
    found = tuple(sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file()))
    if not found:
        raise DamagelandError(f"{folder}: holds no mesh file. Put some there: {', '.join(SUFFIXES)}.")
    return found


# ---- Pictures and other files beside the mesh -----------------------------------------------------------------------


def _check_picture(data: bytes, name: str) -> None:
    """Refuse what is no picture or a huge one, from its header alone."""
    try:
        with PIL.Image.open(io.BytesIO(data)) as picture:
            size = picture.size
    except Exception as error:
        raise DamagelandError(f"{name}: cannot be read as a picture ({error}). Use PNG or JPEG.") from None
    if max(size) > LARGEST_PICTURE_PX:
        raise DamagelandError(
            f"{name}: {size[0]} × {size[1]} px, at most {LARGEST_PICTURE_PX} a side are read. Scale it down."
        )


@dataclass
class Folder(trimesh.resolvers.Resolver):
    """Reads files inside one folder for trimesh, and remembers what went wrong: trimesh itself passes over it."""

    mesh: Path
    problems: list[DamagelandError] = field(default_factory=list)

    def _read(self, name: str) -> bytes:
        clean = unquote(name.strip())
        root = self.mesh.parent.resolve()
        path = (root / clean.replace("\\", "/")).resolve()
        outside = re.match(r"^([a-zA-Z][a-zA-Z0-9+.-]*:|[/\\])", clean) or not path.is_relative_to(root)
        if outside:
            raise DamagelandError(
                f"{self.mesh}: refers to {name!r}, which is not in its folder. Put the file beside the mesh and refer "
                "to it by its name alone."
            )
        if not path.is_file():
            raise DamagelandError(f"{self.mesh}: refers to {name!r}, which is missing. Put it beside the mesh.")
        if path.stat().st_size > MOST_BYTES:
            raise DamagelandError(f"{path}: larger than {MOST_BYTES // 2**20} MiB. Scale it down.")
        data = path.read_bytes()
        if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tga", ".tif", ".tiff"):
            _check_picture(data, str(path))
        return data

    def get(self, key: str) -> bytes:
        """Bytes of a file named by the mesh."""
        try:
            return self._read(str(key))
        except DamagelandError as error:
            self.problems.append(error)
            raise OSError(str(error)) from None

    def keys(self) -> Sequence[str]:
        """Nothing may be listed."""
        return ()

    def write(self, name: str, data: Any) -> None:
        """Nothing may be written."""
        raise NotImplementedError

    def namespaced(self, namespace: str) -> "Folder":
        """There is one folder."""
        return self


# ---- Headers --------------------------------------------------------------------------------------------------------


def _refuse_count(path: Path, count: int, what: str, limit: int) -> None:
    if count > limit:
        raise DamagelandError(
            f"{path}: its header claims {count:,} {what}, more than max_faces allows ({limit:,}). Decimate it before "
            "exporting, or raise max_faces."
        )


def _not_what_it_says(path: Path, why: str) -> DamagelandError:
    kind = path.suffix[1:].upper()
    return DamagelandError(f"{path}: not a {kind} file ({why}). Export it again as {kind}, or correct its suffix.")


def _glb_tree(path: Path, data: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON chunk, and the binary one."""
    if data[:4] != b"glTF" or len(data) < 20:
        raise _not_what_it_says(path, "it does not begin with glTF")
    version, length = struct.unpack("<II", data[4:12])
    size, kind = struct.unpack("<I4s", data[12:20])
    if version != 2 or kind != b"JSON":
        raise _not_what_it_says(path, f"version {version}, first chunk {kind!r}; expected glTF 2.0")
    if length > len(data) or 20 + size > len(data):
        raise DamagelandError(f"{path}: cut off: {len(data):,} bytes of {length:,}. Copy or export it again.")
    try:
        tree = json.loads(data[20 : 20 + size])
    except ValueError as error:
        raise _not_what_it_says(path, f"its JSON is broken: {error}") from None
    if not isinstance(tree, dict):
        raise _not_what_it_says(path, "its JSON is no object")
    return tree, data[28 + size :]


def _glb_faces(tree: dict[str, Any]) -> tuple[int, int]:
    """Faces and vertices that the nodes of a glTF draw, from the accessors' counts."""
    accessors = tree.get("accessors", [])

    def of_mesh(mesh: dict[str, Any]) -> tuple[int, int]:
        faces = vertices = 0
        for primitive in mesh.get("primitives", []):
            points = accessors[primitive["attributes"]["POSITION"]]["count"]
            corners = accessors[primitive["indices"]]["count"] if "indices" in primitive else points
            faces += corners // 3 if primitive.get("mode", 4) == 4 else corners
            vertices += points
        return faces, vertices

    counts = [of_mesh(mesh) for mesh in tree.get("meshes", [])]
    used = [node["mesh"] for node in tree.get("nodes", []) if "mesh" in node] or range(len(counts))
    return sum(counts[k][0] for k in used), sum(counts[k][1] for k in used)


def _check_glb(path: Path, data: bytes, most_faces: int) -> None:
    tree, rest = _glb_tree(path, data)
    try:
        faces, vertices = _glb_faces(tree)
        children = [child for node in tree.get("nodes", []) for child in node.get("children", [])]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise _not_what_it_says(path, f"its accessors are broken: {error!r}") from None
    _refuse_count(path, faces, "faces", most_faces)
    _refuse_count(path, vertices, "vertices", 3 * most_faces)
    if len(children) != len(set(children)):
        raise _not_what_it_says(path, "a node has two parents, which glTF forbids")
    needs = [e for e in tree.get("extensionsRequired", []) if not e.startswith(UNDERSTOOD)]
    needs += ["KHR_texture_transform"] if "KHR_texture_transform" in tree.get("extensionsUsed", []) else []
    if needs:
        raise DamagelandError(
            f"{path}: needs {', '.join(dict.fromkeys(needs))}, which is not read. Export it without compression and "
            "with texture transforms applied."
        )
    folder = Folder(path)
    for entry in (*tree.get("buffers", []), *tree.get("images", [])):
        if "uri" in entry and not entry["uri"].startswith("data:"):
            folder._read(entry["uri"])
    views = tree.get("bufferViews", [])
    for k, image in enumerate(tree.get("images", [])):
        if "bufferView" in image and image["bufferView"] < len(views):
            view = views[image["bufferView"]]
            if view.get("buffer", 0) == 0:
                start = view.get("byteOffset", 0)
                _check_picture(rest[start : start + view["byteLength"]], f"{path}: picture {k}")


def _check_ply(path: Path, data: bytes, most_faces: int) -> None:
    head, found, _ = data[:65536].partition(b"end_header")
    if not head.startswith(b"ply") or not found:
        raise _not_what_it_says(path, "it has no PLY header")
    counts = {name: int(count) for name, count in re.findall(rb"element\s+(\w+)\s+(\d+)", head)}
    _refuse_count(path, counts.get(b"face", 0), "faces", most_faces)
    _refuse_count(path, max(counts.values(), default=0), "elements", 3 * most_faces)


def _check_stl(path: Path, data: bytes, most_faces: int) -> None:
    count = struct.unpack("<I", data[80:84])[0] if len(data) >= 84 else -1
    if count >= 0 and len(data) == 84 + 50 * count:
        return _refuse_count(path, count, "faces", most_faces)
    if data[:5].lower() == b"solid" and b"facet" in data[:4096]:
        return _refuse_count(path, data.count(b"endfacet"), "faces", most_faces)
    if data[:5].lower() != b"solid":
        _refuse_count(path, max(count, 0), "faces", most_faces)
    raise _not_what_it_says(path, f"{len(data):,} bytes do not fit its header")


def _check_obj(path: Path, data: bytes, most_faces: int) -> None:
    if b"\0" in data[:4096] or not re.search(rb"(?m)^\s*v\s", data):
        raise _not_what_it_says(path, "it has no line of a vertex")
    _refuse_count(path, len(re.findall(rb"(?m)^\s*f\s", data)), "faces", most_faces)


_CHECKS = {".glb": _check_glb, ".ply": _check_ply, ".stl": _check_stl, ".obj": _check_obj}


# ---- Reading --------------------------------------------------------------------------------------------------------


def _picture(image: Any) -> np.ndarray | None:
    return None if image is None else np.asarray(image.convert("RGB"), np.uint8)


def _rgb(factor: Any) -> tuple[float, float, float]:
    if factor is None:
        return (1.0, 1.0, 1.0)
    raw = np.asarray(factor)
    r, g, b = (float(v) for v in np.clip(raw[:3] / (255.0 if raw.dtype.kind in "ui" else 1.0), 0, 1))
    return (r, g, b)


def _material(source: Any) -> Material:
    pbr = source if isinstance(source, PBRMaterial) else source.to_pbr()
    packed = _picture(pbr.metallicRoughnessTexture)
    is_pbr = pbr is source
    metallic = pbr.metallicFactor if pbr.metallicFactor is not None else float(is_pbr)
    roughness = pbr.roughnessFactor if pbr.roughnessFactor is not None else 1.0
    return Material(
        str(source.name or "imported"), _rgb(pbr.baseColorFactor), float(np.clip(metallic, 0, 1)),
        float(np.clip(roughness, 0, 1)), _picture(pbr.baseColorTexture), packed,
    )  # fmt: skip


def to_linear(srgb: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """From sRGB in [0, 1] to linear."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """From linear in [0, 1] to sRGB."""
    low = np.clip(linear, 0, 1)
    return np.where(low <= 0.0031308, 12.92 * low, 1.055 * np.maximum(low, 0.0031308) ** (1 / 2.4) - 0.055)


def _corner_colours(mesh: Any, *, linear: bool) -> Float[np.ndarray, "f 3 3"] | None:
    """Vertex or face colours, per corner; glTF's are linear, the other formats' sRGB."""
    visual, faces = mesh.visual, np.asarray(mesh.faces)
    if visual.kind == "texture":
        raw = visual.vertex_attributes.get("color") if hasattr(visual, "vertex_attributes") else None
        per_corner = None if raw is None else np.asarray(raw)[faces]
    elif visual.kind == "vertex":
        per_corner = np.asarray(visual.vertex_colors)[faces]
    elif visual.kind == "face":
        per_corner = np.repeat(np.asarray(visual.face_colors)[:, None], 3, axis=1)
    else:
        return None
    if per_corner is None:
        return None
    most = np.iinfo(per_corner.dtype).max if per_corner.dtype.kind in "ui" else 1.0
    tone = np.clip(per_corner[..., :3].astype(float) / most, 0, 1)
    return tone if linear else to_linear(tone)


def _one(mesh: Any, transform: np.ndarray, *, linear: bool) -> Surface:
    faces = np.asarray(mesh.faces, np.int64).reshape(-1, 3)
    vertices = trimesh.transform_points(np.asarray(mesh.vertices, float), transform)
    if np.linalg.det(transform[:3, :3]) < 0:
        faces = faces[:, ::-1]  # a mirrored node keeps its outside outside
    uv = np.zeros((len(faces), 3, 2))
    material, given = GREY, mesh.visual.kind
    corners = np.asarray(mesh.faces, np.int64).reshape(-1, 3)
    if given == "texture":
        material = _material(mesh.visual.material)
        if mesh.visual.uv is not None:
            uv = np.asarray(mesh.visual.uv, float)[:, :2][corners]
    colours = _corner_colours(mesh, linear=linear)
    if given in ("vertex", "face"):
        material = Material("vertex colours", (1.0, 1.0, 1.0), 0.0, 0.6)
    if np.linalg.det(transform[:3, :3]) < 0:
        uv, colours = uv[:, ::-1], None if colours is None else colours[:, ::-1]
    notes = ("no_texture_plain_grey",) if given is None else ()
    return Surface(vertices, faces, uv, colours, np.zeros(len(faces), np.int64), (material,), notes)


def join_surfaces(surfaces: Sequence[Surface]) -> Surface:
    """Put surfaces together; nothing is welded."""
    v0 = np.cumsum([0] + [len(s.vertices) for s in surfaces])
    m0 = np.cumsum([0] + [len(s.materials) for s in surfaces])
    coloured = any(s.colours is not None for s in surfaces)
    colours = [np.ones((len(s.faces), 3, 3)) if s.colours is None else s.colours for s in surfaces]
    return Surface(
        np.concatenate([s.vertices for s in surfaces]),
        np.concatenate([s.faces + k for s, k in zip(surfaces, v0, strict=False)]),
        np.concatenate([s.uv for s in surfaces]),
        np.concatenate(colours) if coloured else None,
        np.concatenate([s.material + k for s, k in zip(surfaces, m0, strict=False)]),
        tuple(m for s in surfaces for m in s.materials),
        tuple(dict.fromkeys(note for s in surfaces for note in s.notes)),
    )


def read_surface(path: Path, *, most_faces: int) -> Surface:
    """Read a mesh file whole: all nodes of its scene in place, with materials, textures and colours."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise DamagelandError(f"{path}: {size // 2**20} MiB, at most {MOST_BYTES // 2**20} are read. Decimate it.")
    data, kind = path.read_bytes(), path.suffix.lower()
    if size == 0:
        raise DamagelandError(f"{path}: the file is empty. Export the mesh again.")
    _CHECKS[kind](path, data, most_faces)
    folder = Folder(path)
    try:
        scene = trimesh.load_scene(io.BytesIO(data), file_type=kind[1:], resolver=folder, process=False)
        meshes = []
        for node in sorted(scene.graph.nodes_geometry):
            transform, name = scene.graph[node]
            if isinstance(scene.geometry[name], trimesh.Trimesh):
                meshes.append(_one(scene.geometry[name], np.asarray(transform), linear=kind == ".glb"))
    except Exception as error:  # whatever trimesh stumbles over in a broken file
        if folder.problems:
            raise folder.problems[0] from None
        raise DamagelandError(
            f"{path}: cannot be read as {kind[1:].upper()} ({type(error).__name__}: {error}). Export it again."
        ) from None
    if folder.problems:
        raise folder.problems[0]
    if not meshes or not sum(len(m.faces) for m in meshes):
        raise DamagelandError(f"{path}: no faces in it. Export the object as a triangle mesh.")
    return join_surfaces(meshes)
