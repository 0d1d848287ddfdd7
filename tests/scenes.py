"""Simple scenes, cameras and a tiny recipe that tests share. Import with ``import scenes``."""

import numpy as np
from damageland.generators.recipe import DamageSpec, Plan, ProductSpec, Recipe, make_plan
from damageland.sim.booth import (
    AreaLight,
    Booth,
    BoothSpec,
    Camera,
    CameraSpec,
    DepthSensor,
    DepthSpec,
    LightSpec,
    look_at,
)
from damageland.sim.camera import unproject
from damageland.sim.scene import Material, Part

CHALK = Material("chalk", (1.0, 1.0, 1.0), 0.0, 1.0)
GREY = Material("grey", (0.5, 0.5, 0.5), 0.0, 1.0)
MIRROR = Material("mirror", (1.0, 1.0, 1.0), 1.0, 0.0)
SENSOR = DepthSensor(noise_mm_at_1m=1.5, quantum_mm=0.1, grazing_deg=80.0, gloss_loss=0.0)


def mesh_part(vertices, faces, material: Material, *, damage: int = 0, item: int = 1, name: str = "part") -> Part:
    """Flat-shaded mesh; all its faces have one label."""
    vertices, faces = np.asarray(vertices, float), np.asarray(faces)
    a, b, c = vertices[faces].transpose(1, 0, 2)
    flat = np.cross(b - a, c - a)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    none = np.zeros(len(faces), np.uint8)
    return Part(
        name=name,
        vertices=vertices,
        faces=faces,
        uv=np.zeros((len(faces), 3, 2)),
        normals=np.repeat(flat[:, None], 3, axis=1),
        materials=(material,),
        material=none,
        surface=none,
        damage=none + np.uint8(damage),
        item=item,
    )


def plane(material: Material = CHALK, *, half: float = 1.0, z: float = 0.0, centre=(0.0, 0.0), **labels) -> Part:
    """A level square that faces up."""
    corners = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * half + np.array([*centre, z])
    return mesh_part(corners, [[0, 1, 2], [0, 2, 3]], material, **labels)


def box(material: Material = CHALK, *, sides=(0.2, 0.2, 0.2), centre=(0.0, 0.0, 0.1), **labels) -> Part:
    """A box with outward faces."""
    unit = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    return mesh_part(unit * np.array(sides) + np.array(centre), faces, material, **labels)


def camera(eye, target, *, size=(48, 40), focal: float = 60.0, name: str = "cam", depth=None, **settings) -> Camera:
    """A camera with its principal point off the middle, so that mix-ups show."""
    K = np.array([[focal, 0, size[0] / 2 + 1.3], [0, 1.1 * focal, size[1] / 2 - 0.7], [0, 0, 1.0]])
    fields = {
        "white_balance": (1.0, 1.0, 1.0),
        "exposure_ev": 0.0,
        "noise": 0.0,
        "blur_px": 0.0,
        "jpeg_quality": 98,
    } | settings
    pose = look_at(np.asarray(eye, float), np.asarray(target, float))
    return Camera(name, size[0], size[1], K, pose, depth=depth, **fields)


def pattern(cam: Camera) -> Part:
    """Black squares, each turned another way, all over what a camera sees."""
    u, v = np.meshgrid((np.arange(5) + 0.5) / 5 * cam.width, (np.arange(4) + 0.5) / 4 * cam.height)
    uv = np.stack([u, v], axis=-1).reshape(-1, 2)
    side = 0.3 * cam.height / 4
    turns = np.radians(45 + 90 * np.arange(4)) + np.linspace(0.1, 1.4, len(uv))[:, None]
    outline = uv[:, None] + side * np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    local = 0.5 * unproject(cam, outline.reshape(-1, 2))
    corners = local @ cam.T_world_cam[:3, :3].T + cam.T_world_cam[:3, 3]
    first = 4 * np.arange(len(uv))[:, None]
    faces = np.concatenate([first + np.array([0, 1, 2]), first + np.array([0, 2, 3])])
    return mesh_part(corners, faces, Material("black", (0.0, 0.0, 0.0), 1.0, 1.0))


def edge_offsets(item: np.ndarray, colour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far [px] black begins in the colour picture from where the item begins in the labels, by rows and columns.

    Only steep edges of some length are measured: at the tips of squares both are within the same pixel.
    """
    found = []
    for label, light in ((item > 0, colour.mean(axis=2)), (item.T > 0, colour.mean(axis=2).T)):
        change = label[:, 1:] != label[:, :-1]
        offsets = []
        for r, c in zip(*np.nonzero(change), strict=True):
            if not (2 < c < label.shape[1] - 4 and 0 < r < len(label) - 1 and change[r, c - 2 : c + 3].sum() == 1):
                continue
            if not (change[r - 1, c - 1 : c + 2].any() and change[r + 1, c - 1 : c + 2].any()):
                continue
            sign = 1 if label[r, c + 1] else -1
            strip = sign * (light[r, c - 1 : c + 3] - 0.5)  # centres of these pixels: -1.5 to 1.5 off the label's edge
            k = np.flatnonzero((strip[:-1] > 0) & (strip[1:] <= 0))
            offsets.append(k[0] - 1.5 + strip[k[0]] / (strip[k[0]] - strip[k[0] + 1]) if len(k) else np.inf)
        found.append(np.array(offsets))
    return found[0], found[1]


def booth(cameras, *, parts=(), lights: tuple[AreaLight, ...] = (), environment=None) -> Booth:
    """A booth with black surroundings unless told."""
    surroundings = np.zeros((16, 32, 3)) if environment is None else environment
    return Booth("test", tuple(cameras), tuple(lights), surroundings, tuple(parts))


def booth_spec(size: int = 64) -> BoothSpec:
    """Three small cameras, two of them with depth."""

    def small(name: str, azimuth: float, elevation: float, depth: DepthSpec | None) -> CameraSpec:
        return CameraSpec(
            name=name,
            width=size,
            height=size,
            hfov_deg=(38.0, 42.0),
            azimuth_deg=(azimuth - 10, azimuth + 10),
            elevation_deg=(elevation, elevation + 10),
            distance_mm=(380.0, 420.0),
            depth=depth,
        )

    cameras = (small("front", 0, 20, DepthSpec()), small("side", 120, 35, DepthSpec()), small("top", 40, 78, None))
    lamp = LightSpec(
        azimuth_deg=(-60.0, 60.0),
        elevation_deg=(40.0, 70.0),
        distance_mm=(700.0, 900.0),
        size_mm=(150.0, 300.0),
        radiance=(8.0, 16.0),
    )
    return BoothSpec(name="tiny", lights=(lamp,), cameras=cameras)


def tiny_plan(*, size: int = 64, **changes) -> Plan:
    """Two products, three captures, all damages."""
    fields = {
        "name": "tiny",
        "seed": 5,
        "captures": 3,
        "damaged_share": 1.0,
        "shard_size": 3,
        "preview_samples": 1,
        "cycles_samples": 2,
        "booth": "tiny",
        "products": (ProductSpec(family="tin", count=1), ProductSpec(family="folding_carton", count=1)),
        "damages": (
            DamageSpec(generator="crush", strength=(0.5, 0.9)),
            DamageSpec(generator="hole", strength=(0.6, 1.0)),
        ),
    } | changes
    return make_plan(Recipe(**fields), booth_spec(size))
