"""The transfer study on tiny made-up captures: nothing leaks, all arms cost the same, and the words fit the figures."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np
import pytest
from damageland.evaluate.metrics import draw_resamples
from damageland.evaluate.study.arms import list_arms
from damageland.evaluate.study.reals import RealRow, draw_parts, find_units, open_reals, split_rows, subset
from damageland.evaluate.study.run import study
from damageland.evaluate.study.spec import SplitSpec, StudySpec, read_study
from damageland.evaluate.study.table import Cell, Draws
from damageland.evaluate.study.verdict import claims, multiplier_sentence, multipliers, reach, verdict
from damageland.sim.capture import Capture
from damageland.sim.errors import DamagelandError
from damageland.sim.output import claim_output, finish, record_shard
from damageland.sim.shards import read_captures, shard_path, write_shard
from damageland.train import steps
from damageland.train.batches import RealPool
from damageland.train.config import TrainConfig
from damageland.train.data import keep_captures, load_views
from damageland.train.mixture import Mixture, crops_per_step, draw_mixture
from damageland.train.predict import load_model, predict
from damageland.train.threshold import Threshold

TINY = TrainConfig(steps=3, locate_steps=2, pairs=4, unpaired=2, frame_px=48, crop_px=32, locate_px=32, width=8)
LIMIT = Threshold(
    value=0.5, fpr_budget=0.01, delta=0.05, negatives=9, negatives_needed=299, exceedances=0, certified=False
)  # fmt: skip


def products(seed: int, count: int) -> Iterator[Capture]:
    """Queries and twins; every other product is crushed, the rest are pierced, and the last third is intact."""
    for index in range(count):
        query, twin, reference = fakes.fake_product(seed, index)
        yield reference
        name = ("crush", "hole")[index % 2]
        if index >= 2 * count / 3:
            yield replace(twin, role="query", capture_id=query.capture_id)
            continue
        yield replace(query, damages=tuple(replace(damage, generator=name) for damage in query.damages))
        yield twin


def rendered(folder: Path, seed: int, count: int) -> Path:
    """A finished data set of such products."""
    claim_output(folder, f"name: tiny\nseed: {seed}\n")
    write_shard(shard_path(folder, 0), products(seed, count))
    record_shard(shard_path(folder, 0))
    finish(folder, 1)
    return folder


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> StudySpec:
    data = rendered(tmp_path_factory.mktemp("study") / "renders", 1, 6)
    real = rendered(data.parent / "stand-in", 2, 30)
    return StudySpec(data=(str(data),), real=str(real), k=(0, 2), seeds=(0, 1), config=TINY)


@pytest.fixture(scope="module")
def done(spec: StudySpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study(spec, tmp_path_factory.mktemp("done") / "out", progress=False).parent


def test_every_cell_is_there_and_the_set_is_called_what_it_is(done: Path, spec: StudySpec) -> None:
    """Every row has its columns; a rendered set is called pretend real; so little training shows nothing."""
    results = json.loads((done / "results.json").read_text())
    named = {key.rpartition(", k = ")[0] for key in results["cells"]}
    assert {"real only", "real and pasted", "renders only", "fine-tuned", "mixed", "pristine renders"} <= named
    assert {"without crush", "without hole", "mixed, colour alone"} <= named
    assert results["verdict"].startswith("Not shown: ")
    page = (done / "report.html").read_text()
    assert page.index("Not shown: ") < page.index("<svg") < page.index("<table")
    text = page[page.index("<body>") : page.index('id="provenance"')].replace("Pretend real", "")
    assert "pretend-real only" in text and not re.search(r"(?<!pretend-)\breal\b", text.replace("real photographs", ""))
    gap = results["gap"]["renders"]
    apart = sum(row.part != "test" and not row.defect for row in open_reals(spec).rows)
    assert gap["real"] == apart and gap["depth"]["hole_share"][0] > 0
    assert {path.stem for path in (done / "cards").iterdir()} == {"crush", "hole"}
    for folder in (done / "arms").iterdir():
        assert TINY.steps == json.loads((folder / "arm.json").read_text())["steps"]


def test_killed_study_goes_on_to_the_same_bytes(
    done: Path, spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study killed amid an arm ends with the bytes of one that was not, and a finished one trains nothing."""
    few = spec.model_copy(update={"rows": ("renders only", "mixed"), "k": (0, 2), "seeds": (0,)})
    taken, take = 0, steps.Steps.take

    def dying(self: steps.Steps, loss: object) -> None:
        nonlocal taken
        taken += 1
        if taken == TINY.locate_steps + 5:  # in the second arm
            raise KeyboardInterrupt
        take(self, loss)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(steps.Steps, "take", dying)
    with pytest.raises(KeyboardInterrupt):
        study(few, tmp_path, progress=False)
    study(few, tmp_path, progress=False)
    for name in ("renders-only-k0-seed0", "mixed-k2-seed0"):
        for file in ("model.safetensors", "predictions.csv", "log.csv"):
            assert (done / "arms" / name / file).read_bytes() == (tmp_path / "arms" / name / file).read_bytes()
    before = taken
    study(few, tmp_path, progress=False)
    assert before == taken


def test_scores_are_those_of_the_saved_model(done: Path, spec: StudySpec) -> None:
    """An arm's folder is a model like any other: ``predict`` gives what its prediction file says."""
    folder = done / "arms" / "mixed-k2-seed1"
    model = load_model(folder)
    lines = dict(line.split(",")[:2] for line in (folder / "predictions.csv").read_text().splitlines()[1:])
    scored = [c for c in read_captures(spec.real or "") if c.capture_id in lines]
    assert len(lines) == len(scored)
    for capture in scored[:4]:
        assert predict(model, capture).score == pytest.approx(float(lines[capture.capture_id]), abs=1e-6)


def test_references_have_their_controls(spec: StudySpec, tmp_path: Path) -> None:
    """The comparing arm is scored beside right, no and wrong references, and asked what they were worth."""
    study(spec.model_copy(update={"rows": ("references",), "k": (0,), "seeds": (0,)}), tmp_path, progress=False)
    told = (tmp_path / "differences.csv").read_text()
    assert '"references, none"' in told and '"references, wrong"' in told
    files = {path.read_text() for path in (tmp_path / "arms" / "references-k0-seed0").glob("predictions*.csv")}
    assert len(files) == 3


def test_nothing_is_shared_between_parts(spec: StudySpec) -> None:
    """Products, sessions and groups lie in one part each, whatever links them; subsets of k are nested."""
    chain = [fakes.fake_capture(np.random.default_rng(k), f"c{k}", product=f"p{k // 2}") for k in range(12)]
    linked = [replace(c, group=None, session=f"s{(k + 1) // 4}", views=()) for k, c in enumerate(chain)]
    units = find_units(linked)
    for a in linked:
        for b in linked:
            if a.item_identifier == b.item_identifier or a.session == b.session:
                assert units[a.capture_id] == units[b.capture_id]
    reals = open_reals(spec)
    held = {part: {row.unit for row in reals.rows if row.part == part} for part in ("train", "calibration", "test")}
    assert not held["train"] & held["test"] and not held["calibration"] & (held["train"] | held["test"])
    for seed in range(3):
        small, large = subset(reals, 2, 1.0, seed), subset(reals, 4, 1.0, seed)
        assert small < large and len(small) == 4


def test_parts_get_their_share_of_each_class() -> None:
    """Units of any size are dealt so that both classes come near the shares that were asked for."""
    rng = np.random.default_rng(0)
    labelled = [(f"u{k}", bool(rng.random() < 0.3)) for k in range(200) for _ in range(int(rng.integers(1, 4)))]
    parts = draw_parts(labelled, SplitSpec(train=0.5, calibration=0.2), 0)
    for label in (True, False):
        rows = [parts[unit] for unit, damaged in labelled if damaged == label]
        for part, share in (("train", 0.5), ("calibration", 0.2), ("test", 0.3)):
            assert rows.count(part) / len(rows) == pytest.approx(share, abs=0.06)


def test_every_mixture_costs_the_same(spec: StudySpec) -> None:
    """Batches of all foods hold the same number of crops, half of the segments of real captures are damaged."""
    views = load_views(read_captures(spec.data[0]), frame_px=48)
    names = {note.capture_id for note in views.notes}
    pool = RealPool.of(keep_captures(views, names))
    assert (keep_captures(views, names).twin == views.twin).all()
    for mixture in (
        Mixture(views), Mixture(None, real=pool), Mixture(views, pasted=True), Mixture(views, real=pool),
        Mixture(pool.views, pasted=True, real=pool, real_share=0.3),
    ):  # fmt: skip
        for seed in range(3):
            batch = draw_mixture(mixture, TINY, np.random.default_rng(seed))
            assert len(batch.x) == crops_per_step(TINY) == len(batch.segment)
            assert int(batch.segment.max()) + 1 == len(batch.target)
            assert 0 < batch.target.sum() < len(batch.target)


# Words and figures


def cells_of(aurocs: dict[tuple[str, int], float], *, seeds: int = 3, groups: int = 60) -> dict[tuple[str, int], Cell]:
    """Cells whose arms rank test captures about as well as said."""
    rows = tuple(
        RealRow(str(i), "test", str(i), str(i), i % 2 == 0, None, None, (), None, False, ()) for i in range(groups)
    )
    rng = np.random.default_rng(0)
    draws = Draws(rows, draw_resamples([row.group for row in rows], rng), rng.integers(seeds, size=(2000, seeds)))
    truth, noise = np.array([row.defect for row in rows]), rng.normal(size=(seeds, groups))
    shift = {key: 4 * (value - 0.5) for key, value in aurocs.items()}
    return {
        key: Cell(*key, 1 / (1 + np.exp(-(noise + by * truth))), (LIMIT,) * seeds, draws) for key, by in shift.items()
    }


def test_verdict_is_what_the_intervals_allow(spec: StudySpec) -> None:
    """Beating both rivals at every k is needed for the claim; where one is not beaten, that is said first."""
    weak = {("real only", 10): 0.6, ("real only", 30): 0.7, ("real and pasted", 10): 0.6, ("real and pasted", 30): 0.7}
    for ours, begin in (
        ({("mixed", 10): 0.95, ("mixed", 30): 0.97}, "Shown: "),
        ({("mixed", 10): 0.95, ("mixed", 30): 0.7}, "Not shown at k = 30"),
        ({("mixed", 10): 0.6, ("mixed", 30): 0.7}, "Not shown: "),
        ({}, "Not shown: "),
    ):
        cells = cells_of(weak | ours)
        assert verdict(claims(cells, spec), spec, "real").startswith(begin)
    sentence = multiplier_sentence(multipliers(cells_of(weak | {("mixed", 10): 0.95}), spec), "real")
    assert "> 3" in sentence and "worth more than one alone at k = 10" in sentence
    assert "cannot be shown, because" in multiplier_sentence(multipliers(cells_of({("mixed", 10): 0.9}), spec), "real")


def test_multiplier_is_read_off_the_line() -> None:
    """k' lies straight between columns over log k; never beyond the ends; the first place where the line gets there."""
    heights = np.array([[0.6, 0.6, 0.6, 0.6, 0.6], [0.8, 0.8, 0.8, 0.8, 0.7], [0.7, 0.9, 0.9, 0.9, 0.9]])
    target = np.array([0.7, 0.85, 0.95, 0.5, 0.6])
    expected = [10 * np.sqrt(3), 30 * np.sqrt(100 / 30), np.inf, 0.0, 10.0]
    assert reach(heights, target, np.array([10.0, 30.0, 100.0])) == pytest.approx(expected)


# Mistakes


def test_mistakes_are_told(spec: StudySpec, tmp_path: Path) -> None:
    """Too large a k, a product in two splits, a foreign folder, a study without a set: one clear error each."""
    reals = open_reals(spec)
    assert 8 in {arm.k for arm in list_arms(spec.model_copy(update={"k": ("all",)}), reals, [])}
    with pytest.raises(DamagelandError, match="holds 8 damaged captures"):
        list_arms(spec.model_copy(update={"k": (0, 99)}), reals, ["crush"])
    a, b = (replace(next(products(1, 1)), capture_id=name, split=name, views=()) for name in ("train", "test"))
    with pytest.raises(DamagelandError, match="share a product, session or group"):
        split_rows([a, b], SplitSpec(), 0, "photos")
    (tmp_path / "something").write_text("else")
    with pytest.raises(DamagelandError, match=r"has no study\.json"):
        study(spec, tmp_path, progress=False)
    (tmp_path / "study.yaml").write_text("k: [0, 10, 10]\nrowz: []\n")
    with pytest.raises(DamagelandError, match="10") as told:
        read_study(tmp_path / "study.yaml")
    assert "rowz: unknown key; did you mean 'rows'" in str(told.value)
    (tmp_path / "study.yaml").write_text("k: [0, 10]\n")
    with pytest.raises(DamagelandError, match="--data"):
        read_study(tmp_path / "study.yaml")
