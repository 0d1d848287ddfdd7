"""What a parcel wears: kraft liner, one-colour prints, shipping labels, price stickers, handwriting."""

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from .addresses import NOTES, digits, draw_address
from .codes import check_digit, draw_code128, draw_ean, draw_qr, ean_module_px, qr_modules_across
from .fonts import blend, fit_size, text_mask
from .inks import Ink
from .noise import fractal_noise

BLACK: Ink = (18, 18, 20)
CARRIERS = ("NORDWIND", "PARCELLO", "VELOX", "Brieftaube", "TransKarta", "quickfrog", "OMNIPOST", "Kurier24")
SERVICES = ("EXPRESS", "STANDARD", "ECONOMY", "PAKET", "COLIS", "24H", "PRIORITY")


def draw_kraft(rng: np.random.Generator, width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    """Brown liner: fibres along one direction, faint flute lines, small dark specks."""
    ground = np.array([rng.uniform(165, 200), rng.uniform(125, 155), rng.uniform(85, 115)], np.float32)
    fibre = fractal_noise(rng, height, max(width // 3, 2), cell_px=10.0, octaves=3).astype(np.float32)
    fibre = cv2.resize(fibre, (width, height), interpolation=cv2.INTER_LINEAR)
    flutes = np.sin(np.arange(width, dtype=np.float32) * 2 * np.pi / rng.uniform(7, 11))[None] * rng.uniform(0.2, 0.8)
    cloud = fractal_noise(rng, max(height // 8, 2), max(width // 8, 2), cell_px=25.0, octaves=2).astype(np.float32)
    cloud = cv2.resize(cloud, (width, height), interpolation=cv2.INTER_LINEAR)
    art = toned(0.02 * fibre + np.float32(0.006) * flutes.astype(np.float32) + 0.015 * cloud, ground)
    for _ in range(int(rng.integers(20, 120))):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        angle, length = rng.uniform(0, np.pi), rng.uniform(0, 5)
        to = (int(x + length * np.cos(angle)), int(y + length * np.sin(angle)))
        cv2.line(art, (x, y), to, (ground * rng.uniform(0.6, 0.9)).tolist(), 1, cv2.LINE_AA)
    return art


def toned(
    tone: Float32[np.ndarray, "h w"], ground: Float[np.ndarray, "3"] | Float32[np.ndarray, "3"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Uneven stock: a ground [sRGB] times 1 + ``tone``, which is within ±0.2; by table, as the pictures are large."""
    level = np.clip(tone * 640 + 128.5, 0, 255).astype(np.uint8)
    gain = 1 + (np.arange(256)[:, None] - 128) / 640
    table = np.clip(ground * gain + 0.5, 0, 255).astype(np.uint8)
    return cv2.LUT(cv2.merge([level] * 3), table[None]).astype(np.uint8)


def _write(art: np.ndarray, text: str, x: int, y: int, size: int, font: str = "FiraSans-Regular") -> int:
    """One line of black text with its ink's corner at (x, y); its right end."""
    mask, _, top = text_mask(text, font, size)
    blend(art, mask, x, y + max(0, top - size // 5), BLACK)
    return x + mask.shape[1]


def _fitted(art: np.ndarray, text: str, box: tuple[int, int, int, int], font: str, ink: Ink = BLACK) -> None:
    """One line as large as fits the box, in its middle."""
    x, y, width, height = box
    mask, _, _ = text_mask(text, font, max(fit_size(text, font, width, height), 4))
    blend(art, mask, x + (width - mask.shape[1]) // 2, y + (height - mask.shape[0]) // 2, ink)


def _put(art: np.ndarray, code: np.ndarray, x: int, y: int) -> None:
    height, width = art.shape[:2]
    code = code[: max(height - y, 0), max(-x, 0) : max(width - x, 0)]
    x = max(x, 0)
    art[y : y + code.shape[0], x : x + code.shape[1]] = code


def _bars(art: np.ndarray, text: str, box: tuple[int, int, int, int]) -> None:
    """A Code 128 as wide as whole texels allow, with its text below."""
    x, y, width, height = box
    modules = draw_code128(text.replace(" ", ""), 1, 1).shape[1]
    module = max(width // modules, 1)
    code = draw_code128(text.replace(" ", ""), module, int(0.8 * height), paper=(250, 250, 248))
    _put(art, code, x + max((width - code.shape[1]) // 2, 0), y)
    _fitted(art, text, (x, y + int(0.83 * height), width, int(0.16 * height)), "FiraSans-Regular")


def draw_shipping_label(rng: np.random.Generator, width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    """A white label with sender, address, routing code, a Code 128 and a QR code that scan; three layouts."""
    art = np.full((height, width, 3), int(rng.integers(238, 252)), np.uint8)
    u, v, pad = width / 100, height / 100, max(width // 40, 2)
    line = max(int(0.006 * (width + height) / 2), 1)
    layout = int(rng.integers(3))
    country, address = draw_address(rng)
    _, sender = draw_address(rng)
    service, carrier = str(rng.choice(SERVICES)), str(rng.choice(CARRIERS))
    tracking = f"{carrier[:2].upper()} {digits(rng, 4)} {digits(rng, 4)} {digits(rng, 4)}"
    head, size = int((12, 16, 10)[layout] * v), max(int(3.4 * v), 5)
    if layout == 1:
        art[:head] = BLACK
    _fitted(art, carrier, (pad, 0, int(45 * u), head), "FiraSans-Black", (250, 250, 250) if layout == 1 else BLACK)
    _fitted(
        art, service, (int(60 * u), head // 6, int(35 * u), int(head * 0.66)), "BarlowCondensed-Bold",
        (250, 250, 250) if layout == 1 else BLACK,
    )  # fmt: skip
    cv2.line(art, (0, head), (width, head), BLACK, line)
    for k, text in enumerate(sender):
        _write(art, text, pad, head + int((2 + 3.0 * k) * v), max(int(2.3 * v), 5))
    first = head + int(12 * v)
    for k, text in enumerate((*address, country)):
        font = "FiraSans-Bold" if k in (0, 2) else "FiraSans-Regular"
        fits = fit_size(text, font, 0.6 * width, 100 * v)
        _write(art, text, pad + (layout == 2) * int(6 * u), first + int(k * 5.2 * v), min(int(size * 1.3), fits), font)
    middle = int(46 * v)
    content = f"{tracking.replace(' ', '')}/{address[2][-12:]}"
    module = max(int(0.3 * width) // qr_modules_across(content), 1)
    qr = draw_qr(content, module, paper=(250, 250, 248))
    _put(art, qr, width - qr.shape[1] - pad, head + 2 * line)
    cv2.line(art, (0, middle), (width, middle), BLACK, line)
    route = f"{country}{digits(rng, 2)}-{digits(rng, 3)}"
    _fitted(art, route, (pad, middle + line * 2, int(52 * u), int(11 * v)), "FiraSans-Black")
    weight = f"{rng.uniform(0.3, 18):.1f} kg   {int(rng.integers(1, 4))}/{int(rng.integers(4, 6))}"
    _fitted(art, weight, (int(60 * u), middle + int(3 * v), int(35 * u), int(5 * v)), "FiraSans-Regular")
    cv2.line(art, (0, middle + int(13 * v)), (width, middle + int(13 * v)), BLACK, line)
    _bars(art, tracking, (pad, middle + int(16 * v), width - 2 * pad, int(34 * v)))
    art[:1], art[-1:], art[:, :1], art[:, -1:] = 120, 120, 120, 120
    return art


def draw_sticker(rng: np.random.Generator, width_px: int, height_px: int) -> UInt8[np.ndarray, "h w 4"]:
    """A price or offer sticker, RGBA: bright or white paper, price or words, perhaps a code."""
    white = rng.random() < 0.35
    paper = np.array((247, 246, 240) if white else _bright(rng))
    art = np.empty((height_px, width_px, 3), np.uint8)
    art[:] = paper
    dark = float(paper @ [0.3, 0.6, 0.1]) < 130
    ink: Ink = (252, 250, 245) if dark else ((190, 15, 25) if white and rng.random() < 0.5 else BLACK)
    round_ = rng.random() < 0.4 and 0.6 < width_px / height_px < 1.7
    m = 0.2 if round_ else 0.07
    box = (int(m * width_px), int(m * height_px), int((1 - 2 * m) * width_px), int((1 - 2 * m) * height_px))
    price = f"{int(rng.integers(0, 40))}{rng.choice(['.', ','])}{rng.choice(['99', '49', '95', '79', '29'])}"
    price = f"{rng.choice(['€', '£', '$'])}{price}" if rng.random() < 0.5 else f"{price} €"
    words = str(
        rng.choice(["SALE", "−30 %", "½ PRICE", "ANGEBOT", "PROMO", "OFERTA", "NEU", "2 + 1", "SPECIAL", "ΝΕΟ"])
    )
    x, y, w, h = box
    font = str(rng.choice(["FiraSans-Black", "BarlowCondensed-Bold", "BebasNeue", "LilitaOne"]))
    style = rng.random()
    if style < 0.35:
        _fitted(art, price, (x, y + int(0.3 * h), w, int(0.68 * h)), font, ink)
        _fitted(art, words, (x, y, w, int(0.25 * h)), "FiraSans-Bold", ink)
    elif style < 0.65 and not round_ and ean_module_px(3, w) * 113 <= w:
        ean = "2" + digits(rng, 11)
        module = max(w // 113, 1)
        art[y + int(0.35 * h) : y + h] = (250, 250, 248)
        code = draw_ean(ean + check_digit(ean), module, int(0.62 * h))
        _put(art, code, x + max((w - code.shape[1]) // 2, 0), y + int(0.37 * h))
        _fitted(art, price, (x, y, w, int(0.3 * h)), font, ink)
    else:
        _fitted(art, words if rng.random() < 0.5 else price, box, font, ink)
    alpha = _sticker_shape(width_px, height_px, round_, ring=art if rng.random() < 0.4 else None, ink=ink)
    return np.dstack([art, alpha])


def _bright(rng: np.random.Generator) -> Ink:
    return ((250, 214, 30), (226, 30, 38), (255, 130, 20), (70, 170, 60), (20, 90, 180), (235, 60, 130))[
        int(rng.integers(6))
    ]


def _sticker_shape(width: int, height: int, round_: bool, *, ring: np.ndarray | None, ink: Ink) -> np.ndarray:
    """Coverage of a die-cut outline; draws a line along it if given the art."""
    alpha = np.zeros((height, width), np.uint8)
    if round_:
        centre, axes = (width // 2, height // 2), (width // 2 - 1, height // 2 - 1)
        cv2.ellipse(alpha, centre, axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
        if ring is not None:
            inner = (int(axes[0] * 0.93), int(axes[1] * 0.93))
            cv2.ellipse(ring, centre, inner, 0, 0, 360, ink, max(width // 60, 1), cv2.LINE_AA)
        return alpha
    r = max(min(width, height) // 12, 1)
    cv2.rectangle(alpha, (r, r), (width - 1 - r, height - 1 - r), 255, -1)
    cv2.rectangle(alpha, (r, r), (width - 1 - r, height - 1 - r), 255, 2 * r - 1)
    if ring is not None:
        cv2.rectangle(ring, (r, r), (width - 1 - r, height - 1 - r), ink, max(width // 80, 1))
    return alpha


def draw_handwriting(rng: np.random.Generator, width_px: int, height_px: int) -> UInt8[np.ndarray, "h w 4"]:
    """A note by hand in pen or marker, RGBA; transparent but for the strokes."""
    marker = rng.random() < 0.5
    ink = ((20, 20, 24), (22, 40, 120), (170, 20, 30), (20, 20, 24))[int(rng.integers(4))]
    lines = [str(rng.choice(NOTES))]
    if rng.random() < 0.35:
        lines = list(draw_address(rng)[1]) if rng.random() < 0.6 else [*lines, str(rng.choice(NOTES))]
    mask = np.zeros((height_px, width_px), np.uint8)
    pitch = 0.9 * height_px / len(lines)
    for k, text in enumerate(lines):
        font = "PermanentMarker" if marker else "Caveat"
        size = max(fit_size(text, font, 0.86 * width_px, 0.72 * pitch), 4)
        glyphs, _, _ = text_mask(text, font, size)
        x = int(rng.uniform(0.02, 0.1) * width_px)
        y = int(0.05 * height_px + k * pitch + 0.12 * pitch)
        h, w = glyphs.shape
        place = mask[y : y + h, x : x + w]
        place[:] = glyphs[: place.shape[0], : place.shape[1]]
    if rng.random() < 0.25:
        y = int(0.95 * height_px)
        cv2.line(
            mask, (int(0.06 * width_px), y), (int(0.8 * width_px), y - height_px // 50), 255, max(height_px // 50, 1)
        )
    sway = fractal_noise(rng, height_px, width_px, cell_px=max(width_px / 5, 8), octaves=2).astype(np.float32)
    yy, xx = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
    tilt = np.float32(rng.uniform(-0.06, 0.03))
    down = yy + 0.012 * height_px * sway - tilt * (xx - width_px / 2)
    mask = cv2.remap(mask, xx + 0.006 * width_px * sway, down, cv2.INTER_LINEAR, borderValue=(0,))
    uneven = 1 - (0.08 if marker else 0.25) * np.abs(sway)
    alpha = np.clip(mask * uneven * (0.95 if marker else 0.85), 0, 255).astype(np.uint8)
    return np.dstack([np.broadcast_to(np.array(ink, np.uint8), (height_px, width_px, 3)), alpha])
