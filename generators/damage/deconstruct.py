"""Deconstruct: a pack that has come open, and what was in it lying where it fell. Yields ``deconstruction``.

Flaps open first, then contents slide or fall out, as rigid bodies, until they rest on the tray or on each other.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

from ...sim.scene import KINDS, Part, kind_bit, transform_part
from ..opening.burst import burst_open, draw_burst, press_in, tear_film
from ..opening.drop import (
    Body,
    Fall,
    Falling,
    Points,
    Start,
    any_turn,
    convex,
    let_fall,
    prepare,
    surroundings,
)
from ..opening.unpack import (
    DOWN,
    KIND,
    Group,
    Opening,
    Way,
    body_of,
    groups_of,
    hull_of,
    open_way,
    order_groups,
    parts_of,
    reachable,
    walls_of,
    ways_of,
)
from ..outline import apart, outline_of
from ..products.product import Product
from .outcome import Outcome, UnsolvedError
from .subject import Subject

BIT = KINDS.index("deconstruction")
ROOM_M = 0.002
"""Things set out this far from what lies there already."""
TRIES, AGAIN = 80, 5
"""Places that are looked at for a thing, and how often it is dropped anew."""
EDGE_M = 0.012
"""From the tray's edge."""


class DeconstructConfig(BaseModel):
    """How packs come apart. Strength opens flaps, then takes contents out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opening_deg: tuple[float, float] = Field(default=(95.0, 150.0), description="of flaps, once they are open")
    opened_by: float = Field(
        default=0.35, gt=0, lt=1, description="strength at which flaps are open; from there on contents come out"
    )
    share_out: tuple[float, float] = Field(
        default=(0.6, 1.25), description="of contents, the share that is out at strength 1; over 1 is all of them"
    )
    near_mm: tuple[float, float] = Field(default=(1.0, 70.0), description="how far from the pack contents land")
    drop_mm: tuple[float, float] = Field(default=(1.0, 12.0), description="how high above the tray they set out")
    speed_m_s: tuple[float, float] = Field(default=(0.0, 0.25), description="how fast they set out")
    upright_share: float = Field(default=0.3, ge=0, le=1, description="of them, the share that keeps its attitude")
    friction: tuple[float, float] = Field(default=(0.35, 0.6), description="coefficient of friction")
    moved_mm: float = Field(default=10.0, gt=0, description="what has moved further is out of place")
    turned_deg: float = Field(default=10.0, gt=0, description="or has turned further")


@dataclass(frozen=True)
class _Plan:
    """All that is drawn; the same at every strength."""

    way: Way | None
    groups: tuple[Group, ...]
    """In the order in which they leave."""
    bodies: tuple[Body, ...]
    """The groups as rigid things where they are (world)."""
    opening: Opening
    share: float
    friction: float
    seeds: tuple[int, ...]
    """One per group, in their order."""
    torn: bool
    """Shrink film is torn off, from the end that ``way`` points to."""

    @property
    def hinged(self) -> bool:
        """Whether something opens before contents come out."""
        return self.way is not None and len(self.way.hinges) > 0


def deconstruct_applies(product: Product) -> bool:
    """Whether a product has contents that leave it as rigid things: what pours is spilt, and a book is bound.

    Goods in mailers stay: film that lies on them would have to follow.
    """
    return bool(groups_of(product))


# ---- Plan -----------------------------------------------------------------------------------------------------------


def _film_ways(subject: Subject, bodies: tuple[Body, ...]) -> tuple[Way, ...]:
    """Ends from which shrink film can be torn: those off the tray, along which there is more than one row."""
    found = []
    for axis in np.eye(3)[:2]:
        out = subject.T_world_item[:3, :3] @ axis
        spread = float(np.ptp([body.middle @ out for body in bodies]))
        found += [Way("film", sign * axis) for sign in (-1.0, 1.0) if spread > 0.02 and sign * float(out[2]) > DOWN]
    return tuple(found)


def _plan(subject: Subject, config: DeconstructConfig, rng: np.random.Generator) -> _Plan:
    product = subject.product
    torn = product.family == "multipack"
    groups = groups_of(product)
    bodies = tuple(body_of(subject, group) for group in groups)
    ways = _film_ways(subject, bodies) if torn else reachable(subject, ways_of(product))
    if not ways and product.family not in ("blister_pack", "loose_set"):
        raise UnsolvedError(f"{product.item_identifier}: nothing of this {product.family} has room to open as it lies")
    pick, angles, curl = rng.random(), rng.uniform(*config.opening_deg, 2), rng.normal() * 6
    spring, lip, seed = rng.uniform(91, 118, 2), rng.uniform(40, 75), int(rng.integers(2**31))
    way = ways[int(pick * len(ways))] if ways else None
    order = order_groups(subject, bodies, way, rng)
    return _Plan(
        way=way,
        groups=tuple(groups[k] for k in order),
        bodies=tuple(bodies[k] for k in order),
        opening=Opening(
            (float(angles[0]), float(angles[1])), float(curl), (float(spring[0]), float(spring[1])), float(lip), seed
        ),
        share=float(rng.uniform(*config.share_out)),
        friction=float(rng.uniform(*config.friction)),
        seeds=tuple(int(v) for v in rng.integers(2**31, size=len(groups))),
        torn=torn,
    )


def _amount(plan: _Plan, config: DeconstructConfig, strength: float) -> tuple[float, float]:
    """Share of the opening, and how many groups are out (a fraction is on its way)."""
    if not plan.hinged:
        return 1.0, min(plan.share * strength, 1.0) * len(plan.groups)
    opened = min(strength / config.opened_by, 1.0)
    past = max(strength - config.opened_by, 0.0) / (1 - config.opened_by)
    return opened, min(plan.share * past, 1.0) * len(plan.groups)


# ---- Opening --------------------------------------------------------------------------------------------------------


def _slides(subject: Subject, plan: _Plan) -> bool:
    """Whether contents leave along a level way, one behind the other; else they lie beside the pack at once."""
    if plan.way is None or plan.torn or subject.product.family == "blister_pack":
        return False
    return abs(float(plan.way.out @ subject.up)) < 0.5


def _opened(subject: Subject, plan: _Plan, share: float, out: int) -> tuple[Product, float]:
    """The pack after it has come open for ``out`` groups; and the largest angle of its flaps [deg]."""
    if plan.torn:
        return (_torn(subject, plan, out) if out else subject.product), 0.0
    if plan.way is not None:
        return open_way(subject, plan.way, plan.opening, share)
    if subject.product.family == "blister_pack":
        return _burst(subject, plan, out), 0.0
    return subject.product, 0.0


def _torn(subject: Subject, plan: _Plan, out: int) -> Product:
    """Film torn off as far as units are out."""
    assert plan.way is not None
    product, along = subject.product, plan.way.out
    rows = [np.concatenate([p.vertices for p in parts_of(product, group)]) @ along for group in plan.groups]
    rng = np.random.default_rng(plan.opening.seed)
    edge = min(float(points.min()) for points in rows[:out]) + float(rng.uniform(-0.004, 0.006))
    film = tear_film(product.sheets[0], along, edge, plan.opening.seed)
    return replace(product, sheets=(film, *product.sheets[1:]))


def _last_row(subject: Subject, plan: _Plan) -> int:
    """How many units stand in the row that is furthest from the torn end; they keep the film."""
    assert plan.way is not None
    deep = np.array([
        np.concatenate([p.vertices for p in parts_of(subject.product, group)]).mean(axis=0) @ plan.way.out
        for group in plan.groups
    ])  # fmt: skip
    return int((deep < deep.min() + 0.02).sum())


def _burst(subject: Subject, plan: _Plan, out: int) -> Product:
    """Foil or card burst behind each unit that is out, its pocket pressed in."""
    product = subject.product
    front, back = product.sheets[0], product.sheets[1]
    up = np.array([0.0, 0.0, 1.0])
    down = float(-up @ subject.up) < -0.5  # petals cannot bend into the tray: there the foil is lost
    bursts = []
    for group, seed in zip(plan.groups[:out], plan.seeds, strict=False):
        points = np.concatenate([part.vertices for part in parts_of(product, group)])
        low, high = points.min(axis=0), points.max(axis=0)
        rng = np.random.default_rng(seed)
        half, middle = (high - low)[:2] / 2, (low + high) / 2
        near = back.vertices[np.argmin(np.linalg.norm((back.vertices - middle)[:, :2], axis=1))]
        reach = float(np.clip(half.min() * rng.uniform(0.85, 1.05), 0.003, 0.03))
        core = rng.uniform(0.75, 0.93) if down else rng.uniform(0.12, 0.3)
        bursts.append(draw_burst(np.array([*middle[:2], near[2]]), reach, float(core), rng))
        front = press_in(front, bursts[-1].at, up, float(half.mean()), seed + 1)
    back = burst_open(back, tuple(bursts), up if down else -up)
    return replace(product, sheets=(front, back, *product.sheets[2:]))


# ---- Setting out ----------------------------------------------------------------------------------------------------


def _beside(
    subject: Subject, body: Body, home: Points, taken: list[Points],
    toward: Float[np.ndarray, "3"] | None, config: DeconstructConfig, rng: np.random.Generator,
) -> Start:  # fmt: skip
    """Somewhere free beside ``home``, rather towards a direction (world), just above the tray."""
    R = any_turn(rng, bool(rng.random() < config.upright_share))
    points = (body.points - body.middle) @ R.T
    low = float(points[:, 2].min())
    high = float(rng.uniform(*config.drop_mm)) / 1000 - low
    ceiling = high + float(points[:, 2].max()) + ROOM_M
    others = [outline_of(p) for p in taken if float(p[:, 2].min()) < ceiling]
    outline, near = outline_of(points), outline_of(home)
    level = toward is not None and float(np.hypot(*toward[:2])) > 0.5
    drawn = float(rng.uniform(0, 2 * np.pi))
    ahead = float(np.arctan2(toward[1], toward[0])) if toward is not None and level else drawn
    half, middle = np.array(subject.tray_m) / 2 - EDGE_M, near.mean(axis=0)
    speed, tumble = rng.uniform(*config.speed_m_s), rng.normal(size=3) * 2.0
    size = min(1.0, 0.3 + float(np.ptp(outline, axis=0).max()) / 0.08)  # small things do not get far
    wide = np.array(config.near_mm) / 1000 * [1, size]
    for attempt in range(TRIES):
        angle = ahead + rng.normal() * (0.45 + 0.05 * attempt)
        way = np.array([np.cos(angle), np.sin(angle)])
        off = wide[0] + (wide[1] - wide[0]) * rng.random() ** 1.5
        at = middle + way * (float(((near - middle) @ way).max()) - float((outline @ way).min()) + off)
        there = outline + at
        if (np.abs(there) < half).all() and all(apart(there, other, ROOM_M) for other in others):
            T = np.eye(4)
            T[:3, :3] = R
            T[:3, 3] = np.array([*at, high]) - R @ body.middle
            return Start(T, np.array([*(speed * way), 0.0]), tumble)
    raise UnsolvedError(f"no room on the tray for what comes out of {subject.product.item_identifier}")


def _on_the_way(body: Body, way: Float[np.ndarray, "3"], length: float, share: float, lift: float) -> Start:
    """Part of the way out, in line."""
    T = np.eye(4)
    T[:3, 3] = share * length * way + np.array([0, 0, lift])
    return Start(T)


# ---- Doing it -------------------------------------------------------------------------------------------------------


def _pack(subject: Subject, opened: Product) -> list[Points]:
    """Convex pieces of the package as it stands open."""
    product = subject.product
    if product.family in ("multipack", "loose_set") or (
        product.family == "blister_pack" and opened.sheets[1].removed.any()
    ):
        # A burst blister is as flat as before: things fall beside it all the same.
        sheets = opened.sheets if product.family == "multipack" else product.sheets
        pack = [hull_of(subject, sheet) for sheet in sheets if not sheet.removed.all()]
        return pack + [convex(subject.to_world(p.vertices)) for p in opened.contents if p.item == 1]
    if product.family == "blister_pack":
        return [hull_of(subject, sheet) for sheet in opened.sheets]
    return list(walls_of(subject, opened))


def _fall(subject: Subject, plan: _Plan, opened: Product, config: DeconstructConfig, amount: float) -> tuple[Fall, ...]:
    """Take out whole groups, then the one that is on its way."""
    slides = _slides(subject, plan)
    whole = int(amount + 1e-9) if slides else _whole(plan, amount)
    part = amount - whole if slides and whole < len(plan.groups) else 0.0
    count = whole + (part > 0)
    if count == 0:
        return ()
    pack, around = _pack(subject, opened), list(surroundings(subject.around))
    falling = prepare(plan.bodies, [*pack, *around], friction=plan.friction)
    loose = subject.product.family == "loose_set"
    home = np.concatenate([*pack, *(body.points for body in plan.bodies)])
    toward = None if plan.way is None else subject.T_world_item[:3, :3] @ plan.way.out
    places, falls = [body.points for body in plan.bodies], []
    for k, body in enumerate(plan.bodies[:count]):
        rng = np.random.default_rng(plan.seeds[k])
        taken = [*pack, *around, *places[:k], *places[k + 1 :]]

        def start(attempt: int, body: Body = body, k: int = k, rng=rng, taken=taken) -> Start:
            if k < whole:
                return _beside(subject, body, body.points if loose else home, taken, toward, config, rng)
            assert toward is not None
            return _on_the_way(body, toward, _way_out(subject, body, toward), part, 1e-4 + 0.001 * attempt)

        falls.append(_drop(subject, falling, k, start))
        places[k] = body.points @ falls[-1].T_world[:3, :3].T + falls[-1].T_world[:3, 3]
    return tuple(falls)


def _drop(subject: Subject, falling: Falling, number: int, start: Callable[[int], Start]) -> Fall:
    """Let one thing fall, again from elsewhere if it does not come to rest on the tray."""
    body, last = falling.bodies[number], UnsolvedError("")
    for attempt in range(AGAIN):
        try:
            fall = let_fall(falling, number, start(attempt))
        except UnsolvedError as error:
            last = error
            continue
        rest = body.points @ fall.T_world[:3, :3].T + fall.T_world[:3, 3]
        if (np.abs(rest[:, :2]) < np.array(subject.tray_m) / 2).all():
            return fall
        last = UnsolvedError(f"what came out of {subject.product.item_identifier} left the tray")
    raise last


def _whole(plan: _Plan, amount: float) -> int:
    """How many groups are out where none is on its way."""
    if plan.hinged:
        return int(amount + 0.5)
    return max(1, int(np.ceil(amount - 1e-9))) if amount > 0 else 0


def _way_out(subject: Subject, body: Body, toward: Float[np.ndarray, "3"]) -> float:
    """How far a thing slides until it has left the package [m]."""
    wall = subject.to_world(subject.product.sheets[0].rest)
    return max(float((wall @ toward).max() - (body.points @ toward).min()), 0.0)


def _moved(part: Part, T_item: Float[np.ndarray, "4 4"], out: bool) -> Part:
    moved = transform_part(part, T_item)
    return replace(moved, damage=moved.damage | np.uint8(kind_bit(KIND))) if out else moved


def _put_down(
    subject: Subject, opened: Product, plan: _Plan, falls: tuple[Fall, ...], config: DeconstructConfig
) -> tuple[Product, int, float]:
    """Contents where they came to rest, how many are out of place, and how far the furthest is away [mm]."""
    W, contents = subject.T_world_item, list(opened.contents)
    count, furthest = 0, 0.0
    for group, body, fall in zip(plan.groups, plan.bodies, falls, strict=False):
        far = 1000 * float(np.linalg.norm(fall.T_world[:3, :3] @ body.middle + fall.T_world[:3, 3] - body.middle))
        angle = np.degrees(np.arccos(np.clip((np.trace(fall.T_world[:3, :3]) - 1) / 2, -1, 1)))
        out = far > config.moved_mm or float(angle) > config.turned_deg
        count, furthest = count + out, max(furthest, far)
        T = np.linalg.inv(W) @ fall.T_world @ W
        contents = [_moved(p, T, out) if p.name in group.names and p.item == group.item else p for p in contents]
    return replace(opened, contents=tuple(contents)), count, furthest


def deconstruct(subject: Subject, config: DeconstructConfig, strength: float, rng: np.random.Generator) -> Outcome:
    """Open a pack and let its contents come out; strength 0 is the identity."""
    plan = _plan(subject, config, rng)
    product, angle, count, furthest = subject.product, 0.0, 0, 0.0
    share, amount = _amount(plan, config, strength)
    if plan.torn:
        amount = min(amount, len(plan.groups) - _last_row(subject, plan))
    if strength > 0:
        out = _whole(plan, amount)
        opened, angle = _opened(subject, plan, share, out)
        falls = _fall(subject, plan, opened, config, amount)
        product, count, furthest = _put_down(subject, opened, plan, falls, config)
    first = np.concatenate([part.vertices for part in parts_of(subject.product, plan.groups[0])])
    return Outcome(
        product=product,
        kind=KIND,
        generator="deconstruct",
        parameters={
            "way": "" if plan.way is None else plan.way.name,
            "friction": plan.friction,
            "share_at_1": plan.share,
            "strength": strength,
        },
        measures={
            "opening_deg": angle,
            "units_out": float(count),
            "share_out": count / len(plan.groups),
            "displaced_mm": furthest,
        },
        site=first.mean(axis=0),
    )
