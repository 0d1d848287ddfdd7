"""Open: flaps, lids, seals and caps open or ajar. Yields ``actuation``; what is open by design is not touched."""

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...sim.errors import DamagelandError
from ..opening.ways import ACTS, Opened, Wish, find_ways, room_of
from ..products.product import Product
from .outcome import Outcome, UnsolvedError
from .subject import Subject, site_weight


class OpenConfig(BaseModel):
    """How packages are opened. Strength scales angle, gape and lift, from ajar to wide open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flap_deg: tuple[float, float] = Field(
        default=(70.0, 150.0), description="how far a flap or lid has opened at strength 1, as far as there is room"
    )
    least_room_deg: float = Field(default=12.0, gt=0, le=90, description="what cannot open this far stays closed")
    curl_deg: tuple[float, float] = Field(
        default=(-6.0, 14.0), description="how much further a flap's free end has turned than its root"
    )
    twist_deg: float = Field(default=4.0, ge=0, le=20, description="spread of the opening along the axis")
    both_share: float = Field(default=0.65, ge=0, le=1, description="of flaps that meet, how often both are open")
    spring_deg: tuple[float, float] = Field(
        default=(4.0, 55.0), description="how far the dust flaps under an open flap stand up"
    )
    gape_mm: tuple[float, float] = Field(
        default=(14.0, 40.0), description="how wide the mouth of a bag gapes at strength 1"
    )
    seal_share: tuple[float, float] = Field(
        default=(0.5, 0.86), description="share of a bag's seal that has come apart"
    )
    lift_mm: tuple[float, float] = Field(default=(1.0, 4.0), description="how far a loose cap is lifted at most")
    tilt_deg: tuple[float, float] = Field(default=(0.0, 4.0), description="how far a loose cap is tilted at most")
    off_from: tuple[float, float] = Field(
        default=(0.4, 0.7), description="strength from which a cap is off and lies on the tray"
    )
    flip_deg: tuple[float, float] = Field(default=(70.0, 140.0), description="a flip cap's lid at strength 1")
    peel_deg: tuple[float, float] = Field(default=(60.0, 150.0), description="a peeled lid's end at strength 1")
    peel_share: tuple[float, float] = Field(
        default=(0.4, 0.85), description="how much of a lid or foil is peeled at strength 1"
    )
    dome_deg: tuple[float, float] = Field(default=(18.0, 50.0), description="a blister's dome or card at strength 1")
    tab_deg: tuple[float, float] = Field(default=(25.0, 65.0), description="how far a can's tab or a ring is lifted")
    threshold_mm: float = Field(default=0.5, gt=0, description="a point moved further than this is labelled")

    @model_validator(mode="after")
    def _possible(self) -> "OpenConfig":
        bounds = {
            "flap_deg": (1, 170), "curl_deg": (-40, 60), "spring_deg": (0, 110), "gape_mm": (0.5, 120),
            "seal_share": (0.1, 0.94), "lift_mm": (0.1, 15), "tilt_deg": (0, 15), "off_from": (0, 1),
            "flip_deg": (5, 170), "peel_deg": (5, 170), "peel_share": (0.05, 0.95), "dome_deg": (1, 90),
            "tab_deg": (1, 85),
        }  # fmt: skip
        for name, (least, most) in bounds.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ValueError(f"{name} is ({low:g}, {high:g}); give (lowest, highest) within {least:g} to {most:g}")
        return self


def _wish(config: OpenConfig, rng: np.random.Generator) -> Wish:
    """Draw how everything would be opened; always the same draws, whatever the package is."""
    signs = rng.choice([-1.0, 1.0], 4)
    return Wish(
        flap_deg=tuple(float(v) for v in rng.uniform(*config.flap_deg, 2)),
        curl_deg=tuple(float(v) for v in rng.uniform(*config.curl_deg, 2)),
        twist_deg=tuple(float(v) for v in config.twist_deg * rng.uniform(0, 1, 2) * signs[:2]),
        both=bool(rng.random() < config.both_share),
        first=bool(signs[2] > 0),
        spring_deg=(float(rng.uniform(*config.spring_deg)), float(rng.uniform(*config.spring_deg))),
        gape_m=float(rng.uniform(*config.gape_mm)) / 1000,
        seal_share=float(rng.uniform(*config.seal_share)),
        aside=float(rng.uniform(-1, 1)),
        lift_mm=float(rng.uniform(*config.lift_mm)),
        tilt_deg=float(rng.uniform(*config.tilt_deg)),
        off_from=float(rng.uniform(*config.off_from)),
        flip_deg=float(rng.uniform(*config.flip_deg)),
        peel_deg=float(rng.uniform(*config.peel_deg)),
        peel_share=float(rng.uniform(*config.peel_share)),
        dome_deg=float(rng.uniform(*config.dome_deg)),
        tab_deg=float(rng.uniform(*config.tab_deg)),
        turn_rad=float(rng.uniform(0, 2 * np.pi)),
        share=float(rng.random()),
        seed=int(rng.integers(2**31)),
        limit_m=config.threshold_mm / 1000,
        least_deg=config.least_room_deg,
    )


def open_applies(product: Product) -> bool:
    """Whether there is something to open: a tin needs a tool, a book is never sealed, shrink film is torn instead."""
    return bool(find_ways(product))


MEASURES = ("opening_deg", "gape_mm", "seals_open", "caps_off", "area_mm2")


def open_pack(subject: Subject, config: OpenConfig, strength: float, rng: np.random.Generator) -> Outcome:
    """Open one of a product's closures, drawn by its area among those that have room; strength 0 is the identity."""
    product = subject.product
    wish, pick = _wish(config, rng), rng.random()
    ways = find_ways(product)
    if not ways:
        raise DamagelandError(f"{product.item_identifier}: a {product.family} without hinges has nothing to open.")
    rooms = [room_of(way, subject, wish) for way in ways]
    near = site_weight(subject, np.array([way.place for way in ways]))
    weights = np.array([way.area_m2 for way in ways]) * near * np.array([len(room) > 0 for room in rooms])
    if weights.sum() <= 0:
        names = ", ".join(hinge.name for way in ways for hinge in way.hinges)
        raise UnsolvedError(f"{product.item_identifier}: nothing of it ({names}) has room to open as it lies.")
    k = int(np.searchsorted(np.cumsum(weights) / weights.sum(), pick))
    way, room = ways[k], rooms[k]
    opened = Opened(product, {}, {}) if strength == 0 else ACTS[way.manner](way, subject, wish, room, strength)
    return Outcome(
        product=opened.product,
        kind="actuation",
        generator="open",
        parameters={
            "manner": way.manner,
            "opened": ", ".join(hinge.name for hinge in way.hinges),
            "strength": strength,
            **opened.parameters,
        },
        measures={name: float(opened.measures.get(name, 0.0)) for name in MEASURES},
        site=np.array(way.place),
    )
