"""Which product a capture shows, and that strangers are called unknown."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from boxes import blind, box_capture
from damageland.sim.capture import Capture
from damageland.sim.errors import DamagelandError
from damageland.sim.files import write_picture
from damageland.sim.shards import shard_path, write_shard
from damageland.studio.identify import identify_set, measure, write_names
from damageland.train.gallery import Gallery, add_references
from damageland.train.identify import Finder, choose_unknown, enrol_gallery, identify, make_eye, score_products
from damageland.train.references import ReferenceBook

PRODUCTS = [f"p{k}" for k in range(4)]


def _references(products=PRODUCTS) -> list[Capture]:
    return [box_capture(k, product=name, role="reference") for name in products for k in (900, 901)]


@pytest.fixture(scope="module")
def gallery():
    return enrol_gallery(_references())


def _query(product: str, number: int = 7) -> Capture:
    return replace(box_capture(number, product=product, blot=True), item_identifier=None)


def test_boxes_are_named_and_a_stranger_is_not(gallery):
    """Damaged boxes in other poses get their own product's name; a box of no product in the gallery gets none."""
    limit = choose_unknown(gallery).value
    for name in PRODUCTS:
        found = identify(gallery, _query(name), limit)
        assert f"train-{name}" == found.candidates[0][0] == found.item_identifier
        assert [s for _, s in found.candidates] == sorted((s for _, s in found.candidates), reverse=True)
    assert identify(gallery, _query("stranger"), limit).item_identifier is None


def test_true_masks_and_names_are_not_looked_at(gallery):
    """A capture's own labels change no score: nobody has them when the bar code cannot be read."""
    capture = box_capture(7, product="p1", blot=True)
    bare = tuple(replace(view, item=None, part=None, damage=None) for view in capture.views)
    hidden = replace(capture, views=bare, item_identifier=None, T_world_item=None, reference_ids=())
    np.testing.assert_array_equal(score_products(gallery, capture), score_products(gallery, hidden))


def test_a_capture_is_no_reference_of_its_own(gallery):
    """The very picture in the gallery is left out when it is asked about, so leave-one-out means what it says."""
    twice = box_capture(900, product="p0", role="reference")
    other = replace(twice, capture_id="another-name")
    assert score_products(gallery, other)[0] > score_products(gallery, twice)[0]


def test_plain_patches_name_boxes_too():
    """Any backbone of the nearest-patch model serves, with the same interface."""
    enrolled = enrol_gallery(_references(PRODUCTS[:3]), make_eye("plain"))
    assert identify(enrolled, _query("p2"), -np.inf).candidates[0][0] == "train-p2"


def test_the_reference_branch_finds_its_gallery():
    """Without an identifier, references are those of the product that is recognised; an unknown one has none."""
    book = ReferenceBook.of(_references())
    find = Finder(book)
    assert book.by_product["train-p3"] == find(_query("p3"))
    assert book.by_product["train-p3"] == find(box_capture(7, product="p3"))
    assert find(_query("stranger")) == ()
    assert find(replace(_query("p3"), origin="real")) == ()


def test_sets_and_galleries_are_read_and_measured(tmp_path):
    """A data set against its own references and against a living gallery gives the same names, and a table of them."""
    queries = [box_capture(20 + k, product=name) for k, name in enumerate(PRODUCTS)]
    (tmp_path / "set").mkdir()
    write_shard(shard_path(tmp_path / "set", 0), [*_references(), *queries])
    add_references(Gallery(tmp_path / "gallery"), _references())
    eye = make_eye("colours")
    own = identify_set(str(tmp_path / "set"), None, eye=eye, progress=False)
    living = identify_set(str(tmp_path / "set"), str(tmp_path / "gallery"), eye=eye, progress=False)
    assert [row.item_identifier for row in own.rows] == [row.item_identifier for row in living.rows]
    told = measure(own)
    right = np.mean([row.candidates[0][0] == name for row, name in zip(own.rows, own.truth, strict=True)])
    assert told is not None and (right, 1.0, 4) == (told.top1.value, told.top5.value, told.captures)
    write_names(tmp_path / "names.csv", own.rows)
    lines = (tmp_path / "names.csv").read_text().splitlines()
    assert lines[0].startswith("capture_id,item_identifier,candidate_1,score_1")
    assert [row.capture_id for row in own.rows] == [line.split(",")[0] for line in lines[1:]]


def test_photographs_without_references_are_held_against_each_other(tmp_path):
    """Sound photographs of known products name each other; the threshold of each product comes from the other half."""
    lines = ["capture_id,item_identifier,item_material,defect,major_defect,defect_types,query_image"]
    for name in PRODUCTS[:4]:
        for k in range(3):
            view = blind(box_capture(30 + k, product=name)).views[0]
            picture = cv2.resize(view.rgb, (200, 200), interpolation=cv2.INTER_CUBIC)
            write_picture(tmp_path / f"{name}-{k}.png", picture)
            lines.append(f"{name}-{k},{name},cardboard,False,False,,{name}-{k}.png")
    (tmp_path / "query.csv").write_text("\n".join(lines) + "\n")
    found = identify_set(str(tmp_path), None, eye=make_eye("colours"), progress=False)
    assert found.own_gallery and len(found.rows) == 12
    limit = dict(zip(found.truth, found.limits, strict=True))
    assert len({*limit.values()}) == 2


@pytest.mark.parametrize(("change", "words"), [("defect", "holds no references"), ("single", "takes two or more")])
def test_galleries_that_cannot_serve_are_refused(tmp_path, change, words):
    """A gallery without references, or of one product, is one clear error."""
    captures = [box_capture(1, blot=True)] if change == "defect" else _references(PRODUCTS[:1])
    write_shard(shard_path(tmp_path, 0), captures)
    with pytest.raises(DamagelandError, match=words):
        identify_set(str(tmp_path), None, eye=make_eye(), progress=False)
