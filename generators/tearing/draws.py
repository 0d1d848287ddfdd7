"""All that is drawn about a tear but its place and line: the same at every strength."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .stock import Tearing


@dataclass(frozen=True)
class Draws:
    """All draws but the place: the same at every strength."""

    lost: bool
    ply: bool
    lift_rad: float
    fold_m: float
    curl_per_m: float
    skew_rad: float
    dents: Float[np.ndarray, "k 4"]
    rim_m: float
    rim_noise: Float[np.ndarray, " r"]
    wave_m: float
    wave_noise: Float[np.ndarray, "2 2 w"]
    gape: float
    """Of a slit: how far its lip is raised, over its length."""
    pitch_m: float
    look: int


def draw_tear(
    tearing: Tearing,
    rng: np.random.Generator,
    *,
    lift_share: tuple[float, float],
    inward_share: float,
    lost_share: float,
) -> Draws:
    """Draw it; shares as in the config."""
    u = rng.uniform(size=8)
    share = lift_share[0] + (lift_share[1] - lift_share[0]) * u[0]
    low, high = np.radians(tearing.lift_deg)
    inward = u[1] < inward_share
    lift = (low + share * (high - low)) * (-0.35 if inward else 1.0)
    waves = rng.uniform(25, 170, 4) * np.exp(1j * rng.uniform(0, 2 * np.pi, 4))
    dents = np.stack([waves.real, waves.imag, rng.uniform(0, 2 * np.pi, 4), rng.normal(size=4)], axis=1)
    curl = tearing.curl_per_m[0] + (tearing.curl_per_m[1] - tearing.curl_per_m[0]) * u[2] ** 1.5
    return Draws(
        lost=bool(u[3] < lost_share),
        ply=bool(u[4] < tearing.ply[0]),
        lift_rad=float(lift),
        fold_m=float(rng.uniform(*tearing.fold_mm)) / 1000,
        curl_per_m=float(curl) * (0.2 if inward else 1.0),
        skew_rad=float(np.radians(rng.uniform(-14, 14))),
        dents=dents,
        rim_m=float(rng.uniform(*tearing.rim_mm)) / 1000,
        rim_noise=rng.normal(size=400),
        wave_m=float(rng.uniform(*tearing.wave_mm)) / 1000,
        wave_noise=rng.normal(size=(2, 2, 120)),
        gape=float(0.035 + 0.075 * u[5]),
        pitch_m=float(0.0055 + 0.0025 * u[6]),
        look=int(rng.integers(2**31)),
    )
