"""What a package holds that can come out, through which opening, and in which order."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from ...sim.scene import Kind, Part
from ..damage.subject import Subject, site_weight
from ..mesh import Sheet, face_normals
from ..products.product import Hinge, Product
from .drop import Body, Points, convex, slab
from .flaps import Unfolding, open_flaps
from .hinge import Give, hinge_frame, open_hinge
from .sweep import free_angle

KIND: Kind = "deconstruction"
DOWN = -0.5
"""An opening whose way out points further down than this is blocked by the tray."""
RUBS_M = 7e-4
FLAT_DEG = 78.0
"""A flap over the tray that gets this far lies down flat."""


@dataclass(frozen=True)
class Group:
    """Parts that move as one: a unit of a set, the goods of a carton with their tray."""

    names: tuple[str, ...]
    item: int


@dataclass(frozen=True)
class Way:
    """An opening that contents can leave by."""

    name: str
    out: Float[np.ndarray, "3"]
    """Unit vector out of the package, item frame."""
    hinges: tuple[Hinge, ...] = ()
    """What has to be opened for it; nothing at the open end of a sleeve."""


# ---- Contents -------------------------------------------------------------------------------------------------------


def groups_of(product: Product) -> tuple[Group, ...]:
    """What can come out of a product, or be scattered; empty if nothing can."""
    units = sorted({part.item for part in product.contents if part.item > 1})
    if units and product.family in ("blister_pack", "multipack", "sleeve_set", "loose_set"):
        return tuple(Group(tuple(p.name for p in product.contents if p.item == k), k) for k in units)
    if product.family == "folding_carton":
        return (Group(tuple(part.name for part in product.contents), 1),) if product.contents else ()
    if product.family == "corrugated_shipper":
        return tuple(Group((part.name,), 1) for part in product.contents)
    return ()


def parts_of(product: Product, group: Group) -> tuple[Part, ...]:
    """A group's parts."""
    return tuple(p for p in product.contents if p.name in group.names and p.item == group.item)


def body_of(subject: Subject, group: Group) -> Body:
    """A group as a rigid thing, where it lies in the world."""
    points = np.concatenate([part.vertices for part in parts_of(subject.product, group)])
    return Body((convex(subject.to_world(points)),))


# ---- Openings -------------------------------------------------------------------------------------------------------


def ways_of(product: Product) -> tuple[Way, ...]:
    """Openings of a package; empty for what bursts or lies loose."""
    x, z = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    if product.family == "sleeve_set" and "open_ends" in product.lookalikes:
        return (Way("left end", -x), Way("right end", x))
    if product.family == "blister_pack":
        domes = tuple(hinge for hinge in product.hinges if hinge.name == "dome")
        return tuple(Way("dome", z, (hinge,)) for hinge in domes)
    if product.family not in ("folding_carton", "corrugated_shipper", "sleeve_set"):
        return ()
    low = tuple(hinge for hinge in product.hinges if hinge.name.startswith("bottom"))
    high = tuple(hinge for hinge in product.hinges if hinge not in low)
    return tuple(Way(name, way, found) for name, way, found in (("top", z, high), ("bottom", -z, low)) if found)


def reachable(subject: Subject, ways: tuple[Way, ...]) -> tuple[Way, ...]:
    """Openings that do not face the tray and whose flaps have room to open."""
    out = []
    for way in ways:
        if float(way.out @ subject.up) < DOWN:
            continue
        if all(_free(subject, hinge, 90.0, Give()) > 60.0 for hinge in way.hinges):
            out.append(way)
    return tuple(out)


def _free(subject: Subject, hinge: Hinge, angle: float, give: Give) -> float:
    """How far a hinge opens [deg]; an edge that rubs on the tray is no hindrance."""
    raised = subject.T_world_item.copy()
    raised[2, 3] += RUBS_M
    return free_angle(replace(subject, T_world_item=raised), hinge, angle, give=give)


@dataclass(frozen=True)
class Opening:
    """How far a package has been opened; drawn once."""

    angles_deg: tuple[float, ...]
    curl_deg: float
    spring_deg: tuple[float, float]
    lip_deg: float
    seed: int


def open_way(subject: Subject, way: Way, how: Opening, share: float) -> tuple[Product, float]:
    """Open a package's flaps by a share of their angles; the product and the largest angle [deg]."""
    product, done, gives = subject.product, [], []
    for hinge, angle in zip(way.hinges, how.angles_deg, strict=False):
        frame = hinge_frame(product, hinge)
        give = Give(curl_deg=how.curl_deg, radius_mm=max(0.6, 2 * product.sheets[0].thickness_mm))
        free = _free(replace(subject, product=product), hinge, angle, give)
        below = float(frame.away @ subject.up) > 0.5 and float(frame.opening @ subject.up) < 0.5
        if below and FLAT_DEG < free < 90.0:  # it lies down on the tray
            give, free = replace(give, curl_deg=0.0), 90.0
        done.append(min(angle * share, free))
        gives.append(give)
        product = open_hinge(product, hinge, done[-1], kind=KIND, give=give)
    if done and max(done) > 0 and product.sheets[0].name in ("board", "corrugate"):
        unfolding = _unfolding(subject, way, how, share)
        product = open_flaps(product, subject.product, way.hinges, tuple(done), tuple(gives), unfolding, kind=KIND)
        if 90.0 in done:
            product = replace(product, sheets=tuple(_laid_flat(subject, sheet) for sheet in product.sheets))
    return product, max(done, default=0.0)


def _laid_flat(subject: Subject, sheet: Sheet) -> Sheet:
    """The lip of a lid that lies on the tray lies there too: contents have pressed it down."""
    if "lip" not in sheet.name:
        return sheet
    world = subject.to_world(sheet.vertices)
    world[:, 2] = np.clip(world[:, 2], None, 1.2 * sheet.thickness_mm / 1000)
    return replace(sheet, vertices=subject.to_item(world))


def _unfolding(subject: Subject, way: Way, how: Opening, share: float) -> Unfolding:
    """Flaps that contents have pushed aside; those over the tray lie on it."""
    frame = hinge_frame(subject.product, way.hinges[0])
    side = float(-frame.along @ subject.up)  # which way the first dust flap turns to
    springs = [90.0 if down < DOWN else angle for down, angle in zip((side, -side), how.spring_deg, strict=True)]
    flat = float(frame.away @ subject.up) > 0.5  # the lid's hinge is at the lower edge
    return Unfolding(
        spring_deg=(25 + share * (springs[0] - 25), 25 + share * (springs[1] - 25)),
        lip_deg=4.0 if flat else how.lip_deg,
        under_share=0.4 + 0.5 * share,
        seed=how.seed,
    )


# ---- Order ----------------------------------------------------------------------------------------------------------


def order_groups(
    subject: Subject, bodies: tuple[Body, ...], way: Way | None, rng: np.random.Generator
) -> tuple[int, ...]:
    """The order in which contents leave: what is next to the opening first, or as drawn; never what carries another."""
    boxes = np.array([[body.points.min(axis=0), body.points.max(axis=0)] for body in bodies])
    middles = boxes.mean(axis=1)
    luck = -np.log(rng.random(len(bodies))) / site_weight(subject, subject.to_item(middles))
    if way is not None and subject.product.family != "blister_pack":
        out = subject.T_world_item[:3, :3] @ way.out
        # Rows: what is less than half a thing further in is as near to the opening.
        thing = max(0.5 * float(np.median((boxes[:, 1] - boxes[:, 0]).min(axis=1))), 1e-6)
        deep = np.round((float((middles @ out).max()) - middles @ out) / thing)
        luck = luck / (luck.max() + 1e-9) + 1e3 * deep
    held = subject.product.family == "blister_pack"
    rests = np.zeros((len(bodies),) * 2, bool) if held else carries(boxes)
    left, order = list(range(len(bodies))), []
    while left:
        free = [k for k in left if not rests[k][left].any()] or left
        order.append(min(free, key=lambda k: luck[k]))
        left.remove(order[-1])
    return tuple(order)


def carries(boxes: Float[np.ndarray, "u 2 3"]) -> Bool[np.ndarray, "u u"]:
    """Whether thing i carries thing j: j starts about where i ends, above it (upright boxes, world)."""
    low, high = boxes[:, 0], boxes[:, 1]
    over = np.minimum(high[:, None, :2], high[None, :, :2]) - np.maximum(low[:, None, :2], low[None, :, :2])
    size = np.minimum((high - low)[:, None, :2], (high - low)[None, :, :2])
    gap = low[None, :, 2] - high[:, None, 2]
    tall = (high - low)[:, 2]
    return (over > 0.15 * size).all(axis=2) & (gap > -0.2 * tall[:, None]) & (gap < 0.006)


# ---- What stands in the way -----------------------------------------------------------------------------------------


def _panel_slab(points: Points, normal: Float[np.ndarray, "3"], thickness: float) -> Points:
    """A panel as a plate: its outline, at the height where most of it is (its edges are rounded)."""
    height = points @ normal
    level = float(np.quantile(height, 0.85))
    return slab(points + (level - height)[:, None] * normal, normal, 0.001, thickness)


def walls_of(subject: Subject, product: Product) -> tuple[Points, ...]:
    """A board package as plates in the world: its panels, its flaps; nothing of what bends to anything (film)."""
    out = []
    for sheet in product.sheets:
        if sheet.item != 1 or not len(sheet.faces) or sheet.name == "torn fibres":
            continue
        vertices = subject.to_world(sheet.vertices)
        for panel in np.unique(sheet.panel):
            faces = sheet.faces[(sheet.panel == panel) & ~sheet.removed]
            if len(faces):
                normal = face_normals(vertices, faces).sum(axis=0)
                normal /= max(float(np.linalg.norm(normal)), 1e-12)
                out.append(_panel_slab(vertices[np.unique(faces)], normal, sheet.thickness_mm / 1000))
    return tuple(out)


def hull_of(subject: Subject, sheet: Sheet) -> Points:
    """A sheet's convex hull in the world."""
    used = np.unique(sheet.faces[~sheet.removed])
    return convex(subject.to_world(sheet.vertices[used]))
