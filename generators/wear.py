"""What a sound product may show: stickers, handwriting, tape, dust, prints and dents that nobody minds.

None of it is damage: it is put on before damage is drawn, bears no label, and a twin has all of it.
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from pydantic import BaseModel, ConfigDict, Field
from scipy.spatial import KDTree

from .artwork import draw_handwriting, draw_sticker, fractal_noise
from .damage.crush import CrushConfig, crush, crush_applies
from .damage.outcome import Outcome, SeverityRules, UnsolvedError, judge_severity
from .damage.subject import Subject
from .decal import Decal, apply_decal, draw_spot, printable_faces
from .design import Design, stream
from .mesh import Relief, Sheet, face_areas
from .prints import PRINTS, draw_print
from .products.product import Product

PX_PER_MM = 7.0
"""Of decals that are drawn here: finer than the textures that they are painted into."""
UNMOVED_M = 0.00005
"""Vertices that a tolerable dent moves less than this stay exactly where they were."""
DENT_TRIES = 3
DEFAULT_RULES = SeverityRules()


class LookalikesConfig(BaseModel):
    """How often sound products show what could be taken for damage, besides what their family has anyway."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    printed: float = Field(default=0.06, ge=0, le=1, description="share of products with damage printed on them")
    sticker: float = Field(default=0.1, ge=0, le=1, description="share of pieces with a price or other sticker")
    handwriting: float = Field(default=0.05, ge=0, le=1, description="share of pieces that somebody wrote on")
    tape: float = Field(default=0.05, ge=0, le=1, description="share of pieces with a strip of tape")
    tolerable_dent: float = Field(default=0.1, ge=0, le=1, description="share of pieces with a dent below the limits")
    dust: float = Field(default=0.1, ge=0, le=1, description="share with dust on the piece, and with dust on the tray")
    extras: float = Field(default=0.2, ge=0, le=1, description="share of captures with clean extras on the tray")


def _named(product: Product, name: str) -> Product:
    return replace(product, lookalikes=tuple(sorted({*product.lookalikes, name})))


# ---- On the surface -------------------------------------------------------------------------------------------------


def _place(
    product: Product, rng: np.random.Generator, decal: Decal, *, turn_rad: float, over_edges: bool = False,
    least_change: int = 40,
) -> Product | None:  # fmt: skip
    """Put a decal on one of the package's walls, smaller if it must be; None if there is no room, or it is not seen.

    ``over_edges``: only its middle needs a smooth place, the rest may go round corners.
    """
    walls = [k for k, sheet in enumerate(product.sheets) if sheet.item == 1]
    area = np.array([float((face_areas(s.rest, s.faces) * printable_faces(s)).sum())
                     for s in (product.sheets[k] for k in walls)])  # fmt: skip
    if area.sum() <= 0:
        return None
    k = walls[int(rng.choice(len(walls), p=area / area.sum()))]
    for share in (1.0, 0.75, 0.55, 0.4):
        smaller = replace(decal, width_mm=share * decal.width_mm)
        half = 0.5 * (min(smaller.size_m) if over_edges else float(np.hypot(*smaller.size_m)))
        at = draw_spot(product.sheets[k], rng, half)
        if at is None:
            continue
        painted = apply_decal(product.sheets[k], smaller, at, turn_rad=turn_rad, least_change=least_change)
        if painted is not product.sheets[k]:
            return replace(product, sheets=(*product.sheets[:k], painted, *product.sheets[k + 1 :]))
    return None


def _pixels(*sizes_mm: float) -> tuple[int, ...]:
    return tuple(max(16, round(PX_PER_MM * float(size))) for size in sizes_mm)


def _put_sticker(product: Product, rng: np.random.Generator) -> Product | None:
    width = float(rng.uniform(18, 55))
    picture = draw_sticker(rng, *_pixels(width, width * rng.uniform(0.45, 1.0)))
    turn = float(rng.normal(0, 0.12) + (rng.integers(4) * np.pi / 2 if rng.random() < 0.25 else 0))
    return _place(product, rng, Decal(picture, width, float(rng.uniform(0.2, 0.7))), turn_rad=turn)


def _put_handwriting(product: Product, rng: np.random.Generator) -> Product | None:
    width = float(rng.uniform(30, 80))
    picture = draw_handwriting(rng, *_pixels(width, width * rng.uniform(0.25, 0.5)))
    return _place(product, rng, Decal(picture, width), turn_rad=float(rng.normal(0, 0.3)))


def _tape_picture(rng: np.random.Generator, width_mm: float, height_mm: float) -> UInt8[np.ndarray, "h w 4"]:
    """A strip with toothed ends, streaks along it, and a few bubbles under it."""
    width, height = _pixels(0.5 * width_mm, 0.5 * height_mm)  # tape has no fine print
    brown = rng.random() < 0.55
    tone = np.array([158, 112, 66] if brown else [236, 233, 220]) * rng.uniform(0.85, 1.05)
    streaks = cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), sigmaX=30, sigmaY=0.6)
    streaks /= max(float(streaks.std()), 1e-9)
    bubbles = np.clip(fractal_noise(rng, height, width, cell_px=10.0, octaves=2) - 1.6, 0, 1)
    alpha = (0.8 if brown else 0.2) * (1 + 0.05 * streaks - 0.25 * bubbles)
    x, y = np.arange(width)[None], np.arange(height)[:, None]
    tooth = 3 * np.abs((y / 5.0) % 2 - 1)
    alpha = alpha * np.clip(np.minimum(x - tooth, width - 1 - x - tooth) + 0.5, 0, 1)
    edge = np.exp(-np.minimum(y, height - 1 - y) / 1.2)
    colour = tone * (1 + 0.04 * streaks - 0.2 * edge + 0.15 * bubbles)[..., None]
    return np.dstack([np.clip(colour, 0, 255), np.clip(255 * alpha, 0, 255)]).astype(np.uint8)


def _put_tape(product: Product, rng: np.random.Generator) -> Product | None:
    width, height = float(rng.uniform(40, 130)), float(rng.choice([12, 19, 25, 38, 48]))
    width = max(width, 1.3 * height)
    turn = float(rng.integers(2) * np.pi / 2 + rng.normal(0, 0.08))
    decal = Decal(_tape_picture(rng, width, height), width, float(rng.uniform(0.1, 0.25)))
    return _place(product, rng, decal, turn_rad=turn, over_edges=True, least_change=12)


def _film_picture(rng: np.random.Generator, side: int) -> UInt8[np.ndarray, "h w 4"]:
    """Thin dust that ends nowhere in particular, with specks in it, perhaps with a wiped streak."""
    noise = fractal_noise(rng, side, side, cell_px=side / 3)
    v, u = (np.mgrid[0:side, 0:side] + 0.5) / side * 2 - 1
    cover = np.clip(1.15 - np.hypot(u, v) + 0.2 * noise, 0, 1) * np.clip(
        1.5 * (1 - np.maximum(np.abs(u), np.abs(v))), 0, 1
    )
    specks = cv2.GaussianBlur((rng.random((side, side)) < 0.012).astype(np.float32), (0, 0), 0.7) * 1.6
    alpha = rng.uniform(0.05, 0.16) * cover * (1 + 0.35 * noise) + 0.6 * np.clip(specks, 0, 0.8) * (cover > 0.1)
    if rng.random() < 0.4:
        turn = rng.uniform(0, np.pi)
        across = u * np.cos(turn) + v * np.sin(turn) - rng.uniform(-0.4, 0.4)
        alpha *= 1 - 0.8 * np.exp(-((across / rng.uniform(0.08, 0.2)) ** 2))
    tone = np.array([196, 190, 180]) * rng.uniform(0.6, 1.1)
    return np.dstack([np.broadcast_to(np.clip(tone, 0, 255), (side, side, 3)), np.clip(255 * alpha, 0, 255)]).astype(
        np.uint8
    )


def _finger_picture(rng: np.random.Generator) -> UInt8[np.ndarray, "h w 4"]:
    """One faint print of a fingertip: ridges around a whorl."""
    height, width = 130, 100
    v, u = (np.mgrid[0:height, 0:width] + 0.5) / np.array([height, width])[:, None, None] * 2 - 1
    bend = fractal_noise(rng, height, width, cell_px=40.0, octaves=2)
    ridges = 0.5 + 0.5 * np.sin(38 * np.hypot(u - rng.uniform(-0.2, 0.2), 1.2 * v - rng.uniform(0, 0.4)) + 1.5 * bend)
    alpha = 0.12 * ridges * np.clip(4 * (1 - np.hypot(u, v)), 0, 1) * np.clip(1 + 0.5 * bend, 0, 1)
    return np.dstack([np.full((height, width, 3), 200), np.clip(255 * alpha, 0, 255)]).astype(np.uint8)


def _put_dust(product: Product, rng: np.random.Generator) -> Product | None:
    """A film of dust, or a few fingerprints."""
    if rng.random() < 0.7:
        decal = Decal(_film_picture(rng, 240), float(rng.uniform(50, 160)), 0.85)
        return _place(product, rng, decal, turn_rad=float(rng.uniform(0, 2 * np.pi)), over_edges=True, least_change=8)
    made = None
    for _ in range(int(rng.integers(2, 5))):
        decal = Decal(_finger_picture(rng), float(rng.uniform(13, 18)), 0.6)
        made = _place(made or product, rng, decal, turn_rad=float(rng.uniform(-1, 1)), least_change=3) or made
    return made


# ---- A dent that nobody minds ---------------------------------------------------------------------------------------


def _tolerable(product: Product, rng: np.random.Generator, rules: SeverityRules) -> Outcome | None:
    """Crush so little that it is judged ``none``; None if that did not come about in a few tries."""
    depths = [limits for limits in getattr(rules, product.packaging)["deformation"] if limits.measure == "depth_mm"]
    limit = depths[0].minor_from if depths else 1.0
    target, seed = float(limit * rng.uniform(0.4, 0.85)), int(rng.integers(2**62))
    push = 1.4 * target
    for _ in range(DENT_TRIES):
        if push <= 0:
            return None
        config = CrushConfig(push_mm=push, push_share=0.6, bar_radius_mm=(3, 20), bar_length_mm=(0, 30))
        try:
            outcome = crush(Subject(product), config, 1.0, np.random.default_rng(seed))  # the same place every time
        except UnsolvedError:
            push *= 0.7
            continue
        depth = outcome.measures["depth_mm"]
        if judge_severity(rules, outcome) == "none" and depth >= 0.4 * target:
            return outcome
        push *= float(np.clip(0.9 * target / max(depth, 1e-6), 0.2, 3.0))
    return None


def _corner_shares(points: Float[np.ndarray, "n 3"], corners: Float[np.ndarray, "n 3 3"]) -> Float[np.ndarray, "n 3"]:
    """Barycentric coordinates of each point's foot in its triangle."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    u, v, w = b - a, c - a, points - a
    uu, uv, vv = (np.einsum("ij,ij->i", p, q) for p, q in ((u, u), (u, v), (v, v)))
    wu, wv = np.einsum("ij,ij->i", w, u), np.einsum("ij,ij->i", w, v)
    size = np.maximum(uu * vv - uv * uv, 1e-30)
    s, t = (vv * wu - uv * wv) / size, (uu * wv - uv * wu) / size
    return np.stack([1 - s - t, s, t], axis=1)


def _relief_before(before: Sheet, after: Sheet, moved: Bool[np.ndarray, " v"]) -> Relief | None:
    """Fine form is drawn where the wall was before the dent: ribs and bow find their place by it."""
    relief = before.relief
    faces = before.faces[moved[before.faces].any(axis=1)]
    if relief is None or len(faces) == 0:
        return relief
    now, then = after.vertices[faces], before.rest[faces]
    middle = now.mean(axis=1)
    reach = float(np.linalg.norm(now - middle[:, None], axis=2).max())
    tree = KDTree(middle)

    def height(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        away, _ = tree.query(points, distance_upper_bound=1.01 * reach)
        at = np.flatnonzero(np.isfinite(away))
        place = points.copy()
        if len(at):
            _, candidates = tree.query(points[at], k=min(8, len(faces)))
            candidates = candidates.reshape(len(at), -1)
            n, k = candidates.shape
            corners = now[candidates.ravel()]
            asked = np.repeat(points[at], k, axis=0)
            share = _corner_shares(asked, corners)
            miss = np.linalg.norm((share[..., None] * corners).sum(axis=1) - asked, axis=1) / reach
            wrong = (miss + np.clip(-share, 0, None).max(axis=1)).reshape(n, k)
            best = np.arange(n) * k + wrong.argmin(axis=1)
            inside = wrong.min(axis=1) < 1e-3  # else it lies on a face that did not move
            there = (share[best, :, None] * then[candidates.ravel()[best]]).sum(axis=1)
            place[at[inside]] = there[inside]
        return relief(place)

    return height


def _settled(before: Sheet, after: Sheet) -> Sheet:
    """A dented sheet as a new pristine state: unlabelled, at rest where it is."""
    way = after.vertices - before.vertices
    far = np.linalg.norm(way, axis=1, keepdims=True)
    way = way * np.clip((far - UNMOVED_M) / (2 * UNMOVED_M), 0, 1)
    moved = np.abs(way).max(axis=1) > 0
    vertices, rest = before.vertices + way, before.rest + way
    after = replace(after, vertices=vertices, rest=rest, marks=before.marks)
    return replace(after, relief=_relief_before(before, after, moved))


def _dent(product: Product, rng: np.random.Generator, rules: SeverityRules) -> Product | None:
    if not crush_applies(product):
        return None
    outcome = _tolerable(product, rng, rules)
    if outcome is None:
        return None
    dented = outcome.product
    return replace(
        dented,
        sheets=tuple(_settled(b, a) for b, a in zip(product.sheets, dented.sheets, strict=True)),
        contents=tuple(replace(a, damage=b.damage) for b, a in zip(product.contents, dented.contents, strict=True)),
    )


# ---- Both -----------------------------------------------------------------------------------------------------------


def benign(
    product: Product, rng: np.random.Generator, config: LookalikesConfig, rules: SeverityRules = DEFAULT_RULES
) -> Product:
    """What this piece of a product shows although it is sound; each look is named in ``lookalikes``."""
    looks: tuple[tuple[str, float, Callable[[Product, np.random.Generator], Product | None]], ...] = (
        ("tolerable_dent", config.tolerable_dent, lambda p, r: _dent(p, r, rules)),
        ("dust_film", config.dust, _put_dust),
        ("sticker", config.sticker, _put_sticker),
        ("handwriting", config.handwriting, _put_handwriting),
        ("tape", config.tape, _put_tape),
    )
    # Each look has its own stream, so that one more or less leaves the others as they are.
    for (name, share, put), own in zip(looks, rng.spawn(len(looks)), strict=True):
        shown = put(product, own) if own.random() < share else None
        product = product if shown is None else _named(shown, name)
    return product


def print_lookalike(product: Product, design: Design, config: LookalikesConfig) -> Product:
    """Print damage on a product, as some designs do: every piece of it, in all editions with this layout."""
    # A child of the layout's stream: its own numbers, though it changes when the layout does.
    rng = stream(design, "layout").spawn(1)[0]
    if rng.random() >= config.printed:
        return product
    kind = PRINTS[int(rng.integers(len(PRINTS)))]
    shown = _place(product, rng, draw_print(kind, rng), turn_rad=float(rng.normal(0, 0.4)))
    return product if shown is None else _named(shown, f"printed_{kind}")
