"""The other panels: back, sides, top, bottom, spine, and a wrap round a body."""

from .artwork import Artwork
from .canvas import Box, Canvas, fill, ground_at, paragraph, put_code, window, write
from .codes import EAN_MODULES, EAN_QUIET, dot_matrix, draw_ean, draw_qr, ean_module_px, qr_modules_across
from .fonts import blend, text_mask
from .front import draw_logo, front, write_name
from .grounds import paint_flank, paint_ground, paint_things
from .icons import FOR_GOODS, icon
from .inks import BLACK, WHITE, Ink, readable, tint
from .words import STORIES, goods_for, say

SMALL_MM = 1.55
"""Height of a capital in small print."""


def place_ean(canvas: Canvas, artwork: Artwork, room: Box) -> Box:
    """The EAN in the lower right corner of a room; returns where it is."""
    x, y, w, h = room
    module = ean_module_px(canvas.px_per_mm, w, artwork.look.code_scale)
    wide = module * (EAN_MODULES + sum(EAN_QUIET))
    tall = int(min(h, max(canvas.mm(22.85 * artwork.look.code_scale) * 0.75, 40 * module)))
    if wide > w or tall < 24 * module:
        return x + w, y + h, 0, 0
    left, top = int(x + w - wide), int(y + h - tall)
    put_code(canvas, draw_ean(artwork.ean, module, tall), left, top)
    return left, top, wide, tall


def place_qr(canvas: Canvas, artwork: Artwork, room: Box) -> Box:
    """A QR code in the lower left corner of a room."""
    x, y, w, h = room
    content = f"HTTPS://EXAMPLE.COM/{artwork.ean}"
    across = qr_modules_across(content)
    module = min(max(round(0.5 * canvas.px_per_mm), 1), int(min(w, h) // across))
    if module < 1:
        return x, y + h, 0, 0
    side = module * across
    put_code(canvas, draw_qr(content, module), int(x), int(y + h - side))
    return int(x), int(y + h - side), side, side


def print_date(canvas: Canvas, artwork: Artwork, box: Box, *, dots: bool = True) -> None:
    """Best-before date and lot as the filling line's coder prints them."""
    x, y, w, h = box
    lines = [artwork.best_before, artwork.lot] if goods_for(artwork.category).story == 1 else [artwork.lot]
    pitch = h / len(lines)
    ground, _ = ground_at(canvas, box)
    for k, text in enumerate(lines):
        size = max(round(min(0.75 * pitch, canvas.mm(3.0), 1.1 * w / len(text))), 5)
        mask = dot_matrix(text, size) if dots else text_mask(text, "DejaVuSansMono-Bold", size)[0]
        blend(canvas.art, mask[:, : max(int(w), 1)], round(x), round(y + k * pitch), readable(BLACK, ground, 4.5), 0.9)


def pictograms(canvas: Canvas, artwork: Artwork, box: Box) -> None:
    """A row of pictograms."""
    x, y, w, h = box
    ground, _ = ground_at(canvas, box)
    at = x
    for name in FOR_GOODS[goods_for(artwork.category).story]:
        mask = icon(name, max(round(h), 4))
        if at + mask.shape[1] > x + w:
            return
        blend(canvas.art, mask, round(at), round(y + (h - mask.shape[0]) / 2), readable(artwork.ink, ground, 4.0))
        at += mask.shape[1] + 0.35 * h


def nutrition_table(canvas: Canvas, artwork: Artwork, box: Box, ink: Ink, *, stretch: bool = False) -> float:
    """The table with its lines; returns the y below it."""
    x, y, w, h = box
    rows = artwork.copy.nutrition
    pitch = canvas.mm(SMALL_MM) / 0.7 * 1.35
    if not rows or w < canvas.mm(26) or h < 5 * pitch:
        return y
    rows = rows[: int(h // pitch)]
    grow = min(max(h / (pitch * len(rows)), 1.0), w / canvas.mm(42), 1.7) if stretch else 1.0
    pitch, size = pitch * max(grow, 1.0), SMALL_MM * max(grow, 1.0)
    line = max(round(canvas.mm(0.18)), 1)
    for k, (name, value) in enumerate(rows):
        top = y + k * pitch
        font = "FiraSans-Bold" if k == 0 else artwork.look.text_font
        inset = canvas.mm(1.8) if k in (3, 5) else canvas.mm(0.8)
        write(
            canvas,
            name,
            (x + inset, top + 0.16 * pitch, 0.64 * w - inset, 0.68 * pitch),
            font,
            ink,
            align=0,
            most_mm=size,
            least=4,
        )
        write(
            canvas,
            value,
            (x + 0.62 * w, top + 0.16 * pitch, 0.36 * w, 0.68 * pitch),
            font,
            ink,
            align=1,
            most_mm=size,
            least=4,
        )
        fill(canvas, (x, top + pitch - line, w, max(line, 2)), ink, opacity=0.8)
    bottom = y + len(rows) * pitch
    fill(canvas, (x, y - line, w, bottom - y + 2 * line), ink, line=line)
    return bottom


def _letter_mm(canvas: Canvas, artwork: Artwork, w: float, h: float, table: bool) -> float:
    """Letters as large as the room allows, within what small print has."""
    copy = artwork.copy
    length = sum(len(t) for _, t in (*copy.parts, *copy.warnings)) + len(artwork.maker) + 60 * len(copy.languages)
    taken = canvas.mm(SMALL_MM) / 0.7 * 1.35 * len(copy.nutrition) * table
    per_mm2 = length * 1.3 * 0.8 / 0.49  # area of a letter is about 0.55 × 1.25 of its size squared, with short lines
    return min(max((max(h - taken, 1) * w / canvas.px_per_mm**2 / per_mm2) ** 0.5, SMALL_MM), 2.6)


def small_print(canvas: Canvas, artwork: Artwork, box: Box, ink: Ink, *, table: bool = True) -> float:
    """Ingredients in every language, table, storage, address; flows down a column. Returns the next y."""
    x, y, w, h = box
    end, copy, font = y + h, artwork.copy, artwork.look.text_font
    size = _letter_mm(canvas, artwork, w, h, table)
    gap = canvas.mm(1.6)
    for k, (language, text) in enumerate(copy.parts):
        mark = f"{language.upper()}  " if len(copy.parts) > 1 else ""
        y = paragraph(canvas, mark + text, (x, y, w, end - y), font, size, ink) + gap
        if k == 0 and table:
            bottom = nutrition_table(canvas, artwork, (x, y, min(w, canvas.mm(75)), end - y), ink)
            y = bottom + gap if bottom > y else y
    for language in copy.languages[1:]:
        said = say(STORIES[goods_for(artwork.category).story], language)
        y = paragraph(canvas, said, (x, y, w, end - y), font, size, ink) + 0.5 * gap
    for _, text in copy.warnings:
        y = paragraph(canvas, text, (x, y, w, end - y), font, size, ink) + 0.5 * gap
    return paragraph(canvas, artwork.maker, (x, y + 0.5 * gap, w, end - y), font, size, ink) + gap


def _info_plate(canvas: Canvas, artwork: Artwork, box: Box) -> Ink:
    """A quiet field under small print where the ground is not one; returns the ink for it."""
    ground, uneven = ground_at(canvas, box)
    if uneven > 14 or artwork.look.picture_seed % 3 == 0:
        plate = artwork.paper if uneven > 14 or artwork.look.picture_seed % 2 else tint(artwork.ground, WHITE, 0.8)
        fill(canvas, box, plate, radius=canvas.mm(2), opacity=0.94 if uneven > 14 else 1)
        ground = plate
    return readable(artwork.ink, ground, 4.5)


def back(canvas: Canvas, artwork: Artwork, *, ground: bool = True) -> None:
    """Story, small print in a column or two, pictograms, date, QR and EAN."""
    w, h = canvas.width, canvas.height
    if ground:
        paint_flank(canvas, artwork)
    if min(w, h) < 40:
        return
    m = max(0.06 * min(w, h), canvas.mm(3))
    head = min(0.13 * h, canvas.mm(20))
    name = (m, m + head, w - 2 * m, min(0.07 * h, canvas.mm(9)))
    if ground and artwork.look.flank == "paper":
        fill(canvas, (0, 0, w, name[1] + name[3] + 0.2 * m), artwork.ground)
    draw_logo(canvas, artwork, (m, m * 0.7, w - 2 * m, head), align=artwork.look.align)
    write_name(
        canvas, artwork.copy.name, name, artwork.look.name_font, artwork.ink, align=artwork.look.align, most_mm=5
    )
    plate = (0.6 * m, name[1] + name[3] + 0.4 * m, w - 1.2 * m, h - name[1] - name[3] - 1.0 * m)
    ink = _info_plate(canvas, artwork, plate)
    x, y, pw, ph = plate[0] + 0.4 * m, plate[1] + 0.5 * m, plate[2] - 0.8 * m, plate[3] - 0.9 * m
    foot = (x, y + 0.55 * ph, pw, 0.45 * ph)
    ean = place_ean(canvas, artwork, foot if pw > ph * 0.5 else (x, y + 0.5 * ph, pw, 0.5 * ph))
    low = y + ph
    strip = ean[1] if ean[2] else low
    free = ean[0] - x - m if ean[2] else pw
    side = canvas.mm(6)
    strip -= side + canvas.mm(2)
    pictograms(canvas, artwork, (x, strip, 0.62 * pw, side))
    print_date(canvas, artwork, (x + 0.66 * pw, strip, 0.34 * pw, side))
    if free > canvas.mm(10) and artwork.look.picture_seed % 4 != 1:
        place_qr(canvas, artwork, (x, strip + side + canvas.mm(2), free, low - strip - side - canvas.mm(2)))
    room = strip - y - canvas.mm(2)
    lead = canvas.mm(2.1) / 0.7 * 1.25
    y2 = paragraph(canvas, artwork.copy.story, (x, y, pw, min(room, 4 * lead)), "FiraSans-Bold", 2.1, ink) + canvas.mm(
        1.5
    )
    if pw > canvas.mm(95) and artwork.copy.nutrition:
        half = (pw - 1.5 * m) / 2
        left = (x + half + 1.5 * m, y2, half, room - (y2 - y))
        end = nutrition_table(canvas, artwork, left, ink, stretch=True)
        end = max(end, small_print(canvas, artwork, (x, y2, half, room - (y2 - y)), ink, table=False))
    else:
        end = small_print(canvas, artwork, (x, y2, pw, room - (y2 - y)), ink)
    rest = y + room - end
    if rest > canvas.mm(16) and artwork.look.hero not in ("none", "close"):
        paint_things(canvas, artwork, (x, end, pw, rest))


def side(canvas: Canvas, artwork: Artwork, *, ground: bool = True) -> None:
    """A narrow panel: logo, name, table or texts, pictograms."""
    w, h = canvas.width, canvas.height
    if ground:
        paint_flank(canvas, artwork)
    if min(w, h) < 24:
        return
    m = max(0.07 * min(w, h), canvas.mm(2))
    if w > 2.2 * h:
        draw_logo(canvas, artwork, (m, m, 0.32 * w, h - 2 * m), align=0.0)
        write_name(
            canvas,
            artwork.copy.name,
            (0.38 * w, m, 0.3 * w, 0.5 * h),
            artwork.look.name_font,
            artwork.ink,
            align=0.0,
            most_mm=7,
        )
        write(
            canvas,
            artwork.copy.variant,
            (0.38 * w, 0.62 * h, 0.3 * w, 0.22 * h),
            "FiraSans-Bold",
            artwork.accent,
            align=0.0,
            most_mm=5,
        )
        ink = readable(artwork.ink, ground_at(canvas, (0.7 * w, m, 0.28 * w, h - 2 * m))[0], 4.5)
        small_print(canvas, artwork, (0.7 * w, m, 0.3 * w - m, h - 2 * m), ink, table=False)
        return
    head = min(0.16 * h, canvas.mm(22), 0.6 * w)
    draw_logo(canvas, artwork, (m, m, w - 2 * m, head))
    y = m + head + 0.3 * m
    name_h = min(0.1 * h, canvas.mm(12))
    write_name(
        canvas, artwork.copy.name, (m, y, w - 2 * m, name_h), artwork.look.name_font, artwork.ink, align=0.5, most_mm=5
    )
    write(
        canvas,
        artwork.copy.variant,
        (m, y + name_h, w - 2 * m, 0.5 * name_h),
        "FiraSans-Bold",
        artwork.accent,
        most_mm=3,
    )
    y += 1.7 * name_h
    plate = (0.5 * m, y, w - m, h - y - 0.5 * m)
    ink = _info_plate(canvas, artwork, plate)
    inner = (m, y + 0.5 * m, w - 2 * m, h - y - 1.5 * m - canvas.mm(6))
    end = small_print(canvas, artwork, inner, ink)
    marks = canvas.mm(6)
    pictograms(canvas, artwork, (m, min(max(end, 0.8 * h), h - marks - m), w - 2 * m, marks))


def end_panel(canvas: Canvas, artwork: Artwork, *, top: bool, ground: bool = True) -> None:
    """Top: the brand once more; bottom: date, lot, pictograms."""
    w, h = canvas.width, canvas.height
    if ground:
        paint_flank(canvas, artwork)
    if min(w, h) < 20:
        return
    m = max(0.1 * min(w, h), canvas.mm(2))
    if top:
        draw_logo(canvas, artwork, (m, m, w - 2 * m, 0.52 * h - m))
        write_name(
            canvas,
            artwork.copy.name,
            (m, 0.56 * h, w - 2 * m, 0.2 * h),
            artwork.look.name_font,
            artwork.ink,
            align=0.5,
            most_mm=6,
        )
        write(
            canvas, artwork.copy.variant, (m, 0.79 * h, w - 2 * m, 0.13 * h), "FiraSans-Bold", artwork.accent, most_mm=4
        )
        return
    fill(canvas, (0.3 * w, 0.3 * h, 0.4 * w, 0.4 * h), artwork.paper, radius=canvas.mm(1))
    print_date(canvas, artwork, (0.33 * w, 0.34 * h, 0.35 * w, 0.32 * h))
    pictograms(canvas, artwork, (m, h - m - canvas.mm(5), w - 2 * m, canvas.mm(5)))
    if artwork.look.press.marks:
        press_marks(canvas, artwork)


def press_marks(canvas: Canvas, artwork: Artwork) -> None:
    """A strip of the press's inks and a register cross at the glue flap's edge."""
    size = max(canvas.mm(2.2), 3)
    inks: tuple[Ink, ...] = ((0, 160, 220), (225, 0, 125), (252, 225, 0), BLACK, artwork.ground, artwork.accent)
    for k, ink in enumerate(inks):
        fill(canvas, (canvas.mm(2) + k * 1.15 * size, canvas.mm(0.8), size, size), ink)
    x, y = canvas.width - canvas.mm(5), canvas.mm(3)
    line = max(round(canvas.mm(0.2)), 1)
    fill(canvas, (x - size, y, 2 * size, max(line, 2)), BLACK)
    fill(canvas, (x, y - size, max(line, 2), 2 * size), BLACK)


def spine(canvas: Canvas, artwork: Artwork) -> None:
    """A narrow back: the words run along it."""
    w, h = canvas.width, canvas.height
    paint_flank(canvas, artwork)
    if h > w:
        upright = Canvas(canvas.art.transpose(1, 0, 2)[::-1].copy(), canvas.px_per_mm)
        _along(upright, artwork)
        canvas.art[:] = upright.art[::-1].transpose(1, 0, 2)
    else:
        _along(canvas, artwork)


def _along(canvas: Canvas, artwork: Artwork) -> None:
    w, h = canvas.width, canvas.height
    write(
        canvas,
        artwork.copy.name,
        (0.06 * w, 0.2 * h, 0.52 * w, 0.6 * h),
        artwork.look.name_font,
        artwork.ink,
        align=0.0,
        most_mm=12,
    )
    write(
        canvas,
        artwork.brand,
        (0.64 * w, 0.28 * h, 0.3 * w, 0.44 * h),
        artwork.look.brand_font,
        artwork.accent,
        align=1.0,
        most_mm=9,
    )


def wrap(canvas: Canvas, artwork: Artwork) -> None:
    """Round a body: small print, the front in the middle, back."""
    w, h = canvas.width, canvas.height
    paint_ground(canvas, artwork)
    middle = min(0.42 * w, max(0.32 * w, 1.1 * h))
    left = (w - middle) / 2
    front(
        window(canvas, (left, 0, middle, h)),
        artwork,
        ground=artwork.look.ground in ("rays", "photo", "picture", "radial"),
    )
    if artwork.look.ground in ("rays", "photo", "picture", "radial"):
        for box in ((0, 0, left, h), (left + middle, 0, w - left - middle, h)):
            paint_flank(window(canvas, box), artwork)
    pad = 0.02 * w
    back(window(canvas, (left + middle + pad, 0, left - 2 * pad, h)), artwork, ground=False)
    _wrap_left(window(canvas, (pad, 0, left - 2 * pad, h)), artwork)


def _wrap_left(canvas: Canvas, artwork: Artwork) -> None:
    w, h = canvas.width, canvas.height
    m = 0.06 * min(w, h)
    write(
        canvas,
        artwork.copy.variant,
        (m, 0.05 * h, w - 2 * m, 0.08 * h),
        artwork.look.name_font,
        artwork.accent,
        most_mm=6,
    )
    plate = (m, 0.16 * h, w - 2 * m, 0.62 * h)
    ink = _info_plate(canvas, artwork, plate)
    nutrition_table(
        canvas, artwork, (plate[0] + m, plate[1] + m, plate[2] - 2 * m, plate[3] - 2 * m), ink, stretch=True
    )
    if not artwork.copy.nutrition:
        small_print(canvas, artwork, (plate[0] + m, plate[1] + m, plate[2] - 2 * m, plate[3] - 2 * m), ink)
    pictograms(canvas, artwork, (m, 0.82 * h, w - 2 * m, min(canvas.mm(7), 0.12 * h)))
