"""Crush and dent: drops on corner, edge or rim, bars and balls, a stack's weight. Yields ``deformation``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from scipy.spatial import KDTree

from ...sim.scene import KINDS
from ..coarse import coarse_product, follow_base
from ..mesh import Sheet, boundary_half_edges, enclosed_volume, face_areas
from ..pressing.follow import follow_wall, gives_way
from ..pressing.kernels import all_folds
from ..pressing.shell import FIXED_ORDER_SEED, Capsule, Halt, Plane, Pressed, Wall, fold_pairs, press_wall, release
from ..pressing.sound import Limits, fault_of, lay_down, put_back
from ..pressing.tools import (
    BAR_GAP_M,
    FLAT,
    Site,
    Tool,
    aim_at,
    domed,
    draw_strike,
    has_room,
    rigid_cores,
    sharp_vertices,
    struck_sheet,
    tool_parameters,
    under_caps,
    way_to_cores,
    widest_reach,
)
from ..products.product import Product
from .outcome import Outcome, UnsolvedError, moved_mm
from .subject import Subject

DEFORMATION = KINDS.index("deformation")
FULL_SHARE = 0.8
"""A sealed package whose contents fill this much of it is full."""
CORE_GAP_M = 0.0004
BRITTLE = ("glass", "glaze")
"""Materials that break instead of denting."""
FLAT_SHARE = 0.35
"""What is flat is pushed in by this share of what a box of its width would be."""
TIGHT_SHARE, DOME_SHARE = 0.15, 0.55
"""A wall less of which is free of rigid contents cannot be pushed in."""
STOPS = (0.15, 0.3, 0.5, 0.75)
"""Strengths at which it is looked at what a stronger press would leave if it went no further."""
RISING = {"flow_rad": 1e-3, "volume_loss_ml": 0.005, "area_mm2": 1.0}
FALL = 0.005
"""Measures that rise with strength: each may fall by this share, and by this little, between two looks."""
RECOIL = 1.15
"""A measure is at most so many times larger once the tool is gone: dents spring back, but folds flow on."""
SLIGHT_LOSS = 1e-3
"""Less of the volume is no loss: walls that bulge around a dent swell a package by as much."""
STRUTS_PER_VERTEX, STRUT_REACH = 8, 3.6


class CrushConfig(BaseModel):
    """How items are crushed. Strength 1 pushes ``push_mm``, but never more than ``push_share`` of the shortest side.

    Damage in distribution comes from drops of 0.3-1 m on corners, edges and faces, from what stands or falls on top,
    and from bumps against edges (test schedules of ISTA 3A and ASTM D4169 have these three); the shares are proposals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    push_mm: float = Field(default=40.0, gt=0, le=200, description="travel of the tool at strength 1")
    push_share: float = Field(default=0.35, gt=0, le=0.6, description="largest travel as a share of the shortest side")
    site_share: dict[Site, float] = Field(
        default={"rim": 0.45, "top": 0.5, "edge": 0.8},
        description="share of that travel where a wall is stiffer: seams, a stack's weight on upright walls",
    )
    bar_radius_mm: tuple[float, float] = Field(
        default=(2.0, 25.0), description="radius of the bar or ball: a shelf's edge 2 mm, a hand truck's bumper 25 mm"
    )
    bar_length_mm: tuple[float, float] = Field(default=(0.0, 90.0), description="length of the bar; 0 is a ball")
    box_sites: dict[Site, float] = Field(
        default={"corner": 0.4, "edge": 0.3, "face": 0.2, "top": 0.1},
        description="weights on boxes; a tumbling box lands on a corner or an edge more often than flat",
    )
    round_sites: dict[Site, float] = Field(
        default={"side": 0.6, "rim": 0.22, "top": 0.18}, description="weights on round packages"
    )
    soft_sites: dict[Site, float] = Field(
        default={"corner": 0.45, "edge": 0.15, "face": 0.4}, description="weights on bags, pouches and mailers"
    )
    dome_sites: dict[Site, float] = Field(
        default={"dome": 0.65, "corner": 0.25, "edge": 0.1}, description="weights on blister packs"
    )
    volume_loss_share: float = Field(
        default=0.025,
        ge=0,
        le=0.3,
        description="share of its volume that a sealed full package can lose: liquids do not give way, the gas in the "
        "headspace (some 5 % of a can) is pressed to half its volume",
    )
    gas_share: float = Field(
        default=0.4,
        ge=0,
        le=1,
        description="of a sealed package that is not full (crisps), the share of its free volume that it can lose",
    )
    threshold_mm: float = Field(default=0.5, gt=0, description="a point moved further than this is labelled")
    threshold_share: float = Field(default=0.003, ge=0, description="or further than this share of the longest side")
    crease_deg: float = Field(default=5.0, gt=0, le=90, description="a crease bent by more than this is labelled")
    most_strain: float = Field(
        default=0.02, gt=0, description="a solve that stretches more (1st-99th percentile) fails"
    )
    most_area_change: float = Field(default=0.003, gt=0, description="or that changes the wall's area by more")
    most_crossing: float = Field(default=0.005, gt=0, description="or in which more of the faces go through another")


@dataclass(frozen=True)
class _Press:
    """One sheet under its tool."""

    subject: Subject
    sheet: Sheet
    tool: Tool
    cores: Float[np.ndarray, "k 2 3"]
    limit_mm: float
    """What moved further is labelled."""
    config: CrushConfig

    @cached_property
    def kept(self) -> tuple[Int[np.ndarray, "f 3"], Int[np.ndarray, " v"]]:
        """Faces of what is left of the sheet, and its vertices."""
        used, inverse = np.unique(self.sheet.faces[~self.sheet.removed], return_inverse=True)
        return inverse.reshape(-1, 3), used


@dataclass(frozen=True)
class _Dent:
    """A state of a sheet that a press can leave."""

    after: Sheet
    measures: dict[str, float]
    travel_m: float
    set_back: bool = False
    """Whether it is an earlier state than the press came to, since no sheet could lie like that."""


def _mobility(sheet: Sheet, tool: Plane | Capsule) -> Float[np.ndarray, " v"]:
    """Held at the side away from the tool, as an item is by its own weight or its neighbours."""
    outward = tool.normal if isinstance(tool, Plane) else -tool.way
    height = sheet.vertices @ outward
    share = (height - height.min()) / (height.max() - height.min())
    return np.clip((share - 0.08) / 0.2, 0, 1)


def _closed(faces: Int[np.ndarray, "f 3"]) -> bool:
    return len(boundary_half_edges(faces)[0]) == 0


def least_volume(product: Product, sheet: Sheet, config: CrushConfig) -> float:
    """What a sealed package keeps of its volume [m³]: all but a little if it is full; 0 if nothing holds it up."""
    if product.packaging != "primary" or product.fill_ml <= 0 or sheet.removed.any() or not _closed(sheet.faces):
        return 0.0
    volume = enclosed_volume(sheet.vertices, sheet.faces)
    free = max(0.0, 1 - 1e-6 * product.fill_ml / volume)
    lost = config.volume_loss_share + (config.gas_share * free if 1 - free < FULL_SHARE else 0.0)
    return (1 - lost) * volume


def _struts(
    product: Product, vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], spacing: float
) -> Int[np.ndarray, "n 2"]:
    """What stiffens round packages: seams, chimes and necks, where walls are doubled or meet at an angle, and caps."""
    if product.shape != "round":
        return np.zeros((0, 2), np.int64)
    shuffle = np.random.default_rng(FIXED_ORDER_SEED)
    folds = fold_pairs(faces)
    stiff = sharp_vertices(folds, all_folds(vertices, folds))
    seams = np.zeros((0, 2), np.int64)
    if len(stiff) > 1:
        near = KDTree(vertices[stiff]).query_pairs(STRUT_REACH * spacing, output_type="ndarray")
        near = stiff[near[np.lexsort((near[:, 1], near[:, 0]))]]
        near = near[np.linalg.norm(vertices[near[:, 0]] - vertices[near[:, 1]], axis=1) > 1.2 * spacing]
        wanted = min(len(near), STRUTS_PER_VERTEX * len(stiff))
        seams = near[np.sort(shuffle.choice(len(near), wanted, replace=False))]
    capped = under_caps(product, vertices)  # a cap holds its neck as one piece
    across = shuffle.integers(0, max(len(capped), 1), (STRUTS_PER_VERTEX * len(capped), 2))
    necks = capped[across[across[:, 0] != across[:, 1]]]
    return np.concatenate([seams, necks])


def _floor(subject: Subject, sheet: Sheet) -> Float[np.ndarray, "4"]:
    """The level, in the item frame, below which no wall bulges: its own lowest point, which lies on the tray."""
    return np.array([*subject.up, float((sheet.vertices @ subject.up).min())])


def _wall(press: _Press) -> Wall:
    """What is left of a sheet, held up by what it holds."""
    sheet, product = press.sheet, press.subject.product
    faces, used = press.kept
    vertices, spacing = sheet.vertices[used], sheet.mechanics.spacing_mm / 1000
    return Wall(
        vertices,
        faces,
        sheet.mechanics,
        _mobility(sheet, press.tool)[used],
        press.cores,
        _floor(press.subject, sheet),
        least_volume(product, sheet, press.config),
        _struts(product, vertices, faces, spacing),
    )


def _dent(press: _Press, wall: Wall, pressed: Pressed) -> _Dent:
    sheet = press.sheet
    _, used = press.kept
    moved = sheet.vertices.copy()
    moved[used] = lay_down(put_back(pressed.vertices, wall.vertices), wall.floor)
    after = _labelled(press, moved, pressed)
    return _Dent(after, _measure(sheet, after, _crease_length(press, pressed)), pressed.travel_m)


def _left(press: _Press, wall: Wall, halts: Sequence[Halt], most: Sequence[dict[str, float]]) -> _Dent | str:
    """What the last of the halts leaves, or an earlier one if no sheet can lie so or a measure would have gone back.

    ``most`` bounds what the earlier ones can leave: if the last one leaves more, they need not be looked at. If none
    will do, says what is wrong with the last.
    """
    config = press.config
    limits = Limits(config.most_strain, config.most_area_change, config.most_crossing)
    dent = _dent(press, wall, release(halts[-1]))
    fault = fault_of(wall, dent.after.vertices[press.kept[1]], limits)
    if len(halts) == 1:
        return fault or dent
    if fault is None and all(dent.measures[name] >= bound[name] for bound in most for name in bound):
        return dent
    before = _left(press, wall, halts[:-1], most[:-1])
    if isinstance(before, str):
        return fault or dent
    if fault is not None:
        return replace(before, set_back=True)
    return replace(before, set_back=False) if _falls(before.measures, dent.measures) else dent


def _solve(press: _Press, stops_m: list[float]) -> _Dent:
    """The sheet after a press, with its measures.

    A press is the beginning of every stronger one. What it would leave at stops on the way counts too: the last state
    is taken in which a sheet can lie and in which nothing has gone back. So a stronger press does not do less.

    Raises:
        UnsolvedError: it never came to such an end.
    """
    wall = _wall(press)
    tool = widest_reach(press.tool, press.sheet.mechanics.spacing_mm / 1000)
    gap = BAR_GAP_M if isinstance(tool, Capsule) else 0.0
    halts = press_wall(wall, tool, [gap + stop for stop in stops_m])
    name = press.subject.product.item_identifier
    if not np.isfinite(halts[-1].pressed.vertices).all():
        raise UnsolvedError(f"{name}: the crush came to no finite end.")
    loaded = [_dent(press, wall, halt.pressed).measures for halt in halts[:-1]]
    most = [{key: RECOIL * measures[key] for key in RISING if key in measures} for measures in loaded]
    dent = _left(press, wall, halts, most)
    if isinstance(dent, str):
        raise UnsolvedError(f"{name}: {dent}.")
    return replace(dent, travel_m=max(0.0, dent.travel_m - gap))


def _falls(before: dict[str, float], now: dict[str, float]) -> bool:
    """Whether one of the measures that rise with strength has gone back."""
    return any(now[name] < (1 - FALL) * before[name] - least for name, least in RISING.items() if name in before)


def _creased(before: Float[np.ndarray, "v 3"], after: Float[np.ndarray, "v 3"], folds: Int[np.ndarray, "h 4"]):
    """Largest change [rad] of the folds at each vertex."""
    bend = [2 * np.arcsin(np.clip(all_folds(np.ascontiguousarray(v), folds) / 2, -1, 1)) for v in (before, after)]
    change = np.abs((bend[1] - bend[0] + np.pi) % (2 * np.pi) - np.pi)
    out = np.zeros(len(before))
    np.maximum.at(out, folds[:, :2].ravel(), np.repeat(change, 2))
    return out


def marked_area(sheet: Sheet, kind_index: int) -> float:
    """Pristine area [m²] in which the interpolated mark is 1 or more: the same however finely the sheet is divided."""
    faces = sheet.faces[~sheet.removed]
    over = np.sort(sheet.marks[faces, kind_index] - 1, axis=1)
    low, middle, high = over.T
    with np.errstate(divide="ignore", invalid="ignore"):
        one = high**2 / ((high - middle) * (high - low))
        two = 1 - low**2 / ((high - low) * (middle - low))
    share = np.where(low >= 0, 1.0, np.where(middle >= 0, two, np.where(high > 0, one, 0.0)))
    return float(share @ face_areas(sheet.rest, faces))


def _measure(before: Sheet, after: Sheet, flow_m: float) -> dict[str, float]:
    kept = ~after.removed
    measures = {
        "depth_mm": float(moved_mm(after).max()),
        "area_mm2": 1e6 * marked_area(after, DEFORMATION),
        "flow_rad": flow_m / float(np.ptp(before.rest, axis=0).max()),
    }
    if _closed(before.faces):  # an open cover or card encloses nothing
        lost = enclosed_volume(before.vertices, before.faces[kept]) - enclosed_volume(after.vertices, after.faces[kept])
        slight = lost < SLIGHT_LOSS * enclosed_volume(before.vertices, before.faces[kept])
        measures["volume_loss_ml"] = 0.0 if slight else 1e6 * lost
    return measures


def crush_applies(product: Product) -> bool:
    """Glass and glazed ware break instead, and film or board drawn tight over rigid contents has nowhere to go."""
    product = coarse_product(product)
    wall = product.sheets[0]
    if product.brittle or any(m.name.startswith(BRITTLE) for m in wall.materials):
        return False
    cores = rigid_cores(product, wall, "corner")
    return domed(product) is not None or bool(has_room(wall.rest, cores).mean() > TIGHT_SHARE)


def _sites(product: Product, config: CrushConfig) -> dict[Site, float]:
    """Where a product may be struck, and how often."""
    dome = domed(product)
    if dome is not None:  # a pocket that its tablet fills has nowhere to go either
        sheet = product.sheets[dome]
        raised = np.unique(sheet.faces[aim_at(Subject(product), sheet, "dome").faces])
        open_ = has_room(sheet.rest[raised], rigid_cores(product, sheet, "dome")).mean() > DOME_SHARE
        return {k: v for k, v in config.dome_sites.items() if open_ or k != "dome"} or config.dome_sites
    if product.shape == "round" and len(under_caps(product, product.sheets[0].rest)):
        return {k: v for k, v in config.round_sites.items() if k != "top"} or config.round_sites
    if any(gives_way(part) for part in product.contents):
        return {k: v for k, v in config.box_sites.items() if k in ("corner", "edge")} or config.box_sites
    return {"box": config.box_sites, "round": config.round_sites, "soft": config.soft_sites}[product.shape]


def crush(subject: Subject, config: CrushConfig, strength: float, rng: np.random.Generator) -> Outcome:
    """Crush one wall of a product; strength 0 is the identity.

    All happens on meshes at the material's spacing, and is measured there: folds are as wide as the mesh that folds.
    """
    fine, product = subject.product, coarse_product(subject.product)
    subject, sites = replace(subject, product=product), _sites(product, config)
    weights = np.array(list(sites.values()))
    site: Site = list(sites)[int(rng.choice(len(sites), p=weights / weights.sum()))]
    index = struck_sheet(product, site)
    sheet = product.sheets[index]
    bar = (rng.uniform(*config.bar_radius_mm) / 1000, 0.5 * rng.uniform(*config.bar_length_mm) / 1000)
    target = aim_at(subject, sheet, site)
    strike, cores = draw_strike(target, site, bar, rng), target.cores
    furthest = _furthest(sheet, site, config)
    push = strength * furthest
    room = way_to_cores(strike.tool, cores, CORE_GAP_M)
    limit = max(config.threshold_mm, 1000 * config.threshold_share * float(np.ptp(sheet.rest, axis=0).max()))
    dent = _Dent(sheet, _measure(sheet, sheet, 0.0), min(push, room))
    if strength > 0 and room > 0:
        stops = [min(stop * furthest, room) for stop in (*(s for s in STOPS if s < strength), strength)]
        dent = _solve(_Press(subject, sheet, strike.tool, cores, limit, config), sorted(set(stops)))
    crushed = follow_wall(product, dent.after, limit_m=limit / 1000, kind="deformation", bit=DEFORMATION, index=index)
    return Outcome(
        product=follow_base(fine, product, crushed),
        kind="deformation",
        generator="crush",
        parameters={
            "site": site,
            "push_mm": 1000 * push,
            "reach_mm": 1000 * dent.travel_m,
            "strength": strength,
            **tool_parameters(strike.tool),
        },
        measures=dent.measures,
        site=strike.at,
        set_back=dent.set_back,
    )


def _furthest(sheet: Sheet, site: Site, config: CrushConfig) -> float:
    """Travel [m] at strength 1."""
    sides = np.sort(np.ptp(sheet.rest, axis=0))
    flat = site in ("corner", "edge") and sides[0] < FLAT * sides[1]
    shortest = FLAT_SHARE * sides[1] if flat else sides[0]  # what is flat is struck in its plane
    return min(config.push_mm / 1000, config.push_share * config.site_share.get(site, 1.0) * float(shortest))


def _labelled(press: _Press, moved: Float[np.ndarray, "v 3"], pressed: Pressed) -> Sheet:
    """The sheet as it lies now; what moved or creased bears the label."""
    sheet, used = press.sheet, press.kept[1]
    marks = sheet.marks.copy()
    own = np.linalg.norm(moved - sheet.vertices, axis=1) * 1000 / press.limit_mm
    own[used] = np.maximum(
        own[used], _creased(sheet.vertices[used], moved[used], pressed.folds) / np.radians(press.config.crease_deg)
    )
    marks[:, DEFORMATION] = np.maximum(marks[:, DEFORMATION], own)
    return replace(sheet, vertices=moved, marks=marks)


def _crease_length(press: _Press, pressed: Pressed) -> float:
    """Plastic angle times length of all creases [rad m]: does not depend on how finely the sheet is divided."""
    ends = press.sheet.rest[press.kept[1]][pressed.folds[:, :2]]
    return float((pressed.plastic_rad * np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)).sum())
