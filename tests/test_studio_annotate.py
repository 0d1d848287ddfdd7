"""Drawings on photographs, agreement of raters, contact sheets, photographs beside ours."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from damageland.evaluate.folder import read_folder
from damageland.sim.errors import DamagelandError
from damageland.studio.agreement import agree, agreement_text, fleiss_kappa
from damageland.studio.annotate import Drawn, Region, capture_name, load_regions, mask_of, save_drawn
from damageland.studio.beside import histograms, read_depth, read_photo
from damageland.studio.choices import Choices, Step, recipe_of
from damageland.studio.sheets import axis_of, draws, grid, settings_of

SQUARE = Region(
    kind="deformation",
    severity="minor",
    shape="polygon",
    points=((10.0, 10.0), (29.0, 10.0), (29.0, 29.0), (10.0, 29.0)),
)
STROKE = Region(kind="penetration", severity="major", shape="brush", points=((40.0, 20.0), (50.0, 20.0)), radius_px=3.0)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


PHOTO = png(np.full((40, 60, 3), 128, np.uint8))


def drawn(name: str, *regions: Region) -> Drawn:
    return Drawn(name, "photo.PNG", PHOTO, regions, "beans", "metal")


def test_drawing_is_a_real_set(tmp_path: Path):
    """What is drawn reads back as real captures with labels and masks, and as the same regions; the last one counts."""
    save_drawn(tmp_path, "ann", drawn("one", STROKE))
    save_drawn(tmp_path, "ann", drawn("two"))
    own = save_drawn(tmp_path, "ann", drawn("one", SQUARE, STROKE))
    one, two = read_folder(own)
    assert (one.defect, one.major_defect, tuple(one.defect_types)) == (True, True, ("penetration", "deformation"))
    assert (two.defect, two.major_defect, tuple(two.defect_types)) == (False, False, ())
    mask = mask_of((SQUARE, STROKE), 40, 60) > 0
    assert (mask == (one.views[0].damage > 0)).all() and mask[10:30, 10:30].all() and mask[20, 37:54].all()
    assert mask.sum() == 400 + mask[:, 35:].sum() and not mask[16, 40:51].any()
    assert load_regions(tmp_path, "ann", "one") == (SQUARE, STROKE)


@pytest.mark.parametrize(("rater", "name"), [("../x", "one"), ("ann", "../../one"), ("", "one"), ("ann", "a/b")])
def test_names_stay_in_the_folder(tmp_path: Path, rater: str, name: str):
    """A name that leads elsewhere is refused before anything is written."""
    with pytest.raises(DamagelandError, match="lower-case"):
        save_drawn(tmp_path, rater, drawn(name))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert (capture_name("../IMG_0042 (2).JPG"), capture_name("../…")) == ("img-0042-2", "photo")


def test_agreement_is_what_the_books_say(tmp_path: Path):
    """Fleiss' own example gives his figure; equal raters agree fully; overlap and kappa follow from what is drawn."""
    rows = "00 0 0 14;0 2 6 4 2;0 0 3 5 6;0 3 9 2 0;2 2 8 1 1;7 7 0 0 0;3 2 6 3 0;2 5 3 2 2;6 5 2 1 0;0 2 2 3 7"
    table = [[float(v) for v in row.split()] for row in rows.replace("00", "0 0").split(";")]
    assert pytest.approx(0.210, abs=5e-4) == fleiss_kappa(np.array(table))
    with pytest.raises(DamagelandError, match="takes two"):
        agree(tmp_path)
    half = SQUARE.model_copy(update={"points": ((10.0, 10.0), (19.0, 10.0), (19.0, 29.0), (10.0, 29.0))})
    for name, region in (("a", SQUARE), ("b", SQUARE), ("c", half)):
        save_drawn(tmp_path, name, drawn("one", region))
        save_drawn(tmp_path, name, drawn("two", *([STROKE] if name == "c" else [])))
    found = agree(tmp_path)
    assert found.pairs["a", "b"] == (2, 1.0, 1.0)
    count, kappa, overlap = found.pairs["a", "c"]
    assert (count, overlap) == (2, pytest.approx(0.25)) and kappa < 1  # halves of "one", none of "two"
    assert found.fleiss < 1 and "| a, b | 2 | 1.00 | 1.00 |" in agreement_text(found)


def test_grids_and_draws_change_what_they_say():
    """A grid takes every combination, each a recipe that says so; draws differ in place and strength, and repeat."""
    choices = Choices(steps=(Step(generator="hole"), Step(generator="scuff")))
    names = settings_of(choices)
    assert {"hole: strength", "hole: slits", "scuff: forms dirt"} <= set(names)
    axes = [axis_of(choices, "hole: strength", 0.2, 0.8, 3), axis_of(choices, "hole: slits", 3, 5, 2)]
    cells = grid(choices, axes)
    recipes = [recipe_of(cell) for _, cell in cells]
    assert [(s, n) for s in (0.2, 0.5, 0.8) for n in (3, 5)] == [
        (recipe.damages[0].strength[0], recipe.damages[0].config["slits"][1]) for recipe in recipes
    ]
    assert cells[0][0] == "hole strength 0.2, hole slits 3"
    drawn_now = draws(choices, 6, (0.2, 0.4))
    strengths = [recipe_of(cell).damages[0].strength[0] for _, cell in drawn_now]
    assert all(0.2 <= s <= 0.4 for s in strengths) and len(set(strengths)) == 6
    assert drawn_now == draws(choices, 6, (0.2, 0.4))
    for bad in (
        lambda: axis_of(choices, "hole: strength", 0.8, 0.2, 3),
        lambda: axis_of(choices, "crush: strength", 0.2, 0.8, 3),
        lambda: draws(choices, 6, (0.4, 0.2)),
        lambda: draws(Choices(steps=()), 6, (0.2, 0.4)),
        lambda: grid(choices, [axis_of(choices, "hole: strength", 0, 1, 65)]),
    ):
        with pytest.raises(DamagelandError):
            bad()


def test_photographs_that_cannot_be_read_are_refused():
    """A photograph and its depth come back as they were written; anything else is one clear error."""
    picture = np.random.default_rng(0).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    assert (picture == read_photo("a.png", png(picture[..., ::-1]))).all()
    steps = np.array([[0, 5000], [1, 65535]], np.uint16)
    assert (steps / 10 == read_depth("d.png", png(steps))).all()
    assert (720, 512) > histograms(picture, picture, np.ones((5, 7)), steps / 10).shape[:2] > (100, 100)
    for read, data in ((read_photo, b"no picture"), (read_photo, b""), (read_photo, PHOTO[:30]), (read_depth, PHOTO)):
        with pytest.raises(DamagelandError, match=r"x\.png: .*[Ee]xpected"):
            read("x.png", data)
