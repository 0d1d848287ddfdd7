"""Rigid things that fall and come to rest, with MuJoCo: contents on the tray, against its walls, on each other.

Things fall one after the other. Each finds the earlier ones where they came to rest, so that a thing's place does not
depend on how many follow it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial import ConvexHull

from ...sim.scene import Part
from ..damage.outcome import UnsolvedError

STEP_S, LONGEST_S, QUIET_S = 0.002, 3.0, 0.2
QUIET_M_S = 0.005
"""Slower than this for ``QUIET_S`` is at rest."""
AT_ONCE = 5
"""Steps between two looks."""
SPIN_M, ROLL_M = 0.004, 0.001
"""Friction against spinning on the spot and against rolling."""
SLOWED_PER_S = (0.3, 4.0)
"""Share of speed and of spin lost per second: goods give, liquids slosh."""
FINEST = 250
"""Corners of a hull that are kept; a can has more, and touches with a few."""
HULL_M = 1.2e-4
PARKED_M = 50.0
"""Where things wait for their turn."""
LIE_M, START_M = 2e-4, 1.5e-3
"""Deepest that things may lie in each other at rest; and when they set out."""
Points = Float[np.ndarray, "_ 3"]
"""Convex, seen from above, counter-clockwise."""


def engine() -> Any:
    """MuJoCo, loaded where it is used: it takes a while, and most damages do without."""
    return import_module("mujoco")


def _all_ways(count: int) -> Float[np.ndarray, "n 3"]:
    """Unit vectors spread evenly over the sphere."""
    turns = np.arange(count) + 0.5
    polar, around = np.arccos(1 - 2 * turns / count), np.pi * (1 + 5**0.5) * turns
    return np.stack([np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar)], axis=1)


_WAYS = _all_ways(500)


@dataclass(frozen=True)
class Body:
    """A rigid thing made of convex pieces, in the world where it was before it fell."""

    pieces: tuple[Points, ...]

    @property
    def points(self) -> Points:
        """Corners of all pieces."""
        return np.concatenate(self.pieces)

    @property
    def middle(self) -> Float[np.ndarray, "3"]:
        """Middle of its upright box."""
        return (self.points.min(axis=0) + self.points.max(axis=0)) / 2


@dataclass(frozen=True)
class Start:
    """How a thing sets out: ``p_start = T_world @ p_before``, and how fast."""

    T_world: Float[np.ndarray, "4 4"]
    velocity_m_s: Float[np.ndarray, "3"] = field(default_factory=lambda: np.zeros(3))
    spin_rad_s: Float[np.ndarray, "3"] = field(default_factory=lambda: np.zeros(3))


@dataclass(frozen=True)
class Fall:
    """Where a thing came to rest."""

    T_world: Float[np.ndarray, "4 4"]
    """``p_rest = T_world @ p_before``."""
    seconds: float
    depth_m: float
    """Deepest contact at rest."""


def convex(points: Points) -> Points:
    """Corners of a convex hull; of very many, so few that none is much more than ``HULL_M`` outside."""
    points = points[np.sort(ConvexHull(points).vertices)]
    if len(points) <= FINEST:
        return points
    kept = np.unique(np.argmax(points @ _WAYS.T, axis=0))
    for _ in range(2):
        planes = np.unique(ConvexHull(points[kept]).equations.round(9), axis=0)
        beyond = points @ planes[:, :3].T + planes[:, 3]
        far = beyond.max(axis=0) > HULL_M
        if not far.any():
            break
        kept = np.unique(np.concatenate([kept, np.argmax(beyond[:, far], axis=0)]))
    return points[kept]


def slab(points: Points, normal: Float[np.ndarray, "3"], out_m: float, in_m: float) -> Points:
    """Corners of a panel's hull, thickened along its normal by ``out_m`` and against it by ``in_m``."""
    return convex(np.concatenate([points + out_m * normal, points - in_m * normal]))


def surroundings(parts: Sequence[Part]) -> tuple[Points, ...]:
    """Convex pieces for what stands on a tray: walls as slabs behind their face, everything else as its hull."""
    out = []
    for part in parts:
        if part.name.startswith(("wall_", "rim_")):
            out.append(slab(part.vertices, part.normals[0, 0], 0.0, 0.02))
        elif part.name != "dust":
            flat = np.ptp(part.vertices[:, 2]) < 5e-4  # a hull needs some height
            up = np.array([0.0, 0.0, 1.0])
            out.append(slab(part.vertices, up, 0.0, 5e-4) if flat else convex(part.vertices))
    return tuple(out)


# ---- Where things may set out ---------------------------------------------------------------------------------------


def any_turn(rng: np.random.Generator, upright: bool) -> Float[np.ndarray, "3 3"]:
    """A rotation: any, or about the vertical with a slight tilt."""
    yaw, tilt = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(0, 6))
    q = rng.normal(size=4)
    if upright:
        about, half = rng.uniform(0, 2 * np.pi), tilt / 2  # lean after spin, as quaternions
        c, s = np.cos(yaw / 2), np.sin(yaw / 2)
        u, v = np.sin(half) * np.cos(about), np.sin(half) * np.sin(about)
        q = np.array([np.cos(half) * c, u * c + v * s, v * c - u * s, np.cos(half) * s])
    w, x, y, z = q / np.linalg.norm(q)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


# ---- The model ------------------------------------------------------------------------------------------------------


def _add_mesh(spec, name: str, points: Points, centre: Float[np.ndarray, "3"]) -> None:
    mujoco = engine()
    mesh = spec.add_mesh(name=name, uservert=(points - centre).ravel())
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX


def _build(bodies: Sequence[Body], still: Sequence[Points], friction: float):
    """Compile a model: the tray's plane, what stands still, and each thing twice, once to move and once to lie."""
    mujoco = engine()
    spec = mujoco.MjSpec()
    option = spec.option
    option.timestep, option.integrator = STEP_S, mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone, option.impratio = mujoco.mjtCone.mjCONE_ELLIPTIC, 5.0

    def add_geom(body, mesh: str | None, group: int) -> None:
        geom = body.add_geom()
        if mesh is None:
            geom.type, geom.size = mujoco.mjtGeom.mjGEOM_PLANE, [1, 1, 0.1]
        else:
            geom.type, geom.meshname = mujoco.mjtGeom.mjGEOM_MESH, mesh
        geom.contype, geom.conaffinity = (1, 0) if group else (0, 1)  # what lies still does not meet its like
        geom.condim, geom.friction = 6, [friction, SPIN_M, ROLL_M]
        geom.solref, geom.solimp = [2 * STEP_S, 1.0], [0.95, 0.99, 0.0005, 0.5, 2]
        geom.density = 500.0

    add_geom(spec.worldbody, None, 0)
    for k, points in enumerate(still):
        _add_mesh(spec, f"still {k}", points, np.zeros(3))
        add_geom(spec.worldbody, f"still {k}", 0)
    for k, body in enumerate(bodies):
        lies = spec.worldbody.add_body(name=f"lies {k}", mocap=True, pos=body.middle)
        moves = spec.worldbody.add_body(name=f"moves {k}", pos=[0, 5.0, PARKED_M + 5 * k], gravcomp=1.0)
        moves.add_freejoint()
        for j, points in enumerate(body.pieces):
            _add_mesh(spec, f"body {k} {j}", points, body.middle)
            add_geom(lies, f"body {k} {j}", 0)
            add_geom(moves, f"body {k} {j}", 1)
    model = spec.compile()
    for k in range(len(bodies)):
        moves = model.body(f"moves {k}")
        first = int(model.jnt_dofadr[moves.jntadr[0]])
        model.dof_damping[first : first + 3] = float(moves.mass[0]) * SLOWED_PER_S[0]
        model.dof_damping[first + 3 : first + 6] = moves.inertia * SLOWED_PER_S[1]
    return model


# ---- Falling --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Falling:
    """A simulation in which things have not fallen yet, or some have."""

    model: Any
    data: Any
    bodies: tuple[Body, ...]


def prepare(bodies: Sequence[Body], still: Sequence[Points], *, friction: float = 0.45) -> Falling:
    """Set up a simulation: a tray (z = 0), what stands still on it as hulls, and things that wait where they are."""
    mujoco = engine()
    model = _build(bodies, still, friction)
    return Falling(model, mujoco.MjData(model), tuple(bodies))


def _run(falling: Falling, dof: int, reach: float, what: str) -> float:
    """Step until a thing has been at rest for long enough; seconds."""
    mujoco = engine()
    model, data = falling.model, falling.data
    quiet, steps = 0, 0
    while quiet * STEP_S < QUIET_S:
        if steps * STEP_S > LONGEST_S:
            raise UnsolvedError(f"{what} still moves after {LONGEST_S:g} s")
        mujoco.mj_step(model, data, nstep=AT_ONCE)
        steps += AT_ONCE
        moves = data.qvel[dof : dof + 6]
        speed2 = max(float(moves[:3] @ moves[:3]), reach**2 * float(moves[3:] @ moves[3:]))
        quiet = quiet + AT_ONCE if speed2 < QUIET_M_S**2 else 0
    return steps * STEP_S


def _deepest(falling: Falling) -> float:
    data = falling.data
    return max(-min([float(data.contact[i].dist) for i in range(data.ncon)], default=0.0), 0.0)


def _settle(falling: Falling, body: Body, start: Start, mover: int, at: int, dof: int, what: str):
    """Put a thing at its start, let it go and wait: seconds, depth and pose."""
    mujoco = engine()
    model, data, R = falling.model, falling.data, start.T_world[:3, :3]
    turn = np.zeros(4)
    mujoco.mju_mat2Quat(turn, np.ascontiguousarray(R).ravel())
    data.qpos[at : at + 7] = [*(R @ body.middle + start.T_world[:3, 3]), *turn]
    # A free joint's spin is in the thing's own frame.
    data.qvel[dof : dof + 6] = [*start.velocity_m_s, *(R.T @ start.spin_rad_s)]
    model.body_gravcomp[mover] = 0.0
    mujoco.mj_forward(model, data)
    if _deepest(falling) > START_M:
        raise UnsolvedError(f"{what} starts {1000 * _deepest(falling):.1f} mm deep in something")
    seconds = _run(falling, dof, float(np.linalg.norm(body.points - body.middle, axis=1).max()), what)
    mujoco.mj_forward(model, data)
    depth = _deepest(falling)
    if depth > LIE_M:
        raise UnsolvedError(f"{what} lies {1000 * depth:.2f} mm deep in something")
    return seconds, depth, data.qpos[at : at + 7].copy()


def let_fall(falling: Falling, number: int, start: Start) -> Fall:
    """Drop one thing; later ones find it where it came to rest. It may be tried again.

    Raises:
        UnsolvedError: it starts within something, does not come to rest in time, or lies deeper than ``LIE_M``.
    """
    mujoco = engine()
    model, data, body = falling.model, falling.data, falling.bodies[number]
    moves, lies = model.body(f"moves {number}"), model.body(f"lies {number}")
    at, dof = int(model.jnt_qposadr[moves.jntadr[0]]), int(model.jnt_dofadr[moves.jntadr[0]])
    parked, place = data.qpos[at : at + 7].copy(), lies.mocapid[0]
    data.mocap_pos[place] = [0.0, 0.0, PARKED_M + 5 * number]
    try:
        seconds, depth, pose = _settle(falling, body, start, moves.id, at, dof, f"thing {number}")
    finally:
        data.qpos[at : at + 7], data.qvel[:] = parked, 0.0
        data.qacc_warmstart[:] = 0.0
        model.body_gravcomp[moves.id] = 1.0
    data.mocap_pos[place], data.mocap_quat[place] = pose[:3], pose[3:]
    T = np.eye(4)
    mat = np.zeros(9)
    mujoco.mju_quat2Mat(mat, pose[3:] / np.linalg.norm(pose[3:]))
    T[:3, :3] = mat.reshape(3, 3)
    T[:3, 3] = pose[:3] - T[:3, :3] @ body.middle
    return Fall(T, seconds, depth)
