"""What a worker does for the page: the shape first, then coarse pictures, then the captures as a recipe gives them.

The last stage is `shoot` itself in smaller steps, so the truth on the screen is that of the saved recipe, to the byte.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from ..generators.boothsheet import tint_depth, tint_labels
from ..generators.compose import Composed, Sound, finish, lay_product, make_product, strike
from ..generators.damage.outcome import Outcome, judge
from ..generators.mesh import boundary_half_edges, face_areas
from ..generators.mishap import Mishap
from ..generators.products.product import Product
from ..generators.recipe import Plan, Recipe
from ..generators.shoot import colour_of, label_capture, record_views
from ..sim.booth import Booth
from ..sim.camera import Camera, project
from ..sim.capture import Capture, View
from ..sim.preview import preview_colour
from ..sim.scene import Material, Part, Scene
from ..sim.seed import generator_for
from ..sim.sensor import meter_exposure, record_colour
from ..sim.shards import encode_capture
from ..sim.truth import Truth, trace_truth
from .told import Aim, Cell, Checked, Facts, Pictures, Piece, Shape, Shot, Struck, Told, ToolSeen

Tell = Callable[[Told], None]
COARSE_PX, CELL_PX = 96, 128
"""Width of the first glance, side of a picture on a contact sheet."""
CLEAR, CLEAR_OPACITY = 0.5, 0.3
"""Materials that pass more light than this are drawn this faint."""
NO_DEPTH = 232
"""Grey in place of the depth of a camera that gives none."""
TRUTH = ("depth.png", "item.png", "part.png", "damage.png")
NOUGHT_M2 = 1e-13
"""A face smaller than this has no area."""
TOOL_M = 0.03
"""How wide a flat tool is drawn."""
KEPT = 3
"""Products and scenes that are kept."""


# ---- What is kept from move to move ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Twin:
    """The sound item's capture: it stays while only the damage changes."""

    gains: Mapping[str, float]
    capture: Capture


class Kept:
    """Products, scenes and twins of the last choices: a damage's slider moves none of them."""

    def __init__(self) -> None:
        self.products: dict[str, Product] = {}
        self.sounds: dict[str, Sound] = {}
        self.twins: dict[str, Twin] = {}

    def product(self, plan: Plan) -> Product:
        """The product of a plan's first unit."""
        key = product_key(plan)
        if key not in self.products:
            _keep(self.products, key, make_product(plan, 0))
        return self.products[key]

    def sound(self, plan: Plan) -> Sound:
        """The scene before any damage."""
        key = sound_key(plan)
        if key not in self.sounds:
            _keep(self.sounds, key, lay_product(plan, 0, self.product(plan)))
        return self.sounds[key]


def _keep(table: dict, key: str, value: object) -> None:
    while len(table) >= KEPT:
        del table[next(iter(table))]
    table[key] = value


def _without(recipe: Recipe, *names: str) -> dict:
    loose = {"damages", "damaged_share", "severity_shares", "solver_tries", "preview_samples", *names}
    return recipe.model_dump(mode="json", exclude=loose | {"held"}) | {
        "held": recipe.held.model_dump(exclude={"damage", *names})
    }


def product_key(plan: Plan) -> str:
    """What the product depends on."""
    return repr(_without(plan.recipe, "booth", "rest", "pose"))


def sound_key(plan: Plan) -> str:
    """What the scene without damage depends on."""
    return repr((_without(plan.recipe), plan.booth))


def twin_key(plan: Plan) -> str:
    """What the twin's capture depends on."""
    return repr((sound_key(plan), plan.recipe.preview_samples))


# ---- The stages -----------------------------------------------------------------------------------------------------


def look(plan: Plan, kept: Kept, tell: Tell, keep_twin: Callable[[str, Twin], None]) -> None:
    """Show what a plan's only unit looks like, the quickest first."""
    sound = kept.sound(plan)
    mishap = strike(plan, sound)
    tell(facts_of(plan.recipe, sound, mishap))
    tell(rough_shape(sound, mishap))
    composed = finish(sound, mishap)
    tell(fine_shape(composed, sound, mishap))
    tell(glance(plan, composed))
    captures, twin = captures_of(plan, composed, kept.twins.get(twin_key(plan)))
    if twin is not None:
        keep_twin(twin_key(plan), twin)
    others = captures[-1].views if twin is not None else [None] * len(captures[0].views)
    tell(Pictures(tuple(_shot(view, other) for view, other in zip(captures[0].views, others, strict=True)), True))
    tell(checked(captures, composed))


def captures_of(plan: Plan, composed: Composed, twin: Twin | None) -> tuple[list[Capture], Twin | None]:
    """The captures of a unit, as `shoot` makes them: a twin that was made before is taken as it is."""
    booth = composed.booth
    if composed.twin is None or twin is None:
        sound = composed.twin or composed.scene
        colour = colour_of([sound], booth, plan.recipe, composed.index)[0]
        gains = {camera.name: meter_exposure(colour[camera.name], camera) for camera in booth.cameras}
        made = _capture(plan, composed, sound, colour, gains)
        if composed.twin is None:
            return [made], None
        twin = Twin(gains, made)
    colour = colour_of([composed.scene], booth, plan.recipe, composed.index)[0]
    return [_capture(plan, composed, composed.scene, colour, twin.gains), twin.capture], twin


def _capture(plan: Plan, composed: Composed, scene: Scene, colour, gains: Mapping[str, float]) -> Capture:
    truth = trace_truth(scene, composed.booth)
    views = record_views(plan.recipe, composed, colour, truth, gains)
    return label_capture(plan, composed, scene, truth, views, is_twin=scene is composed.twin)


def _shot(view: View, twin: View | None) -> Shot:
    assert view.item is not None and view.damage is not None
    masks = tint_labels(view.rgb, view.item, view.damage)
    other = None if twin is None else twin.rgb
    if view.depth is None:
        return Shot(view.camera, view.rgb, other, np.full_like(view.rgb, NO_DEPTH), np.zeros(view.rgb.shape[:2]), masks)
    return Shot(view.camera, view.rgb, other, tint_depth(view.depth), 1000.0 * view.depth, masks)


def glance(plan: Plan, composed: Composed) -> Pictures:
    """Small pictures of one pass each, without the sensor's flaws."""
    booth = replace(composed.booth, cameras=tuple(_small(camera) for camera in composed.booth.cameras))
    colour = preview_colour([composed.scene], booth, samples=1, seed=0)[0]
    truth = trace_truth(composed.scene, booth)
    return Pictures(tuple(_glance(camera, colour[camera.name], truth[camera.name]) for camera in booth.cameras), False)


def _small(camera: Camera) -> Camera:
    share = min(1.0, COARSE_PX / camera.width)
    width, height = max(8, round(share * camera.width)), max(8, round(share * camera.height))
    K = np.diag([width / camera.width, height / camera.height, 1.0]) @ camera.K
    return replace(camera, width=width, height=height, K=K, depth=None)


def _glance(camera: Camera, radiance: Float[np.ndarray, "h w 3"], truth: Truth) -> Shot:
    rgb = record_colour(radiance, camera, meter_exposure(radiance, camera), generator_for(0, 0, "glance"))
    masks = tint_labels(rgb, truth.item, truth.damage)
    return Shot(camera.name, rgb, None, tint_depth(truth.depth), 1000.0 * truth.depth, masks)


# ---- Numbers --------------------------------------------------------------------------------------------------------


def facts_of(recipe: Recipe, sound: Sound, mishap: Mishap) -> Facts:
    """What the solvers say."""
    product = sound.product
    title = f"{product.attributes['brand']} {product.attributes['title']}".strip()
    struck = []
    for outcome in mishap.outcomes:
        verdict = judge(recipe.severity, outcome)
        struck.append(
            Struck(
                outcome.generator, outcome.kind, dict(outcome.measures), verdict.severity, verdict.because,
                dict(outcome.parameters),
            )
        )  # fmt: skip
    name = f"{title}: {product.family.replace('_', ' ')}, {product.item_material}"
    return Facts(name, tuple(struck), mishap.resampled, mishap.rejected, mishap.set_back)


def checked(captures: Sequence[Capture], composed: Composed) -> Checked:
    """What the captures say of themselves."""
    hashes = {
        name: hashlib.sha256(data).hexdigest()
        for capture in captures
        for name, data in encode_capture(capture).items()
        if name.endswith(TRUTH)
    }
    visible = tuple(dict(damage.visible_fraction) for damage in captures[0].damages)
    health = tuple(health_of(part) for part in composed.scene.parts if part.item > 0)
    return Checked(visible, bool(captures[0].defect), hashes, health)


def health_of(part: Part) -> str:
    """Whether a mesh is sound, in a line."""
    problems = []
    if not np.isfinite(part.vertices).all():
        problems.append("vertices that are no numbers")
    open_edges = len(boundary_half_edges(part.faces)[0])
    if open_edges:
        problems.append(f"{open_edges} open edges")
    flat = int((face_areas(part.vertices, part.faces) < NOUGHT_M2).sum())
    if flat:
        problems.append(f"{flat} faces without area")
    return f"{part.name}: {len(part.faces)} faces, {', '.join(problems) or 'closed'}"


# ---- Shapes ---------------------------------------------------------------------------------------------------------


def rough_shape(sound: Sound, mishap: Mishap) -> Shape:
    """The sheets as the solvers left them: what is seen while they are being finished."""
    T = sound.T_world_item
    product = mishap.outcomes[-1].product if mishap.outcomes else sound.product
    pieces: list[Piece] = []
    for sheet in product.sheets:
        kept = ~sheet.removed
        marked = (sheet.marks[sheet.faces[kept]].min(axis=1) >= 1).max(axis=1)
        pieces += _pieces(
            sheet.name, _moved(sheet.vertices, T), sheet.faces[kept], sheet.uv[kept], sheet.material[kept],
            sheet.materials, marked,
        )  # fmt: skip
    for part in product.contents:
        pieces += _pieces_of(replace(part, vertices=_moved(part.vertices, T)))
    return Shape(tuple(pieces), (), (), _aims(sound.booth), _tool(sound, mishap.outcomes), False)


def fine_shape(composed: Composed, sound: Sound, mishap: Mishap) -> Shape:
    """The meshes that are photographed, the twin's and what is gone."""
    pieces, twin, gone = (
        tuple(piece for part in parts for piece in _pieces_of(part))
        for parts in (composed.scene.parts, composed.twin.parts if composed.twin else (), composed.scene.gone)
    )
    return Shape(pieces, twin, gone, _aims(sound.booth), _tool(sound, mishap.outcomes), True)


def _moved(points: Float[np.ndarray, "n 3"], T: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "n 3"]:
    return points @ T[:3, :3].T + T[:3, 3]


def _pieces_of(part: Part) -> list[Piece]:
    return _pieces(part.name, part.vertices, part.faces, part.uv, part.material, part.materials, part.damage > 0)


def _pieces(
    name: str,
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    uv: Float[np.ndarray, "f 3 2"],
    material: UInt8[np.ndarray, " f"],
    materials: tuple[Material, ...],
    marked: Bool[np.ndarray, " f"],
) -> list[Piece]:
    """Opaque and clear faces of a mesh, coloured at the vertices: a picture per move would be too slow."""
    colours = np.zeros((len(vertices), 3), np.uint8)
    damaged = np.zeros(len(vertices), bool)
    damaged[faces[marked]] = True
    for k in np.unique(material):
        at = material == k
        colours[faces[at].reshape(-1)] = _print(materials[int(k)], uv[at].reshape(-1, 2))
    clear = np.array([m.transmission > CLEAR for m in materials])[material]
    small = vertices.astype(np.float32)
    groups = ((name, ~clear, 1.0), (f"{name} (clear)", clear, CLEAR_OPACITY))
    return [
        Piece(label, small, faces[group].astype(np.int32), colours, damaged, opacity)
        for label, group, opacity in groups
        if group.any()
    ]


def _print(material: Material, uv: Float[np.ndarray, "n 2"]) -> UInt8[np.ndarray, "n 3"]:
    base = np.array(material.base_color) ** (1 / 2.2)
    picture = material.base_color_texture
    if picture is None:
        return np.tile(np.clip(255 * base, 0, 255).astype(np.uint8), (len(uv), 1))
    height, width = picture.shape[:2]
    column = np.floor(uv[:, 0] * width).astype(int) % width
    row = np.floor((1 - uv[:, 1]) * height).astype(int) % height
    return np.clip(picture[row, column] * base, 0, 255).astype(np.uint8)


def _aims(booth: Booth) -> tuple[Aim, ...]:
    return tuple(
        Aim(c.name, c.T_world_cam, float(2 * np.arctan(c.height / 2 / c.K[1, 1])), c.width / c.height)
        for c in booth.cameras
    )


def _tool(sound: Sound, outcomes: Sequence[Outcome]) -> ToolSeen | None:
    """The first tool that a generator tells of."""
    R = sound.T_world_item[:3, :3]
    for outcome in outcomes:
        said = outcome.parameters
        if "normal_x" in said and outcome.site is not None:
            at = _moved(outcome.site[None], sound.T_world_item)[0]
            return ToolSeen("plane", at, R @ np.array([float(said[f"normal_{a}"]) for a in "xyz"]), TOOL_M, 0.0)
        if "site_x_mm" in said and "axis_x" in said:
            at = np.array([float(said[f"site_{a}_mm"]) / 1000 for a in "xyz"])
            axis = R @ np.array([float(said[f"axis_{a}"]) for a in "xyz"])
            radius, length = float(said["radius_mm"]) / 1000, float(said["length_mm"]) / 1000
            return ToolSeen("bar", _moved(at[None], sound.T_world_item)[0], axis, radius, length)
    return None


# ---- Contact sheets -------------------------------------------------------------------------------------------------


def _best(composed: Composed) -> Camera:
    """The camera that sees most of the damage; the first if none does."""
    cameras = composed.booth.cameras
    truth = trace_truth(composed.scene, replace(composed.booth, cameras=tuple(_small(camera) for camera in cameras)))
    return max(cameras, key=lambda camera: float((truth[camera.name].damage > 0).mean()))


def _framed(camera: Camera, scene: Scene) -> Camera:
    """The same camera, but its picture shows the item alone."""
    uv, z = project(camera, np.concatenate([part.vertices for part in scene.parts if part.item > 0]))
    low, high = np.quantile(uv[z > 0], 0, axis=0), np.quantile(uv[z > 0], 1, axis=0)
    side = 1.15 * float((high - low).max())
    corner = (low + high - side) / 2
    zoom = CELL_PX / side
    K = np.array([[zoom, 0, -zoom * corner[0]], [0, zoom, -zoom * corner[1]], [0, 0, 1]]) @ camera.K
    return replace(camera, width=CELL_PX, height=CELL_PX, K=K, depth=None)


def draw_cells(plans: Sequence[Plan], captions: Sequence[str], kept: Kept, tell: Tell) -> None:
    """The item as the camera sees it that sees the damage best, with its severity: a grid over settings, or draws."""
    for number, (plan, caption) in enumerate(zip(plans, captions, strict=True)):
        sound = kept.sound(plan)
        mishap = strike(plan, sound)
        composed = finish(sound, mishap)
        camera = _framed(_best(composed), composed.scene)
        booth = replace(composed.booth, cameras=(camera,))
        colour = preview_colour([composed.scene], booth, samples=2, seed=0)[0][camera.name]
        rgb = record_colour(colour, camera, meter_exposure(colour, camera), generator_for(0, 0, "glance"))
        found = facts_of(plan.recipe, sound, mishap)
        verdict = ", ".join(f"{s.severity} ({s.because})" if s.because else s.severity for s in found.struck)
        tell(Cell(number, rgb, f"{caption}: {verdict or 'sound'}"))
