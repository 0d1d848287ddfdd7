"""Clean things that shops put in or leave behind: paper, small hardware, void fill. Each is a finished part.

They rest on z = 0, centred on the z axis, and are ``item`` 0; ``clutter`` puts them on the tray.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ..sim.scene import Material, Part
from .artwork import FONTS, draw_ink, draw_text, fractal_noise
from .shapes import Mesh, box_mesh, cap, end_ring, flip, grid, join, lathe, move, solid

LIFT_M = 0.0001
"""Paper lies so far above the tray, or their surfaces would coincide."""


def _sheet(width: float, height: float, nu: int, nv: int, z: Float[np.ndarray, " n"]) -> Mesh:
    """A sheet over a rectangle, with a height per point."""
    st, faces = grid(nu, nv)
    vertices = np.concatenate([(st - 0.5) * np.array([width, height]), z[:, None]], axis=1)
    return Mesh(vertices, faces, st[faces], np.zeros(len(faces), np.uint8))


def _extra(mesh: Mesh, name: str, material: Material, *, lift_m: float = 0.0, crease_deg: float = 35.0) -> Part:
    """A part from a mesh, centred on the z axis, resting on z = 0."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    lying = move(mesh, np.eye(3), np.array([*(-(low + high)[:2] / 2), lift_m - low[2]]))
    return solid(lying, name, material, surface="outer", item=0, crease_deg=crease_deg)


_flat = partial(_extra, lift_m=LIFT_M)


def _tube(path: Float[np.ndarray, "n 3"], radius: float, sides: int, *, closed: bool) -> Mesh:
    """A round tube along a path; open ones end in points. Sides stand upright: paths run level, or nearly."""
    ahead, back = (np.roll(path, k, axis=0) for k in (-1, 1))
    if not closed:
        ahead[-1], back[0] = path[-1], path[0]
    along = ahead - back
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross(along, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, along)
    turn = np.arange(sides) / sides * 2 * np.pi
    share = np.full(len(path), radius)
    if not closed:
        share[[0, -1]] = 0.35 * radius
    ring = np.cos(turn)[None, :, None] * side[:, None] + np.sin(turn)[None, :, None] * up[:, None]
    points = path[:, None] + share[:, None, None] * ring
    count = len(path)
    last = count if closed else count - 1
    i, k = (q.ravel() for q in np.meshgrid(np.arange(last), np.arange(sides), indexing="ij"))
    j, m = (i + 1) % count, (k + 1) % sides
    a, b, c, d = i * sides + k, i * sides + m, j * sides + m, j * sides + k
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])[:, ::-1]
    if not closed:
        fan = np.arange(1, sides - 1)
        start = np.stack([np.zeros_like(fan), fan, fan + 1], 1)
        faces = np.concatenate([faces, start, (start + (count - 1) * sides)[:, ::-1]])
    st = np.zeros((len(faces), 3, 2)) + 0.5
    return Mesh(points.reshape(-1, 3), faces, st, np.zeros(len(faces), np.uint8))


# ---- Paper ----------------------------------------------------------------------------------------------------------


def _curl(rng: np.random.Generator, nu: int, nv: int, height: float) -> Float[np.ndarray, " n"]:
    """Paper lifts along a line at one side, in one direction only: it does not stretch."""
    st, _ = grid(nu, nv)
    turn = rng.uniform(0, 2 * np.pi)
    across = (st - 0.5) @ np.array([np.cos(turn), np.sin(turn)])
    from_ = rng.uniform(-0.2, 0.3)
    fold = 0.0
    if rng.random() < 0.4:  # once folded in half, it does not lie quite flat any more
        fold = 0.5 * height * (0.5 - np.abs(st[:, int(rng.integers(2))] - 0.5))
    return height * np.clip(across - from_, 0, None) ** 2 * 3 + fold


def _write_lines(
    picture: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator, rows: int, box: tuple[int, int, int, int]
) -> None:
    """Grey words too small to read, in a box (x, y, width, height)."""
    x0, y0, width, height = box
    for row in range(rows):
        y = y0 + row * height // rows
        x = x0
        end = x0 + int(width * (rng.uniform(0.4, 1.0) if rng.random() < 0.3 else 1.0))
        while x < end:
            word = int(rng.integers(4, 18))
            cv2.rectangle(picture, (x, y), (min(x + word, end), y + max(1, height // rows // 3)), (70, 70, 75), -1)
            x += word + 3


def _flyer_art(rng: np.random.Generator, width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    ground, accent = draw_ink(rng, 90, 255), draw_ink(rng, 20, 220)
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = ground
    ink = (250, 250, 245) if sum(ground) < 420 else (25, 25, 30)
    split = int(height * rng.uniform(0.35, 0.6))
    for _ in range(int(rng.integers(2, 6))):
        at = (int(rng.uniform(0, width)), int(rng.uniform(0, split)))
        cv2.circle(picture, at, int(rng.uniform(0.05, 0.25) * width), draw_ink(rng, 30, 255), -1, cv2.LINE_AA)
    cv2.rectangle(picture, (0, split), (width, split + height // 7), accent, -1)
    words = str(rng.choice(["THANK YOU", "10 % OFF", "NEW", "JOIN US", "HELLO", "2 FOR 1", "YOUR CODE"]))
    light = (250, 250, 250) if sum(accent) < 400 else (20, 20, 20)
    picture = draw_text(picture, words, (width // 14, split + 3, width * 6 // 7, height // 8), light, FONTS[0]).copy()
    _write_lines(picture, rng, 6, (width // 12, split + height // 5, width * 5 // 6, height // 4))
    cv2.line(picture, (width // 12, height - 8), (width // 2, height - 8), ink, 2)
    return picture


def _flyer(rng: np.random.Generator) -> Part:
    width, height = ((0.105, 0.148), (0.099, 0.21), (0.085, 0.055), (0.074, 0.105))[int(rng.integers(4))]
    art = _flyer_art(rng, 200, int(200 * height / width))
    paper = Material("flyer", (0.95, 0.95, 0.95), 0.0, float(rng.uniform(0.15, 0.6)), art)
    return _flat(_sheet(width, height, 10, 12, _curl(rng, 10, 12, rng.uniform(0, 0.02))), "flyer", paper)


def _packing_slip(rng: np.random.Generator) -> Part:
    width, height = ((0.105, 0.148), (0.1, 0.1), (0.08, 0.16))[int(rng.integers(3))]
    art = np.full((int(220 * height / width), 220, 3), 248, np.uint8)
    art = draw_text(
        art, f"PACKING SLIP {int(rng.integers(100_000, 1_000_000))}", (12, 8, 190, 16), (20, 20, 20), FONTS[1]
    ).copy()
    rows = art.shape[0]
    _write_lines(art, rng, 4, (12, 34, 90, 36))
    for y in range(86, rows - 50, 22):
        cv2.line(art, (12, y), (208, y), (150, 150, 150), 1)
        _write_lines(art, rng, 1, (14, y + 7, 150, 18))
    for x in range(12, 130, 3):
        if rng.random() < 0.5:
            art[rows - 36 : rows - 12, x : x + 2] = 20
    paper = Material("packing_slip", (0.93, 0.93, 0.92), 0.0, 0.9, art)
    return _flat(_sheet(width, height, 10, 12, _curl(rng, 10, 12, rng.uniform(0, 0.03))), "packing slip", paper)


def _price_tag(rng: np.random.Generator) -> Part:
    width = rng.uniform(0.022, 0.035)
    height = width * rng.uniform(1.3, 1.9)
    art = np.empty((140, 84, 3), np.uint8)
    art[:] = (250, 248, 240) if rng.random() < 0.6 else draw_ink(rng, 130, 255)
    price = f"{int(rng.integers(1, 60))}.{int(rng.integers(10)) * 10 + 9:02d}"
    art = draw_text(art, price, (8, 55, 68, 40), (15, 15, 15), FONTS[0]).copy()
    cv2.circle(art, (42, 16), 7, (60, 60, 60), -1, cv2.LINE_AA)
    card = Material("price_tag", (0.95, 0.95, 0.95), 0.0, 0.6, art)
    return _flat(_sheet(width, height, 3, 4, _curl(rng, 3, 4, rng.uniform(0, 0.004))), "price tag", card)


@lru_cache(maxsize=4)
def _kraft(seed: int) -> UInt8[np.ndarray, "h w 3"]:
    rng = np.random.default_rng(seed)
    tone = 1 + 0.05 * fractal_noise(rng, 128, 128, cell_px=10.0)
    return np.clip(tone[..., None] * np.array([186, 148, 104]), 0, 255).astype(np.uint8)


def _kraft_paper(rng: np.random.Generator) -> Part:
    """Crumpled void fill: facets between folds that run every way."""
    nu = 30
    width, height, rise = rng.uniform(0.05, 0.1), rng.uniform(0.05, 0.1), rng.uniform(0.012, 0.03)
    st, _ = grid(nu, nu)
    z = np.zeros(len(st))
    for _ in range(7):
        turn, pitch, phase = rng.uniform(0, np.pi), rng.uniform(0.25, 0.8), rng.random()
        wave = ((st @ np.array([np.cos(turn), np.sin(turn)])) / pitch + phase) % 1.0
        z += pitch * np.abs(2 * wave - 1)
    z = rise * (z - z.min()) / np.ptp(z)
    mesh = _sheet(width, height, nu, nu, z)
    radius = np.linalg.norm(st - 0.5, axis=1)
    ragged = 1 - 0.25 * np.clip(radius - 0.3, 0, None) * (1 + np.sin(9 * np.arctan2(*(st - 0.5).T) + rng.uniform(0, 6)))
    vertices = mesh.vertices * np.stack([ragged, ragged, np.ones(len(st))], axis=1)
    paper = Material("kraft_paper", (1.0, 1.0, 1.0), 0.0, 0.9, _kraft(int(rng.integers(4))))
    return _flat(Mesh(vertices, mesh.faces, mesh.st, mesh.panel), "kraft paper", paper, crease_deg=18.0)


# ---- Small things ---------------------------------------------------------------------------------------------------


def _pen(rng: np.random.Generator) -> Part:
    radius, length = rng.uniform(0.0038, 0.0055), rng.uniform(0.125, 0.148)
    profile = [(0.0006, 0.0), (0.0012, 0.003), (0.8 * radius, 0.016), (radius, 0.02), (radius, 0.55 * length),
               (1.12 * radius, 0.56 * length), (1.12 * radius, 0.985 * length), (0.8 * radius, length)]  # fmt: skip
    body = lathe(np.array(profile), 0.01, panel=0, sectors=16)
    ends = [cap(end_ring(body, top=up), 0.01, panel=0, up=up) for up in (False, True)]
    clip = move(box_mesh(np.array([0.003, 0.0014, 0.036]), 0.05), np.eye(3), np.array([0, 1.5 * radius, 0.62 * length]))
    over = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1.0, 0]])
    roll = rng.uniform(0.2, 1.0) * rng.choice([-1, 1]) * np.pi / 2  # lies on its barrel, with the clip beside it
    turn = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    art = np.full((64, 4, 3), 255, np.uint8)
    art[:29] = draw_ink(rng, 10, 200)
    art[29:] = draw_ink(rng, 10, 250) if rng.random() < 0.6 else (235, 235, 235)
    art[-8:] = (190, 190, 190)
    plastic = Material("pen", (0.9, 0.9, 0.9), 0.0, float(rng.uniform(0.15, 0.4)), art)
    return _extra(move(join([body, *ends, clip]), over @ turn, np.zeros(3)), "pen", plastic)


def _rubber_band(rng: np.random.Generator) -> Part:
    turn = np.arange(56) / 56 * 2 * np.pi
    radius = rng.uniform(0.012, 0.028) * (1 + sum(rng.normal() * 0.16 / n * np.sin(n * turn + rng.uniform(0, 6))
                                                  for n in (2, 3, 4)))  # fmt: skip
    path = np.stack([radius * np.cos(turn), rng.uniform(0.6, 1) * radius * np.sin(turn), 0 * turn], axis=1)
    tone = ((0.62, 0.42, 0.2), (0.5, 0.06, 0.05), (0.05, 0.2, 0.4), (0.1, 0.35, 0.1))[int(rng.integers(4))]
    rubber = Material("rubber", tone, 0.0, 0.6)
    return _extra(_tube(path, rng.uniform(0.0006, 0.0012), 6, closed=True), "rubber band", rubber)


def _coin(rng: np.random.Generator) -> Part:
    radius, thick = rng.uniform(0.0085, 0.013), rng.uniform(0.0016, 0.0023)
    bevel = 0.0003
    profile = np.array([(radius - bevel, 0.0), (radius, bevel), (radius, thick - bevel), (radius - bevel, thick)])
    body = lathe(profile, 0.01, panel=0, sectors=36)

    def relief(share: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return -0.0003 * (share < 0.88)

    ends = [cap(end_ring(body, top=up), 0.0022, panel=0, up=up, height=relief if up else None) for up in (False, True)]
    art = np.full((96, 96, 3), 235, np.uint8)
    cv2.circle(art, (48, 48), 40, (170, 170, 170), 1, cv2.LINE_AA)
    value = str(rng.choice([1, 2, 5, 10, 20, 50]))
    art = draw_text(art, value, (28, 22, 40, 46), (140, 140, 140), FONTS[2])
    tone = ((0.72, 0.35, 0.2), (0.75, 0.56, 0.25), (0.6, 0.58, 0.54))[int(rng.integers(3))]
    return _extra(join([body, *ends]), "coin", Material("coin", tone, 1.0, float(rng.uniform(0.2, 0.4)), art))


def _cable_tie(rng: np.random.Generator) -> Part:
    length, bend = rng.uniform(0.08, 0.13), rng.uniform(-14, 14)
    s = np.linspace(0, length, 28)
    angle = bend * s + 12 * rng.normal() * s**2
    step = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (length / 27)
    line = np.cumsum(step, axis=0)
    side = np.stack([-np.sin(angle), np.cos(angle)], axis=1) * rng.uniform(0.0012, 0.0022)
    side *= np.where(s < 0.9 * length, 1.0, 1.0 - 0.6 * (s - 0.9 * length) / (0.1 * length))[:, None]
    st, faces = grid(27, 1)
    flat = np.concatenate([line - side, line + side]).reshape(2, 28, 2).transpose(1, 0, 2).reshape(-1, 2)
    strip = Mesh(np.concatenate([flat, np.full((len(flat), 1), 0.0011)], axis=1), faces, st[faces],
                 np.zeros(len(faces), np.uint8))  # fmt: skip
    head = move(box_mesh(np.array([0.006, 0.0055, 0.004]), 0.05), np.eye(3), np.array([*line[0], 0.0]))
    tone = (0.02, 0.02, 0.02) if rng.random() < 0.5 else (0.75, 0.75, 0.73)
    return _extra(join([strip, head]), "cable tie", Material("nylon", tone, 0.0, 0.4))


def _foam_chip(rng: np.random.Generator) -> Part:
    t = np.linspace(-1, 1, 14)
    size, bow = rng.uniform(0.012, 0.02), rng.uniform(0.3, 0.9)
    shape = bow * np.sin(np.pi * t) if rng.random() < 0.5 else bow * t**2
    path = size * np.stack([t, shape, 0.1 * np.cos(2 * t)], axis=1)
    tone = ((0.85, 0.85, 0.82), (0.45, 0.72, 0.5), (0.85, 0.5, 0.55))[int(rng.choice(3, p=[0.7, 0.2, 0.1]))]
    return _extra(_tube(path, size * rng.uniform(0.35, 0.5), 10, closed=False), "foam chip",
                  Material("foam", tone, 0.0, 0.95), crease_deg=60.0)  # fmt: skip


def _silica_sachet(rng: np.random.Generator) -> Part:
    width, height, rise = rng.uniform(0.028, 0.04), rng.uniform(0.04, 0.065), rng.uniform(0.002, 0.004)
    nu, nv = 14, 22
    st, _ = grid(nu, nv)
    bulge = (
        np.sin(np.pi * st[:, 0]) ** 0.7 * np.clip(np.sin(np.pi * np.clip((st[:, 1] - 0.09) / 0.82, 0, 1)), 0, 1) ** 0.6
    )
    beads = 1 + 0.06 * rng.normal(size=len(st))
    art = np.full((200, 128, 3), 245, np.uint8)
    for y, words in ((50, "SILICA GEL"), (88, "DO NOT EAT"), (126, "THROW AWAY")):
        art = draw_text(art, words, (16, y, 96, 22), (30, 40, 130), FONTS[0])
    art = art.copy()
    art[:16:3], art[-16::3] = 215, 215
    paper = Material("sachet", (0.92, 0.92, 0.92), 0.0, 0.7, art)
    return _flat(_sheet(width, height, nu, nv, rise * bulge * beads), "silica sachet", paper)


def _tape_bit(rng: np.random.Generator) -> Part:
    width, length = rng.uniform(0.018, 0.05), rng.uniform(0.025, 0.07)
    st, _ = grid(12, 4)
    z = rng.uniform(0, 0.008) * np.clip(st[:, 0] - rng.uniform(0.4, 0.8), 0, None) ** 2 * 6
    brown = rng.random() < 0.6
    film = Material("tape", (0.45, 0.28, 0.12) if brown else (0.9, 0.9, 0.88), 0.0, 0.15,
                    transmission=0.25 if brown else 0.85)  # fmt: skip
    return _flat(_sheet(length, width, 12, 4, z), "tape", film)


def _loose_bag(rng: np.random.Generator) -> Part:
    """An empty clear bag, whole and nearly flat: two films with air and folds between them."""
    width, height = rng.uniform(0.06, 0.1), rng.uniform(0.08, 0.13)
    nu, nv = 26, 32
    st, _ = grid(nu, nv)
    edge = np.clip(np.minimum(np.minimum(st[:, 0], 1 - st[:, 0]), np.minimum(st[:, 1], 1 - st[:, 1])) * 9, 0, 1)
    folds = fractal_noise(rng, nu + 1, nv + 1, cell_px=9.0, octaves=2).ravel()
    top = _sheet(width, height, nu, nv, edge * (0.0012 + 0.0016 * np.abs(folds)))
    bottom = flip(_sheet(width, height, 2, 2, np.zeros(9)))
    clear = float(rng.uniform(0.85, 0.95))
    film = Material("loose_bag", (0.96, 0.96, 0.96), 0.0, float(rng.uniform(0.06, 0.15)), transmission=clear)
    return _flat(join([top, bottom]), "loose bag", film, crease_deg=60.0)


EXTRAS: dict[str, tuple[float, Callable[[np.random.Generator], Part]]] = {
    "flyer": (1.0, _flyer),
    "packing slip": (0.8, _packing_slip),
    "price tag": (0.6, _price_tag),
    "kraft paper": (0.8, _kraft_paper),
    "pen": (0.6, _pen),
    "rubber band": (0.8, _rubber_band),
    "coin": (0.5, _coin),
    "cable tie": (0.5, _cable_tie),
    "foam chip": (0.9, _foam_chip),
    "silica sachet": (0.8, _silica_sachet),
    "tape": (0.6, _tape_bit),
    "loose bag": (0.7, _loose_bag),
}
"""Weight, and what draws one at the origin."""
