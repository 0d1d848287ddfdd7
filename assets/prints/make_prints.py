"""Make the pictures of this folder from our own damages: ``python assets/prints/make_prints.py [kind ...]``.

Dents, holes, tears, spills and rust are rendered from straight above by the fast preview, on plain copies of our
products under one fixed light, beside the same view of the sound product. From both pictures follows what to lay over
any artwork: of a dent its light and shade alone; of the others the damage itself, cut out by its label with a soft
border, and the shade around it. Spills are taken as they lie on the tray, without the pack.
``generators/prints.py`` prints them as designs: they look like damage and are none.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from damageland.generators.compose import finish_product
from damageland.generators.damage.crush import CrushConfig, crush
from damageland.generators.damage.hole import HoleConfig, hole
from damageland.generators.damage.outcome import Outcome, UnsolvedError
from damageland.generators.damage.scuff import ScuffConfig, scuff
from damageland.generators.damage.spill import SpillConfig, spill
from damageland.generators.damage.subject import Subject
from damageland.generators.damage.tear import TearConfig, tear
from damageland.generators.design import Design
from damageland.generators.mesh import face_areas, face_normals
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.products.product import Product
from damageland.sim.booth import AreaLight, Booth, Camera, look_at
from damageland.sim.preview import preview_colour
from damageland.sim.scene import SURFACES, Material, Part, Scene, transform_part
from damageland.sim.truth import trace_truth

FOLDER = Path(__file__).resolve().parent
SIDE, SAMPLES = 256, 12
DISTANCE_M = 0.8
WANTED = {"dent": 6, "hole": 6, "rust": 2, "tear": 5, "spill": 3}
GREY = 178


def plain(product: Product) -> Product:
    """The same product without print, in dull light grey: light and shade are all that is to be seen."""

    def bare(material):
        if material.base_color_texture is None:
            return material
        grey = np.full((8, 8, 3), GREY, np.uint8)
        return replace(material, base_color=(1.0, 1.0, 1.0), metallic=0.0, roughness=0.6, base_color_texture=grey,
                       metallic_roughness_texture=None)  # fmt: skip

    sheets = tuple(replace(s, materials=tuple(bare(m) for m in s.materials)) for s in product.sheets)
    return replace(product, sheets=sheets)


def booth_above(side_m: float) -> Booth:
    """A camera far above the origin that sees a square of a size, a low lamp, a dim sky."""
    focal = SIDE * DISTANCE_M / side_m
    K = np.array([[focal, 0, SIDE / 2], [0, focal, SIDE / 2], [0, 0, 1.0]])
    pose = look_at(np.array([0.0, -1e-4, DISTANCE_M]), np.zeros(3))
    camera = Camera("top", SIDE, SIDE, K, pose, (1.0, 1.0, 1.0), 0.0, 0.0, 0.0, 98)
    lamp = look_at(np.array([-0.6, 0.6, 0.36]), np.zeros(3)) @ np.diag([1.0, -1, -1, 1])
    sky = np.full((16, 32, 3), 0.12, np.float32)
    return Booth("above", (camera,), (AreaLight(lamp, (0.15, 0.15), (22.0, 22.0, 22.0)),), sky, ())


def turned_up(scene: Scene, at: np.ndarray, normal: np.ndarray) -> Scene:
    """Move a scene so that a spot lies at the origin and faces up."""
    x = np.cross([0.0, 0, 1] if abs(normal[2]) < 0.9 else [0.0, 1, 0], normal)
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3] = np.stack([x, np.cross(normal, x), normal])
    T[:3, 3] = -T[:3, :3] @ at
    parts, gone = (tuple(transform_part(part, T) for part in group) for group in (scene.parts, scene.gone))
    return Scene(parts, gone)


def spot_of(outcome: Outcome) -> tuple[np.ndarray, np.ndarray, float]:
    """Middle, normal and radius [m] of the labelled area."""
    wall = outcome.product.sheets[0]
    marks = wall.marks[wall.faces].max(axis=(1, 2))
    least = 0.45 * float(marks.max()) if outcome.generator == "crush" else 1.0  # the dent itself, not its surroundings
    marked = marks >= max(1.0, least)
    weight = face_areas(wall.rest, wall.faces)[marked]
    middle = wall.rest[wall.faces[marked]].mean(axis=1)
    at = (weight[:, None] * middle).sum(axis=0) / weight.sum()
    normal = face_normals(wall.rest, wall.faces[marked]).sum(axis=0)
    normal /= np.linalg.norm(normal)
    away = middle - at
    far = np.linalg.norm(away - (away @ normal)[:, None] * normal, axis=1)
    return at, normal, float(np.quantile(far, 0.95 if outcome.generator == "crush" else 1.0))


def linear_to_srgb(x: np.ndarray) -> np.ndarray:
    """Linear radiance to sRGB, 0-1."""
    x = np.clip(x, 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)


def picture_of(before: Product, outcome: Outcome) -> np.ndarray | None:
    """RGBA to lay over any artwork; None if there is little to see."""
    at, normal, radius = spot_of(outcome)
    radius = min(radius, 0.02 if before.shape == "round" else 0.045)
    side = 2 * radius * {"hole": 1.5, "tear": 1.3, "crush": 1.35, "scuff": 0.8}[outcome.generator]
    damaged = turned_up(finish_product(outcome.product), at, normal)
    twin = turned_up(finish_product(before), at, normal)
    return compared(twin, damaged, side, outcome.generator)


def spilt(outcome: Outcome) -> np.ndarray | None:
    """RGBA of what has run out, seen from above on a grey floor."""
    lying = [part for part in outcome.product.contents if (part.surface == SURFACES.index("puddle")).any()]
    if not lying:
        return None
    points = np.concatenate([part.vertices for part in lying])
    most = max(lying, key=lambda part: float(face_areas(part.vertices, part.faces).sum()))
    seen = most.normals[:, :, 2].mean(axis=1) > 0.2
    area = float(face_areas(most.vertices * (1, 1, 0), most.faces[seen]).sum())
    if area < 0.8 * cv2.contourArea(cv2.convexHull(most.vertices[:, :2].astype(np.float32))):
        return None  # it ran around something that the print does not show
    middle, side = np.append((points[:, :2].min(axis=0) + points[:, :2].max(axis=0)) / 2, 0.0), np.ptp(points, axis=0)
    T = np.eye(4)
    T[:3, 3] = -middle
    moved = tuple(transform_part(part, T) for part in lying)
    return compared(Scene((floor(),)), Scene((floor(), *moved)), 1.15 * float(side[:2].max()), "spill")


def floor() -> Part:
    """A grey square metre at height 0."""
    corners = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    flat, plain = np.zeros(2, np.uint8), Material("floor", base_color=(0.45, 0.45, 0.45), roughness=0.6)
    upward = np.tile([0.0, 0, 1], (2, 3, 1))
    return Part("floor", corners, faces, np.zeros((2, 3, 2)), upward, (plain,), flat, flat, flat, item=0)


def compared(twin: Scene, damaged: Scene, side: float, generator: str) -> np.ndarray | None:
    """RGBA of what differs between two scenes in a square of a size around the origin, seen from above."""
    booth = booth_above(side)
    truth = trace_truth(twin, booth)["top"]
    if (truth.normal[..., 2] > 0.3).mean() < 0.9:
        return None  # it reaches round a corner
    label = (trace_truth(damaged, booth)["top"].damage > 0).astype(np.float32)
    after, sound = (preview_colour([s], booth, samples=SAMPLES, seed=1)[0]["top"] for s in (damaged, twin))
    ratio = cv2.GaussianBlur(after.mean(axis=2) / np.maximum(sound.mean(axis=2), 1e-4), (0, 0), 1.2)
    tone = 2.5 * np.log(np.maximum(ratio, 0.02))
    shade = np.where(tone < 0, 1 - np.exp(tone), 0.75 * (1 - np.exp(-tone)))
    y, x = (np.mgrid[0:SIDE, 0:SIDE] + 0.5) / SIDE * 2 - 1
    ragged = np.hypot(x, y) + 0.04 * np.sin(5 * np.arctan2(y, x)) + 0.03 * np.sin(11 * np.arctan2(y, x) + 1)
    fade = np.clip((0.97 - ragged) / 0.25, 0, 1)  # the print ends before its picture does
    alpha = np.clip(1.1 * shade - 0.08, 0, 1)
    colour = np.where(tone[..., None] < 0, 0.06, 1.0) * np.ones(3)
    if generator != "crush":
        soft = cv2.GaussianBlur(label, (0, 0), 2.0)
        cover = np.clip(2 * soft - 0.4, 0, 1)
        if generator in ("hole", "tear"):  # what is seen through it belongs to it
            outline, _ = cv2.findContours((cover > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cover = np.maximum(cover, cv2.GaussianBlur(cv2.drawContours(0 * cover, outline, -1, 1.0, -1), (0, 0), 0.8))
        shown = linear_to_srgb(0.9 * after / np.median(sound))
        colour = shown * cover[..., None] + colour * (1 - cover[..., None])
        alpha = np.maximum(cover, alpha)
    alpha = alpha * fade
    if (alpha > 0.15).mean() < 0.06:
        return None
    return np.round(255 * np.dstack([colour, alpha])).astype(np.uint8)


def middling(product: Product, outcome: Outcome) -> bool:
    """Whether the tool comes in well inside a side of a carton, or near the middle of a tin's."""
    wall = product.sheets[0].rest
    at = np.array([outcome.parameters[f"site_{axis}_mm"] for axis in "xyz"]) / 1000
    share = np.sort(np.abs((at - wall.mean(axis=0)) / (np.ptp(wall, axis=0) / 2)))
    return bool(abs(at[2] / np.ptp(wall[:, 2]) - 0.5) < 0.2 if product.shape == "round" else share[1] < 0.5)


def candidates(kind: str) -> Iterator[tuple[Product, Outcome]]:
    """Damaged plain products."""
    for k in range(40):
        family = "tin" if k % 2 else "folding_carton"
        config, build = FAMILIES[family]
        box = {"long_mm": (210, 230), "middle_share": (0.8, 0.9), "short_share": (0.5, 0.6), "bow_mm": (0, 0)}
        product = build("print", config(**(box if k % 2 == 0 else {})), Design(21, k, family, texture_px=256))
        if kind == "rust":
            if family == "tin":
                config = ScuffConfig(forms={"rust": 1.0}, area_mm2=(700, 2200), spots=(1, 1))
                yield product, scuff(Subject(product), config, 0.7, np.random.default_rng([7, k]))
            continue
        if kind == "spill":
            family = ("pet_bottle", "standup_pouch", "detergent_bottle", "beverage_can", "glass_jar")[k % 5]
            config, build = FAMILIES[family]
            pack = build("print", config(), Design(22, k, family, texture_px=256))
            for seed in range(3):
                try:
                    poured = SpillConfig(volume_ml=(3, 30), hidden_share=0.0)
                    yield pack, spill(Subject(pack), poured, 0.5, np.random.default_rng([k, seed]))
                except UnsolvedError:
                    continue
            continue
        product = plain(product)
        if kind == "tear":
            for seed in range(30 * (family == "folding_carton")):
                rng = np.random.default_rng([9, k, seed])
                try:
                    torn = tear(Subject(product), TearConfig(edge_share=0.0, length_mm=(30, 90)), 0.6, rng)
                except UnsolvedError:
                    continue
                marked = torn.product.sheets[0].marks.max() >= 1  # a ply's is a sheet of its own
                if marked and middling(product, torn):
                    yield product, torn
                    break
            continue
        if kind == "hole":
            rng = np.random.default_rng([7, k])
            pierced = hole(
                Subject(product), HoleConfig(radius_mm=(6, 15), threshold_mm=1.2), float(rng.uniform(0.3, 1)), rng
            )
            if middling(product, pierced):
                yield product, pierced
            continue
        crushing = CrushConfig(
            box_sites={"face": 1.0}, round_sites={"side": 1.0}, bar_length_mm=(0, 20), bar_radius_mm=(3, 10)
        )
        for seed in range(40):  # strength 0 draws the place and moves nothing
            if middling(product, crush(Subject(product), crushing, 0.0, np.random.default_rng([k, seed]))):
                strength = 0.18 + 0.03 * (k % 5)
                yield product, crush(Subject(product), crushing, strength, np.random.default_rng([k, seed]))
                break


def main() -> None:
    """Write WANTED pictures of each kind."""
    for kind in sys.argv[1:] or WANTED:
        made, wanted = 0, WANTED[kind]
        for product, outcome in candidates(kind):
            if kind == "spill":
                picture = spilt(outcome)
            else:
                picture = picture_of(product, outcome) if outcome.measures["area_mm2"] > 20 else None
            if picture is not None:
                path = FOLDER / f"{kind}-{made}.png"
                cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA), [cv2.IMWRITE_PNG_COMPRESSION, 9])
                print(path.name, path.stat().st_size // 1000, "kB", product.family, flush=True)
                made += 1
            if made == wanted:
                break


if __name__ == "__main__":
    main()
