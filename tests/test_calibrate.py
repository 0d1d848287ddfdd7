"""Calibration: a booth with hidden parameters photographs a board, a grey card and its tray, and gives them back."""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import scenes
import yaml
from damageland import cli
from damageland.sim.board import BoardSpec, Sight, Sights, charuco, flat_pose
from damageland.sim.booth import Booth, Camera, draw_booth, read_booth
from damageland.sim.calibrate import calibrate_cameras
from damageland.sim.camera import pixel_rays, project
from damageland.sim.errors import DamagelandError
from damageland.sim.lens import Lens
from damageland.sim.preview import preview_colour
from damageland.sim.rays import build_caster, cast
from damageland.sim.scene import Material, Part, Scene
from damageland.sim.sensor import meter_exposure, record_colour
from damageland.sim.world import build_paints, paint_at
from scipy.spatial.transform import Rotation as Rotate

BOARD = {
    "squares": [6, 4], "square_mm": 50.0, "marker_mm": 40.0, "dictionary": "DICT_4X4_50", "flat": "00",
    "thickness_mm": 3.0, "grey": 0.2, "lenses": {"wide": "fisheye"},
}  # fmt: skip
LAMP = {"azimuth_deg": 0, "elevation_deg": 80, "distance_mm": 1000, "size_mm": 400, "radiance": 6}
HIDDEN = {
    "name": "hidden",
    "tray": {"value": 0.45, "saturation": 0, "roughness": 1, "grain": 0},
    "lights": [LAMP],
    "environment": {"ambient": 0.1, "panels": [0, 0]},
    "cameras": [
        {
            "name": "left", "width": 320, "height": 240, "fx": 338.0, "fy": 336.5, "cx": 164.0, "cy": 117.5,
            "distortion": {"model": "brown_conrady", "k1": -0.18, "k2": 0.05, "p1": 0.001, "p2": -0.0015},
            "azimuth_deg": -30, "elevation_deg": 60, "distance_mm": 540, "aim_mm": 20, "roll_deg": 2,
            "exposure": "fixed", "gain": 1.4, "white_balance_red": 1.1, "white_balance_blue": 0.85,
            "full_well_e": 4000, "read_e": 12, "jpeg_quality": 100, "blur_px": 0.4,
        },
        {
            "name": "wide", "width": 320, "height": 240, "fx": 220.0, "cx": 158.0, "cy": 122.0,
            "distortion": {"model": "fisheye", "k1": -0.03, "k2": 0.008},
            "azimuth_deg": 60, "elevation_deg": 65, "distance_mm": 400, "aim_mm": 20,
            "exposure": "fixed", "gain": 1.0, "full_well_e": 9000, "read_e": 6, "jpeg_quality": 100, "blur_px": 0.4,
        },
    ],
}  # fmt: skip
TEMPLATE = HIDDEN | {"lights": [LAMP | {"radiance": 4}], "cameras": [HIDDEN["cameras"][0] | {"gain": 1.4}]}


def board_part(T: np.ndarray) -> Part:
    """The printed board as a thing in the world."""
    print_ = charuco(BoardSpec.model_validate(BOARD)).generateImage((6 * 48, 4 * 48), marginSize=0)
    width, height = 0.3, 0.2
    corners = np.array([[0, height, 0], [width, height, 0], [width, 0, 0], [0, 0, 0]])
    paper = Material("paper", (0.8, 0.8, 0.8), 0.0, 1.0, np.repeat(print_[..., None], 3, axis=2))
    part = scenes.mesh_part(corners @ T[:3, :3].T + T[:3, 3], [[0, 1, 2], [0, 2, 3]], paper)
    return replace(part, uv=np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])[part.faces])


def positions() -> dict[str, np.ndarray]:
    """Flat on the tray, then held above it, tilted."""
    rng, out = np.random.default_rng(5), {}
    for k in range(12):
        T = flat_pose(BoardSpec.model_validate(BOARD))
        turn = Rotate.from_euler("zxy", [rng.uniform(-180, 180) * (k > 2), *rng.uniform(-32, 32, 2)], degrees=True)
        R = np.eye(4)
        R[:3, :3] = turn.as_matrix()
        R[:3, 3] = [*rng.uniform(-0.09, 0.09, 2), rng.uniform(0.06, 0.12)]
        out[f"{k:02d}"] = T if k == 0 else R @ T
    return out


def flat_colour(cam: Camera, parts: tuple[Part, ...], side: int = 2) -> np.ndarray:
    """Paint without light and shade, from many rays per pixel: sharp corners in little time."""
    caster, paints = build_caster(parts), build_paints(parts)
    total = np.zeros((cam.height * cam.width, 3))
    for k in range(side**2):
        shift = (np.array([k % side, k // side]) + 0.5) / side - 0.5
        hits = cast(caster, *pixel_rays(cam, offset=np.broadcast_to(shift, (cam.height, cam.width, 2))))
        hit = np.flatnonzero(hits.part >= 0)
        met = hits.take(hit)
        total[hit] += paint_at(paints, caster.joined(met), met.weights)[0] / side**2
    return total.reshape(cam.height, cam.width, 3).astype(np.float32)


def shoot(booth: Booth, scene: Scene, folder: Path, kind: str, names: list[str], seed: int) -> None:
    if kind == "board":
        colours = {cam.name: 0.5 * flat_colour(cam, (*booth.parts, *scene.parts)) for cam in booth.cameras}
    else:
        colours = preview_colour([scene], booth, samples=2, seed=1)[0]
    for k, cam in enumerate(booth.cameras):
        gain = meter_exposure(colours[cam.name], cam)
        for name in names:
            picture = record_colour(colours[cam.name], cam, gain, np.random.default_rng([seed, k, int(name)]))
            path = folder / kind / cam.name / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Booth]:
    """A folder of captures, and the booth that took them."""
    folder = tmp_path_factory.mktemp("calibration")
    for name, content in (("hidden", HIDDEN), ("template", TEMPLATE), ("charuco", BOARD)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    booth = draw_booth(read_booth(folder / "hidden.yaml"), np.random.default_rng(0))
    for k, (name, T) in enumerate(positions().items()):
        shoot(booth, Scene((board_part(T),)), folder, "board", [name], 10 + k)
    # The renderers' matt paint has a gloss on top of it, which sends back about 0.02 of the light here.
    card = scenes.plane(Material("card", (0.18, 0.18, 0.18), 0.0, 1.0), half=0.06, z=0.001)
    shoot(booth, Scene((card,)), folder, "grey", ["0"], 40)
    shoot(booth, Scene(()), folder, "empty", ["0", "1", "2"], 50)
    return folder, booth


def test_hidden_parameters_come_back(hidden: tuple[Path, Booth], tmp_path: Path, monkeypatch, capsys):
    """Points within 0.4 px, focal 1.5 %, poses 5 mm and 0.4°, exposure 8 %, balance 5 %, noise within 25 %."""
    folder, booth = hidden
    out = tmp_path / "booth.yaml"
    arguments = [folder, "--board", folder / "charuco.yaml", "--template", folder / "template.yaml", "--out", out]
    monkeypatch.setattr(sys, "argv", ["damageland", "calibrate", *map(str, arguments)])
    cli.main()
    assert "left" in capsys.readouterr().out
    fitted = draw_booth(read_booth(out), np.random.default_rng(0))
    for true, got in zip(booth.cameras, fitted.cameras, strict=True):
        assert (got.name, got.width, got.lens.model) == (true.name, true.width, true.lens.model)
        assert abs(got.K[0, 0] / true.K[0, 0] - 1) < 0.015
        turn = Rotate.from_matrix(got.T_world_cam[:3, :3].T @ true.T_world_cam[:3, :3]).magnitude()
        assert np.degrees(turn) < 0.4
        assert np.linalg.norm(got.T_world_cam[:3, 3] - true.T_world_cam[:3, 3]) < 0.005
        points = np.random.default_rng(0).uniform([-0.12, -0.12, 0], [0.12, 0.12, 0.15], (200, 3))
        shift = np.linalg.norm(project(got, points)[0] - project(true, points)[0], axis=1)
        assert np.sqrt((shift**2).mean()) < 0.4
        assert got.gain == pytest.approx(true.gain, rel=0.08)
        np.testing.assert_allclose(got.white_balance, true.white_balance, rtol=0.05)
        assert got.full_well_e == pytest.approx(true.full_well_e, rel=0.25)
    assert fitted.lights[0].radiance[1] == pytest.approx(6, rel=0.08)
    text = out.read_text()
    assert fitted.name == "booth"
    assert "error px" in text and yaml.safe_load(text)["tray"]["value"] == pytest.approx(0.45, rel=0.1)


def exact_sights(cams: dict[str, Camera], poses: dict[str, np.ndarray]) -> list[Sights]:
    """What perfect detections would be."""
    points = np.asarray(charuco(BoardSpec.model_validate(BOARD)).getChessboardCorners(), float)
    return [
        Sights(name, (cam.width, cam.height), tuple(
            Sight(moment, points, project(cam, points @ T[:3, :3].T + T[:3, 3])[0]) for moment, T in poses.items()
        ), {})
        for name, cam in cams.items()
    ]  # fmt: skip


def cameras(hidden: tuple[Path, Booth]) -> dict[str, Camera]:
    return {cam.name: cam for cam in hidden[1].cameras}


def test_exact_corners_give_exact_parameters(hidden: tuple[Path, Booth]):
    """Without noise intrinsics, distortion and poses come back to six digits, also of a camera without a flat view."""
    board, poses = BoardSpec.model_validate(BOARD), positions()
    sights = exact_sights(cameras(hidden), poses)
    sights[1] = replace(sights[1], views=sights[1].views[1:])
    for true, found in zip(hidden[1].cameras, calibrate_cameras(sights, board), strict=True):
        np.testing.assert_allclose(found.camera.K, true.K, rtol=1e-4, atol=0.02)
        np.testing.assert_allclose(found.camera.T_world_cam, true.T_world_cam, atol=2e-4)
        np.testing.assert_allclose(found.camera.lens.coefficients, true.lens.coefficients, atol=5e-3)
        assert found.error_px < 0.01


@pytest.mark.parametrize("case", ["few", "parallel", "apart", "no flat"])
def test_boards_that_tell_too_little(hidden: tuple[Path, Booth], case: str):
    """Too few views, one tilt throughout, a camera without a shared moment, no flat board: one error each."""
    poses = positions()
    wanted = {
        "few": "found in 4 pictures, at least 6",
        "parallel": "same tilt",
        "apart": "camera.s. wide",
        "no flat": "no camera has a usable picture '00'",
    }[case]
    if case == "few":
        poses = dict(list(poses.items())[:4])
    if case == "parallel":
        lift = np.eye(4)
        poses = {}
        for k in range(8):
            lift[:3, 3] = [0.02 * k - 0.07, 0.01 * (k % 3), 0.015 * k]
            poses[f"{k:02d}"] = lift @ flat_pose(BoardSpec.model_validate(BOARD))
    if case == "no flat":
        del poses["00"]
    sights = exact_sights(cameras(hidden), poses)
    if case == "apart":
        sights[1] = replace(sights[1], views=tuple(replace(v, moment=f"w{v.moment}") for v in sights[1].views))
    with pytest.raises(DamagelandError, match=wanted):
        calibrate_cameras(sights, BoardSpec.model_validate(BOARD))


def refused(folder: Path, hidden: tuple[Path, Booth], monkeypatch, capsys) -> str:
    out = folder / "booth.yaml"
    yamls = {name: str(hidden[0] / f"{name}.yaml") for name in ("charuco", "template")}
    arguments = [str(folder), "--board", yamls["charuco"], "--template", yamls["template"], "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["damageland", "calibrate", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2 and not out.exists()
    return capsys.readouterr().err


def test_pictures_of_different_size(hidden: tuple[Path, Booth], tmp_path: Path, monkeypatch, capsys):
    """The message names the picture, its size and that of the others."""
    folder = tmp_path / "board" / "left"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "a.png"), np.zeros((240, 320, 3), np.uint8))
    cv2.imwrite(str(folder / "b.png"), np.zeros((240, 300, 3), np.uint8))
    message = refused(tmp_path, hidden, monkeypatch, capsys)
    assert "b.png: is 300x240 pixels" in message and "320x240" in message


def test_captures_without_a_board_folder(hidden: tuple[Path, Booth], tmp_path: Path, monkeypatch, capsys):
    """The message says what the folder should hold."""
    assert "board/<camera>/*.png" in refused(tmp_path, hidden, monkeypatch, capsys)


def test_corners_on_one_line(hidden: tuple[Path, Booth], tmp_path: Path, monkeypatch, capsys):
    """Pictures that show one row of the board are not used, and the message says why."""
    source = sorted((hidden[0] / "board" / "left").iterdir())
    folder = tmp_path / "board" / "left"
    folder.mkdir(parents=True)
    for path in source:
        (folder / path.name).write_bytes(path.read_bytes())
        picture = cv2.imread(str(path))
        view = dict(positions())[path.stem]
        left = hidden[1].cameras[0]
        hide = np.array([[0.0, 0.102, 0], [0.3, 0.102, 0], [0.3, 0.2, 0], [0, 0.2, 0]])  # all but two rows
        uv = project(left, hide @ view[:3, :3].T + view[:3, 3])[0]
        cv2.fillConvexPoly(picture, np.round(uv).astype(np.int32), (128, 128, 128))
        cv2.imwrite(str(folder / path.name), picture)
    message = refused(tmp_path, hidden, monkeypatch, capsys)
    assert "at least 6 are needed" in message and ("one line" in message or "corners found" in message)


def test_board_file(tmp_path: Path, hidden: tuple[Path, Booth], monkeypatch, capsys):
    """An unknown dictionary and a marker larger than its square are named."""
    with pytest.raises(ValueError, match=r"DICT_5X5_100"):
        BoardSpec.model_validate(BOARD | {"dictionary": "DICT_5X5"})
    with pytest.raises(ValueError, match=r"marker_mm 50 does not fit"):
        BoardSpec.model_validate(BOARD | {"marker_mm": 50})
    assert Lens("fisheye", (0.0,) * 4) != Lens()
