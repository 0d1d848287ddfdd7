"""Fit a booth to a real one: lenses and poses of its cameras from pictures of a ChArUco board.

Each camera's intrinsics and distortion are OpenCV's fit to its own pictures. The poses of all cameras and of the board
are then fitted together, so that a camera that never saw the board lying flat is placed by those that did.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float
from scipy.optimize import least_squares
from scipy.sparse import lil_matrix
from scipy.spatial.transform import Rotation as Rotate

from .board import BoardSpec, Sight, Sights, flat_pose
from .camera import Camera, check_lens, project
from .errors import DamagelandError
from .lens import COEFFICIENTS, Lens, LensModel

FEWEST_VIEWS = 6
LEAST_TILT_DEG = 8.0
"""Views whose boards are less turned against each other say nothing about the focal length."""

SIMPLER = 1.05
FIXED: dict[str, tuple[int, ...]] = {
    "brown_conrady": (cv2.CALIB_FIX_K2 + cv2.CALIB_FIX_K3, cv2.CALIB_FIX_K3, 0),
    "fisheye": (cv2.CALIB_FIX_K2 + cv2.CALIB_FIX_K3 + cv2.CALIB_FIX_K4, cv2.CALIB_FIX_K3 + cv2.CALIB_FIX_K4, 0),
}
"""Coefficients that are left at 0, from the simplest lens to the fullest."""

Pose = Float[np.ndarray, "4 4"]


@dataclass(frozen=True)
class Fitted:
    """A camera as it was fitted."""

    camera: Camera
    views: int
    error_px: float
    """Root mean square of the reprojection error, with the poses that all cameras agree on."""
    own_error_px: float
    """The same with this camera's own poses of the board: what lens and corners are good for."""


def calibrate_cameras(seen: Sequence[Sights], board: BoardSpec) -> list[Fitted]:
    """Fit lenses and poses of all cameras."""
    lenses, errors, poses = [], [], []
    for sights in seen:
        camera, error, own = _fit_lens(sights, board)
        lenses.append(camera)
        errors.append(error)
        poses.append(own)
    placed, boards = _first_guess(seen, lenses, poses, board)
    placed, boards = _refine(seen, placed, boards, board)
    out = []
    for sights, camera, error in zip(seen, placed, errors, strict=True):
        rest = np.concatenate([_residual(camera, boards[v.moment], v) for v in sights.views])
        out.append(Fitted(camera, len(sights.views), float(np.sqrt((rest**2).sum(axis=1).mean())), error))
    return out


def _fit_lens(sights: Sights, board: BoardSpec) -> tuple[Camera, float, dict[str, Pose]]:
    """Intrinsics, distortion and this camera's own ``T_cam_board`` of each moment."""
    if len(sights.views) < FEWEST_VIEWS:
        why = "".join(f"\n  {name}: {reason}" for name, reason in sights.rejected.items())
        raise DamagelandError(
            f"camera {sights.camera}: the board is found in {len(sights.views)} pictures, at least {FEWEST_VIEWS} are "
            f"needed. Take more, near and far, tilted, and in all corners of the picture.{why}"
        )
    model: LensModel = board.lenses.get(sights.camera, "brown_conrady")
    try:
        error, bare, poses = _simplest_fit(model, sights)
    except cv2.error as trouble:
        raise DamagelandError(
            f"camera {sights.camera}: OpenCV cannot fit the model {model} to its {len(sights.views)} pictures ("
            f"{trouble.err}). Take the board in more positions, or name the other model in "
            "`lenses` of the board's YAML"
        ) from None
    own = {view.moment: pose for view, pose in zip(sights.views, poses, strict=True)}
    _require_tilt(sights, poses)
    try:
        check_lens(bare)
    except DamagelandError as trouble:
        raise DamagelandError(
            f"{trouble}. These are what its pictures of the board gave: take some with the board in the corners"
        ) from None
    return bare, error, own


def _simplest_fit(model: LensModel, sights: Sights) -> tuple[float, Camera, list[Pose]]:
    """The lens with the fewest coefficients whose error is within a twentieth of that of the fullest.

    Where the board never came into the corners of the picture, high orders fit noise, and fold what lies outside.
    """
    fits = [_opencv_fit(model, sights, fixed) for fixed in FIXED[model]]
    best = min(fit[0] for fit in fits)
    return next(fit for fit in fits if fit[0] <= SIMPLER * best)


def _opencv_fit(model: LensModel, sights: Sights, fixed: int) -> tuple[float, Camera, list[Pose]]:
    """OpenCV's fit, whose pixel centres are whole numbers: error, camera without a place, poses of the board."""
    width, height = sights.size
    start = np.array([[width, 0, (width - 1) / 2], [0, width, (height - 1) / 2], [0, 0, 1.0]])
    points = [view.points.reshape(1, -1, 3).astype(np.float32) for view in sights.views]
    pixels = [(view.pixels - 0.5).reshape(1, -1, 2).astype(np.float32) for view in sights.views]
    if model == "brown_conrady":
        error, K, k, turns, shifts = cv2.calibrateCamera(points, pixels, sights.size, start, np.zeros(5), flags=fixed)
    else:
        start[0, 0] = start[1, 1] = width / 2  # fisheyes are wide
        flags = cv2.CALIB_RECOMPUTE_EXTRINSIC + cv2.CALIB_FIX_SKEW + cv2.CALIB_USE_INTRINSIC_GUESS + fixed
        stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 200, 1e-9)
        error, K, k, turns, shifts = cv2.fisheye.calibrate(
            points, pixels, sights.size, start, np.zeros(4), flags=flags, criteria=stop
        )
    K = np.asarray(K, np.float64) + np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    lens = Lens(model, tuple(np.ravel(k)[: len(COEFFICIENTS[model])].tolist()))
    bare = Camera(sights.camera, width, height, K, np.eye(4), (1.0, 1.0, 1.0), 0.0, 0.0, 0.0, 95, lens=lens)
    return float(error), bare, [_pose(np.ravel(r), np.ravel(t)) for r, t in zip(turns, shifts, strict=True)]


def _require_tilt(sights: Sights, poses: list[Pose]) -> None:
    normals = np.array([T[:3, 2] for T in poses])
    turned = float(np.degrees(np.arccos(np.clip((normals @ normals.T).min(), -1, 1))))
    if turned < LEAST_TILT_DEG:
        raise DamagelandError(
            f"camera {sights.camera}: in all {len(poses)} pictures the board has the same tilt (they differ by "
            f"{turned:.1f}°), which leaves its focal length open. Tilt the board by 20 to 40° in several of them"
        )


def _pose(turn: Float[np.ndarray, "3"], shift: Float[np.ndarray, "3"]) -> Pose:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotate.from_rotvec(turn).as_matrix(), shift
    return T


def _first_guess(
    seen: Sequence[Sights], cameras: list[Camera], own: list[dict[str, Pose]], board: BoardSpec
) -> tuple[list[Camera], dict[str, Pose]]:
    """Go from the flat board to the cameras that saw it, to the boards that these saw, and so on."""
    boards: dict[str, Pose] = {board.flat: flat_pose(board)}
    placed: dict[int, Camera] = {}
    if not any(board.flat in poses for poses in own):
        raise DamagelandError(
            f"no camera has a usable picture {board.flat!r}, in which the board lies flat in the middle of the tray. "
            "Take it, or name the right one as `flat` in the board's YAML"
        )
    while len(placed) < len(cameras):
        before = len(placed)
        for k, (camera, poses) in enumerate(zip(cameras, own, strict=True)):
            shared = sorted(boards.keys() & poses.keys(), key=lambda name: (name != board.flat, name))
            if k not in placed and shared:
                T = boards[shared[0]] @ np.linalg.inv(poses[shared[0]])
                placed[k] = replace(camera, T_world_cam=T)
                boards |= {name: T @ poses[name] for name in poses if name not in boards}
        if len(placed) == before:
            lost = ", ".join(seen[k].camera for k in range(len(cameras)) if k not in placed)
            raise DamagelandError(
                f"camera(s) {lost}: saw the board at no moment at which another camera saw it, so where they stand is "
                "open. Pictures of one moment bear the same name in every camera's folder: take some that two share"
            )
    return [placed[k] for k in range(len(cameras))], boards


def _residual(camera: Camera, T_world_board: Pose, view: Sight) -> Float[np.ndarray, "n 2"]:
    return project(camera, view.points @ T_world_board[:3, :3].T + T_world_board[:3, 3])[0] - view.pixels


def _refine(
    seen: Sequence[Sights], cameras: list[Camera], boards: dict[str, Pose], board: BoardSpec
) -> tuple[list[Camera], dict[str, Pose]]:
    """Move cameras and boards, but for the flat one, until the corners of all pictures agree best."""
    free = sorted(boards.keys() - {board.flat})
    places = {name: 6 * (len(cameras) + k) for k, name in enumerate(free)}
    sights = [(k, view) for k, one in enumerate(seen) for view in one.views]

    def moved(T: Pose, step: Float[np.ndarray, "6"]) -> Pose:
        return T @ _pose(step[:3], step[3:])

    def at(x: Float[np.ndarray, " p"]) -> tuple[list[Camera], dict[str, Pose]]:
        shifted = [
            replace(camera, T_world_cam=moved(camera.T_world_cam, x[6 * k : 6 * k + 6]))
            for k, camera in enumerate(cameras)
        ]
        turned = {name: moved(T, x[places[name] :][:6]) if name in places else T for name, T in boards.items()}
        return shifted, turned

    def residuals(x: Float[np.ndarray, " p"]) -> Float[np.ndarray, " r"]:
        shifted, turned = at(x)
        rest = np.concatenate([_residual(shifted[k], turned[view.moment], view).ravel() for k, view in sights])
        return np.nan_to_num(rest, nan=1e3)  # a step that turns a camera away is a bad one

    count = 6 * (len(cameras) + len(free))
    pattern, row = lil_matrix((sum(2 * len(view.points) for _, view in sights), count), dtype=int), 0
    for k, view in sights:
        rows = slice(row, row + 2 * len(view.points))
        pattern[rows, 6 * k : 6 * k + 6] = 1
        if view.moment in places:
            pattern[rows, places[view.moment] : places[view.moment] + 6] = 1
        row = rows.stop
    # A corner that was found in the wrong place must not drag a camera along.
    found = least_squares(
        residuals, np.zeros(count), jac_sparsity=pattern, x_scale="jac", loss="soft_l1", max_nfev=20, ftol=1e-7
    )
    return at(found.x)
