"""From a folder of calibration captures to a booth's YAML: ``damageland calibrate``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from .board import BoardSpec, camera_folders, find_sights, pictures, read_board, same_size
from .booth import Booth, BoothSpec, draw_booth, read_booth
from .calibrate import Fitted, calibrate_cameras
from .errors import DamagelandError
from .files import write_atomic
from .lens import COEFFICIENTS
from .photometry import Response, irradiance, measure_response
from .yamlfile import parse_mapping

KEPT = ("depth", "jpeg_quality", "blur_px", "vignetting")
"""Keys of a camera that a calibration does not fit, and takes from the template's camera of the same name."""


@dataclass(frozen=True)
class Calibration:
    """A fitted booth and how well it fits."""

    spec: BoothSpec
    cameras: tuple[Fitted, ...]
    responses: dict[str, Response]
    light_scale: float | None
    """What the template's lamps were multiplied by; None without grey cards."""
    notes: tuple[str, ...]
    """Pictures that could not be used."""


def calibrate(captures: Path, board_path: Path, template_path: Path) -> Calibration:
    """Fit a booth. Lamps, walls and what else is not fitted come from the template."""
    board, template = read_board(board_path), read_booth(template_path)
    if (captures / "board").is_dir():
        folders = camera_folders(captures / "board")
    else:
        raise DamagelandError(
            f"{captures}: holds no folder `board`. Expected {captures}/board/<camera>/*.png, and beside `board` "
            "optionally `empty` and `grey` with the same cameras"
        )
    try:
        sights = [find_sights(name, folder, board) for name, folder in folders.items()]
        fitted = calibrate_cameras(sights, board)
        responses = _responses(captures, fitted, board)
    except DamagelandError as error:
        raise DamagelandError(f"{captures}: {error}") from None
    spec, scale = _as_spec(template, fitted, responses, board)
    notes = tuple(f"{s.camera}/{name}: {why}" for s in sights for name, why in s.rejected.items())
    return Calibration(spec, tuple(fitted), responses, scale, notes)


def _responses(captures: Path, fitted: list[Fitted], board: BoardSpec) -> dict[str, Response]:
    """Responses of the cameras that have pictures of a grey card."""
    out = {}
    for camera in (one.camera for one in fitted):
        size = (camera.width, camera.height)
        shots: dict[str, list[Any]] = {}
        for kind in ("grey", "empty"):
            folder = captures / kind / camera.name
            shots[kind] = same_size(pictures(folder), size) if folder.is_dir() else []
        if shots["grey"]:
            out[camera.name] = measure_response(camera, shots["grey"], shots["empty"])
    return out


def _middle(value: Any) -> Any:
    """A booth's mapping with the middle of every range: what a real booth is, no range."""
    if isinstance(value, dict):
        return {key: _middle(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        if len(value) == 2 and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
            middle = sum(value) / 2
            return round(middle) if all(isinstance(v, int) for v in value) else middle
        return [_middle(inner) for inner in value]
    return value


def _as_spec(
    template: BoothSpec, fitted: list[Fitted], responses: dict[str, Response], board: BoardSpec
) -> tuple[BoothSpec, float | None]:
    plain = template.model_dump(mode="json", exclude_unset=True)
    known = {camera["name"]: camera for camera in plain["cameras"]}
    fixed = _middle({key: value for key, value in plain.items() if key not in ("cameras", "environment", "name")})
    plain |= fixed
    for light in plain.get("lights", []):
        light["share"] = 1.0
    steady = plain | {"lights": [light | {"flicker": 0.0} for light in plain.get("lights", [])]}
    booth = draw_booth(parse_mapping(steady, BoothSpec, "template"), np.random.default_rng(0))
    scale, gains = _light_and_gains(booth, template, fitted, responses, board)
    if scale is not None:
        for light in plain.get("lights", []):
            light["radiance"] = float(light["radiance"] * scale)
    for one in fitted:
        seen = responses.get(one.camera.name)
        if seen is not None and seen.tray is not None:
            value = float((seen.tray / seen.card).mean() * board.grey)
            plain["tray"] = plain.get("tray", {}) | {"value": float(np.clip(value, 0.002, 1.0))}
            break
    plain["cameras"] = [
        _camera_mapping(one, known.get(one.camera.name, {}), responses.get(one.camera.name), gains.get(one.camera.name))
        for one in fitted
    ]
    return parse_mapping(plain, BoothSpec, "the fitted booth"), scale


def _light_and_gains(
    booth: Booth, template: BoothSpec, fitted: list[Fitted], responses: dict[str, Response], board: BoardSpec
) -> tuple[float | None, dict[str, tuple[float, float, float]]]:
    """What lamps are to be multiplied by, and (gain, red, blue) of each camera."""
    lamps, around = irradiance(booth)
    named = [one.camera.name for one in fitted if one.camera.name in responses]
    if not named or lamps[1] <= 0:
        return None, {}
    own = next((camera.gain for camera in template.cameras if camera.name == named[0]), None)
    first = sum(own) / 2 if own is not None else 1.0
    wanted = np.pi / board.grey * responses[named[0]].card[1] / first
    if wanted <= around[1]:
        raise DamagelandError(
            f"camera {named[0]}: with gain {first:g} the grey card would be as bright by the template's surroundings "
            "alone, without lamps: lower `ambient` of the template's environment, or that camera's gain"
        )
    scale = float((wanted - around[1]) / lamps[1])
    card = board.grey / np.pi * (scale * lamps + around)
    out = {}
    for name in named:
        gain = responses[name].card / card
        out[name] = float(gain[1]), float(gain[0] / gain[1]), float(gain[2] / gain[1])
    return scale, out


def _camera_mapping(
    one: Fitted, kept: dict[str, Any], seen: Response | None, gain: tuple[float, float, float] | None
) -> dict[str, Any]:
    camera, K = one.camera, one.camera.K
    names = COEFFICIENTS[camera.lens.model]
    out: dict[str, Any] = {
        "name": camera.name, "width": camera.width, "height": camera.height,
        "fx": float(K[0, 0]), "fy": float(K[1, 1]), "cx": float(K[0, 2]), "cy": float(K[1, 2]),
        "distortion": {"model": camera.lens.model, **dict(zip(names, camera.lens.coefficients, strict=True))},
        "T_world_cam": {
            "translation_mm": (1000 * camera.T_world_cam[:3, 3]).tolist(),
            "rotation": camera.T_world_cam[:3, :3].tolist(),
        },
    }  # fmt: skip
    if gain is not None:
        out |= {"exposure": "fixed", "gain": gain[0], "white_balance_red": gain[1], "white_balance_blue": gain[2]}
    if seen is not None and seen.full_well_e is not None:
        out |= {"full_well_e": seen.full_well_e, "read_e": seen.read_e}
    return out | {key: kept[key] for key in KEPT if key in kept}


def report(found: Calibration) -> str:
    """What was fitted, and how well, in lines."""
    lines = ["camera          views  error px  alone px   fx       full well e  read e"]
    for one in found.cameras:
        seen = found.responses.get(one.camera.name)
        well = f"{seen.full_well_e:9.0f}    {seen.read_e:5.1f}" if seen and seen.full_well_e else "        -        -"
        lines.append(
            f"{one.camera.name:14s}  {one.views:5d}  {one.error_px:8.3f}  {one.own_error_px:8.3f}   "
            f"{one.camera.K[0, 0]:7.1f}   {well}"
        )
    if found.light_scale is not None:
        lines.append(f"lamps: {found.light_scale:.3f} times the template's")
    return "\n".join([*lines, *(f"not used: {note}" for note in found.notes)])


def write_booth(path: Path, found: Calibration) -> None:
    """Write the fitted booth, with its report as a comment."""
    mapping = _plain_ranges(found.spec.model_dump(mode="json", exclude_unset=True)) | {"name": path.stem}
    head = "".join(f"# {line}\n" for line in ["Fitted by `damageland calibrate`.", *report(found).splitlines()])
    write_atomic(path, (head + yaml.safe_dump(mapping, sort_keys=False, width=120)).encode())


def _plain_ranges(value: Any) -> Any:
    """Ranges without width as plain numbers, to be read more easily."""
    if isinstance(value, dict):
        return {key: _plain_ranges(inner) for key, inner in value.items()}
    if isinstance(value, list):
        if len(value) == 2 and all(isinstance(v, float) for v in value) and value[0] == value[1]:
            return value[0]
        return [_plain_ranges(inner) for inner in value]
    return value
