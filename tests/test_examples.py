"""The examples run as their users run them, and the documentation says what is so."""

import csv
import os
import re
import runpy
import subprocess
import sys
import textwrap
import types
from functools import partial
from pathlib import Path

import cv2
import fakes
import numpy as np
import pytest
from damageland.generators.damage.subject import Subject
from damageland.generators.design import Design
from damageland.generators.products.tin import TinConfig, build_tin
from damageland.sim.seed import generator_for
from damageland.sim.shards import shard_path, write_shard

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9][0-9]_*.py"))


def run_example(name: str, *arguments: str | Path) -> str:
    """Run an example with a fresh interpreter and return what it printed."""
    command = [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_png(path: Path) -> np.ndarray:
    """Pixels of a file that must be a picture."""
    image = cv2.imread(str(path))
    assert image is not None
    return image


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_opens_with_what_you_learn(path: Path) -> None:
    """Every example says in its first sentence what you learn, shows how to call it, and is run by a test here."""
    text = path.read_text(encoding="utf-8")
    opening = text.split('"""')[1]
    assert "what you learn is" in opening.splitlines()[0]
    assert f"python examples/{path.name}" in opening
    assert f'run_example("{path.name}"' in Path(__file__).read_text(encoding="utf-8")


def test_reading_a_shard_tells_what_was_written(tmp_path: Path) -> None:
    """Example 1 needs nothing of damageland and finds the captures, labels, masks and depths of a shard."""
    captures = fakes.fake_product(3, 0)
    write_shard(shard_path(tmp_path, 0), captures)
    text = (ROOT / "examples" / "01_read_a_shard.py").read_text()
    assert not re.search(r"^\s*(import|from) damageland", text, re.MULTILINE)
    lines = run_example("01_read_a_shard.py", shard_path(tmp_path, 0)).splitlines()
    assert len(lines) == len(captures)
    for line, capture in zip(lines, captures, strict=True):
        view = capture.views[0]
        assert view.depth is not None and view.damage is not None
        assert line.startswith(f"{capture.capture_id}: {view.camera} 64x48, defect {capture.defect}")
        assert f"{np.count_nonzero(view.damage)} damaged pixels" in line
        assert abs(float(np.median(view.depth[view.depth > 0])) - float(line.split()[-2])) < 1e-3


def test_damaging_a_product_changes_the_picture_where_it_says(tmp_path: Path) -> None:
    """Example 2 prints measures of a real dent, and its pictures differ between pristine and crushed."""
    picture = tmp_path / "crushed.png"
    text = run_example("02_damage_one_product.py", picture)
    measures = dict(re.findall(r"(\w+_(?:mm|mm2|ml)) +(-?[\d.]+)", text))
    assert float(measures["depth_mm"]) > 1 and float(measures["volume_loss_ml"]) > 0
    pristine, crushed, marked = np.split(read_png(picture).astype(int), 3, axis=1)
    red = (marked != crushed).any(axis=2)
    assert int(re.findall(r"(\d+) of \d+ pixels", text)[0]) >= red.sum() > 0
    difference = np.abs(crushed - pristine).mean(axis=2)
    assert difference[red].mean() > 2 * difference[~red].mean()


def test_scoring_a_folder_gives_a_score_and_a_mask_each(tmp_path: Path) -> None:
    """Example 3 scores photographs without labels by a model trained a moment ago, and writes masks of their size."""
    from damageland.train.config import TrainConfig
    from damageland.train.loop import fit

    def source(split: str):
        return [c for k in range(2) for c in fakes.fake_product(5, k, split=split)]

    config = TrainConfig(steps=2, locate_steps=2, frame_px=48, crop_px=32, locate_px=32, width=8, pairs=2, unpaired=1)
    fit(source, config, tmp_path / "model", progress=False)
    photos = tmp_path / "photos"
    photos.mkdir()
    view = partial(fakes.fake_view, camera="query", with_depth=False)
    pictures = {name: view(generator_for(9, k, "photo")).rgb for k, name in enumerate(("a", "b"))}
    with (photos / "query.csv").open("w", newline="") as file:
        columns = "capture_id,item_identifier,item_material,defect,major_defect,defect_types,query_image"
        csv.writer(file).writerows([columns.split(","), *([name, *[""] * 5, f"{name}.png"] for name in pictures)])
    for name, picture in pictures.items():
        cv2.imwrite(str(photos / f"{name}.png"), picture)
    text = run_example("03_score_a_folder.py", tmp_path / "model", photos, tmp_path / "masks")
    rows = list(csv.DictReader(text.splitlines()))
    assert list(pictures) == [row["capture_id"] for row in rows]
    assert all(0 <= float(row["pred"]) <= 1 for row in rows)
    for name, picture in pictures.items():
        assert picture.shape[:2] == read_png(tmp_path / "masks" / f"{name}.png").shape[:2]


def test_worked_example_of_a_damage_keeps_a_damages_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    """The damage that CONTRIBUTING.md writes out is the identity at strength 0, else dents, labels and repeats."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = textwrap.dedent(re.findall(r"^ *```python\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)[0])
    module = types.ModuleType("damageland.generators.damage.crease")
    module.__package__ = "damageland.generators.damage"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "CONTRIBUTING.md", "exec"), module.__dict__)
    tin = build_tin("t", TinConfig(), Design(1, 0, "tin"))
    apply = partial(module.crease, Subject(tin), module.CreaseConfig())
    before, same = tin.sheets[0], apply(0.0, generator_for(2, 0, "d")).product.sheets[0]
    assert np.array_equal(before.vertices, same.vertices) and np.array_equal(before.marks, same.marks)
    first, again = (apply(1.0, generator_for(2, 0, "d")) for _ in range(2))
    after = first.product.sheets[0]
    assert np.array_equal(after.vertices, again.product.sheets[0].vertices)
    marked, moved = (after.marks >= 1).any(axis=1), 1000 * np.linalg.norm(after.vertices - before.vertices, axis=1)
    assert 0 < marked.sum() < len(marked) and np.array_equal(marked, moved >= 0.5)
    assert 0 < first.measures["depth_mm"] == pytest.approx(moved.max())


def run_script(path: str) -> types.SimpleNamespace:
    """Names of a script of this repository, not run as a program."""
    return types.SimpleNamespace(**runpy.run_path(str(ROOT / path), run_name="script"))


def test_reference_of_keys_is_up_to_date() -> None:
    """docs/recipes.md is what docs/make_reference.py writes, and explains every key; nothing there is left over."""
    script = run_script("docs/make_reference.py")
    assert script.page() == (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8"), (
        "run `python docs/make_reference.py`"
    )
    models = {m.__name__: m for m in (*script.BOOTH.values(), *script.OTHERS)}
    for key in script.MEANING:
        model, name = key.split(".")
        assert models[model].model_fields[name].description is None, f"{key} describes itself: drop it from MEANING"


def test_bench_times_functions_that_exist() -> None:
    """Every stage that the bench times is a function of the pipeline, and restored when the stopwatch ends."""
    script = run_script("bench/bench.py")
    before = [getattr(module, name) for module, name, _ in script.STAGES]
    plan = script.demo_plan(photoreal=False)
    with script.stopwatch() as seconds:
        script.composing.build_product(plan, plan.recipe.products[0], 0)
    assert seconds["product"] > 0
    assert before == [getattr(module, name) for module, name, _ in script.STAGES]


def test_links_of_the_documentation_lead_somewhere() -> None:
    """Every relative link and picture of the documentation names a file that is there."""
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).is_file(), f"{page.name}: {target}"


def test_readme_names_every_command_and_folder() -> None:
    """The README's tree and its commands are those of the repository."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    from damageland.cli import COMMANDS

    assert all(f"damageland {name}" in text for name in COMMANDS)
    for folder in ("sim", "generators", "train", "evaluate", "assets", "bench", "examples", "docs", "tests"):
        assert re.search(rf"^{folder}/", text, re.MULTILINE), folder
    tree, folder = text.split("```text\n")[-1].split("```")[0], ROOT
    for indent, name in re.findall(r"^( *)([\w./-]+)  ", tree, re.MULTILINE):
        folder = folder if indent else ROOT / name
        assert (folder / name if indent else folder).exists(), f"the tree names {indent}{name}"
