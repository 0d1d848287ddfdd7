"""The front of a pack: logo, name, variant, picture, claims, net contents, flash."""

import numpy as np

from .artwork import Artwork
from .canvas import Box, Canvas, burst, ellipse, fill, ground_at, polygon, write
from .fonts import blend, fit_size
from .grounds import paint_ground, paint_things
from .icons import icon
from .inks import BLACK, WHITE, Ink, contrast, luminance, readable, tint

EMBLEMS = ("star", "leaf", "sun", "heart", "flower", "drop")


def split_lines(text: str, font: str, width: float, height: float, most: int = 3) -> list[str]:
    """The way to break a name that lets it be set largest."""
    words = text.split(" ")
    best, size = [text], min(fit_size(text, font, width, height), 10_000)
    for count in range(2, min(most, len(words)) + 1):
        target = len(text) / count
        lines, line = [], ""
        for word in words:
            if line and len(line) + len(word) / 2 > target and len(lines) < count - 1:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}".strip()
        lines.append(line)
        fits = min(fit_size(v, font, width, 0.8 * height / len(lines)) for v in lines)
        if fits > 1.12 * size:
            best, size = lines, fits
    return best


def write_name(
    canvas: Canvas,
    text: str,
    box: Box,
    font: str,
    ink: Ink,
    *,
    align: float,
    outline: Ink | None = None,
    most_mm: float = 30,
) -> None:
    """A name in one to three lines of the same size."""
    x, y, w, h = box
    lines = split_lines(text, font, w, h)
    step = h / len(lines)
    share = 1.0 if len(lines) == 1 else 0.8
    size = min(fit_size(v, font, w, share * step) for v in lines)
    cap = min(size * 0.7 / canvas.px_per_mm, most_mm)
    pitch = min(step, cap * canvas.px_per_mm / 0.7 * 1.12)
    top = y + (h - pitch * len(lines)) / 2
    for k, line in enumerate(lines):
        write(canvas, line, (x, top + k * pitch, w, pitch), font, ink, align=align, most_mm=cap, outline=outline)


def logo_inks(artwork: Artwork, ground: Ink) -> tuple[Ink, Ink]:
    """(plate, letters) of logos that bring their own ground; the plate differs from what it lies on."""
    options = (artwork.accent, artwork.ground, artwork.paper)
    plate = next((ink for ink in options if contrast(ink, ground) > 1.4), BLACK)
    letters = readable(artwork.ground, plate, 4.0)
    return plate, letters


def draw_logo(canvas: Canvas, artwork: Artwork, box: Box, *, align: float = 0.5) -> None:
    """The brand as it stands on every panel of the pack."""
    look, brand = artwork.look, artwork.brand
    x, y, w, h = box
    font, kind = look.brand_font, look.logo
    plate, letters = logo_inks(artwork, ground_at(canvas, box)[0])
    reach = min(w, 1.15 * fit_size(brand, font, 1e6, h * 0.62) / 100 * fit_width(brand, font))
    px = x + align * (w - reach)
    if kind in ("oval", "box"):
        inner = (px + 0.09 * reach, y + 0.2 * h, 0.82 * reach, 0.6 * h)
        if kind == "oval":
            ring = max(0.035 * h, 1)
            ellipse(canvas, (px, y, reach, h), letters)
            ellipse(canvas, (px + ring, y + ring, reach - 2 * ring, h - 2 * ring), plate)
            inner = (px + 0.13 * reach, y + 0.24 * h, 0.74 * reach, 0.52 * h)
        else:
            fill(canvas, (px, y + 0.08 * h, reach, 0.84 * h), plate, radius=0.12 * h if look.picture_seed % 2 else 0)
        write(canvas, brand, inner, font, letters)
    elif kind == "ribbon":
        n, low, up = 0.16 * h, y + 0.9 * h, y + 0.1 * h
        dark = tint(plate, (0, 0, 0), 0.4)
        for a, b in ((px - 0.02 * reach, px + 0.12 * reach), (px + 0.88 * reach, px + 1.02 * reach)):
            polygon(canvas, np.array([(a, up + n), (b, up + n), (b, low + n), (a, low + n)]), dark)
        polygon(
            canvas,
            np.array(
                [(px + 0.04 * reach, up), (px + 0.96 * reach, up), (px + 0.96 * reach, low), (px + 0.04 * reach, low)]
            ),
            plate,
        )
        write(canvas, brand, (px + 0.1 * reach, y + 0.22 * h, 0.8 * reach, 0.56 * h), font, letters)
    elif kind == "outlined":
        ink = WHITE if luminance(artwork.accent) < 0.25 else artwork.accent
        edge = (
            tint(artwork.ground, (0, 0, 0), 0.6) if contrast(ink, tint(artwork.ground, (0, 0, 0), 0.6)) > 3 else BLACK
        )
        write(canvas, brand, box, font, ink, align=align, outline=edge, shadow=True, degrees=look.tilt_deg)
    elif kind == "emblem" and h > canvas.mm(8):
        sign = icon(EMBLEMS[look.picture_seed % len(EMBLEMS)], max(round(0.34 * h), 4))
        ground, _ = ground_at(canvas, box)
        ink = readable(artwork.accent, ground)
        blend(canvas.art, sign, round(x + align * (w - sign.shape[1])), round(y), ink)
        write(canvas, brand, (x, y + 0.42 * h, w, 0.55 * h), font, ink, align=align, spacing=0.12)
    else:
        ink = artwork.accent if look.picture_seed % 3 == 0 else artwork.ink
        write(canvas, brand, (x, y + 0.06 * h, w, 0.88 * h), font, ink, align=align)


def fit_width(text: str, font: str) -> float:
    """Width of text relative to a size of 100."""
    size = fit_size(text, font, 1000.0, 1e6)
    return 100 * 1000.0 / max(size, 1)


def _plaque(canvas: Canvas, artwork: Artwork, box: Box) -> Box:
    """A plate under the words on a busy ground; returns the room on it."""
    x, y, w, h = box
    ink = artwork.paper if luminance(artwork.ground) > 0.85 or artwork.look.picture_seed % 3 == 0 else artwork.ground
    line = max(round(canvas.mm(0.4)), 1)
    rule = readable(artwork.accent, ink, 1.8)
    kind = artwork.look.plaque
    if kind == "strip":
        fill(canvas, (0, y, canvas.width, h), ink)
        for edge in (y + 2 * line, y + h - 3 * line):
            fill(canvas, (0, edge, canvas.width, max(line, 2)), rule)
    elif kind == "oval":
        ellipse(canvas, (x - 4 * line, y - 4 * line, w + 8 * line, h + 8 * line), rule)
        ellipse(canvas, box, ink)
        return x + 0.16 * w, y + 0.16 * h, 0.68 * w, 0.68 * h
    elif kind == "label":
        n = 0.08 * min(w, h)
        outline = np.array(
            [
                (x + n, y),
                (x + w - n, y),
                (x + w, y + n),
                (x + w, y + h - n),
                (x + w - n, y + h),
                (x + n, y + h),
                (x, y + h - n),
                (x, y + n),
            ]
        )
        polygon(canvas, outline, ink)
        fill(canvas, (x + n, y + n * 0.5, w - 2 * n, max(line, 2)), rule)
        fill(canvas, (x + n, y + h - n * 0.5 - line, w - 2 * n, max(line, 2)), rule)
    else:
        fill(canvas, box, ink, radius=0.05 * w)
        fill(canvas, (x + 3 * line, y + 3 * line, w - 6 * line, h - 6 * line), rule, radius=0.045 * w, line=line)
    return x + 0.08 * w, y + 0.09 * h, 0.84 * w, 0.82 * h


def _variant(canvas: Canvas, artwork: Artwork, box: Box, align: float) -> None:
    x, y, w, h = box
    text, kind = artwork.copy.variant, artwork.look.variant
    ground, _ = ground_at(canvas, box)
    plate = artwork.accent if contrast(artwork.accent, ground) > 1.5 else artwork.ink
    letters = readable(artwork.paper, plate, 4.0)
    font = "FiraSans-Bold" if kind != "script" else "Caveat"
    if kind == "band":
        fill(canvas, (0, y, canvas.width, h), plate)
        write(canvas, text, (x, y + 0.18 * h, w, 0.64 * h), font, letters, align=align, most_mm=9)
    elif kind == "pill":
        width = min(w, 0.6 * h / 100 * fit_width(text, font) * 1.1 + 1.1 * h)
        px = x + align * (w - width)
        fill(canvas, (px, y, width, h), plate, radius=h / 2)
        write(canvas, text, (px + 0.4 * h, y + 0.22 * h, width - 0.8 * h, 0.56 * h), font, letters)
    else:
        write(canvas, text, (x, y + 0.05 * h, w, 0.9 * h), font, artwork.accent, align=align, most_mm=8)


def badge(canvas: Canvas, artwork: Artwork, text: str, box: Box) -> None:
    """A round claim, or one on a star."""
    x, y, w, h = box
    ground, _ = ground_at(canvas, box)
    options = (artwork.accent, (208, 30, 40), (248, 205, 30), (40, 120, 60))
    plate = next((v for v in options if contrast(v, ground) > 1.8), BLACK)
    letters = readable(WHITE, plate, 3.5)
    star = artwork.look.badge == "burst"
    burst(canvas, box, plate, spikes=16 if star else 22, depth=0.16 if star else 0.05)
    if not star:
        ellipse(canvas, (x + 0.09 * w, y + 0.09 * h, 0.82 * w, 0.82 * h), letters)
        ellipse(canvas, (x + 0.105 * w, y + 0.105 * h, 0.79 * w, 0.79 * h), plate)
    write_name(
        canvas, text, (x + 0.17 * w, y + 0.24 * h, 0.66 * w, 0.52 * h), "BarlowCondensed-Bold", letters, align=0.5
    )


def _claims(canvas: Canvas, artwork: Artwork, hero: Box, text: Box) -> None:
    claims, kind = artwork.claims, artwork.look.badge
    if not claims or kind == "none":
        return
    x, y, w, h = hero
    if kind in ("seal", "burst"):
        size = min(0.36 * min(w, h), 0.3 * canvas.width, canvas.mm(38))
        right = 0 if artwork.design.flash else artwork.look.picture_seed % 2
        short = [c for c in claims if max(map(len, c.split())) <= 11]  # longer words would be too small to read
        for k, claim in enumerate(short[: 1 if artwork.design.flash else 2]):
            at = x + (w - size) * ((right + k) % 2)
            badge(canvas, artwork, claim, (at, y + (0.0 if k == 0 else 0.7) * max(h - size, 0), size, size))
        return
    row = claim_row(canvas)
    for k, claim in enumerate(claims[:3]):
        top = text[1] + text[3] - (min(len(claims), 3) - k) * 1.3 * row
        if kind == "ticks":
            sign = icon("check", max(round(0.8 * row), 4))
            ground, _ = ground_at(canvas, (text[0], top, row, row))
            blend(canvas.art, sign, round(text[0]), round(top), readable(artwork.accent, ground))
            write(
                canvas,
                claim,
                (text[0] + 1.3 * row, top, 0.45 * canvas.width, row),
                "FiraSans-Bold",
                artwork.ink,
                align=0,
            )
        else:
            width = min(0.62 * row / 100 * fit_width(claim, "FiraSans-Bold") + row, 0.5 * canvas.width)
            fill(canvas, (text[0], top, width, row), artwork.paper, radius=row / 2)
            write(
                canvas,
                claim,
                (text[0] + 0.4 * row, top + 0.2 * row, width - 0.8 * row, 0.6 * row),
                "FiraSans-Bold",
                BLACK,
            )


def claim_row(canvas: Canvas) -> float:
    """Height of a claim in a list [px]."""
    return min(0.045 * canvas.height, canvas.mm(6.5))


def _flash(canvas: Canvas, text: str, seed: int, hero: Box) -> None:
    """What a new edition shouts: a ribbon across a lower corner, or a star beside the picture."""
    w, h = canvas.width, canvas.height
    size = 0.3 * min(w, h)
    plate, letters = (((250, 214, 20), (190, 12, 24)), ((214, 20, 30), WHITE), ((0, 120, 70), WHITE))[seed % 3]
    if seed % 2:
        far, wide = 2.1 * size, 0.55 * size
        polygon(
            canvas, np.array([(w - far, h), (w - far + 1.4 * wide, h), (w, h - far + 1.4 * wide), (w, h - far)]), plate
        )
        middle = (w - far / 2 + 0.35 * wide, h - far / 2 + 0.35 * wide)
        write(
            canvas,
            text,
            (middle[0] - 0.6 * size, middle[1] - 0.6 * size, 1.2 * size, 1.2 * size),
            "FiraSans-Black",
            letters,
            degrees=45,
        )
        return
    box = (min(hero[0] + hero[2], w) - 1.1 * size, hero[1] + 0.35 * max(hero[3] - size, 0), 1.08 * size, 1.08 * size)
    burst(canvas, box, plate, spikes=14)
    inner = (box[0] + 0.2 * box[2], box[1] + 0.3 * box[3], 0.6 * box[2], 0.4 * box[3])
    write_name(canvas, text, inner, "FiraSans-Black", letters, align=0.5)


def _frame(canvas: Canvas, artwork: Artwork) -> None:
    w, h, line = canvas.width, canvas.height, max(round(canvas.mm(0.5)), 1)
    ground, _ = ground_at(canvas, (0, 0, w, h))
    ink = readable(artwork.accent, ground, 1.7)
    if artwork.look.frame == "bars":
        for y in (0, 0.972 * h):
            fill(canvas, (0, y, w, 0.03 * h), artwork.accent)
    elif artwork.look.frame != "none":
        for k in range(2 if artwork.look.frame == "double" else 1):
            m = canvas.mm(2.5) + 3 * k * line
            fill(canvas, (m, m, w - 2 * m, h - 2 * m), ink, line=line)


def _rooms(canvas: Canvas, artwork: Artwork) -> tuple[Box, Box]:
    """(room for words, room for the picture)."""
    w, h, look = canvas.width, canvas.height, artwork.look
    m = max(0.07 * min(w, h), canvas.mm(3))
    pictured = look.hero not in ("none", "close") or bool(artwork.design.images)
    if look.ground in ("photo", "picture") or look.plaque != "none":
        up = 0.09 if look.picture_seed % 2 else 0.2
        tall = 0.52 if h > w else 0.7
        words = (m, up * h, w - 2 * m, tall * h)
        return words, (m, (up + tall + 0.02) * h, w - 2 * m, (0.9 - up - tall) * h)
    if w > 1.3 * h:
        words = (m, m, (0.5 if pictured else 0.86) * w - m, h - 2.6 * m)
        return words, (0.53 * w, 0.04 * h, 0.45 * w, 0.88 * h)
    share = 0.47 if pictured else 0.72
    return (m, m, w - 2 * m, share * h - m), (0.02 * w, share * h, 0.96 * w, (0.93 - share) * h)


def picture_room(canvas: Canvas, artwork: Artwork) -> Box:
    """Where the front's picture of things is."""
    return _rooms(canvas, artwork)[1]


def front(canvas: Canvas, artwork: Artwork, *, ground: bool = True, things: bool = True, logo: bool = True) -> None:
    """Print the front; what runs over its edges is printed elsewhere and left out here."""
    look, w, h = artwork.look, canvas.width, canvas.height
    if ground:
        paint_ground(canvas, artwork)
    if min(w, h) < 24:
        return
    words, hero = _rooms(canvas, artwork)
    pictured = look.hero not in ("none", "close") or (artwork.design.images and look.ground not in ("photo", "picture"))
    if pictured and things and min(hero[2:]) > 30:
        paint_things(canvas, artwork, hero)
    _frame(canvas, artwork)
    room = _plaque(canvas, artwork, words) if look.plaque != "none" else words
    x, y, ww, hh = room
    book = artwork.category == "book"
    align = look.align if look.plaque == "none" else 0.5
    if look.badge in ("ticks", "pills") and look.plaque == "none":
        hh -= 1.3 * claim_row(canvas) * min(len(artwork.claims), 3)
    bare = look.hero in ("none", "close") and look.plaque == "none"
    logo_h = min(0.44 * hh, canvas.mm(60 if bare else 42))
    if book:
        write_name(
            canvas, artwork.copy.name, (x, y, ww, 0.6 * hh), look.name_font, artwork.ink, align=align, most_mm=26
        )
        write(
            canvas,
            artwork.copy.variant,
            (x, y + 0.64 * hh, ww, 0.1 * hh),
            "Playfair-Italic",
            artwork.ink,
            align=align,
            most_mm=5,
        )
        write(
            canvas,
            artwork.brand.title(),
            (x, 0.86 * h, ww, 0.06 * h),
            look.brand_font,
            artwork.ink,
            align=align,
            most_mm=8,
        )
        if artwork.design.flash:
            _flash(canvas, artwork.design.flash, look.picture_seed >> 3, hero)
        return
    if logo:
        draw_logo(canvas, artwork, (x, y, ww, logo_h), align=align)
    else:
        logo_h = 0.0
    gap = 0.03 * hh
    name_h, variant_h = min(0.34 * hh, canvas.mm(36)), min(0.15 * hh, canvas.mm(12))
    write_name(
        canvas,
        artwork.copy.name,
        (x, y + logo_h + gap, ww, name_h),
        look.name_font,
        artwork.ink,
        align=align,
        most_mm=28 if bare else 16,
    )
    _variant(canvas, artwork, (x, y + logo_h + name_h + 2 * gap, ww, variant_h), align)
    if look.badge not in ("ticks", "pills") or look.plaque == "none":
        _claims(canvas, artwork, hero, words)
    net_h = min(max(canvas.mm(5), 0.035 * h), canvas.mm(9), 0.08 * h)
    net = f"{artwork.net} ℮" if artwork.net.endswith(("g", "l")) else artwork.net
    write(
        canvas,
        net,
        (words[0], 0.965 * h - net_h - 0.02 * min(w, h), w - 2 * words[0], net_h),
        "FiraSans-Bold",
        artwork.ink,
        align=float(_net_right(artwork)),
        least=4.0,
    )
    if artwork.design.flash:
        _flash(canvas, artwork.design.flash, look.picture_seed >> 3, hero)


def _net_right(artwork: Artwork) -> bool:
    """The net contents stand where no claim or ribbon does."""
    if artwork.design.flash and (artwork.look.picture_seed >> 3) % 2:
        return False
    return artwork.look.badge in ("ticks", "pills") or artwork.look.picture_seed % 2 == 0
