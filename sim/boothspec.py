"""What a booth's YAML file may say: cameras, lights, tray, walls. Every number may be a range."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from .blackbody import COOLEST, HOTTEST
from .camera import SensorKind
from .lens import COEFFICIENTS

SENSORS = Path(__file__).resolve().parents[1] / "assets" / "sensors"


def _range(value: object) -> object:
    return (value, value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"a range is [low, high], but {value[0]} > {value[1]}")
    return value


Range = Annotated[tuple[float, float], BeforeValidator(_range), AfterValidator(_ordered)]
"""A number, or [low, high] to draw from uniformly."""


def _above_zero(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] <= 0:
        raise ValueError("expected above 0")
    return value


def _share(value: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= value[0] <= value[1] <= 1:
        raise ValueError("expected from 0 to 1")
    return value


def _not_below_zero(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] < 0:
        raise ValueError("expected 0 or more")
    return value


def _glowing(value: tuple[float, float]) -> tuple[float, float]:
    if not COOLEST <= value[0] <= value[1] <= HOTTEST:
        raise ValueError(f"expected a colour temperature from {COOLEST:g} to {HOTTEST:g} kelvin")
    return value


def _recordable(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] < 0.1:
        raise ValueError("expected 0.1 or more: files hold 0.1 mm units")
    return value


def _arm(value: tuple[float, float]) -> tuple[float, float]:
    if not -500 <= value[0] <= value[1] <= 500:
        raise ValueError("expected from -500 to 500 mm")
    return value


PositiveRange = Annotated[Range, AfterValidator(_above_zero)]
ZeroOrMore = Annotated[Range, AfterValidator(_not_below_zero)]
ShareRange = Annotated[Range, AfterValidator(_share)]
Kelvin = Annotated[Range, AfterValidator(_glowing)]
Row = tuple[float, float, float]


def _rotation(value: tuple[Row, Row, Row]) -> tuple[Row, Row, Row]:
    R = np.array(value)
    off = float(np.abs(R @ R.T - np.eye(3)).max())
    if off > 1e-3 or np.linalg.det(R) < 0:
        what = (
            "its determinant is negative (an axis is mirrored)"
            if off <= 1e-3
            else f"R times its transpose is off the identity by {off:.3g}"
        )
        raise ValueError(f"not a rotation: {what}; expected three rows of unit length at right angles, determinant 1")
    u, _, vt = np.linalg.svd(R)  # what was rounded in the file is made exact
    a, b, c = (u @ vt).tolist()
    return (a[0], a[1], a[2]), (b[0], b[1], b[2]), (c[0], c[1], c[2])


Rotation = Annotated[tuple[Row, Row, Row], AfterValidator(_rotation)]
UNTURNED = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DistortionSpec(_Spec):
    """Distortion of a lens, by OpenCV's names: brown_conrady takes k1 k2 p1 p2 k3, fisheye takes k1 k2 k3 k4."""

    model: Literal["brown_conrady", "fisheye"]
    k1: Range = Field(default=(0.0, 0.0), description="radial")
    k2: Range = Field(default=(0.0, 0.0), description="radial")
    p1: Range = Field(default=(0.0, 0.0), description="tangential; brown_conrady only")
    p2: Range = Field(default=(0.0, 0.0), description="tangential; brown_conrady only")
    k3: Range = Field(default=(0.0, 0.0), description="radial")
    k4: Range = Field(default=(0.0, 0.0), description="radial; fisheye only")

    @model_validator(mode="after")
    def _own_names(self) -> "DistortionSpec":
        known = COEFFICIENTS[self.model]
        foreign = [n for n in ("k1", "k2", "p1", "p2", "k3", "k4") if n not in known and getattr(self, n) != (0.0, 0.0)]
        if foreign:
            raise ValueError(f"{self.model} has {' '.join(known)}, but no {' '.join(foreign)}")
        return self


class _Lensed(_Spec):
    """Intrinsics: a field of view, or what a calibration gave."""

    width: int = Field(default=224, ge=32, le=4096, description="pixels")
    height: int = Field(default=224, ge=32, le=4096, description="pixels")
    hfov_deg: PositiveRange | None = Field(default=None, description="horizontal field of view; or give fx")
    fx: PositiveRange | None = Field(default=None, description="focal length in pixels, instead of hfov_deg")
    fy: PositiveRange | None = Field(default=None, description="as fx; equal to it without this key")
    cx: Range | None = Field(
        default=None,
        description="principal point in pixels whose centres are at +0.5 (OpenCV's plus 0.5); else the middle",
    )
    cy: Range | None = Field(default=None, description="as cx")
    distortion: DistortionSpec | None = Field(default=None, description="see distortion; without it, none")

    @model_validator(mode="after")
    def _one_focal(self) -> "_Lensed":
        if (self.hfov_deg is None) == (self.fx is None):
            raise ValueError(f"give hfov_deg or fx, one of them; {'neither' if self.fx is None else 'both'} is here")
        fisheye = self.distortion is not None and self.distortion.model == "fisheye"
        if self.hfov_deg is not None and self.hfov_deg[1] >= (170 if fisheye else 150):
            raise ValueError(f"hfov_deg {self.hfov_deg[1]:g}: expected less than 150, or 170 with model fisheye")
        return self


class DepthViewSpec(_Lensed):
    """A depth sensor's own place and pixels; what it sees is registered into the colour camera, with occlusion."""

    translation_mm: tuple[Range, Range, Range] = Field(
        default=((0.0, 0.0), (0.0, 0.0), (0.0, 0.0)),
        description="of the sensor in the colour camera's frame (x right, y down, z forward)",
    )
    rotation: Rotation = Field(default=UNTURNED, description="rows of R in p_colour = R p_depth + t")
    wobble_deg: ZeroOrMore = Field(default=(0.0, 0.0), description="turned by this much about an axis drawn at random")


class DepthSpec(_Spec):
    """A depth sensor; structured light by default."""

    preset: str | None = Field(
        default=None, description="a device in assets/sensors whose values hold where no other is given"
    )
    kind: SensorKind = Field(default="structured_light", description="how it measures")
    noise_mm_at_1m: ZeroOrMore = (1.5, 1.5)
    floor_mm: ZeroOrMore = Field(default=(0.0, 0.0), description="axial noise at any distance")
    fixed_share: ShareRange = Field(
        default=(0.0, 0.0), description="share of the noise that is the same in all captures of this camera"
    )
    quantum_mm: Annotated[Range, AfterValidator(_recordable)] = Field(
        default=(0.1, 0.1), description="step of the recorded depth, 0.1 or more; files hold 0.1 mm units"
    )
    disparity_px: ZeroOrMore = Field(default=(0.0, 0.0), description="smallest step of disparity; needs baseline_mm")
    baseline_mm: Annotated[Range, AfterValidator(_arm)] = Field(
        default=(0.0, 0.0),
        description="to the projector or second camera, along x, from -500 to 500; it casts shadows",
    )
    lateral_px: ZeroOrMore = Field(default=(0.0, 0.0), description="lateral noise at depth edges")
    edge_px: ZeroOrMore = Field(default=(1.0, 1.0), description="half width of the holes along depth edges")
    edge_loss: ShareRange = Field(default=(0.5, 0.5), description="share of no returns there")
    flying: ShareRange = Field(default=(0.0, 0.0), description="share of pixels beside an edge that mix near and far")
    grazing_deg: Range = (78.0, 82.0)
    gloss_loss: ShareRange = (0.5, 0.9)
    shine_loss: ShareRange = Field(default=(0.0, 0.0), description="share of no returns on smooth plastic and varnish")
    dark_signal: ZeroOrMore = Field(
        default=(0.0, 0.0),
        description="reflectance x cosine / distance² [1/m²] at which half of the returns are lost",
    )
    multipath: ShareRange = Field(default=(0.0, 0.0), description="time_of_flight: share of bounced light recorded")
    clear_loss: float = Field(default=0.4, ge=0, le=1, description="share of no returns behind a clear wall")
    clear_first: float = Field(default=0.1, ge=0, le=1, description="share of clear walls that are recorded themselves")
    near_mm: float = Field(default=0.0, ge=0, description="nothing nearer is recorded")
    far_mm: float = Field(default=6553.5, gt=0, description="nothing farther is recorded")
    view: DepthViewSpec | None = Field(
        default=None, description="its own place and pixels; without it, depth is seen by the colour camera itself"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("preset") is None:
            return data
        known = sorted(path.stem for path in SENSORS.glob("*.yaml"))
        if data["preset"] not in known:
            raise ValueError(f"preset {data['preset']!r}: expected one of {', '.join(known)}")
        base = yaml.safe_load((SENSORS / f"{data['preset']}.yaml").read_text(encoding="utf-8"))
        view = data.get("view")
        if isinstance(view, dict) and "fx" not in view and "hfov_deg" not in view:
            view = {**(base.get("view") or {}), **view}
        return {**base, **data, **({"view": view} if "view" in data else {})}

    @model_validator(mode="after")
    def _shares(self) -> "DepthSpec":
        if self.clear_loss + self.clear_first > 1:
            raise ValueError(
                f"clear_loss and clear_first are shares of the same pixels: lower one of them, as they sum to "
                f"{self.clear_loss + self.clear_first:g}, which is more than 1"
            )
        if self.disparity_px[1] > 0 and self.baseline_mm[0] <= 0 <= self.baseline_mm[1]:
            raise ValueError(
                "disparity_px needs baseline_mm, the distance between the two that see the disparity, and 0 is none"
            )
        if self.near_mm >= self.far_mm:
            raise ValueError(f"near_mm {self.near_mm:g} is not below far_mm {self.far_mm:g}")
        return self


class PoseSpec(_Spec):
    """Where a calibrated camera stands: ``p_world = R p_camera + t``, camera axes x right, y down, z forward."""

    translation_mm: tuple[Range, Range, Range] = Field(description="the camera's place in the world")
    rotation: Rotation = Field(description="rows of R")
    wobble_deg: ZeroOrMore = Field(default=(0.0, 0.0), description="turned by this much about an axis drawn at random")


class CameraSpec(_Lensed):
    """A camera that looks at a point over the tray's centre, or stands where a calibration put it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    azimuth_deg: Range | None = Field(default=None, description="where it stands; 0 looks along +y, 90 along -x")
    elevation_deg: Range | None = Field(default=None, description="above the tray, 90 is straight down")
    distance_mm: PositiveRange | None = Field(default=None, description="from the point it looks at")
    aim_mm: Range = Field(default=(30.0, 60.0), description="height of the point it looks at")
    aim_off_mm: Range = Field(default=(0.0, 0.0), description="sideways offset of that point, both ways")
    roll_deg: Range = (0.0, 0.0)
    T_world_cam: PoseSpec | None = Field(
        default=None, description="its pose, instead of azimuth_deg, elevation_deg and distance_mm: see pose"
    )
    exposure: Literal["auto", "fixed"] = Field(default="auto", description="automatic, or always `gain`")
    gain: PositiveRange | None = Field(default=None, description="fixed exposure: linear value of radiance 1")
    exposure_ev: Range = Field(default=(0.0, 0.0), description="stops added to the exposure")
    white_balance: PositiveRange = Field(default=(1.0, 1.0), description="gain drawn for red and for blue, green is 1")
    white_balance_red: PositiveRange | None = Field(default=None, description="gain of red alone, times white_balance")
    white_balance_blue: PositiveRange | None = Field(default=None, description="gain of blue alone")
    white_balance_k: Kelvin | None = Field(
        default=None, description="colour temperature that it shows as grey; without it, 6504 K"
    )
    noise: ZeroOrMore = (0.005, 0.005)
    full_well_e: PositiveRange | None = Field(
        default=None, description="electrons of a white pixel: noise of photons and of reading instead of `noise`"
    )
    read_e: ZeroOrMore = Field(default=(0.0, 0.0), description="noise of a reading in electrons, with full_well_e")
    vignetting: ShareRange = Field(default=(0.0, 0.0), description="share of the light that the corners lose")
    blur_px: ZeroOrMore = (0.4, 0.4)
    jpeg_quality: Range = (92.0, 92.0)
    depth: DepthSpec | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "CameraSpec":
        around = {"azimuth_deg", "elevation_deg", "distance_mm"}
        given = sorted(name for name in around if getattr(self, name) is not None)
        if self.T_world_cam is not None and given:
            raise ValueError(f"T_world_cam says where the camera stands: leave out {', '.join(given)}")
        if self.T_world_cam is None and len(given) < 3:
            missing = ", ".join(sorted(around - set(given)))
            raise ValueError(f"where does it stand? Give {missing}, or T_world_cam")
        if (self.exposure == "fixed") != (self.gain is not None):
            raise ValueError("exposure: fixed and gain go together: give both, or neither")
        return self


class LightSpec(_Spec):
    """A rectangular light that points at the tray's centre."""

    azimuth_deg: Range
    elevation_deg: Range
    distance_mm: PositiveRange
    size_mm: PositiveRange
    radiance: ZeroOrMore = Field(
        description="of the panel, in units in which white paper under the ambient light is near 1"
    )
    tint: PositiveRange = Field(default=(1.0, 1.0), description="red over green; blue goes the other way")
    temperature_k: Kelvin | None = Field(default=None, description="colour temperature; without it, white (6504 K)")
    flicker: ZeroOrMore = Field(
        default=(0.0, 0.0), description="spread of its strength from capture to capture, as a share"
    )
    share: float = Field(default=1.0, ge=0, le=1, description="share of captures in which it is lit")


class SurfaceSpec(_Spec):
    """Paint of the tray and the walls."""

    value: Range = Field(default=(0.05, 0.4), description="linear reflectance")
    saturation: Range = (0.0, 0.15)
    roughness: Range = (0.4, 0.9)
    grain: Range = Field(default=(0.0, 0.4), description="contrast of its mottling")


class WallSpec(_Spec):
    """An upright wall or backdrop."""

    azimuth_deg: float = Field(description="on which side: 0 is behind the item as seen from a camera at azimuth 0")
    distance_mm: Range
    width_mm: PositiveRange = Field(
        default=(3000.0, 3000.0), description="its width, the tray's centre before its middle"
    )
    height_mm: PositiveRange = Field(default=(1600.0, 1600.0), description="above the tray")
    share: float = Field(default=1.0, ge=0, le=1)
    surface: SurfaceSpec = SurfaceSpec()


class EnvironmentSpec(_Spec):
    """What else is reflected: dim surroundings with brighter panels (windows, lamps, furniture)."""

    ambient: Range = (0.1, 0.5)
    panels: tuple[int, int] = (3, 9)
    panel_log10: Range = Field(default=(-1.5, 1.0), description="log10 of a panel's radiance")
    panel_tint: float = Field(default=0.2, ge=0, le=1, description="how coloured dim panels are")


class ScaleSpec(_Spec):
    """The scale under the tray."""

    noise_g: Range = Field(default=(0.5, 0.5), description="standard deviation of a reading")
    quantum_g: float = Field(default=0.1, gt=0, description="smallest step that it shows")


class BoothSpec(_Spec):
    """A booth as its YAML file says. Every number may be a range."""

    name: str
    tray_size_mm: float = Field(default=700.0, gt=50, le=5000)
    rim_mm: Range = Field(default=(0.0, 0.0), description="height of the tray's rim; 0 is a table")
    tray: SurfaceSpec = SurfaceSpec()
    walls: tuple[WallSpec, ...] = ()
    lights: tuple[LightSpec, ...] = ()
    environment: EnvironmentSpec = EnvironmentSpec()
    scale: ScaleSpec = ScaleSpec()
    cameras: tuple[CameraSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique_names(self) -> "BoothSpec":
        names = [c.name for c in self.cameras]
        if len(set(names)) < len(names):
            raise ValueError(f"camera names must differ, but are {names}")
        return self
