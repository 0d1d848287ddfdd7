"""Printed packs: words that can be set, codes that scan, pictures that are safe to read, panels that stay the same."""

import re
import time
from dataclasses import replace

import numpy as np
import pytest
import scenes
import zxingcpp
from damageland.generators import artwork as package
from damageland.generators.artwork import (
    draw_artwork,
    draw_handwriting,
    draw_shipping_label,
    draw_sticker,
    paint_column,
    paint_panel,
    paint_walls,
    run_of,
)
from damageland.generators.artwork import words as vocabulary
from damageland.generators.artwork.addresses import NOTES, PLACES
from damageland.generators.artwork.codes import check_digit
from damageland.generators.artwork.fonts import (
    FALLBACKS,
    FILES,
    FONTS,
    check_font,
    covers,
    face_for,
    font_file,
)
from damageland.generators.artwork.icons import FOR_GOODS, icon
from damageland.generators.artwork.inks import contrast, readable
from damageland.generators.artwork.pictures import BOWLS, SPLASHES, load_image
from damageland.generators.artwork.scenery import AREAS
from damageland.generators.artwork.things import THINGS
from damageland.generators.design import Design, next_edition
from damageland.generators.mesh import finish_sheet
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.recipe import check_inputs, design_of, make_plan
from damageland.sim.errors import DamagelandError
from damageland.sim.preview import preview_colour
from damageland.sim.scene import Scene
from fontTools.ttLib import TTFont
from PIL import Image

CATEGORIES = sorted(vocabulary.all_goods())
BRIEF = """biscuits, tea, pasta, cereal, soap, rice, crackers, cocoa, batteries, tissues, coffee, crisps, nuts,
chocolate, razors, tablets, toys, shampoo, detergent, jam, pickles, cola, juice, water, beer,
toothpaste, cream, book, cosmetics, candles, electronics, pet food, tinned food, screws, pens,
sweets, sauce, clothing"""
KINDS = ("front", "back", "side", "top", "bottom", "wrap", "spine", "label", "plain")


def design(number: int = 0, **fields) -> Design:
    return Design(seed=5, number=number, family="test", **fields)


def scanned(picture: np.ndarray) -> set[str]:
    return {result.text for result in zxingcpp.read_barcodes(np.ascontiguousarray(picture))}


def test_every_category_has_words_and_pictures():
    """Names in every language, terms that the glossary's other columns share, and pictures that exist."""
    assert {re.sub(r"\s+", " ", c.strip()) for c in BRIEF.split(",")} == set(CATEGORIES)
    for goods in vocabulary.all_goods().values():
        assert len(goods.names) == len(vocabulary.LANGUAGES)
        assert len(goods.nutrition) in (0, len(vocabulary.NUTRIENTS))
        assert {*goods.picture} <= {*THINGS, *AREAS, *BOWLS, *SPLASHES}
    assert all(len(row) == len(vocabulary.LANGUAGES) for row in vocabulary._glossary().values())


def test_all_that_is_printed_has_its_letters():
    """No string of ours contains a letter that neither its face nor a fallback has."""
    texts = {text for row in vocabulary._glossary().values() for text in row} | set(NOTES)
    texts |= {t for goods in vocabulary.all_goods().values() for t in (*goods.names, *goods.nouns, *goods.parts)}
    texts |= {t for names, streets, towns, _ in PLACES.values() for t in (*names, *streets, *towns)}
    for text in texts:
        for font in FILES:
            assert covers(face_for(font, text), text), (text, font)
    assert all(covers(font, "AZaz09 .,%&+-") for font in FONTS)
    assert all(font_file(font).is_file() for font in (*FILES, *FALLBACKS))


def test_brands_are_made_up():
    """None of the well-known names, however the syllables fall."""
    rng = np.random.default_rng(3)
    brands = {vocabulary.brand_name(rng) for _ in range(4000)}
    assert len(brands) > 2500
    assert not {w for b in brands for w in b.lower().split()} & {*vocabulary.name_lists()["real_brands"]}


@pytest.mark.parametrize("number", range(6))
def test_codes_scan_from_a_printed_back(number):
    """EAN-13 with its check digit, and the QR code where there is one, at 6 texels per millimetre."""
    art = draw_artwork(design(number), CATEGORIES[7 * number % len(CATEGORIES)], net="250 g")
    assert art.ean[-1] == check_digit(art.ean[:12])
    assert art.ean[0] == "2"
    found = scanned(paint_panel(art, "back", 660, 900, px_per_mm=6.0))
    assert art.ean in found
    if art.look.picture_seed % 4 != 1:
        assert f"HTTPS://EXAMPLE.COM/{art.ean}" in found


RUNS = ("ground", "picture", "belt", "title")
WALLS = ("front", "side", "back", "side")


def running(run: str, count: int) -> list:
    """Designs of which ``run`` goes over the folds."""
    out = []
    for number in range(400):
        art = draw_artwork(design(number), CATEGORIES[number % len(CATEGORIES)], net="250 g")
        if run_of(art) == run and len(out) < count:
            out.append(replace(art, look=replace(art.look, frame="none")))  # a frame ends at the fold
    assert len(out) == count
    return out


def across_fold(sheet: np.ndarray, column: int) -> tuple[float, float, float]:
    """Mean step over a fold, the largest near it, and how much the last column before it varies."""
    steps = np.abs(np.diff(sheet.astype(float), axis=1)).mean(axis=(0, 2))
    near = max(*steps[column - 12 : column - 2], *steps[column + 1 : column + 12])
    return float(steps[column - 1]), float(near), float(sheet[:, column - 1].astype(float).std(axis=0).max())


@pytest.mark.parametrize("run", RUNS)
def test_print_runs_over_a_fold(run):
    """Texels on both sides of the corner belong to one picture; on designs without a run they do not."""
    steps = []
    for art in running(run, 4):
        sheet = paint_walls(art, WALLS, (300, 130, 300, 130), 420, px_per_mm=3.0)
        lines = slice(0, 40) if run == "belt" else slice(0, 113) if run == "title" else slice(0, 420)
        if run == "picture":  # it lies where the front's picture does: look at the fold where things are
            plain = paint_walls(replace(art, look=replace(art.look, run="")), WALLS, (300, 130, 300, 130), 420,
                                px_per_mm=3.0)  # fmt: skip
            changed = (sheet[:, 296:304].astype(int) - plain[:, 296:304] != 0).any(axis=(1, 2))
            assert changed.sum() > 40
            assert np.abs(sheet[changed, 299].astype(int) - sheet[changed, 300]).mean() < 40
            continue
        step, near, varies = across_fold(sheet[lines], 300)
        steps.append(step < 1.5 * near + 4)
        assert run != "ground" or varies > 3
    assert all(steps)


def test_letters_run_over_a_corner():
    """The title is printed on both sides of the fold: ink of letters is left and right of it."""
    for art in running("title", 4):
        sheet = paint_walls(art, WALLS, (300, 130, 300, 130), 420, px_per_mm=3.0)[:113].astype(int)
        plate = sheet[4:8, 290:310].mean(axis=(0, 1))
        letters = np.abs(sheet - plate).sum(axis=2) > 120
        assert letters[20:95, 240:300].any() and letters[20:95, 300:400].any()


@pytest.mark.parametrize("run", ["", *RUNS])
def test_codes_scan_whatever_runs_over_folds(run):
    """The EAN of the back of a printed sheet of walls, and of a sleeve's back."""
    for art in running(run, 2):
        sheet = paint_walls(art, WALLS, (600, 300, 600, 300), 840, px_per_mm=6.0)
        assert art.ean in scanned(sheet[:, 900:1500])
        assert art.ean in scanned(paint_column(art, ("back",), 600, (840,), px_per_mm=6.0, mirror=True))


def test_a_column_runs_over_its_folds():
    """A sleeve's ribbon or ground goes from the top panel on to the front."""
    for run in ("ground", "belt", "title"):
        for art in running(run, 3):
            sheet = paint_column(art, ("top", "front"), 300, (90, 400), px_per_mm=3.0).transpose(1, 0, 2)
            step, near, _ = across_fold(sheet if run == "ground" else sheet[10:40], 90)
            assert step < 1.5 * near + 4, run


def test_shipping_labels_scan():
    """Both codes of a label, of every layout."""
    for seed in range(8):
        label = draw_shipping_label(np.random.default_rng(seed), 600, 900)
        assert len(scanned(label)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_panels_are_the_same_for_all_pieces_and_read_only(kind):
    """Painted again after the cache is emptied a panel has the same bytes; another specimen has them too."""
    one = paint_panel(draw_artwork(design(4), "tea", net="50 g"), kind, 200, 260, px_per_mm=3.0)
    paint_panel.cache_clear()
    two = paint_panel(draw_artwork(design(4, specimen=9), "tea", net="50 g"), kind, 200, 260, px_per_mm=3.0)
    assert one.shape == (260, 200, 3)
    np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="read-only"):
        one[0] = 0


def test_an_edition_changes_only_its_stream():
    """New colours leave words and layout; a new layout leaves words and, unless drawn, the inks."""
    old = draw_artwork(design(2), "jam", net="340 g")
    inks = draw_artwork(design(2, changed=(("colours", 1),)), "jam", net="340 g")
    assert (old.copy, old.look, old.ean) == (inks.copy, inks.look, inks.ean)
    assert old.ground != inks.ground
    layout = draw_artwork(design(2, changed=(("layout", 1),)), "jam", net="340 g")
    assert (old.copy, old.ground, old.accent) == (layout.copy, layout.ground, layout.accent)
    assert old.look != layout.look
    edition = next_edition(design(2))
    assert old.copy.brand == draw_artwork(edition, "jam", net="340 g").copy.brand


def test_words_can_be_read_on_their_ground():
    """Inks differ enough from the ground, whatever was drawn."""
    for number in range(60):
        art = draw_artwork(design(number), CATEGORIES[number % len(CATEGORIES)], net="1 kg")
        assert contrast(art.ink, art.ground) >= 3.0
        assert contrast(readable(art.accent, art.ground, 4.5), art.ground) >= 4.5


@pytest.mark.parametrize("size", [(16, 16), (400, 20), (20, 400), (37, 90), (900, 120)])
def test_odd_sizes_are_painted(size):
    """No panel is too small, thin or flat."""
    art = draw_artwork(design(1, flash="NEW"), "pens", net="4 pieces")
    for kind in KINDS:
        assert (size[1], size[0], 3) == paint_panel(art, kind, *size, px_per_mm=2.0).shape


def test_users_pictures_are_printed(tmp_path):
    """A plain magenta photograph shows on the front."""
    path = tmp_path / "mine.png"
    Image.new("RGB", (300, 200), (250, 0, 250)).save(path)
    for number in range(5):
        front = paint_panel(
            draw_artwork(design(number, images=(path,)), "rice", net="1 kg"), "front", 300, 400, px_per_mm=3.0
        )
        magenta = (front[..., 0] > 200) & (front[..., 1] < 60) & (front[..., 2] > 200)
        assert magenta.mean() > 0.08


def bomb(path) -> None:
    """A PNG whose header promises 30000 × 30000 pixels."""
    Image.new("1", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (30000).to_bytes(4, "big") * 2
    path.write_bytes(data)


def test_pictures_that_cannot_be_read_are_named(tmp_path):
    """Missing, no picture, cut off, a bomb: one error each, with the file's name."""
    text, short, big, large = (tmp_path / n for n in ("text.png", "short.png", "bomb.png", "large.png"))
    text.write_text("no picture")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)).save(short)
    short.write_bytes(short.read_bytes()[:900])
    bomb(big)
    Image.new("1", (9000, 6000)).save(large)
    for path in (tmp_path / "missing.png", text, short, big, large):
        with pytest.raises(DamagelandError, match=path.name):
            load_image(path)


def test_a_users_typefaces_are_used_and_fall_back():
    """Brand and name are set in a face of the user's; letters that it lacks come from ours, small print always does."""
    face = font_file("PermanentMarker")
    for number in range(4):
        own = draw_artwork(design(number, fonts=(face,)), "tea", net="50 g")
        ours = draw_artwork(design(number), "tea", net="50 g")
        assert own.look.brand_font == own.look.name_font == str(face)
        assert (own.copy, own.look.text_font, own.ground) == (ours.copy, ours.look.text_font, ours.ground)
        fronts = [paint_panel(art, "front", 300, 400, px_per_mm=3.0) for art in (own, ours)]
        assert (fronts[0] != fronts[1]).any(axis=2).mean() > 0.005
    assert face_for(str(face), "Tee") == str(face)
    assert face_for(str(face), "日本茶") == "NotoSansJP"


def test_typefaces_that_cannot_be_read_are_named(tmp_path):
    """Missing, no font, cut off, a font without letters: one error each, with file, expectation and remedy."""
    face = font_file("PermanentMarker")
    check_font(face)
    text, short, empty = (tmp_path / n for n in ("text.ttf", "short.otf", "empty.ttf"))
    text.write_text("no font")
    short.write_bytes(face.read_bytes()[: face.stat().st_size // 3])
    with TTFont(face) as font:
        font["cmap"].tables = []
        font.save(empty)
    for path in (tmp_path / "missing.ttf", text, short, empty):
        with pytest.raises(DamagelandError, match=rf"{path.name}: cannot be read.*TrueType or OpenType.*take it out"):
            check_font(path)


def test_a_recipe_checks_its_typefaces(tmp_path):
    """The folder's files are part of the data set's hash, reach the designs, and a broken one is refused at once."""
    plan = scenes.tiny_plan()
    recipe = plan.recipe.model_copy(update={"fonts": "faces"})
    with pytest.raises(DamagelandError, match="no such folder"):
        make_plan(recipe, plan.booth, folder=tmp_path)
    (tmp_path / "faces").mkdir()
    mine = tmp_path / "faces" / "mine.ttf"
    mine.write_bytes(font_file("PermanentMarker").read_bytes())
    first = make_plan(recipe, plan.booth, folder=tmp_path)
    check_inputs(first)
    assert design_of(first, first.recipe.products[0], 0, 2).fonts == (mine,)
    mine.write_bytes(font_file("Lobster").read_bytes())
    second = make_plan(recipe, plan.booth, folder=tmp_path)
    assert len({plan.recipe_hash, first.recipe_hash, second.recipe_hash}) == 3
    mine.write_bytes(b"broken")
    with pytest.raises(DamagelandError, match=r"mine\.ttf"):
        check_inputs(make_plan(recipe, plan.booth, folder=tmp_path))


def test_stickers_and_handwriting_are_decals():
    """RGBA of the size asked for, partly clear, not empty."""
    for seed in range(6):
        for draw in (draw_sticker, draw_handwriting):
            decal = draw(np.random.default_rng(seed), 180, 120)
            assert ((120, 180, 4), np.uint8) == (decal.shape, decal.dtype)
            assert 0 < (decal[..., 3] > 128).mean() < 1
        assert (draw_handwriting(np.random.default_rng(seed), 180, 120)[..., 3] > 128).mean() < 0.5


def test_products_differ():
    """Forty products: forty fronts, and many brands, styles and inks."""
    arts = [draw_artwork(design(k), "biscuits", net="200 g") for k in range(40)]
    assert len({a.brand for a in arts}) > 35
    assert len({(a.look.ground, a.look.logo, a.look.plaque) for a in arts}) > 12
    assert len({a.ground for a in arts}) > 35
    assert len({paint_panel(a, "front", 60, 80, px_per_mm=1.0).tobytes() for a in arts}) == 40


def test_pictograms_have_ink():
    for names in FOR_GOODS.values():
        for name in (*names, "glass", "up", "umbrella"):
            assert icon(name, 24).mean() > 10


def test_the_public_names_are_there():
    """What families import."""
    for name in ("FONTS", "brand_name", "draw_artwork", "draw_ink", "draw_kraft", "draw_text", "fractal_noise"):
        assert hasattr(package, name)
    text = package.draw_text(np.full((40, 200, 3), 255, np.uint8), "Ωж日", (0, 0, 200, 40), (0, 0, 0), FONTS[0])
    assert text.min() < 60


def test_all_panels_of_a_product_are_painted_quickly():
    """Six panels that fill 2048² take a third of a second on an idle core; twice that is allowed here."""
    spent = []
    for number in range(5):
        art = draw_artwork(replace(design(number + 50), texture_px=2048), CATEGORIES[5 * number], net="250 g")
        start = time.process_time()
        for kind, width, height in (("front", 900, 1300), ("back", 900, 1300), ("side", 340, 1300), ("top", 900, 340)):
            paint_panel(art, kind, width, height, px_per_mm=6.0)
        spent.append(time.process_time() - start)
    assert float(np.median(spent)) < 0.6


def test_the_ean_scans_from_a_rendered_carton():
    """A folding carton with a texture of 2048 pixels, the code's corner of its back seen close by the preview."""
    config, build = FAMILIES["folding_carton"]
    read = []
    for number in range(3):
        product = build("x", config(), Design(seed=5, number=number, family="folding_carton", texture_px=2048))
        part = finish_sheet(product.sheets[0])[0]
        low, high = part.vertices.min(axis=0), part.vertices.max(axis=0)
        wide = 0.62 * max(high[0] - low[0], high[2] - low[2])
        target = np.array([low[0] + wide / 2, high[1], low[2] + wide / 2])
        eye = target + np.array([0.0, wide, 0.0])
        view = scenes.camera(eye, target, size=(640, 640), focal=600.0)
        scene, light = Scene((part,)), np.full((16, 32, 3), 0.7)
        colour = preview_colour([scene], scenes.booth([view], environment=light), samples=2, seed=1)[0]["cam"]
        picture = (np.clip(colour, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
        read.append(product.attributes["ean"] in scanned(picture))
    assert sum(read) >= 2, read
