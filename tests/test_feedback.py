"""Which packaging breaks how: counted rightly, placed rightly on the unfolded package, and bad input refused."""

import shutil
import zlib
from dataclasses import replace

import numpy as np
import pytest
from boxes import SIZE_M, box_capture
from damageland.sim.capture import Capture, Damage, pose_rows
from damageland.sim.errors import DamagelandError
from damageland.sim.manifest import manifest_rows, manifest_table, write_manifest
from damageland.sim.shards import shard_path, write_shard
from damageland.studio.feedback import collect, wilson
from damageland.studio.feedback_page import box_net, render_page, round_net
from damageland.studio.feedback_sites import BOX_FACES, CELLS, ROUND_FACES, count_cells, unfold

BOX_MM = tuple(1000 * SIZE_M)


def _standing(capture: Capture, family: str, severity: str | None) -> Capture:
    """A drawn box as a product of ours: it stands on z = 0 of its frame, and its catalogue has its size."""
    T = np.array(capture.T_world_item)
    T[:3, 3] -= T[:3, 2] * SIZE_M[2] / 2
    marks = {view.camera: 0.5 for view in capture.views}
    damages = (Damage("superficial", "scuff", {}, {"area_mm2": 90.0}, severity, False, marks),) if severity else ()
    attributes = {"family": family, "dimensions_mm": BOX_MM}
    return replace(
        capture, attributes=attributes, damages=damages, T_world_item=pose_rows(T), item_material="cardboard"
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two families; every carton is damaged on top, one of them badly, and no sleeve is."""
    folder = tmp_path_factory.mktemp("set")
    captures = []
    for k in range(4):
        severity = "major" if k == 0 else "minor"
        captures.append(_standing(box_capture(k, product=f"c{k}", blot=True), "folding_carton", severity))
        captures.append(_standing(box_capture(k, product=f"c{k}", role="twin"), "folding_carton", None))
        captures.append(_standing(box_capture(10 + k, product=f"s{k}"), "sleeve_set", None))
    write_shard(shard_path(folder, 0), captures)
    write_manifest(folder, manifest_table(manifest_rows(folder)))
    return folder


def test_items_are_counted_by_part_with_wilsons_interval(data):
    """Twins do not count; shares are hits over items, and the interval is Wilson's formula."""
    found = collect(str(data))
    lines = {line.name: line for line in found.parts["Packaging family"]}
    carton, sleeve = lines["folding_carton"], lines["sleeve_set"]
    assert (carton.items, carton.damaged, sleeve.items, sleeve.damaged) == (4, 4, 4, 0)
    assert (carton.major.value, carton.minor.value) == (0.25, 0.75)
    z, n, p = 1.959964, 8, 0.5
    middle, half = (
        (p + z * z / 2 / n) / (1 + z * z / n),
        z * np.sqrt(p * (1 - p) / n + z * z / 4 / n**2) / (1 + z * z / n),
    )
    rate = found.total.rate
    np.testing.assert_allclose((rate.low, rate.high), (middle - half, middle + half), atol=1e-6)
    assert [(kind, hits) for kind, hits, _ in found.kinds["folding_carton"]] == [("superficial", 4)]
    assert wilson(0, 0).value is None


def test_damage_lies_on_the_unfolded_top_where_it_was_put(data):
    """All blots lie on top: no other face is damaged, each capture's cells are where its blot was drawn."""
    heat = collect(str(data)).heat["folding_carton"]
    assert {name: hits for name, hits in heat.face_damaged.items() if hits} == {"top": 4}
    assert heat.captures == 4 and heat.face_seen["top"] == 4
    expected = np.zeros((CELLS, CELLS), bool)
    for k in range(4):
        # As tests/boxes.py draws it, after the pose.
        rng = np.random.default_rng([k, 0, zlib.crc32(b"box")])
        rng.uniform(0, 2 * np.pi), rng.uniform(-0.02, 0.02, 2)
        x, y = rng.uniform(-0.3, 0.3, 2) + 0.5
        expected[int((1 - y) * CELLS), int(x * CELLS)] = True
    assert (heat.damaged["top"][expected] > 0).all()
    assert (heat.damaged["top"] > 0).sum() < 0.4 * CELLS**2


@pytest.mark.parametrize(
    ("faces", "point", "face", "place"),
    [
        (BOX_FACES, (0, -1, 1), "front", (0.5, 0.5)),
        (BOX_FACES, (1, -0.5, 1), "right", (0.25, 0.5)),
        (BOX_FACES, (0.5, 1, 1.5), "back", (0.25, 0.75)),
        (BOX_FACES, (-1, 0.5, 1), "left", (0.25, 0.5)),
        (BOX_FACES, (0.5, 0.5, 2), "top", (0.75, 0.75)),
        (BOX_FACES, (0.5, 0.5, 0), "bottom", (0.75, 0.25)),
        (ROUND_FACES, (0, -1, 1), "side", (0.5, 0.5)),
        (ROUND_FACES, (1, 0, 1.5), "side", (0.75, 0.75)),
        (ROUND_FACES, (0.2, 0, 2), "top", (0.6, 0.5)),
    ],
)
def test_points_unfold_as_the_faces_are_seen_from_outside(faces, point, face, place):
    """On a box of side 2 that stands on z = 0: front on -y, right on +x, the top's upper edge at the back."""
    found, at = unfold(np.array([point], float), np.full(3, 2.0), faces)
    assert face == faces[found[0]]
    np.testing.assert_allclose(at[0], place, atol=1e-9)
    assert count_cells(found, at, faces)[face].sum() == 1


def test_nets_fit_together():
    """Faces of a net share whole edges and do not overlap."""
    net = box_net((100, 60, 80))
    assert net["front"][0] + net["front"][2] == net["right"][0] and net["front"][3] == net["right"][3]
    assert net["top"][1] == net["front"][1] + net["front"][3] and net["top"][2] == net["front"][2]
    assert round_net((50, 50, 90))["side"][2] == pytest.approx(50 * np.pi)


def test_cost_is_the_prices_times_the_shares_and_lies_in_its_interval(data, tmp_path):
    """A price of its own for a family replaces the general one; the interval holds the value."""
    prices = tmp_path / "prices.yaml"
    prices.write_text("{minor: 1, major: 10, families: {sleeve_set: {minor: 100, major: 100}}}")
    total = collect(str(data), prices=prices).total
    assert total.cost.value == pytest.approx(1000 * (3 / 8 * 1 + 1 / 8 * 10))
    assert total.cost.low < total.cost.value < total.cost.high


def test_a_manifest_alone_and_predictions_give_a_page(data, tmp_path):
    """From the table alone all but the sites is there; verdicts of a model replace the labels."""
    alone = collect(str(data / "manifest.parquet"))
    assert collect(str(data)).parts == alone.parts == collect(str(data / "manifest.csv")).parts
    assert not alone.heat and "Sites are not shown" in render_page(alone)
    names = [item.capture_id for item in alone.items]
    table = tmp_path / "mine.csv"
    table.write_text("capture_id,pred\n" + "".join(f"{name},{k / 10}\n" for k, name in enumerate(names)))
    verdicts = collect(str(data), predictions=table, threshold=0.55)
    assert {name for k, name in enumerate(names) if k > 5} == {i.capture_id for i in verdicts.items if i.damaged}


def test_the_page_is_whole_and_escapes_what_comes_from_outside(data):
    """One file: pictures inside, no address, no script, and a hostile family's name is text."""
    found = collect(str(data))
    hostile = replace(found, source="<script>alert(1)</script>")
    page = render_page(hostile)
    assert "<svg" in page and "http" not in page.replace("http-equiv", "") and "<script>" not in page
    assert page == render_page(hostile)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no such", "is not a folder"),
        ("garbled", "cannot be read|readable"),
        ("other table", "lacks the columns"),
        ("half", "go together"),
        ("stranger", "are not in"),
        ("prices", "unknown key|mistake"),
        ("family", "which has"),
        ("nothing", "nothing to count"),
    ],
)
def test_bad_input_is_one_clear_error(data, tmp_path, case, words):
    """Each mistake names the file and what was expected."""
    source, options = str(data), {}
    bad = tmp_path / "bad.csv"
    if case == "no such":
        source = str(tmp_path / "absent")
    elif case == "garbled":
        source = str(tmp_path / "manifest.parquet")
        (tmp_path / "manifest.parquet").write_bytes(b"PAR1 no more")
    elif case == "other table":
        bad.write_text("a,b\n1,2\n")
        source = str(bad)
    elif case == "half":
        options = {"threshold": 0.5}
    elif case == "stranger":
        bad.write_text("capture_id,pred\nnobody,0.5\n")
        options = {"predictions": bad, "threshold": 0.5}
    elif case in ("prices", "family"):
        boat = "{minor: 1, major: 1, families: {boat: {minor: 1, major: 1}}}"
        bad.write_text("{minor: -1, major: 1}" if case == "prices" else boat)
        options = {"prices": bad}
    else:
        shutil.copy(data / "manifest.csv", bad)
        lines = bad.read_text().splitlines()
        bad.write_text(lines[0] + "\n" + "\n".join(line for line in lines[1:] if '"twin"' in line) + "\n")
        source = str(bad)
    with pytest.raises(DamagelandError, match=words):
        collect(source, **options)
