"""What depth sensors do to exact depth: noise, holes, flying pixels, and registration into the colour camera.

Three kinds measure differently. *Structured light* and *active stereo* triangulate: their error grows with the square
of distance, and what only one of the two eyes sees is lost. *Time of flight* counts light: its error grows with
distance and on dark surfaces, edges mix, and light that comes by way of another surface makes corners look deeper.
"""

import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtr, ndtri

from .camera import Camera, DepthSensor, depth_camera, pixel_rays, pixel_spread, project
from .truth import Truth

JUMP_M = 0.02
"""From this difference between neighbours on there is a depth edge."""
WHITE = 0.8
"""Reflectance at which time of flight has its stated noise."""
SMOOTH = 0.3
"""From this roughness on plastic loses no returns by its shine."""
PATCHES = 24
"""Patches a side between which light bounces: multipath varies slowly over the picture."""
SPLAT_MOST = 16
"""Pixels a side of the colour picture that one pixel of the depth sensor may cover."""
SEAM_PX = 0.3
"""Pixels of the sensor are made larger by this, or slanted surfaces would show seams in the colour picture."""


@dataclass(frozen=True)
class _Draws:
    """Random numbers per pixel; a twin draws the same ones."""

    normal: Float[np.ndarray, "3 h w"]
    loss: Float[np.ndarray, "h w"]
    sideways: Float[np.ndarray, "2 h w"] | None
    mix: Float[np.ndarray, "2 h w"] | None


@dataclass(frozen=True)
class _Layer:
    """One layer of surfaces as the sensor meets it."""

    depth: Float[np.ndarray, "h w"]
    degrees: Float[np.ndarray, "h w"]
    """Angle to the normal."""
    metallic: Float[np.ndarray, "h w"]
    reflectance: Float[np.ndarray, "h w"]
    roughness: Float[np.ndarray, "h w"]


def record_depth(truth: Truth, camera: Camera, rng: np.random.Generator) -> Float[np.ndarray, "h w"]:
    """z-depth [m] as the camera's depth sensor records it, in the colour camera's pixels; 0 = no return.

    A sensor with a place of its own sees from there; what it records is registered, with occlusion.
    """
    if camera.depth is None:
        raise ValueError(f"camera {camera.name} has no depth sensor")  # a bug of ours, not of a user
    there = depth_camera(camera)
    if there is camera:
        return _sense(truth, camera, camera.depth, rng)
    if truth.sensor is None:
        raise ValueError(f"camera {camera.name}: the truth lacks its depth sensor's view")
    return register(_sense(truth.sensor, there, camera.depth, rng), there, camera)


def _sense(truth: Truth, camera: Camera, sensor: DepthSensor, rng: np.random.Generator) -> Float[np.ndarray, "h w"]:
    """Record depth in the sensor's own pixels.

    Infrared light mostly passes clear walls: there the sensor returns what is behind, or nothing, or the wall, by the
    sensor's shares.
    """
    shape = truth.depth.shape
    _, directions = pixel_rays(camera)
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    normal, loss = rng.normal(size=(3, *shape)), rng.random(shape)
    sideways = rng.normal(size=(2, *shape)) if sensor.lateral_px > 0 else None
    mix = rng.random((2, *shape)) if sensor.flying > 0 else None
    draws = _Draws(_with_pattern(normal, camera.name, sensor.fixed_share), loss, sideways, mix)
    behind = _returns(_layer(truth, unit, behind=True), truth, camera, sensor, draws)
    clear = truth.depth != truth.depth_behind
    if not clear.any():
        return behind
    first = _returns(_layer(truth, unit, behind=False), truth, camera, sensor, draws)
    fate = ndtr(_patchy(rng.normal(size=shape)))
    before = np.where(fate < sensor.clear_loss + sensor.clear_first, first, behind)
    return np.where(clear, np.where(fate < sensor.clear_loss, np.float32(0), before), behind)


def _with_pattern(draw: Float[np.ndarray, "3 h w"], name: str, share: float) -> Float[np.ndarray, "3 h w"]:
    """Give a share of the axial noise's variance to a pattern that belongs to the camera, not to the capture.

    Kinect's error is mostly of this kind: averaging frames does not remove it; Khoshelham and Elberink, "Accuracy and
    Resolution of Kinect Depth Data for Indoor Mapping Applications" (2012).
    """
    if share == 0:
        return draw
    pattern = np.random.default_rng(zlib.crc32(name.encode())).normal(size=draw.shape)
    axial = np.sqrt(1 - share) * draw[:2] + np.sqrt(share) * pattern[:2]
    return np.concatenate([axial, draw[2:]])


def _layer(truth: Truth, unit: Float[np.ndarray, "n 3"], *, behind: bool) -> _Layer:
    depth, normal = (truth.depth_behind, truth.normal_behind) if behind else (truth.depth, truth.normal)
    cosine = np.abs(np.einsum("ij,ij->i", normal.reshape(-1, 3), unit)).reshape(depth.shape)
    degrees = np.degrees(np.arccos(np.clip(cosine, 0, 1)))
    known = behind and truth.reflectance is not None and truth.roughness is not None
    return _Layer(
        depth=depth.astype(np.float64),
        degrees=degrees,
        metallic=truth.metallic if behind else np.zeros_like(truth.metallic),
        reflectance=np.asarray(truth.reflectance) if known else np.full(depth.shape, WHITE),
        roughness=np.asarray(truth.roughness) if known else np.ones(depth.shape),
    )


def _patchy(draw: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Smooth normal draws to variance 1 again: holes come in patches, not as salt."""
    return cv2.GaussianBlur(draw, (0, 0), 2.0) * 7.09


def _returns(
    layer: _Layer, truth: Truth, camera: Camera, sensor: DepthSensor, draws: _Draws
) -> Float[np.ndarray, "h w"]:
    """Record one layer of surfaces, as if nothing clear were before it."""
    z = layer.depth
    edge = _edges(z, 1.0)
    if draws.sideways is not None:
        z = _moved_sideways(z, layer, sensor, draws.sideways, _edges(z, 3 * sensor.lateral_px))
    seen = z
    if sensor.multipath > 0 and sensor.kind == "time_of_flight":
        seen = z + sensor.multipath * bounced_light(truth, camera) * (z > 0)
    normal = draws.normal
    smooth = cv2.GaussianBlur(normal[0], (0, 0), 1.0) * 3.54  # variance 1; neighbours share a window
    noisy = seen + axial_noise(sensor, z, layer.degrees, layer.reflectance) * (0.6 * normal[1] + 0.8 * smooth)
    noisy = _in_steps(noisy, sensor, camera.K[0, 0])
    near = edge if sensor.edge_px == 1 else _edges(z, sensor.edge_px)
    lost = (z <= 0) | (layer.degrees > sensor.grazing_deg) | (near & (draws.loss < sensor.edge_loss))
    lost |= _patchy(normal[2]) < ndtri(_chance_of_loss(layer, sensor))
    if draws.mix is not None:
        mixed = edge & (draws.mix[0] < sensor.flying)
        noisy, lost = np.where(mixed, _between(z, sensor, draws.mix[1]), noisy), lost & ~mixed
    if truth.paired is not None:
        lost |= ~truth.paired
    lost |= (noisy < sensor.near_m) | (noisy > sensor.far_m)
    quantum = sensor.quantum_mm / 1000
    return np.where(lost, 0.0, np.round(np.maximum(noisy, 0) / quantum) * quantum).astype(np.float32)


def axial_noise(
    sensor: DepthSensor,
    z: Float[np.ndarray, "h w"],
    degrees: Float[np.ndarray, "h w"],
    reflectance: Float[np.ndarray, "h w"],
) -> Float[np.ndarray, "h w"]:
    """Standard deviation [m] along the axis.

    Triangulation: an error of disparity becomes one of depth times z² / (f b) (Khoshelham and Elberink, 2012), and
    grows with (angle / (90° - angle))² (Nguyen, Izadi and Lovell, "Modeling Kinect Sensor Noise for Improved 3D
    Reconstruction and Tracking", 2012). Time of flight: light falls off as reflectance times cosine over z², and the
    error grows with one over its square root, as photons are counted (Lange and Seitz, "Solid-State Time-of-Flight
    Range Camera", 2001).
    """
    one = sensor.noise_mm_at_1m / 1000
    if sensor.kind == "time_of_flight":
        light = np.maximum(reflectance, 0.02) / WHITE * np.maximum(np.cos(np.radians(degrees)), 0.05)
        grown = one * z / np.sqrt(light)
    else:
        slant = np.clip(degrees, 0, 85)
        grown = one * z**2 * (1 + 0.1 * (slant / (90 - slant)) ** 2)
    return np.hypot(sensor.floor_mm / 1000, grown) if sensor.floor_mm > 0 else grown


def _edges(z: Float[np.ndarray, "h w"], reach_px: float) -> Bool[np.ndarray, "h w"]:
    """Pixels within reach of a depth edge: where the disparity of neighbours bends by more than a jump in depth.

    Planes, however slanted, have disparities on a straight line.
    """
    side = 2 * round(reach_px) - 1
    if side < 1:
        return np.zeros(z.shape, bool)
    disparity = np.divide(1.0, z, out=np.zeros_like(z), where=z > 0)
    bent = np.zeros(z.shape)
    for axis in (0, 1):
        step = np.diff(disparity, axis=axis)
        inner = [slice(1, -1) if k == axis else slice(None) for k in (0, 1)]
        np.maximum(bent[*inner], np.abs(np.diff(step, axis=axis)), out=bent[*inner])
    nearest = cv2.dilate(disparity, np.ones((3, 3)))
    edge = bent > JUMP_M * np.maximum(disparity, 1e-6) * nearest  # a jump of dz is one of dz / (z z') in disparity
    return edge if side == 1 else cv2.dilate(edge.astype(np.uint8), np.ones((side, side))) > 0


def _moved_sideways(
    z: Float[np.ndarray, "h w"],
    layer: _Layer,
    sensor: DepthSensor,
    draw: Float[np.ndarray, "2 h w"],
    near: Bool[np.ndarray, "h w"],
) -> Float[np.ndarray, "h w"]:
    """Take depth from a pixel nearby, beside edges: outlines fray.

    The spread grows with the angle as 0.8 + 0.035 t / (90° - t) pixels does (Nguyen, Izadi and Lovell, 2012). Within a
    surface it is left to the axial noise, which was measured on slanted planes and so has it already.
    """
    slant = np.clip(layer.degrees, 0, 85)
    spread = sensor.lateral_px * (1 + 0.035 / 0.8 * slant / (90 - slant))
    rows, columns = np.indices(z.shape)
    at = [
        np.clip(index + np.rint(spread * d), 0, side - 1).astype(int)
        for index, d, side in zip((rows, columns), draw, z.shape, strict=True)
    ]
    return np.where(near, z[at[0], at[1]], z)


def _in_steps(z: Float[np.ndarray, "h w"], sensor: DepthSensor, focal_px: float) -> Float[np.ndarray, "h w"]:
    """Depth whose disparity f b / z is a whole number of steps: steps of depth grow as z² (Khoshelham, 2012)."""
    if sensor.disparity_px == 0:
        return z
    scale = focal_px * abs(sensor.baseline_m) / sensor.disparity_px
    return scale / np.maximum(np.round(scale / np.maximum(z, 1e-3)), 1.0)


def _chance_of_loss(layer: _Layer, sensor: DepthSensor) -> Float[np.ndarray, "h w"]:
    """Chance of no return by the surface: metal that mirrors the light away, shining plastic, too little light back.

    Fitted by eye, not measured; that light falls off as reflectance times cosine over z² is Lambert's law.
    """
    mirror = layer.metallic * sensor.gloss_loss * (0.35 + 0.65 * (layer.degrees > 35))
    kept = 1 - mirror
    if sensor.shine_loss > 0:
        kept *= 1 - sensor.shine_loss * np.clip(1 - layer.roughness / SMOOTH, 0, 1) * (1 - layer.metallic)
    if sensor.dark_signal > 0:
        cosine = np.cos(np.radians(layer.degrees))
        # Of metal, mirroring speaks already.
        signal = np.where(layer.metallic > 0.5, np.inf, layer.reflectance * cosine) / np.maximum(layer.depth, 1e-3) ** 2
        kept *= 1 - ndtr(np.log2(sensor.dark_signal / np.clip(signal, 1e-6, 1e6)))
    return 1 - kept


def _between(
    z: Float[np.ndarray, "h w"], sensor: DepthSensor, share: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w"]:
    """Depth of flying pixels: between near and far, by the share of the pixel that is far.

    Time of flight adds up what comes back, and what is far sends back less, by the square of distance (Sabov and
    Krüger, "Identification and Correction of Flying Pixels in Range Camera Data", 2010).
    """
    far = cv2.dilate(z, np.ones((3, 3)))
    near = np.minimum(cv2.erode(np.where(z > 0, z, 1e3), np.ones((3, 3))), far)
    weight = share
    if sensor.kind == "time_of_flight":
        a, b = share / np.maximum(far, 1e-3) ** 2, (1 - share) / np.maximum(near, 1e-3) ** 2
        weight = a / np.maximum(a + b, 1e-12)
    return near + weight * (far - near)


def bounced_light(truth: Truth, camera: Camera) -> Float[np.ndarray, "h w"]:
    """How much deeper [m of z] time of flight sees what light also reaches by way of another surface.

    One bounce between matt patches; the distance is the mean of both ways, weighted by the light that takes them, as
    long as both are short beside the wave (Fuchs, "Multipath Interference Compensation in Time-of-Flight Camera
    Images", 2010). Nothing hides one patch from another here.
    """
    rows, columns = (
        np.unique(np.linspace(0, side - 1, min(PATCHES, side)).round().astype(int)) for side in truth.depth.shape
    )
    pick = np.ix_(rows, columns)
    directions = pixel_rays(camera)[1].reshape(*truth.depth.shape, 3)[pick].reshape(-1, 3)
    z = truth.depth_behind[pick].reshape(-1).astype(np.float64)
    normal = truth.normal_behind[pick].reshape(-1, 3)
    albedo = np.full(len(z), 0.5) if truth.reflectance is None else truth.reflectance[pick].reshape(-1)
    at, length = directions * z[:, None], np.linalg.norm(directions, axis=1)
    d = z * length
    facing = np.maximum(np.abs(np.einsum("ij,ij->i", normal, directions)) / length, 0.05)
    arrives = np.where(z > 0, facing / np.maximum(d, 1e-3) ** 2, 0.0)
    cell = np.prod(truth.depth.shape) / len(z)  # pixels that a patch stands for
    area = np.where(z > 0, z**2 * pixel_spread(camera)[pick].reshape(-1) * cell / facing / length, 0.0)
    to = at[None] - at[:, None]  # from i to j
    r2 = np.maximum((to**2).sum(axis=2), area.max(initial=1e-9))
    out = np.maximum(np.einsum("ijk,ik->ij", to, normal), 0) * np.maximum(-np.einsum("ijk,jk->ij", to, normal), 0)
    light = (albedo * arrives * area / np.pi)[None] * out / r2**2
    longer = (np.sqrt(r2) + d[None] - d[:, None]) / 2
    bias = (light * np.maximum(longer, 0)).sum(axis=1) / np.maximum(arrives + light.sum(axis=1), 1e-12) / length
    grid = np.where(z > 0, bias, 0.0).reshape(len(rows), len(columns))
    return cv2.resize(grid, truth.depth.shape[::-1], interpolation=cv2.INTER_LINEAR)


def register(depth: Float[np.ndarray, "h w"], there: Camera, camera: Camera) -> Float[np.ndarray, "hc wc"]:
    """Bring depth from its sensor's pixels into a colour camera's: z-depth of that camera, the nearest one wins.

    Each pixel of the sensor covers in the colour picture the box around its four corners, as in the alignment of
    librealsense. What the sensor does not see stays 0, also where the colour camera sees it.
    """
    out = np.full(camera.height * camera.width, np.inf)
    v, u = (index.reshape(-1)[depth.reshape(-1) > 0] for index in np.indices(depth.shape))
    z = depth.reshape(-1)[depth.reshape(-1) > 0].astype(np.float64)
    low, high = np.full((len(z), 2), np.inf), np.full((len(z), 2), -np.inf)
    pixel = v * depth.shape[1] + u
    for a, b in ((-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)):
        origins, directions = pixel_rays(there, offset=np.broadcast_to(np.array([a, b]), (*depth.shape, 2)))
        uv, _ = project(camera, origins[pixel] + z[:, None] * directions[pixel])
        low, high = np.fmin(low, uv), np.fmax(high, uv)
    origins, directions = pixel_rays(there)
    _, z_there = project(camera, origins[pixel] + z[:, None] * directions[pixel])
    first, last = np.ceil(low - SEAM_PX - 0.5), np.ceil(high + SEAM_PX - 0.5) - 1
    good = np.isfinite(low).all(axis=1) & np.isfinite(high).all(axis=1) & (z_there > 0)
    first, last, z_there = (array[good] for array in (first, last, z_there))
    last = np.minimum(last, first + SPLAT_MOST - 1)
    most = (last - first).max(axis=0, initial=-1).astype(int) + 1
    for dv in range(most[1]):
        for du in range(most[0]):
            x, y = first[:, 0] + du, first[:, 1] + dv
            on = (x <= last[:, 0]) & (y <= last[:, 1]) & (x >= 0) & (y >= 0) & (x < camera.width) & (y < camera.height)
            np.minimum.at(out, (y[on] * camera.width + x[on]).astype(int), z_there[on])
    return np.where(np.isfinite(out), out, 0.0).astype(np.float32).reshape(camera.height, camera.width)
