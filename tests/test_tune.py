"""Parameters of damages from real data: hidden ones are found again, every trial is kept, and the recipe renders."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from damageland.generators.recipe import ASSETS, read_plan
from damageland.sim.capture import Capture, Damage, View
from damageland.sim.errors import DamagelandError
from damageland.sim.scene import kind_bit
from damageland.sim.seed import generator_for
from damageland.sim.shards import shard_path, write_shard
from damageland.studio.tune.density import (
    damages_of,
    distance_draws,
    distances,
    loss_of,
    make_problem,
    ranges_of,
    start_of,
    strengths,
    weigh,
)
from damageland.studio.tune.measures import measure_view, observe
from damageland.studio.tune.pool import pool_of, pool_plan, read_base
from damageland.studio.tune.run import render_next, tune_density
from damageland.studio.tune.search import LOG, best_of, read_log, search
from scipy.stats import wasserstein_distance

SIDE = 48
KINDS_OF = {"crush": "deformation", "scuff": "superficial"}
RECIPE = """
name: hidden
captures: 6
booth: demo
products: [{family: tin, count: 2}]
damages:
  - {generator: crush, weight: 1, strength: [0.0, 1.0]}
  - {generator: scuff, weight: 1, strength: [0.0, 1.0]}
"""


def drawn(number: int, generator: str, strength: float, site: str) -> Capture:
    """A capture whose damage looks as its parameters say: wide and deep for a crush, long and thin for a scratch."""
    rng = generator_for(number, 0, "tune test")
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    at = SIDE * (0.5 + (0.3 if site == "rim" else 0.05) * np.array([1, -1]) + rng.uniform(-0.04, 0.04, 2))
    wide = 2.5 + (9 * strength if generator == "crush" else 1.5)
    tall = wide if generator == "crush" else 5 + 14 * strength
    mask = ((columns - at[0]) / wide) ** 2 + ((rows - at[1]) / tall) ** 2 < 1
    depth = 0.5 + (0.012 * strength if generator == "crush" else 0.0) * mask + rng.normal(0, 0.0003, mask.shape)
    kind = KINDS_OF[generator]
    view = View(
        camera="front",
        rgb=np.full((SIDE, SIDE, 3), 128, np.uint8),
        depth=depth.astype(np.float32),
        item=np.ones((SIDE, SIDE), np.uint8),
        damage=(kind_bit(kind) * mask).astype(np.uint8),
    )
    severity = "major" if strength > 0.5 else "minor"
    parameters = {"strength": strength} | ({"site": site} if generator == "crush" else {})
    return Capture(
        capture_id=f"c{number}",
        item_identifier=f"p{number // 3}",
        origin="synthetic",
        views=(view,),
        defect=True,
        major_defect=severity == "major",
        defect_types=(kind,),
        group=f"p{number // 3}",
        attributes={"family": "tin"},
        damages=(Damage(kind, generator, parameters, {"area_mm2": 1.0}, severity, False, {"front": 1.0}),),
    )


def draw_set(count: int, crush_share: float, ranges: dict, rim_share: float, seed: int) -> list[Capture]:
    rng, found = np.random.default_rng(seed), []
    for k in range(count):
        generator = "crush" if rng.random() < crush_share else "scuff"
        site = "rim" if rng.random() < rim_share and generator == "crush" else "side"
        found.append(drawn(1000 * seed + k, generator, float(rng.uniform(*ranges[generator])), site))
    return found


HIDDEN = {"crush": (0.35, 0.8), "scuff": (0.1, 0.5)}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    (folder / "base.yaml").write_text(RECIPE)
    plan = read_base(folder / "base.yaml")
    pool = pool_of(draw_set(240, 0.5, {"crush": (0, 1), "scuff": (0, 1)}, 0.5, 1))
    real = list(observe(draw_set(120, 0.75, HIDDEN, 0.8, 2)))
    return plan, pool, make_problem(pool, real, plan.recipe)


def test_hidden_parameters_are_found_again(parts, tmp_path):
    """Captures drawn with known distributions are fitted back: shares within 0.1, strengths within 0.2."""
    problem = parts[2]
    trials = search(problem, start_of(problem), tmp_path, trials=200, seed=0)
    best = best_of(trials)
    found = best.parameters
    assert trials[0].loss > 3 * best.loss
    share = found["crush.weight"] / (found["crush.weight"] + found["scuff.weight"])
    assert share == pytest.approx(0.75, abs=0.1)
    rim = found["crush.site.rim"] / (found["crush.site.rim"] + found["crush.site.side"])
    assert rim == pytest.approx(0.8, abs=0.1)
    for name, hidden in HIDDEN.items():
        np.testing.assert_allclose(strengths(found, name), hidden, atol=0.2)


def test_a_search_that_was_cut_short_goes_on_with_the_same_trials(parts, tmp_path):
    """No trial is dropped or made twice, a half-written line included; more trials go on from the last."""
    problem = parts[2]
    start = start_of(problem)
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = search(problem, start, tmp_path / "whole", trials=44, seed=3)
    search(problem, start, tmp_path / "cut", trials=42, seed=3)
    log = tmp_path / "cut" / LOG
    log.write_text(log.read_text()[:-30])
    assert whole == search(problem, start, tmp_path / "cut", trials=44, seed=3)
    assert (tmp_path / "whole" / LOG).read_text() == log.read_text()
    with pytest.raises(DamagelandError, match="another search"):
        search(problem, start, tmp_path / "cut", trials=44, seed=4)
    log.write_text("{}\nnot json\n")
    with pytest.raises(DamagelandError, match="not a log of trials"):
        read_log(log, "any")


def test_weights_are_those_of_the_recipe_that_is_written(parts):
    """Shares, ranges and sites of the weights are what the parameters say, and what the recipe's YAML says."""
    plan, pool, problem = parts
    parameters = {one.name: 1.0 for one in problem.ranges} | {
        "crush.weight": 0.3, "scuff.weight": 0.1, "crush.low": 0.2, "crush.width": 0.5,
        "scuff.low": 0.0, "scuff.width": 1.0, "crush.site.rim": 0.25,
    }  # fmt: skip
    weights = weigh(problem, parameters)
    crush = np.array(pool.generator) == "crush"
    assert weights.sum() == pytest.approx(1) and weights[crush].sum() == pytest.approx(0.75)
    low, high = strengths(parameters, "crush")
    assert (weights[crush & ((pool.strength < low) | (pool.strength > high))] == 0).all()
    sites, inside = np.array(pool.site), crush & (pool.strength >= low) & (pool.strength <= high)
    struck = [(crush & (sites == site)).sum() for site in ("rim", "side")]
    ratio = weights[inside & (sites == "rim")].sum() / weights[inside & (sites == "side")].sum()
    assert ratio == pytest.approx(0.25 * struck[0] / struck[1])
    narrow = replace(problem, pool=replace(pool, strength=np.full(len(pool.strength), 0.1)))
    assert weigh(narrow, parameters).sum() == 0  # of crushes at 0.2 and above this pool knows nothing
    written = {spec["generator"]: spec for spec in damages_of(plan.recipe, parameters)}
    assert written["crush"]["strength"] == [round(low, 3), round(high, 3)] and written["crush"]["weight"] == 1.5
    assert written["crush"]["config"]["round_sites"]["rim"] == pytest.approx(0.22 * 0.25, abs=1e-4)


def test_the_pool_itself_has_no_distance_to_itself(parts):
    """Fitted to its own views, the uniform parameters lose nothing: the measure of distance is one."""
    plan, pool, _ = parts
    problem = make_problem(pool, pool.observations, plan.recipe)
    weights = np.full(len(pool.generator), 1 / len(pool.generator))
    assert loss_of(distances(problem, weights)) == pytest.approx(0, abs=1e-12)
    ours, (values, owner) = problem.real["size, deformation"], problem.rendered["size, deformation"]
    counts = np.random.default_rng(0).integers(0, 3, (3, len(ours))).astype(float)
    uneven = np.arange(1.0, 1 + len(owner))
    expected = [wasserstein_distance(ours, values, c, uneven) for c in counts]
    np.testing.assert_allclose(distance_draws(ours, counts, values, uneven), expected)
    few = np.zeros(len(weights))
    few[:3] = 1 / 3
    assert np.isinf(loss_of(distances(problem, few)))


def test_what_no_measure_tells_of_is_left_as_it_was(parts):
    """From severity and kinds alone, strengths of the kind that is there are searched: no site, no other."""
    plan, pool, _ = parts
    dents = draw_set(40, 1.0, HIDDEN, 0.8, 6)
    bare = list(observe([replace(c, views=()) for c in dents]))
    problem = make_problem(pool, bare, plan.recipe)
    searched = {one.name for one in problem.ranges}
    assert searched == {"crush.weight", "scuff.weight", "crush.low", "crush.width"}
    spill = plan.recipe.damages[0].model_copy(update={"generator": "spill", "weight": 3.0})
    spilling = plan.recipe.model_copy(update={"damages": (*plan.recipe.damages, spill)})
    made = damages_of(spilling, {"crush.weight": 1.0, "scuff.weight": 0.25, "crush.low": 0.2, "crush.width": 0.0})
    assert {d["generator"]: d.get("weight") for d in made} == {"crush": 1.6, "scuff": 0.4, "spill": 3}
    assert made[0]["strength"] == [0.2, 0.3] and made[1]["strength"] == [0, 1]


def test_measures_of_a_mask_are_what_was_drawn():
    """Two patches of known size, place and depth; specks do not count."""
    mask = np.zeros((60, 60), np.uint8)
    mask[10:20, 40:50] = mask[40:50, 40:50] = kind_bit("deformation")
    mask[2, 2] = 1
    depth = np.full((60, 60), 0.6, np.float32)
    depth[mask > 0] += 0.004
    view = View("front", np.zeros((60, 60, 3), np.uint8), depth=depth, damage=mask)
    found = measure_view(view)
    assert (2, pytest.approx(np.sqrt(200) / 60)) == (found["count"], found["size"])
    assert found["depth_loss"] == pytest.approx(4, abs=0.3)
    assert (found["height"], found["radius"]) == pytest.approx((0, 15 / np.hypot(30, 30)), abs=1e-6)
    assert measure_view(replace(view, damage=(mask & 0) | (mask == 1).astype(np.uint8))) is None


def test_density_match_from_files_to_files(tmp_path):
    """Recipe, card, page and log are written; the recipe can be read, and a second run changes no byte."""
    (tmp_path / "base.yaml").write_text(RECIPE.replace("demo", "mine.yaml"))
    (tmp_path / "mine.yaml").write_text((ASSETS / "booths" / "demo.yaml").read_text())
    for name, seed, captures in (("pool", 1, 60), ("real", 2, 40)):
        (tmp_path / name).mkdir()
        ranges = {"crush": (0, 1), "scuff": (0, 1)} if seed == 1 else HIDDEN
        write_shard(shard_path(tmp_path / name, 0), draw_set(captures, 0.6, ranges, 0.5, seed))
    options = {"pool": str(tmp_path / "pool"), "pool_captures": 90, "trials": 42, "workers": 1, "seed": 0}
    card = tune_density(tmp_path / "base.yaml", str(tmp_path / "real"), tmp_path / "out", **options)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    tune_density(tmp_path / "base.yaml", str(tmp_path / "real"), tmp_path / "out", **options)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    tuned = read_plan(tmp_path / "out" / "recipe.yaml")
    assert tuned.recipe.name == "hidden-tuned" and tuned.booth == read_plan(tmp_path / "base.yaml").booth
    assert {"recipe.yaml", "transfer-card.json", "report.html", LOG} == set(before)
    assert set(card["loss"]) == {"fitted to", "held out"} and card == json.loads(before["transfer-card.json"]) | {
        "parameters": card["parameters"]
    }


def test_the_pool_recipe_draws_everything_from_nothing_to_the_most(parts):
    """Every item damaged, one entry per generator, all strengths, no photoreal colour: and its ranges are searched."""
    plan, pool, _ = parts
    recipe = pool_plan(plan, 30).recipe
    assert (recipe.damaged_share, recipe.cycles_share, recipe.captures) == (1, 0, 30)
    assert all(spec.strength == (0, 1) for spec in recipe.damages)
    assert {one.name for one in ranges_of(pool, recipe)} >= {"crush.weight", "scuff.low", "crush.site.rim"}


@pytest.mark.parametrize(
    ("case", "words"),
    [("intact", "holds no damaged capture"), ("bare", "nothing to fit to"), ("foreign", "shows none of the damages")],
)
def test_what_cannot_be_fitted_is_one_clear_error(tmp_path, case, words):
    """Nothing is written where there is nothing to fit, to or with."""
    data = yaml.safe_load(RECIPE)
    if case == "foreign":
        data["damages"] = [{"generator": "hole"}]
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(data))
    captures = draw_set(12, 0.6, HIDDEN, 0.5, 2)
    for name in ("pool", "real"):
        (tmp_path / name).mkdir()
        made = captures
        if name == "real" and case == "intact":
            made = [replace(c, defect=False, damages=()) for c in captures]
        if name == "real" and case == "bare":
            made = [replace(c, defect_types=(), major_defect=None, views=c.views[:0]) for c in captures]
        write_shard(shard_path(tmp_path / name, 0), made)
    with pytest.raises(DamagelandError, match=words):
        tune_density(
            tmp_path / "base.yaml", str(tmp_path / "real"), tmp_path / "out", pool=str(tmp_path / "pool"),
            pool_captures=20, trials=2, workers=1, seed=0,
        )  # fmt: skip


def test_what_the_model_misses_is_rendered_more(tmp_path):
    """Strong scratches that are missed come more often next; the rest keeps its order, and the recipe renders."""
    (tmp_path / "base.yaml").write_text(RECIPE)
    (tmp_path / "data").mkdir()
    captures = draw_set(120, 0.5, {"crush": (0, 1), "scuff": (0, 1)}, 0.5, 5)
    held = [replace(c, split="train" if k < 20 else "test") for k, c in enumerate(captures)]
    write_shard(shard_path(tmp_path / "data", 0), held)
    missed = {
        c.capture_id: c.damages[0].generator == "scuff" and c.damages[0].parameters["strength"] > 0.5 for c in held
    }
    table = tmp_path / "mine.csv"
    table.write_text("capture_id,pred\n" + "".join(f"{name},{0.1 if m else 0.9}\n" for name, m in missed.items()))
    told, trained = render_next(
        tmp_path / "base.yaml", str(tmp_path / "data"), table, tmp_path / "next.yaml", bins=2, keep=0.3
    )
    assert trained == 20 and told.splitlines()[1].startswith("scuff      0.50–1.00")
    made = {(d.generator, d.strength): d.weight for d in read_plan(tmp_path / "next.yaml").recipe.damages}
    assert sum(made.values()) == pytest.approx(1, abs=1e-3)
    assert made[("scuff", (0.5, 1.0))] > 0.4 > 0.25 > made[("crush", (0.5, 1.0))] > 0.3 * 0.25
    with pytest.raises(DamagelandError, match="outside the training split"):
        table.write_text("capture_id,pred\n" + "".join(f"{c.capture_id},0.5\n" for c in held[:20]))
        render_next(tmp_path / "base.yaml", str(tmp_path / "data"), table, tmp_path / "n.yaml", bins=2, keep=0.3)
    assert not (tmp_path / "n.yaml").exists()
