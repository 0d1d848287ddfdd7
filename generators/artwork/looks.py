"""Draws a pack design: words, inks, layout, typefaces, codes. Every stream of the design changes only its own part."""

from dataclasses import dataclass, replace

import numpy as np

from ..design import Design, stream
from .addresses import digits, draw_address
from .artwork import Artwork, Look, Press
from .codes import check_digit
from .inks import draw_palette
from .words import BODY, FOOD, goods_for, write_copy


@dataclass(frozen=True)
class Style:
    """A school of pack design: what goes together."""

    grounds: tuple[str, ...]
    heroes: tuple[str, ...]
    logos: tuple[str, ...]
    plaques: tuple[str, ...]
    badges: tuple[str, ...]
    frames: tuple[str, ...]
    variants: tuple[str, ...]
    aligns: tuple[float, ...]
    brand_fonts: tuple[str, ...]
    name_fonts: tuple[str, ...]


LOUD = (
    "LilitaOne",
    "Lobster",
    "FiraSans-Black",
    "BarlowCondensed-BlackItalic",
    "AlfaSlabOne",
    "FiraSans-ExtraBoldItalic",
    "Pacifico",
)
CALM = ("Playfair", "AbrilFatface", "Playfair-Black", "BebasNeue", "FiraSans-Light", "Playfair-Italic")
PLAIN = ("FiraSans-Bold", "FiraSans-Black", "BarlowCondensed-Bold", "Comfortaa", "BebasNeue")
STYLES: dict[str, Style] = {
    "classic": Style(
        ("gradient", "radial", "flat", "block"),
        ("heap", "few", "heap"),
        ("oval", "box", "outlined", "ribbon", "plain"),
        ("none",),
        ("seal", "burst", "pills"),
        ("none", "bars", "none"),
        ("pill", "band", "script"),
        (0.5,),
        LOUD,
        ("FiraSans-Bold", "Playfair-Black", "AlfaSlabOne", "BarlowCondensed-Bold", "Lobster", "Comfortaa"),
    ),
    "block": Style(
        ("block",),
        ("heap", "few"),
        ("plain", "box", "oval", "plain"),
        ("none",),
        ("seal", "pills", "ticks"),
        ("none",),
        ("pill", "band"),
        (0.5, 0.0),
        (*PLAIN, *LOUD),
        PLAIN,
    ),
    "photo": Style(
        ("photo", "photo", "picture"),
        ("close",),
        ("plain", "box", "outlined"),
        ("box", "oval", "label", "strip"),
        ("seal", "burst"),
        ("none", "bars"),
        ("pill", "text"),
        (0.5,),
        (*CALM, *LOUD),
        (*CALM, *PLAIN),
    ),
    "premium": Style(
        ("flat", "pattern", "waves", "gradient"),
        ("few", "none", "heap"),
        ("plain", "emblem", "emblem"),
        ("none", "label", "box"),
        ("pills", "none"),
        ("thin", "double", "none"),
        ("text", "band", "script"),
        (0.5,),
        CALM,
        CALM,
    ),
    "clean": Style(
        ("flat", "gradient"),
        ("few", "heap", "air"),
        ("plain", "box"),
        ("none",),
        ("ticks", "seal"),
        ("none", "bars"),
        ("text", "pill", "band"),
        (0.0, 0.0, 0.5),
        ("Comfortaa", "FiraSans-Black", "Pacifico", "Caveat", "BarlowCondensed-Bold"),
        ("Comfortaa", "FiraSans-Light", "FiraSans-Bold", "Caveat", "Playfair"),
    ),
    "burst": Style(
        ("rays", "rays", "radial"),
        ("air", "few", "heap"),
        ("outlined", "outlined", "ribbon", "oval"),
        ("none",),
        ("burst", "burst", "seal"),
        ("none",),
        ("pill", "band"),
        (0.5,),
        LOUD,
        LOUD,
    ),
    "tech": Style(
        ("gradient", "waves", "flat", "block"),
        ("few", "air"),
        ("plain", "box"),
        ("none",),
        ("ticks", "pills"),
        ("none", "bars"),
        ("text", "pill"),
        (0.0,),
        PLAIN,
        ("FiraSans-Light", "FiraSans-Bold", "BarlowCondensed-Medium"),
    ),
    "pharma": Style(
        ("stripes", "block", "waves"),
        ("none", "few"),
        ("plain", "box"),
        ("none",),
        ("none", "ticks"),
        ("none", "bars"),
        ("text", "band"),
        (0.0, 0.0),
        PLAIN,
        ("FiraSans-Bold", "FiraSans-Black", "Comfortaa"),
    ),
    "type": Style(
        ("flat", "pattern"),
        ("none",),
        ("plain",),
        ("none", "box"),
        ("none", "pills"),
        ("none", "thin"),
        ("text",),
        (0.0, 0.5),
        (*PLAIN, *CALM),
        (*PLAIN, *CALM),
    ),
    "cover": Style(
        ("picture", "picture", "flat", "waves"),
        ("none",),
        ("plain",),
        ("none", "none", "box"),
        ("none", "seal"),
        ("none", "thin"),
        ("text",),
        (0.5, 0.0),
        (*CALM, "BarlowCondensed-Bold"),
        (*CALM, "BebasNeue", "AlfaSlabOne", "Lobster"),
    ),
}
RUNS = ("ground", "ground", "picture", "picture", "belt", "title", *[""] * 6)
"""What runs over folds; on half of the designs all print ends at them."""
LIKELY: dict[int, dict[str, float]] = {
    1: {"classic": 5, "block": 3, "photo": 3, "premium": 2.5, "clean": 2.5, "burst": 2, "type": 0.6},
    2: {"classic": 1.5, "block": 2, "photo": 1, "premium": 2.5, "clean": 4, "burst": 1, "pharma": 1.5, "type": 1},
    3: {"tech": 3, "block": 3, "burst": 2, "classic": 1.5, "clean": 1.5, "type": 1, "pharma": 0.5},
}
SPECIAL = {
    "book": {"cover": 1.0},
    "tablets": {"pharma": 4, "clean": 1, "block": 1},
    "electronics": {"tech": 4, "clean": 1, "type": 1},
    "detergent": {"burst": 4, "classic": 2, "block": 1},
    "crisps": {"burst": 3, "classic": 3, "block": 2, "photo": 1},
    "clothing": {"type": 2, "premium": 2, "clean": 2, "tech": 1},
}


def _one(rng: np.random.Generator, options: tuple) -> str:
    return str(options[int(rng.integers(len(options)))])


def _draw_press(rng: np.random.Generator) -> Press:
    off = rng.random() < 0.4
    shift = rng.normal(0, 0.09, 2) * off
    return Press(
        channel=int(rng.integers(3)),
        shift_mm=(float(np.clip(shift[0], -0.25, 0.25)), float(np.clip(shift[1], -0.25, 0.25))),
        banding=float(rng.uniform(0, 0.02) * (rng.random() < 0.4)),
        gain=float(rng.uniform(0.94, 1.1)),
        fade=float(rng.uniform(0, 0.1) * (rng.random() < 0.35)),
        marks=bool(rng.random() < 0.5),
    )


def _draw_look(rng: np.random.Generator, category: str, story: int) -> Look:
    likely = SPECIAL.get(category, LIKELY[story])
    weights = np.array(list(likely.values()), float)
    style = STYLES[str(rng.choice(list(likely), p=weights / weights.sum()))]
    return Look(
        ground=_one(rng, style.grounds),
        hero=_one(rng, style.heroes),
        logo=_one(rng, style.logos),
        plaque=_one(rng, style.plaques),
        badge=_one(rng, style.badges),
        frame=_one(rng, style.frames),
        variant=_one(rng, style.variants),
        align=float(_one(rng, style.aligns)),
        tilt_deg=float(rng.choice([0, 0, 5, 8, -4])),
        brand_font=_one(rng, style.brand_fonts),
        name_font=_one(rng, style.name_fonts),
        text_font=_one(rng, ("FiraSans-Regular", "FiraSans-Regular", "BarlowCondensed-Medium", "DejaVuSans")),
        picture_seed=int(rng.integers(1 << 30)),
        flank=_one(rng, ("ground", "ground", "ground", "accent", "paper")),
        code_scale=float(rng.uniform(0.82, 1.25)),
        press=_draw_press(rng),
        run=_one(rng, RUNS),
    )


def _with_fonts(look: Look, design: Design) -> Look:
    """A user's typefaces, where there are any, for the brand and the name; small print stays in ours."""
    if not design.fonts:
        return look
    brand, name = (str(design.fonts[(look.picture_seed >> k) % len(design.fonts)]) for k in (9, 17))
    return replace(look, brand_font=brand, name_font=name)


def draw_artwork(design: Design, category: str, *, net: str) -> Artwork:
    """Draw an edition's pack design for goods of a category."""
    design = replace(design, specimen=0)
    words = stream(design, "words")
    goods = goods_for(category)
    copy = write_copy(words, category, net)
    twelve = f"2{words.integers(0, 10)}" + "".join(str(v) for v in words.integers(0, 10, 10))
    country, (_, street, town) = draw_address(words)
    palette = draw_palette(stream(design, "colours"), goods.hues)
    shift, hour, minute = chr(65 + int(words.integers(26))), int(words.integers(0, 24)), int(words.integers(0, 60))
    lot = f"L{digits(words, 4)}{shift} {hour:02d}:{minute:02d}"
    date = f"{int(words.integers(1, 29)):02d}.{int(words.integers(1, 13)):02d}.20{int(words.integers(26, 30))}"
    look = _with_fonts(_draw_look(stream(design, "layout"), category, goods.story), design)
    suffix = {FOOD: "Foods", BODY: "Care"}.get(goods.story, "Works")
    return Artwork(
        category=category,
        brand=copy.brand,
        title=copy.title,
        description=copy.description,
        claims=copy.claims,
        ean=twelve + check_digit(twelve),
        net=net,
        ground=palette.ground,
        accent=palette.accent,
        ink=palette.ink,
        paper=palette.paper,
        design=design,
        copy=copy,
        look=look,
        maker=f"{copy.brand.title() if copy.brand.isupper() else copy.brand} {suffix}, {street}, {town}, {country}",
        lot=lot,
        best_before=date,
    )
