"""Recipes: a shard depends on nothing but its recipe, twins differ in the damage alone, a set passes check."""

import hashlib
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scenes
from damageland.generators.compose import Composed, compose
from damageland.generators.damage.outcome import Limits, SeverityRules
from damageland.generators.recipe import (
    ASSETS,
    DamageSpec,
    Plan,
    ProductSpec,
    build_product,
    locate,
    make_plan,
    read_plan,
    shard_count,
    split_of,
    unit_count,
)
from damageland.generators.shoot import render_shard, shoot
from damageland.generators.wear import LookalikesConfig
from damageland.sim.batch import run_shards
from damageland.sim.capture import VISIBLE_SHARE, Capture
from damageland.sim.errors import DamagelandError
from damageland.sim.manifest import read_manifest
from damageland.sim.output import check, claim_output, finish
from damageland.sim.shards import read_shard, shard_path, shard_paths

TESTS = Path(__file__).parent


def change(plan: Plan, **changes) -> Plan:
    """The same recipe but for some keys."""
    return make_plan(plan.recipe.model_copy(update=changes), plan.booth)


def fingerprint(value: object) -> str:
    """SHA-256 over all arrays and plain values of nested dataclasses."""
    digest = hashlib.sha256()

    def add(thing: object) -> None:
        if is_dataclass(thing) and not isinstance(thing, type):
            for field in fields(thing):
                if field.name != "relief":  # a function
                    add(getattr(thing, field.name))
        elif isinstance(thing, tuple | list):
            digest.update(b"(")
            for element in thing:
                add(element)
            digest.update(b")")
        elif isinstance(thing, np.ndarray):
            digest.update(f"{thing.dtype}{thing.shape}".encode() + np.ascontiguousarray(thing).tobytes())
        else:
            digest.update(repr(thing).encode())

    add(value)
    return digest.hexdigest()


def only_damage(generator: str, **spec) -> tuple[DamageSpec, ...]:
    return (DamageSpec(generator=generator, **spec),)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return scenes.tiny_plan()


@pytest.fixture(scope="module")
def untouched(plan: Plan) -> dict[int, str]:
    """What a carton's and a tin's unit have that damage must not touch."""
    return {index: undamaged(compose(plan, index)) for index in (2, 3)}


@pytest.fixture(scope="module")
def captures(plan: Plan) -> list[Capture]:
    """All captures of the tiny recipe, twins included."""
    return [capture for index in range(unit_count(plan.recipe)) for capture in shoot(plan, compose(plan, index))]


# The unit of work


def test_shard_is_the_same_bytes_again_and_elsewhere(plan: Plan, tmp_path: Path):
    """Contract C4: twice in this process and once in another, a shard has the same bytes, whatever was made before."""
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
    plan = change(plan, shard_size=2)
    render_shard(plan, 1, tmp_path / "a")
    render_shard(plan, 0, tmp_path / "b")
    render_shard(plan, 1, tmp_path / "b")
    code = (
        f"import sys; sys.path.insert(0, {str(TESTS)!r}); import scenes; from pathlib import Path; "
        "from damageland.generators.shoot import render_shard; "
        f"render_shard(scenes.tiny_plan(shard_size=2), 1, Path({str(tmp_path / 'c')!r}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    a, b, c = (shard_path(tmp_path / folder, 1).read_bytes() for folder in "abc")
    assert a == b == c
    assert a != shard_path(tmp_path / "b", 0).read_bytes()


def test_shards_divide_the_units(plan: Plan):
    """Gallery and queries all have their place in one shard, whatever the shard size."""
    for size in (1, 2, 3, 5, 100):
        recipe = plan.recipe.model_copy(update={"shard_size": size})
        assert unit_count(recipe) == 2 * 1 + 3
        assert shard_count(recipe) == -(-5 // size)


def test_lock_names_the_data_set(plan: Plan):
    """Equal recipes have one hash; a changed number anywhere, in recipe or booth, is another data set."""
    same = make_plan(plan.recipe, plan.booth)
    brighter = plan.booth.model_copy(update={"tray_size_mm": 701.0})
    others = [change(plan, seed=6), change(plan, preview_samples=2), make_plan(plan.recipe, brighter)]
    assert same.lock == plan.lock and len({plan.recipe_hash, *(o.recipe_hash for o in others)}) == 4
    assert len(plan.recipe_hash) == 16


# What does not depend on damage


def undamaged(unit: Composed) -> str:
    """Everything of a unit that damage must not touch."""
    return fingerprint((unit.booth, unit.twin or unit.scene, unit.product, unit.capture_id, unit.reference))


@pytest.mark.parametrize(
    "changes",
    [
        {"damages": only_damage("hole", strength=(0.1, 0.3))},
        {"damages": only_damage("crush", strength=0.9, config={"push_mm": 12.0})},
        {"damaged_share": 0.0},
        {"severity": SeverityRules(primary={"deformation": Limits(measure="depth_mm", minor_from=9, major_from=10)})},
        {"captures": 50},
        {"shard_size": 1},
        {"cycles_share": 1.0},
    ],
)
def test_damage_leaves_booth_pose_and_product_alone(plan: Plan, untouched: dict[int, str], changes: dict):
    """Camera, light, pose and product are drawn apart from damage: changing it, or turning it off, moves none."""
    for index in (2, 3) if "damages" in changes else (2,):
        assert undamaged(compose(change(plan, **changes), index)) == untouched[index]


def test_damaged_scene_shares_everything_else_with_its_twin(plan: Plan):
    """Twin and damaged item stand in the same place: unmoved vertices agree to 10 nm, contents to the byte."""
    unit = compose(change(plan, damages=only_damage("hole", strength=0.7)), 2)
    assert unit.twin is not None and not unit.twin.gone
    for damaged, twin in zip(unit.scene.parts[1:], unit.twin.parts[1:], strict=True):
        assert fingerprint(damaged) == fingerprint(twin)
    wall, before = unit.scene.parts[0], unit.twin.parts[0]
    known = {tuple(p) for p in np.round(before.vertices, 8)}
    shared = np.mean([tuple(p) in known for p in np.round(wall.vertices, 8)])
    assert 0.5 < shared < 1


def test_twin_of_a_crush_has_not_moved(plan: Plan):
    """A crushed item's undented side stays where its twin's is, however hard it was pushed."""
    for index in (2, 3):
        unit = compose(change(plan, damages=only_damage("crush", strength=0.8)), index)
        assert unit.twin is not None
        moved = np.linalg.norm(unit.scene.parts[0].vertices - unit.twin.parts[0].vertices, axis=1) * 1000
        assert np.median(moved) < 0.3 and moved.max() > 1


def test_twins_share_noise_and_exposure(plan: Plan, captures: list[Capture]):
    """Same K, pose, session and renderer; far from the damage the recorded depth is equal to the bit."""
    by_id = {capture.capture_id: capture for capture in captures}
    pairs = [(c, by_id[c.twin_id]) for c in captures if c.twin_id]
    assert len(pairs) == 3
    for damaged, twin in pairs:
        assert twin.role == "twin" and twin.twin_id is None and not twin.damages and twin.defect is False
        assert twin.capture_id == f"{damaged.capture_id}-twin"
        assert twin.attributes == damaged.attributes and twin.provenance == damaged.provenance
        assert twin.split == damaged.split and twin.reference_ids == damaged.reference_ids
        for a, b in zip(damaged.views, twin.views, strict=True):
            np.testing.assert_array_equal(a.K, b.K)
            np.testing.assert_array_equal(a.T_world_cam, b.T_world_cam)
            assert a.item is not None and b.item is not None and b.damage is not None and not b.damage.any()
            away = (a.item == 0) & (b.item == 0)
            if a.depth is not None and b.depth is not None:
                assert (a.depth[away] == b.depth[away]).mean() > 0.97
            difference = np.abs(a.rgb.astype(int) - b.rgb.astype(int)).max(axis=2)
            assert np.median(difference[away]) <= 1, "the tray looks the same: one exposure, one noise"


# Labels


def test_captures_say_what_they_are(plan: Plan, captures: list[Capture]):
    """Roles, links, splits, depth cameras, measures and provenance of every capture of the recipe."""
    assert [c.role for c in captures] == ["reference"] * 2 + ["query", "twin"] * 3
    ids = [c.capture_id for c in captures if c.role != "twin"]
    assert ids == ["tiny-tin-00000-ref0", "tiny-folding_carton-00000-ref0", "tiny-000000", "tiny-000001", "tiny-000002"]
    for capture in captures:
        assert [v.camera for v in capture.views] == ["front", "side", "top"]
        assert [v.depth is not None for v in capture.views] == [True, True, False]
        assert capture.split == split_of(plan.recipe, str(capture.item_identifier))
        assert capture.group == capture.item_identifier and capture.provenance["recipe_hash"] == plan.recipe_hash
        assert (capture.role == "query") == bool(capture.damages)
        if capture.role != "reference":
            assert capture.reference_ids == (f"{capture.item_identifier}-ref0",)
        for view in capture.views:
            assert view.item is not None and (view.item > 0).mean() > 0.02, "the item is in the picture"
        for damage in capture.damages:
            assert damage.measures and all(np.isfinite(v) for v in damage.measures.values())
            assert set(damage.visible_fraction) == {"front", "side", "top"}
            assert damage.tolerable == (damage.severity == "none")
            assert all(0 <= share <= 1 for share in damage.visible_fraction.values())
        seen = max((max(d.visible_fraction.values()) for d in capture.damages), default=0.0)
        assert bool(capture.defect) == bool(capture.defect_types) and (not capture.defect or seen >= VISIBLE_SHARE)


def test_unseen_damage_is_no_defect(plan: Plan):
    """The same damaged scene is a positive for cameras that see it and none for cameras that look away."""
    damaged = change(plan, damages=only_damage("hole", strength=1.0), captures=10)
    unit = next(u for u in (compose(damaged, k) for k in range(2, 12)) if shoot(damaged, u)[0].defect)
    away = []
    for camera in unit.booth.cameras:
        pose = camera.T_world_cam.copy()
        pose[:3, :3] = pose[:3, :3] @ np.diag([-1.0, 1.0, -1.0])  # about face
        away.append(replace(camera, T_world_cam=pose))
    blind = replace(unit, booth=replace(unit.booth, cameras=tuple(away)))
    seen, unseen = shoot(damaged, unit)[0], shoot(damaged, blind)[0]
    assert seen.defect and seen.defect_types == ("penetration",)
    assert unseen.defect is False and unseen.major_defect is False and unseen.defect_types == ()
    assert unseen.damages[0].severity == seen.damages[0].severity != "none"
    assert set(unseen.damages[0].visible_fraction.values()) == {0.0}


def test_tolerable_damage_is_no_defect(plan: Plan):
    """Under limits that nothing reaches, damages are listed as tolerable and the capture is no positive."""
    never = {
        kind: Limits(measure=measure, minor_from=1e6, major_from=1e7)
        for kind, measure in (("deformation", "depth_mm"), ("penetration", "area_mm2"), ("superficial", "area_mm2"))
    }
    lenient = change(plan, severity=SeverityRules(outer=never, primary=never))
    for index in (2,):
        query = shoot(lenient, compose(lenient, index))[0]
        assert query.damages[0].tolerable and query.damages[0].severity == "none"
        assert query.defect is False and query.major_defect is False and query.defect_types == ()


def test_growing_a_data_set_never_moves_a_product(plan: Plan):
    """Splits follow from the identifier: counts, captures and other families change none; shares are about kept."""
    names = [f"tiny-tin-{k:05d}" for k in range(2000)]
    before = [split_of(plan.recipe, name) for name in names]
    grown = plan.recipe.model_copy(
        update={
            "products": (ProductSpec(family="tin", count=2000), ProductSpec(family="folding_carton", count=9)),
            "seed": 9,
        }
    )
    assert [split_of(grown, name) for name in names] == before
    assert before.count("test") / 2000 == pytest.approx(plan.recipe.test_share, abs=0.03)
    assert before.count("validation") / 2000 == pytest.approx(plan.recipe.validation_share, abs=0.03)
    bigger = change(plan, products=(ProductSpec(family="tin", count=3), ProductSpec(family="folding_carton", count=2)))
    small, big = compose(plan, 0), compose(bigger, 0)
    assert small.product.item_identifier == big.product.item_identifier == "tiny-tin-00000"
    assert fingerprint(small.product) == fingerprint(big.product)


# Whole runs


@pytest.mark.parametrize("cycles_share", [0.0, 1.0])
def test_whole_run_passes_check(plan: Plan, tmp_path: Path, cycles_share: float):
    """A run through worker processes in either renderer keeps every promise that ``check`` knows of."""
    plan = change(plan, cycles_share=cycles_share, captures=1 if cycles_share else 2, shard_size=2)
    out, count = tmp_path / "run", shard_count(plan.recipe)
    claim_output(out, plan.lock)
    made = run_shards(partial(render_shard, plan), count, out, progress=False, captures_per_shard=2)
    finish(out, count)
    assert made == count and check(out) == []
    rows = read_manifest(out)
    assert {row["renderer"] for row in rows} == {"cycles" if cycles_share else "preview"}
    assert len(rows) == 2 + 2 * plan.recipe.captures
    for path in shard_paths(out):
        for capture in read_shard(path):
            for view in capture.views:
                assert 20 < view.rgb.mean() < 235 and view.rgb.std() > 5


# Products over time


def redesigned(**changes) -> Plan:
    """Three editions of two products over a hundred days."""
    products = (
        ProductSpec(family="tin", count=1, editions=3),
        ProductSpec(family="folding_carton", count=1, editions=3),
    )
    return scenes.tiny_plan(products=products, captures=40, days=100, damaged_share=0.0, gallery=2, **changes)


def test_captures_show_the_edition_of_their_day():
    """Every product has a gallery of each edition; editions only grow with the days, and queries link to their own."""
    plan = redesigned()
    units = [locate(plan.recipe, k) for k in range(unit_count(plan.recipe))]
    references, queries = units[:12], units[12:]
    assert [u.reference for u in units] == [True] * 12 + [False] * 40
    assert len({u.capture_id for u in units}) == len(units)
    assert {(u.spec.family, u.edition) for u in references} == {
        (f, e) for f in ("tin", "folding_carton") for e in range(3)
    }
    assert queries[0].captured_on == plan.recipe.first_day < queries[-1].captured_on
    for family in ("tin", "folding_carton"):
        seen = [u.edition for u in queries if u.spec.family == family]
        assert seen == sorted(seen) and set(seen) == {0, 1, 2}
    late = queries[-1]
    capture = shoot(plan, compose(plan, late.index))[0]
    assert capture.attributes["edition"] == late.edition == 2
    assert capture.attributes["captured_on"] == late.captured_on.isoformat()
    assert set(capture.reference_ids) <= {u.capture_id for u in references if u.edition == late.edition}


def test_editions_leave_the_other_products_alone():
    """More editions change neither edition 0 nor the identifiers."""
    one, three = scenes.tiny_plan(), redesigned()
    a, b = (build_product(plan, plan.recipe.products[0], 0, 0) for plan in (one, three))
    later = build_product(three, three.recipe.products[0], 0, 2)
    assert fingerprint(a) == fingerprint(b) != fingerprint(later)
    assert later.item_identifier == a.item_identifier and later.attributes["edition"] == 2


def test_scale_reads_the_mass_with_its_noise(plan: Plan, captures: list[Capture]):
    """The reading is near the catalogue's mass, in whole steps, and a twin's is its item's."""
    for capture in captures:
        read, stated = capture.attributes["actual_mass_g"], capture.attributes["catalogue_mass_g"]
        assert read == pytest.approx(stated, rel=0.04, abs=3)
        assert round(read / plan.booth.scale.quantum_g) * plan.booth.scale.quantum_g == pytest.approx(read)


def test_lookalikes_are_named_and_shared_by_twins():
    """With every share at 1, queries say what they show; twins have the same clutter; galleries are clean."""
    shares = dict.fromkeys(LookalikesConfig.model_fields, 1.0)
    plan = scenes.tiny_plan(lookalikes=LookalikesConfig(**shares), captures=2)
    names: set[str] = set()
    for index in (2, 3):
        unit = compose(plan, index)
        names |= set(unit.product.lookalikes)
        assert {"extras", "dust"} <= set(unit.clutter) and unit.twin is not None
        assert (
            [p.name for p in unit.scene.parts if p.item == 0] == [p.name for p in unit.twin.parts if p.item == 0] != []
        )
        assert not any(part.damage.any() for part in unit.twin.parts)
    assert any(name.startswith("printed_") for name in names) and {"sticker", "tape"} <= names
    clean = compose(plan, 0)
    assert clean.clutter == () and not {"sticker", "tape", "tolerable_dent"} & set(clean.product.lookalikes)


def test_missing_folder_of_pictures_is_refused(tmp_path: Path):
    """A folder that the recipe names but that is not there, or is empty, is one error that names it."""
    plan = scenes.tiny_plan()
    recipe = plan.recipe.model_copy(update={"images": "photos"})
    with pytest.raises(DamagelandError, match="no such folder"):
        make_plan(recipe, plan.booth, folder=tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(DamagelandError, match="no files"):
        make_plan(recipe, plan.booth, folder=tmp_path)
    (tmp_path / "photos" / "a.png").write_bytes(b"one")
    first = make_plan(recipe, plan.booth, folder=tmp_path)
    (tmp_path / "photos" / "a.png").write_bytes(b"two")
    assert make_plan(recipe, plan.booth, folder=tmp_path).recipe_hash != first.recipe_hash


@pytest.mark.parametrize("path", sorted((ASSETS / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_what_they_say(path: Path):
    """Each is read without complaint, bears its file's name, and keeps every split and both classes."""
    recipe = read_plan(path).recipe
    assert recipe.name == path.stem and 0 < recipe.captures * recipe.damaged_share < recipe.captures
    products = sum(spec.count for spec in recipe.products)
    assert min(recipe.validation_share, recipe.test_share) * products >= 1
