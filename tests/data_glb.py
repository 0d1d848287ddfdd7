"""A real GLB to import: a mug with a handle and a painted texture, modelled here and written with pygltflib.

Run it to look at the file elsewhere: ``python tests/data_glb.py mug.glb``.
"""

import io
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pygltflib

UINT, FLOAT = pygltflib.UNSIGNED_INT, pygltflib.FLOAT


def paint(size: int = 512) -> bytes:
    """A PNG: cream glaze, a red band, dots, a blue handle patch and a letter that shows mirroring."""
    picture = PIL.Image.new("RGB", (size, size), (236, 226, 205))
    draw = PIL.ImageDraw.Draw(picture)
    draw.rectangle((0, int(0.30 * size), size, int(0.38 * size)), fill=(178, 34, 34))
    for k in range(12):
        x = (k + 0.5) / 12 * size
        draw.ellipse((x - 12, 0.5 * size - 12, x + 12, 0.5 * size + 12), fill=(28, 110, 120))
    draw.line([(0.20 * size, 0.25 * size), (0.20 * size, 0.05 * size), (0.28 * size, 0.05 * size)], (20, 20, 20), 9)
    draw.line([(0.20 * size, 0.14 * size), (0.26 * size, 0.14 * size)], (20, 20, 20), 9)
    draw.rectangle((0, int(0.8 * size), size, size), fill=(40, 60, 150))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def sweep(rings: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quads between successive closed rings (rows, sectors + 1, 3), as triangles."""
    rows, columns = rings.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, 1:].ravel(), index[1:, :-1].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return rings.reshape(-1, 3), faces, uv.reshape(-1, 2)


def mug(sectors: int = 64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices [m] (y up, as glTF has it), faces, uv (v down): a hollow body turned on a lathe, and a handle."""
    profile = np.array(
        [(0, 0), (0.030, 0), (0.036, 0.003), (0.040, 0.012), (0.041, 0.05), (0.0405, 0.092), (0.039, 0.095),
         (0.0375, 0.092), (0.0375, 0.05), (0.036, 0.012), (0.030, 0.006), (0, 0.006)]
    )  # fmt: skip
    turn = np.linspace(0, 2 * np.pi, sectors + 1)
    r, y = profile[:, :1], profile[:, 1:]
    body = np.stack([r * np.sin(turn), np.repeat(y, sectors + 1, 1), r * np.cos(turn)], -1)
    down = 0.75 * (1 - np.clip(y / 0.095, 0, 1))
    uv = np.stack([np.repeat(turn[None] / (2 * np.pi), len(profile), 0), np.repeat(down, sectors + 1, 1)], -1)
    vertices, faces, st = sweep(body, uv)
    bend, around = np.linspace(-1.25, 1.25, 24), np.linspace(0, 2 * np.pi, 17)
    centre = np.stack([0.036 + 0.026 * np.cos(bend), 0.048 + 0.030 * np.sin(bend), 0 * bend], 1)
    out = np.stack([np.cos(bend), np.sin(bend), 0 * bend], 1)
    ring = 0.0045 * (np.cos(around)[None, :, None] * out[:, None] + np.sin(around)[None, :, None] * np.array([0, 0, 1]))
    tube = centre[:, None] + ring
    tube = np.concatenate([np.repeat(centre[:1, None], 17, 1), tube, np.repeat(centre[-1:, None], 17, 1)])
    s = np.linspace(0.05, 0.95, len(tube))
    tube_uv = np.stack([np.repeat(s[:, None], 17, 1), np.repeat(0.85 + 0.1 * around[None] / 6.3, len(tube), 0)], -1)
    more, more_faces, more_st = sweep(tube[::-1], tube_uv[::-1])
    return (
        np.concatenate([vertices, more]),
        np.concatenate([faces, more_faces + len(vertices)]),
        np.concatenate([st, more_st]),
    )


def write_glb(
    path: Path,
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    uv: np.ndarray | None = None,
    png: bytes | None = None,
    colours: np.ndarray | None = None,
    factor=(1.0, 1.0, 1.0, 1.0),
    image_uri: str | None = None,
    claim_corners: int | None = None,
    node: dict | None = None,
) -> Path:
    """Write one mesh with one material. ``claim_corners`` makes the index accessor lie about its count."""
    gltf, blob = pygltflib.GLTF2(), b""

    def add(data: bytes, target: int | None = None) -> int:
        nonlocal blob
        gltf.bufferViews.append(
            pygltflib.BufferView(buffer=0, byteOffset=len(blob), byteLength=len(data), target=target)
        )
        blob += data + b"\0" * (-len(data) % 4)
        return len(gltf.bufferViews) - 1

    def accessor(array: np.ndarray, kind: str, component: int, **extra) -> int:
        view = add(array.tobytes(), pygltflib.ARRAY_BUFFER)
        gltf.accessors.append(
            pygltflib.Accessor(bufferView=view, componentType=component, count=len(array), type=kind, **extra)
        )
        return len(gltf.accessors) - 1

    points = np.asarray(vertices, np.float32)
    attributes = pygltflib.Attributes(
        POSITION=accessor(points, "VEC3", FLOAT, min=points.min(0).tolist(), max=points.max(0).tolist())
    )
    if uv is not None:
        attributes.TEXCOORD_0 = accessor(np.asarray(uv, np.float32), "VEC2", FLOAT)
    if colours is not None:
        attributes.COLOR_0 = accessor(np.asarray(colours, np.float32), "VEC3", FLOAT)
    corners = accessor(np.asarray(faces, np.uint32).reshape(-1), "SCALAR", UINT)
    if claim_corners is not None:
        gltf.accessors[corners].count = claim_corners
    pbr = pygltflib.PbrMetallicRoughness(baseColorFactor=list(factor), metallicFactor=0.0, roughnessFactor=0.25)
    if png is not None or image_uri is not None:
        image = pygltflib.Image(uri=image_uri) if png is None else pygltflib.Image(mimeType="image/png")
        if png is not None:
            image.bufferView = add(png)
        gltf.images, gltf.textures = [image], [pygltflib.Texture(source=0)]
        pbr.baseColorTexture = pygltflib.TextureInfo(index=0)
    coloured = png is not None or image_uri is not None or factor != (1.0, 1.0, 1.0, 1.0)
    if coloured:
        gltf.materials = [pygltflib.Material(name="glaze", pbrMetallicRoughness=pbr)]
    primitive = pygltflib.Primitive(attributes=attributes, indices=corners, material=0 if coloured else None)
    gltf.meshes = [pygltflib.Mesh(primitives=[primitive])]
    gltf.nodes, gltf.scenes, gltf.scene = [pygltflib.Node(mesh=0, **(node or {}))], [pygltflib.Scene(nodes=[0])], 0
    gltf.buffers = [pygltflib.Buffer(byteLength=len(blob))]
    gltf.set_binary_blob(blob)
    path.parent.mkdir(parents=True, exist_ok=True)
    gltf.save_binary(str(path))
    return path


def write_mug(path: Path, sectors: int = 64) -> Path:
    """The mug, textured."""
    vertices, faces, uv = mug(sectors)
    return write_glb(path, vertices, faces, uv=uv, png=paint())


if __name__ == "__main__":
    print(write_mug(Path(sys.argv[1])))
