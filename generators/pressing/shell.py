"""A quasi-static plastic shell: sheets that cannot stretch, fold stiffly, and keep a fold once it yields.

Position-based (Müller et al., "Position Based Dynamics", 2007; its balloon constraint keeps the volume of what is full)
with the dihedral fold of Bridson et al., "Simulation of Clothing with Folds and Wrinkles" (2003). Edges are rigid and
folds are relaxed, hence dents are controlled by geometry, not calibrated in newtons.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import no_type_check

import numba as nb
import numpy as np
from jaxtyping import Bool, Float, Int

from ..mesh import Mechanics, mesh_edges
from .kernels import all_folds, look, overstrained, relax, settle
from .selfcontact import Neighbours

FIXED_ORDER_SEED = 20260901
"""Constraints are relaxed in one shuffled order, the same for all, so that sweeps favour no direction of the mesh."""
REFRESH = 8
"""Steps after which it is looked up again what moves, and what is close to what."""
STILL = 2e-3
"""A vertex that moved less than this share of the spacing since the last look is asleep."""
GIVE = 0.002
"""Share of its volume by which a full package may be squeezed for a moment before the tool waits."""
NOWHERE = np.array([0.0, 0.0, 1.0, -1e9])
"""A floor that nothing reaches."""


@dataclass(frozen=True)
class Plane:
    """A flat tool that pushes: points are kept where ``normal · p <= offset``, which shrinks as it travels."""

    normal: Float[np.ndarray, "3"]
    start_m: float


@dataclass(frozen=True)
class Capsule:
    """A rounded bar (or ball) that is pushed along a straight way."""

    a: Float[np.ndarray, "3"]
    b: Float[np.ndarray, "3"]
    way: Float[np.ndarray, "3"]
    """Unit vector."""
    radius_m: float


@dataclass(frozen=True)
class Pressing:
    """How a press is stepped. A step is a fixed length, so that a weak push is the beginning of a strong one."""

    step_share: float = 0.07
    """Way of the tool per step, as a share of the sheet's spacing."""
    rest_steps: int = 64
    """At most so many steps after the tool has left, in which elastic folds spring back."""
    haste: float = 2.0
    """They are so much stiffer then, which brings them to the same rest in fewer steps."""
    settled: float = 0.01
    """Folds that swing with less than this share of the largest swing have come to rest."""
    edge_sweeps: int = 3
    yield_rate: float = 0.25
    """Share of what a fold is bent beyond its limit that stays, per step: a wave that passes leaves no crease."""
    stall: int = 24
    """A tool that waited for so many steps leaves."""
    patience: int = 160
    """So does one that waited for so many in all, though the wall gave way little by little."""
    most_strained: float = 0.03
    """A tool waits while more than this share of the edges is strained by 2 % or more."""
    most_crossing: float = 0.0025
    """The tool goes back to where less than this share of the faces went through others, and leaves."""
    damping: float = 0.9
    friction: float = 0.3
    gap_share: float = 0.25
    """A sheet keeps so far from itself where it folds, as a share of its spacing."""
    strut_limit: float = 0.08
    """Strain beyond which a strut yields."""


@dataclass(frozen=True)
class Wall:
    """A sheet that is pressed, and what holds it up."""

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    mechanics: Mechanics
    mobility: Float[np.ndarray, " v"]
    """0 where it is held and 1 where it is free."""
    cores: Float[np.ndarray, "k 2 3"] = field(default_factory=lambda: np.zeros((0, 2, 3)))
    """Boxes [m] of rigid contents, low and high corner."""
    floor: Float[np.ndarray, "4"] = field(default_factory=lambda: NOWHERE)
    """Upward unit normal of the ground and its offset [m]: points stay where ``normal · p >= offset``."""
    least_m3: float = 0.0
    """What the closed wall keeps of its volume; 0 if it may lose it all."""
    struts: Int[np.ndarray, "n 2"] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    """Pairs of vertices that keep their distance: seams, rims and necks, which are thicker than one wall."""


@dataclass(frozen=True)
class Pressed:
    """What a press has left."""

    vertices: Float[np.ndarray, "v 3"]
    folds: Int[np.ndarray, "h 4"]
    """Inner edges: start, end, and the opposite vertex on either side."""
    plastic_rad: Float[np.ndarray, " h"]
    """How far each fold has yielded in all, bending and bending back."""
    travel_m: float
    """How far the tool had come."""


def fold_pairs(faces: Int[np.ndarray, "f 3"]) -> Int[np.ndarray, "h 4"]:
    """Inner edges as (start, end, opposite of the first face, opposite of the second)."""
    half = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    opposite = np.concatenate([faces[:, 2], faces[:, 0], faces[:, 1]])
    edge = np.sort(half, axis=1)
    key = edge[:, 0].astype(np.int64) * (int(faces.max()) + 1) + edge[:, 1]
    order = np.argsort(key, kind="stable")
    twin = np.flatnonzero(key[order][1:] == key[order][:-1])
    first, second = order[twin], order[twin + 1]
    return np.stack([half[first, 0], half[first, 1], opposite[first], opposite[second]], axis=1)


@nb.njit(cache=True)
@no_type_check  # numba compiles it as it is: no checks may be wrapped around it in tests
def relax_edges(p, w, edges, length):
    """Bring edges to their lengths, one after the other: moves points ``p`` in place, by their mobilities ``w``."""
    for e in range(len(edges)):
        i, j = edges[e, 0], edges[e, 1]
        total = w[i] + w[j]
        if total == 0:
            continue
        dx, dy, dz = p[j, 0] - p[i, 0], p[j, 1] - p[i, 1], p[j, 2] - p[i, 2]
        now = np.sqrt(dx * dx + dy * dy + dz * dz)
        if now < 1e-12:
            continue
        f = (now - length[e]) / (now * total)
        fi, fj = w[i] * f, w[j] * f
        p[i, 0] += fi * dx
        p[i, 1] += fi * dy
        p[i, 2] += fi * dz
        p[j, 0] -= fj * dx
        p[j, 1] -= fj * dy
        p[j, 2] -= fj * dz


def _path(tool: Plane | Capsule) -> tuple[Float[np.ndarray, "6"], Float[np.ndarray, "6"]]:
    """Where a tool starts, and its way per metre of travel, as the kernels want it."""
    if isinstance(tool, Plane):
        start, way = np.zeros(6), np.zeros(6)
        start[:3], start[3], way[3] = tool.normal, tool.start_m, -1.0
        return start, way
    return np.concatenate([tool.a, tool.b]), np.tile(tool.way, 2)


def _fold_height(vertices: Float[np.ndarray, "v 3"], folds: Int[np.ndarray, "h 4"]) -> Float[np.ndarray, " h"]:
    """Length [m] over which each fold bends: a third of the heights of its two triangles."""
    along = vertices[folds[:, 1]] - vertices[folds[:, 0]]
    two_areas = np.zeros(len(folds))
    for k in (2, 3):
        two_areas += np.linalg.norm(np.cross(along, vertices[folds[:, k]] - vertices[folds[:, 0]]), axis=1)
    return two_areas / np.maximum(np.linalg.norm(along, axis=1), 1e-12) / 3


@dataclass
class _Solve:
    """A press under way: arrays that change in place, all in the fixed order."""

    wall: Wall
    pressing: Pressing
    x: Float[np.ndarray, "v 3"]
    edges: Int[np.ndarray, "e 2"]
    length: Float[np.ndarray, " e"]
    folds: Int[np.ndarray, "h 4"]
    rest: Float[np.ndarray, " h"]
    weight: Float[np.ndarray, " h"]
    limit: Float[np.ndarray, " h"]
    tool: Float[np.ndarray, "6"]
    is_plane: bool
    radius: float
    near: Neighbours

    def __post_init__(self) -> None:
        vertices, folds, edges = len(self.x), len(self.folds), len(self.edges)
        self.before, self.p, self.seen = self.x.copy(), self.x.copy(), self.x.copy()
        self.w, self.plastic = np.zeros(vertices), np.zeros(folds)
        self.awake, self.moving = np.zeros(vertices, bool), np.zeros(vertices, bool)
        self.lists, self.counts = np.zeros((3, max(vertices, edges, folds)), np.int64), np.zeros(3, np.int64)
        self.g, self.out, self.pull = np.zeros((4, 3)), np.zeros(3), np.zeros((vertices, 3))
        self.swing, self.largest, self.resting = 0.0, 0.0, False

    @property
    def spacing(self) -> float:
        """Of the sheet's vertices [m]."""
        return self.wall.mechanics.spacing_mm / 1000

    def state(self) -> tuple[np.ndarray, ...]:
        """Copies of all that a step changes and the next one needs."""
        return tuple(
            a.copy() for a in (self.x, self.before, self.seen, self.rest, self.weight, self.plastic, self.length)
        )

    def go_back(self, state: tuple[np.ndarray, ...]) -> None:
        """Return to how things stood."""
        now = (self.x, self.before, self.seen, self.rest, self.weight, self.plastic, self.length)
        for array, then in zip(now, state, strict=True):
            array[:] = then
        self.p[:] = self.x  # steps leave alone what sleeps

    def waking_faces(self) -> Bool[np.ndarray, " f"]:
        """Faces that may be in motion."""
        a, b, c = self.awake[self.wall.faces].T
        return a | b | c

    def look(self, *, here: bool) -> int:
        """Find what moves and what may touch; returns how many edges are strained too much."""
        margin = REFRESH * self.pressing.step_share * self.spacing + 0.5 * self.pressing.gap_share * self.spacing
        look(
            self.x, self.seen, self.before, self.wall.mobility, self.w, self.edges, len(self.wall.struts),
            self.length, self.folds, self.tool,
            self.is_plane, self.radius, here, STILL * self.spacing, margin, self.awake, self.moving, self.lists,
            self.counts, self.out,
        )  # fmt: skip
        self.near.find(self.x, self.awake, self.pressing.gap_share * self.spacing)
        return overstrained(self.x, self.edges, self.lists[1], self.counts[1], len(self.wall.struts), self.length)

    def step(self, *, here: bool) -> float:
        """Advance one step; returns what the wall lacks of its least volume [m³]."""
        wall, how = self.wall, self.pressing
        short = relax(
            self.x, self.before, self.p, self.w, wall.faces, self.edges, self.length, self.folds, self.rest,
            self.weight, 1.0 if here else how.haste, self.awake, self.lists, self.counts, wall.least_m3, self.spacing,
            how.edge_sweeps, how.damping if here else 1.0, self.g, self.pull,
        )  # fmt: skip
        self.near.part(self.p, self.w)
        moved = settle(
            self.x, self.p, self.w, self.edges, len(wall.struts), self.length, how.strut_limit if here else 0.0,
            self.folds, self.rest, self.weight, self.limit, wall.mechanics.softening, how.yield_rate, self.plastic,
            self.tool, self.is_plane, self.radius, here, self.lists, self.counts, wall.cores, wall.floor, how.friction,
            self.g, self.out,
        )  # fmt: skip
        if not here:
            if moved < self.swing:  # kinetic damping: what swings back is stopped where it is fastest
                self.largest = max(self.largest, self.swing)
                self.resting = self.swing < self.pressing.settled * self.largest
                self.before[:], self.swing = self.x, 0.0
            else:
                self.swing = moved
        return float(short)


def _prepare(wall: Wall, tool: Plane | Capsule, pressing: Pressing) -> _Solve:
    wall = replace(  # copies: a kernel is compiled again for an array that may not be written or is not in order
        wall,
        faces=np.array(wall.faces, np.int64, order="C"),
        mobility=np.array(wall.mobility, np.float64, order="C"),
        cores=np.array(wall.cores, np.float64, order="C"),
        floor=np.array(wall.floor, np.float64, order="C"),
    )
    shuffle, vertices = np.random.default_rng(FIXED_ORDER_SEED), np.array(wall.vertices, np.float64, order="C")
    edges, _ = mesh_edges(wall.faces)
    # Struts come first: the mesh's own edges have the last word.
    edges = np.concatenate([wall.struts[shuffle.permutation(len(wall.struts))], edges[shuffle.permutation(len(edges))]])
    folds = fold_pairs(wall.faces)
    folds = np.ascontiguousarray(folds[shuffle.permutation(len(folds))])
    return _Solve(
        wall,
        pressing,
        vertices.copy(),
        np.ascontiguousarray(edges),
        np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1),
        folds,
        all_folds(vertices, folds),
        np.full(len(folds), wall.mechanics.bending),
        wall.mechanics.yield_curvature_per_m * _fold_height(vertices, folds),
        np.zeros(6),
        isinstance(tool, Plane),
        tool.radius_m if isinstance(tool, Capsule) else 0.0,
        Neighbours(vertices, wall.faces, wall.mechanics.spacing_mm / 1000),
    )


@dataclass(frozen=True)
class Halt:
    """A press at a stop, with the tool still there."""

    pressed: Pressed
    solve: _Solve
    state: tuple[np.ndarray, ...]


def release(halt: Halt) -> Pressed:
    """What is left if the tool is taken away at a stop."""
    solve = halt.solve
    solve.go_back(halt.state)
    solve.swing, solve.largest, solve.resting = 0.0, 0.0, False
    solve.before[:] = solve.x  # a tool that is drawn back does not fling
    for step in range(solve.pressing.rest_steps):
        if step % REFRESH == 0:
            solve.look(here=False)
            if solve.counts[0] == 0 or solve.resting:
                break
        solve.step(here=False)
    return Pressed(solve.x.copy(), solve.folds, solve.plastic.copy(), halt.pressed.travel_m)


def press_wall(
    wall: Wall, tool: Plane | Capsule, stops_m: Sequence[float], pressing: Pressing = Pressing()
) -> list[Halt]:
    """Push a tool into a wall, with stops after these rising travels.

    What comes of a stop does not depend on later ones. The tool waits while the contents are squeezed or the wall is
    strained; if that does not end, it halts where it is and does not come to the stops that are left.
    """
    solve, halts = _prepare(wall, tool, pressing), []
    start, way = _path(tool)
    at, waited, waits, step, strained, least, short = 0.0, 0, 0, 0, 0, 0, 0.0
    for stop in stops_m:
        while waited <= pressing.stall and waits <= pressing.patience:
            free = short <= GIVE * wall.least_m3 and strained <= pressing.most_strained * len(solve.edges)
            if at >= stop and free:
                break
            waited, waits = (0, waits) if free else (waited + 1, waits + 1)
            if free:
                least = len(solve.edges)
                at = min(stop, at + pressing.step_share * solve.spacing)
                solve.tool = start + at * way
            if step % REFRESH == 0:
                strained = solve.look(here=True)
                waited = 0 if strained < least else waited  # it gives way
                least = min(least, strained)
            step += 1
            short = solve.step(here=True)
        halts.append(Halt(Pressed(solve.x.copy(), solve.folds, solve.plastic.copy(), at), solve, solve.state()))
        if waited > pressing.stall or waits > pressing.patience:
            break
    return halts
