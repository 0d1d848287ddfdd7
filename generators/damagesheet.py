"""Contact sheets of damages: each on each family, minor and major beside the sound twin, to judge by eye."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, UInt8

from ..sim.capture import Severity
from ..sim.scene import KINDS, Scene, transform_part
from ..sim.truth import trace_truth
from .compose import finish_product
from .contact import Picture, caption, draw_products, frame, line_up, pad_below, photograph, studio
from .damage.outcome import Outcome, SeverityRules, UnsolvedError, judge
from .damage.subject import Subject
from .damage.table import DAMAGES
from .mishap import aim
from .products.product import Product

PRODUCTS, TRIES = 3, 4
"""Products of a family, and seeds for each, among which the best seen example is chosen."""
AZIMUTH_DEG, ELEVATION_DEG = 0.0, 30.0
ASKEW_DEG = 25.0
"""Boxes are shown a little from the side."""
SEEN_ENOUGH = 0.006
"""Share of the picture from which a damage counts as well seen; no further seed is tried."""


def faced(product: Product, site: Float[np.ndarray, "3"] | None) -> Float[np.ndarray, "4 4"]:
    """Pose on the tray, turned about z so that a site faces the camera."""
    turn = np.radians(AZIMUTH_DEG) - np.pi / 2 - (np.arctan2(site[1], site[0]) if site is not None else 0.0)
    box = product.sheets[0].rest
    if site is not None and product.shape != "round":  # of a box, the side that it is on
        share = (site - box.mean(axis=0))[:2] / np.maximum(np.ptp(box, axis=0)[:2] / 2, 1e-6)
        axis = int(np.abs(share).argmax())
        side = np.arctan2(*((np.sign(share[1]) or 1.0, 0.0) if axis else (0.0, np.sign(share[0]) or 1.0)))
        turn = np.radians(AZIMUTH_DEG + ASKEW_DEG) - np.pi / 2 - side
    T = np.eye(4)
    T[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    return T


def placed(product: Product, T: Float[np.ndarray, "4 4"]) -> Scene:
    """A product's finished parts in the world, and what is gone of it."""
    item = finish_product(product)
    parts, gone = (tuple(transform_part(part, T) for part in group) for group in (item.parts, item.gone))
    return Scene(parts, gone)


def _seen_share(scene: Scene, kind: str) -> float:
    """Share of a small picture that a damage fills."""
    camera = frame(scene, 96, azimuth_deg=AZIMUTH_DEG, elevation_deg=ELEVATION_DEG)
    truth = trace_truth(scene, studio(camera))[camera.name]
    return float(((truth.damage >> KINDS.index(kind)) & 1).mean())


def _solve(name: str, subject: Subject, asked: Severity, seed: int, rules: SeverityRules) -> Outcome | None:
    try:
        return aim(name, subject, {}, (0.02, 1.0), asked, rules=rules, seed=(seed, 0, f"sheet {name}"))
    except UnsolvedError:
        return None


def _example(
    name: str, products: Sequence[Product], rules: SeverityRules, seed: int
) -> tuple[Product, Float[np.ndarray, "4 4"], list[Outcome]] | None:
    """A minor and a major damage at one place of one product, the best seen one; None if the damage does not apply."""
    best, found = -1.0, None
    for k in range(TRIES):
        fit = [product for product in products if DAMAGES[name].applies(product)]
        if not fit:
            return None
        product = fit[k % len(fit)]
        major = _solve(name, Subject(product), "major", seed + k, rules)
        if major is None:
            continue
        T = faced(product, major.site)
        major = _solve(name, Subject(product, T), "major", seed + k, rules)  # where it lies, it may end otherwise
        minor = _solve(name, Subject(product, T), "minor", seed + k, rules)
        if major is None or minor is None:
            continue
        share = _seen_share(placed(major.product, T), major.kind)
        if share > best:
            best, found = share, (product, T, [minor, major])
        if share > SEEN_ENOUGH:
            break
    return found


def _cell(
    name: str, family: str, products: Sequence[Product], width_px: int, *, samples: int, photoreal: bool, seed: int
) -> Picture:
    """Twin, minor and major side by side, with what was measured."""
    rules = SeverityRules()
    found = _example(name, products, rules, seed)
    title = f"{family.replace('_', ' ')}: {name}"
    if found is None:
        fits = any(DAMAGES[name].applies(product) for product in products)
        empty: Picture = np.full((width_px // 6, width_px, 3), 245, np.uint8)
        return np.concatenate([caption(title + (" (not solved)" if fits else " (does not apply)"), width_px), empty])
    product, T, outcomes = found
    scene = line_up([placed(shown, T) for shown in (product, *(o.product for o in outcomes))])
    camera = frame(scene, width_px, azimuth_deg=AZIMUTH_DEG, elevation_deg=ELEVATION_DEG)
    picture = photograph(scene, camera, samples=samples, photoreal=photoreal)
    verdicts = "; ".join(f"{v.severity}: {v.because}" for v in (judge(rules, o) for o in outcomes))
    return np.concatenate([caption(title, width_px), picture, caption(verdicts, width_px, size=0.38)])


def damage_sheet(
    families: Sequence[str],
    damages: Sequence[str],
    *,
    width_px: int = 480,
    samples: int = 4,
    photoreal: bool = False,
    seed: int = 0,
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw a sheet with a row per family and a column per damage; each cell shows the twin, a minor and a major one."""
    rows = []
    for family in families:
        products = [replace(p, lookalikes=()) for p in draw_products(family, PRODUCTS, seed=seed)]
        cells = [
            _cell(name, family, products, width_px, samples=samples, photoreal=photoreal, seed=seed) for name in damages
        ]
        tall = max(len(cell) for cell in cells)
        rows.append(np.concatenate([pad_below(cell, tall) for cell in cells], axis=1))
    return np.concatenate(rows)
