"""The command line: one door to rendering, training, evaluation and reports."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from .sim.errors import DamagelandError
from .train.config import TrainConfig

if TYPE_CHECKING:
    from .generators.recipe import Plan
    from .sim.engines import Engine

Positional = tyro.conf.Positional
ASSETS = Path(__file__).resolve().parent / "assets"


def render(
    recipe: Positional[Path],
    *,
    out: str,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    workers: int | None = None,
    cpus_per_task: float = 1.0,
    gpus_per_task: float = 0.0,
    shard: int | None = None,
    shard_env: str | None = None,
    dry_run: bool = False,
    log: Path | None = None,
    trust: bool = False,
    time_limit_s: float = 1800.0,
) -> None:
    """Render a recipe to shards with a manifest and a data card.

    Run it again to resume; a finished run renders nothing. Local processes, a Ray cluster and array jobs give the
    same bytes.

    Example: damageland render assets/recipes/demo.yaml --out runs/demo
    Example: damageland render big.yaml --out s3://bucket/big --engine ray --address auto --gpus-per-task 1

    Args:
        recipe: Recipe YAML. The numbers in it carry their units in their names.
        out: Folder or URL (s3://bucket/folder, …) for the data set. It holds one recipe's run and no other.
        engine: Where shards are made: processes of this machine, or a Ray cluster.
        address: Of a running Ray cluster; without it, one is started here.
        workers: Shards made at once: 2 local processes without it, as many as a Ray cluster can take.
        cpus_per_task: CPUs that a shard takes on Ray.
        gpus_per_task: GPUs that a shard takes on Ray; 0.5 puts two on one.
        shard: Render only this shard (for array jobs of a scheduler); without it, all that are missing.
        shard_env: Environment variable with the number of the shard, such as SLURM_ARRAY_TASK_ID.
        dry_run: Say how many captures, bytes and hours it will be, from a few samples, and write nothing.
        log: File for a log in JSON lines; a resumed run goes on at its end.
        trust: Take shards that have a checksum beside them for done without reading them (large sets on object stores).
        time_limit_s: Longest time for one shard; after it the worker is replaced and the shard tried again.
    """
    from .generators.recipe import check_inputs, read_plan, shard_count

    plan = read_plan(recipe.absolute())  # a cluster's workers have another folder to start from
    number = _shard_number(shard, shard_env)
    count = shard_count(plan.recipe)
    if number is not None and not 0 <= number < count:
        raise DamagelandError(f"--shard {number}: {recipe} has shards 0 to {count - 1}.")
    if workers is not None and workers < 1:
        raise DamagelandError(f"--workers {workers}: expected at least 1.")
    if plan.recipe.cycles_share > 0:
        _require_blender()
    check_inputs(plan)
    if dry_run:
        from .generators.estimate import describe, estimate
        from .sim.store import as_store

        as_store(out)  # a place that cannot be is told now, not after the estimate
        print(describe(estimate(plan), workers=workers or 2))
    elif number is not None:
        _render_one(plan, number, out)
    else:
        made_by = _engine(engine, address, workers, cpus_per_task, gpus_per_task, time_limit_s)
        _render_all(plan, count, out, made_by, log, trust)


def _shard_number(shard: int | None, variable: str | None) -> int | None:
    """Number of the one shard that is asked for, by itself or by the name of an environment variable."""
    if variable is None:
        return shard
    if shard is not None:
        raise DamagelandError("--shard and --shard-env both name a shard: give one of them.")
    text = os.environ.get(variable)
    if text is None or not text.isdecimal():
        found = "is not set" if text is None else f"holds {text!r}"
        raise DamagelandError(f"--shard-env {variable}: the variable {found}; expected the number of a shard.")
    return int(text)


def _engine(
    name: str, address: str | None, workers: int | None, cpus: float, gpus: float, time_limit_s: float
) -> "Engine":
    from .sim.engines import LocalEngine

    if name == "ray":
        from .sim.raybatch import RayEngine

        return RayEngine(
            address=address, workers=workers, cpus_per_task=cpus, gpus_per_task=gpus, time_limit_s=time_limit_s
        )
    if address is not None or gpus or cpus != 1.0:
        raise DamagelandError("--address, --cpus-per-task and --gpus-per-task are for --engine ray.")
    return LocalEngine(workers=workers or 2, time_limit_s=time_limit_s, tasks_per_worker=4)


def _render_one(plan: "Plan", number: int, out: str) -> None:
    from functools import partial

    from .generators.shoot import render_shard
    from .sim.batch import make_one
    from .sim.output import claim_output

    claim_output(out, plan.lock)
    made = make_one(partial(render_shard, plan), number, out)
    print(f"shard {number} of {out}: {'rendered' if made else 'was there already'}")


def _render_all(plan: "Plan", count: int, out: str, engine: "Engine", log: Path | None, trust: bool) -> None:
    import time
    from functools import partial

    from .generators.recipe import unit_count
    from .generators.shoot import render_shard
    from .sim.batch import run_shards
    from .sim.output import claim_output, finish
    from .sim.progress import duration
    from .sim.store import as_store

    start, store = time.monotonic(), as_store(out)
    claim_output(store, plan.lock)
    made = run_shards(
        partial(render_shard, plan),
        count,
        store,
        engine=engine,
        log=log,
        captures_per_shard=plan.recipe.shard_size,
        captures=unit_count(plan.recipe),
        trust=trust,
    )
    finish(store, count)
    print(
        f"{out}: {count} shards, {made} rendered now in {duration(time.monotonic() - start)}. "
        f"Look at {store / 'README.md'}, {store / 'manifest.csv'}.\n"
        f"Next: damageland check {out}"
        f", damageland train {out} --out {store / 'model' if store.local is not None else 'runs/model'}"
    )


def _require_blender() -> None:
    """Say before any work what photoreal rendering lacks."""
    import importlib.util

    from .sim.system import installation_hint, missing_system_libraries

    missing = missing_system_libraries()
    if missing:
        raise DamagelandError(installation_hint(missing))
    if importlib.util.find_spec("bpy") is None or importlib.util.find_spec("blenderproc") is None:
        raise DamagelandError(
            "cycles_share is above 0, but Blender is not installed: pip install 'damageland[render]' on Python 3.11, "
            "or set cycles_share: 0 in the recipe."
        )


def check(source: Positional[str], *, pixels: bool = False) -> None:
    """Verify a data set: checksums, counts, sizes and types of all images, value ranges, manifest, links.

    Example: damageland check runs/demo

    Args:
        source: A folder or URL that `damageland render` made.
        pixels: Decode every image too, and compare what its pixels show with the labels. Takes longer; without it,
            you are told how long.
    """
    from .sim.output import inspect
    from .sim.progress import amount, duration

    found = inspect(source, pixels=pixels)
    if found.problems:
        more = ""
        if found.bad_shards:
            more = f"\nRun `damageland render` on its recipe again: it makes {', '.join(found.bad_shards)} anew."
        raise DamagelandError(
            f"{source}: {len(found.problems)} problem(s):\n" + "\n".join(f"  {p}" for p in found.problems) + more
        )
    print(f"{source}: all is well. {found.captures} captures in {found.shards} shards, {amount(found.bytes_read)}")
    print(f"Checked in {duration(found.seconds)}, {amount(found.bytes_read / max(found.seconds, 1e-9))}/s", end="")
    print("." if pixels else f", without pixels; with --pixels it takes about {duration(found.full_seconds)}.")


def export(
    format: Positional[Annotated[str, tyro.conf.arg(metavar="FORMAT")]],
    source: Positional[Annotated[str, tyro.conf.arg(metavar="SOURCE")]],
    *,
    out: Path,
    cameras: tuple[str, ...] = (),
    roles: tuple[str, ...] = (),
    splits: tuple[str, ...] = (),
) -> None:
    """Write a finished data set in another format: kaputt, mvtec3d, coco, bop, yolo or folder.

    What each format keeps and loses is in docs/exports.md, and in the README.md of every export.

    Example: damageland export coco runs/demo --out runs/demo-coco --cameras front

    Args:
        format: kaputt, mvtec3d, coco, bop, yolo or folder.
        source: A folder or URL that `damageland render` filled.
        out: A new folder. It appears when the export is whole.
        cameras: Only these cameras; all without it.
        roles: Only these roles (query, twin, reference); all without it.
        splits: Only these splits (train, validation, test); all without it.
    """
    from .sim.export.source import Selection
    from .sim.export.table import export as write_export

    target = write_export(format, source, out, Selection(cameras, roles, splits), progress=sys.stderr.isatty())
    print(f"{out}: {sum(target.views.values())} views as {format}. Look at {out / 'README.md'}.")
    for reason, count in sorted(target.left_out.items()):
        print(f"  left out: {count} views that {reason}")


def train(
    data: Positional[tuple[str, ...]],
    *,
    out: Path,
    model: str = "query",
    real: tuple[Path, ...] = (),
    config: TrainConfig = TrainConfig(),  # noqa: B008  (frozen)
) -> None:
    """Train a damage score per capture and a damage mask per view on rendered shards.

    query looks at the capture alone; refdiff compares it with pristine references of its product, laid upon it; fusion
    joins both. What each model is and needs is in docs/models.md.

    Example: damageland train runs/demo --out runs/demo/model
    Example: damageland train runs/references --model fusion --out runs/references/model

    Args:
        data: Folders or URLs that `damageland render` filled.
        out: Folder for model.safetensors and model.json; it is what --model of `damageland evaluate` takes.
        model: query, refdiff, gallery or fusion.
        real: Folders of real captures (with query.csv) to mix in, if you have any to learn from.
        config: Settings; the same seed on the same data repeats the run.
    """
    from .evaluate.folder import find_sets, read_folder
    from .train.scorers import train_model

    captures = [capture for path in real for folder in find_sets(path) for capture in read_folder(folder)]
    train_model(model, data, config, out, real=captures)
    print(f"{out}: {model} model. Next: damageland evaluate --model {out} --data {data[0]}")


def evaluate(
    *,
    model: Path,
    real: tuple[Path, ...] = (),
    data: str | None = None,
    out: Path = Path("runs/evaluate"),
    format: str | None = None,
    seed: int = 0,
) -> None:
    """Measure a model on real captures and on rendered ones of unseen products; write a report.

    Example: damageland evaluate --model runs/demo/model --real photos/tins --data runs/demo --out runs/demo/report
    Example: damageland evaluate --model runs/demo/model --real mvtec_3d_anomaly_detection --out runs/mvtec

    Args:
        model: Folder of a model of any kind, with its model.json.
        real: Folders of real captures: each with query.csv, or of another layout that docs/real-captures.md lists
            (Kaputt, MVTec AD, 3D-AD and LOCO, VisA, Real-IAD, Eyecandies, ARMBench, TAMPAR, a recorded RGB-D session),
            or a folder of such folders.
        format: The layout of --real, if what lies in the folders should not decide.
        data: A rendered data set (folder or URL), whose test products the model never saw.
        out: Folder for report.html, metrics.json and predictions/.
        seed: Seed of the bootstrap.
    """
    from .evaluate.run import evaluate as evaluate_model

    report = evaluate_model(model, real=real, data=data, out=out, format=format, seed=seed)
    print(f"{report}: open it in a browser. Numbers: {out / 'metrics.json'}")


def score(
    predictions: Positional[tuple[Path, ...]],
    *,
    truth: str,
    out: Path | None = None,
    format: str | None = None,
    split: str = "test",
    threshold: float | None = None,
    seed: int = 0,
) -> None:
    """Measure prediction files of any model: tables with the columns capture_id,pred.

    Several files are measured on the same captures and compared with one another.

    Example: damageland score mine.csv --truth photos/tins
    Example: damageland score mine.parquet theirs.csv --truth runs/demo --threshold 0.5 --out runs/scored

    Args:
        predictions: CSV or parquet files; pred lies in [0, 1]. Columns mask or mask.<camera> name PNG masks beside it.
        truth: A folder of real captures of any layout that `evaluate --real` takes, or a data set (folder or URL).
        out: Folder for report.html, metrics.json, parts.csv and comparisons.csv; without it, figures are only printed.
        format: The layout of --truth, if what lies in the folder should not decide.
        split: Which captures of a rendered data set were predicted.
        threshold: Score above which the model raises an alarm, fixed elsewhere; without it there are no rates.
        seed: Seed of the bootstrap.
    """
    from .evaluate.score import REPORT, table_of
    from .evaluate.score import score as score_files

    if threshold is not None and not 0 <= threshold <= 1:
        raise DamagelandError(f"--threshold {threshold}: expected a number in [0, 1].")
    results = score_files(predictions, truth, out=out, format=format, split=split, threshold=threshold, seed=seed)
    print(table_of(results))
    if out is not None:
        print(f"{out / REPORT}: open it in a browser. Numbers: {out / 'metrics.json'}")


def preview(
    what: Positional[Literal["products", "damages", "booth"]],
    *,
    out: Path,
    booth: str = "demo",
    families: tuple[str, ...] = (),
    damages: tuple[str, ...] = (),
    count: int = 5,
    photoreal: bool = False,
    samples: int | None = None,
    width_px: int = 640,
    seed: int = 0,
) -> None:
    """Draw a contact sheet: every packaging family; every damage on each of them; or a booth and what its cameras see.

    Example: damageland preview products --out sheet.png
    Example: damageland preview damages --families tin book --photoreal --out damages.png
    Example: damageland preview booth --booth fulfilment --out sheet.png

    Args:
        what: What to look at: sound products; damages, a minor and a major one beside the sound twin; or a booth from
            outside with its cameras' fields of view, and each camera's picture, depth and labels of a crushed carton.
        out: The picture: .png or .jpg.
        booth: Name of a booth in assets/booths, or a YAML file (on the sheet of a booth).
        families: Only these families; all of the catalogue's without it.
        damages: Only these damages; all of the table's without it.
        count: Products of each family (on the sheet of products).
        photoreal: Render with Blender's Cycles (seconds per product) instead of the fast preview.
        samples: Rays per pixel; 6 in the preview and 48 in Cycles without it.
        width_px: Width of a row.
        seed: Another seed draws other products.
    """
    from .generators.contact import product_sheet
    from .generators.damage.table import DAMAGES
    from .generators.damagesheet import damage_sheet
    from .generators.products.catalogue import FAMILIES
    from .sim.files import check_picture_path, write_picture

    check_picture_path(out)
    for flag, value, least in (("--count", count, 1), ("--width-px", width_px, 64), ("--seed", seed, 0)):
        if value < least:
            raise DamagelandError(f"{flag} {value}: expected at least {least}.")
    if samples is not None and samples < 1:
        raise DamagelandError(f"--samples {samples}: expected at least 1.")
    for flag, names, table in (("--families", families, FAMILIES), ("--damages", damages, DAMAGES)):
        unknown = [name for name in names if name not in table]
        if unknown:
            raise DamagelandError(f"{flag} {' '.join(unknown)}: expected some of {', '.join(sorted(table))}.")
    if what == "booth":
        _preview_booth(booth, out, families, damages, photoreal, samples, width_px, seed)
        return
    if booth != "demo":
        raise DamagelandError(f"--booth {booth}: products and damages are photographed in the studio; leave it out.")
    if damages and what == "products":
        raise DamagelandError("--damages: sound products have none; use `damageland preview damages`.")
    if photoreal:
        _require_blender()
    shown = families or tuple(name for name in FAMILIES if name != "imported_mesh")  # whose meshes are yours
    rays = samples or (48 if photoreal else 6)
    if what == "damages":
        kinds = damages or tuple(DAMAGES)
        write_picture(out, damage_sheet(shown, kinds, width_px=width_px, samples=rays, photoreal=photoreal, seed=seed))
        print(f"{out}: {len(kinds)} damages on {len(shown)} families")
        return
    sheet = product_sheet(shown, count=count, width_px=width_px, samples=rays, photoreal=photoreal, seed=seed)
    write_picture(out, sheet)
    print(f"{out}: {len(shown)} families, {count} products each")


def _preview_booth(
    name: str,
    out: Path,
    families: tuple[str, ...],
    damages: tuple[str, ...],
    photoreal: bool,
    samples: int | None,
    width_px: int,
    seed: int,
) -> None:
    from .generators.boothsheet import booth_sheet
    from .sim.booth import read_booth
    from .sim.files import write_picture

    if families or damages or photoreal:
        raise DamagelandError("--families, --damages and --photoreal are not for the sheet of a booth: leave them out.")
    named = ASSETS / "booths" / f"{name}.yaml"
    known = sorted(path.stem for path in (ASSETS / "booths").glob("*.yaml"))
    path = named if name in known else Path(name)
    if not path.is_file():
        raise DamagelandError(f"--booth {name}: neither in assets/booths ({', '.join(known)}) nor a file.")
    write_picture(out, booth_sheet(read_booth(path), width_px=width_px, samples=samples or 4, seed=seed))
    print(f"{out}: booth {path.stem}")


def calibrate(
    captures: Positional[Path], *, board: Path, out: Path, template: Path = ASSETS / "booths" / "top-down.yaml"
) -> None:
    """Fit a booth to a real one, from pictures of a ChArUco board, of a grey card and of the empty tray.

    How to take them, and what comes out of them, is in docs/calibration.md.

    Example: damageland calibrate captures --board charuco.yaml --out booth.yaml

    Args:
        captures: Folder with board/<camera>/*.png, and optionally grey/<camera>/*.png and empty/<camera>/*.png.
        board: YAML of the board: squares, sides, dictionary, which pictures show it lying flat.
        out: The booth's YAML.
        template: Booth with the lamps, walls and depth sensors that are not fitted; lamps are scaled to what was seen.
    """
    from .sim.realbooth import calibrate as fit
    from .sim.realbooth import report, write_booth

    if not out.parent.is_dir():
        raise DamagelandError(f"--out {out}: there is no folder {out.parent}. Make it first.")
    found = fit(captures, board, template)
    write_booth(out, found)
    print(f"{report(found)}\n{out}: {len(found.cameras)} cameras. Next: damageland preview booth --booth {out}")


def study(study: Positional[Path], *, out: Path, data: tuple[str, ...] = (), real: str | None = None) -> None:
    """Say what renders are worth on a real set: many detectors at equal compute, compared with intervals.

    Trains on renders, on k real captures, on both, and on controls, from several seeds, and writes a report with the
    verdict first. Run it again to go on after a kill; what is trained stays trained. docs/study.md tells the rest.

    Example: damageland study assets/studies/demo.yaml --data runs/study/data --real photos --out runs/study/result

    Args:
        study: YAML of the study: rows, numbers of real captures, seeds, settings of training.
        out: Folder for the arms' models, report.html, results.json and differences.csv.
        data: Folders or URLs that `damageland render` filled, instead of those that the YAML names.
        real: Folder of real captures of any layout that `evaluate --real` takes, instead of the YAML's. A rendered data
            set may stand in for one; the report then says so.
    """
    from .evaluate.study.run import study as run
    from .evaluate.study.spec import read_study

    report = run(read_study(study, data=data, real=real), out)
    print(f"{report}: open it in a browser. Numbers: {out / 'results.json'}")


def identify(
    source: Positional[str],
    *,
    gallery: str | None = None,
    out: Path | None = None,
    backbone: str = "keypoints",
    weights: Path | None = None,
    budget: float = 0.05,
    top: int = 5,
    seed: int = 0,
) -> None:
    """Name the products of captures by pristine galleries, or call them unknown; measure it where products are known.

    Example: damageland identify photos/shelf --gallery runs/gallery --out names.csv
    Example: damageland identify runs/references

    Args:
        source: A folder of real captures of any layout that `evaluate --real` takes, or a data set (folder or URL).
        gallery: References: a gallery that lives, a data set, or a folder with reference.csv. Without it, those of
            the source; if it has none, its sound captures are held against each other.
        out: Table (.csv) with the product of each capture, empty where it is unknown, and the nearest candidates.
        backbone: keypoints, colours, plain (patches), or timm's name of a network with --weights.
        weights: Local safetensors file of that network; none is ever loaded from elsewhere.
        budget: Share of products outside the gallery that may be taken for one inside.
        top: Candidates in the table.
        seed: Seed of the threshold's draws and of the intervals.
    """
    from .studio.identify import describe, identify_set, measure, write_names
    from .train.identify import describe_threshold, make_eye

    if not 0 < budget < 1:
        raise DamagelandError(f"--budget {budget}: expected a share between 0 and 1.")
    if top < 1:
        raise DamagelandError(f"--top {top}: expected at least 1.")
    if out is not None and not out.parent.is_dir():
        raise DamagelandError(f"--out {out}: there is no folder {out.parent}. Make it first.")
    found = identify_set(source, gallery, eye=make_eye(backbone, weights), budget=budget, seed=seed, top=top)
    print(describe_threshold(found.threshold))
    if found.own_gallery:
        print(f"{source} has no references: its sound captures were held against each other, thresholds by halves.")
    accuracy = measure(found, seed=seed)
    if accuracy is not None:
        print(describe(accuracy))
    unknown = sum(not row.known for row in found.rows)
    print(f"{source}: {len(found.rows)} captures, {unknown} of them unknown, {len(found.enrolled.products)} products")
    if out is not None:
        write_names(out, found.rows)
        print(f"{out}: capture_id,item_identifier and the {top} nearest candidates")


def feedback(
    source: Positional[str],
    *,
    out: Path,
    predictions: Path | None = None,
    threshold: float | None = None,
    prices: Path | None = None,
) -> None:
    """Tell which packaging breaks how: rates, severity, cost and sites on the unfolded package, as one HTML page.

    Example: damageland feedback runs/demo --out feedback.html
    Example: damageland feedback runs/demo --predictions mine.csv --threshold 0.5 --prices prices.yaml --out page.html

    Args:
        source: A data set (folder or URL), its manifest.parquet or manifest.csv, or a folder of real captures.
        out: The page (.html).
        predictions: Table capture_id,pred: what a model calls damaged takes the place of the labels.
        threshold: Score above which a capture of that table counts as damaged.
        prices: YAML with the cost of an item with minor and with major damage; docs/tuning.md has an example.
    """
    from .sim.files import write_atomic
    from .studio.feedback import collect
    from .studio.feedback_page import headline, render_page

    if out.suffix.lower() != ".html" or not out.parent.is_dir():
        raise DamagelandError(f"--out {out}: expected a name that ends in .html, in a folder that exists.")
    found = collect(source, predictions=predictions, threshold=threshold, prices=prices)
    write_atomic(out, render_page(found))
    print("\n".join(headline(found)))
    print(f"{out}: open it in a browser.")


def studio(
    folder: Positional[Path] = Path("studio"), *, host: str = "127.0.0.1", port: int = 8080, preset: str | None = None
) -> None:
    """Tune damages by eye: a web page with a slider for every setting, which answers while the hand is on it.

    It writes recipes that render exactly what was on the screen. docs/studio.md shows it.

    Example: damageland studio
    Example: damageland studio my-work --host 0.0.0.0 --port 9000

    Args:
        folder: Where recipes, presets, booths of yours (booths/*.yaml) and annotations lie; made if it is not there.
        host: Where to listen; on anything but loopback, the printed link with its token is needed to get in.
        port: Port to listen on.
        preset: A preset of the folder to begin with.
    """
    import importlib.util

    if importlib.util.find_spec("viser") is None:
        raise DamagelandError("the studio needs viser, which is not installed: pip install 'damageland[studio]'")
    from .studio.choices import load_preset
    from .studio.server import Studio

    if folder.exists() and not folder.is_dir():
        raise DamagelandError(f"{folder}: is a file; name a folder to keep the studio's files in.")
    folder.mkdir(parents=True, exist_ok=True)
    first = None if preset is None else load_preset(folder, preset)
    page = Studio(folder.absolute(), host=host, port=port, first=first)
    print(f"Studio: open {page.url} in a browser. Ctrl-C ends it; what is on the page is kept in {folder}.", flush=True)
    try:
        page.run()
    finally:
        page.close()


def tune(step: Positional[Literal["density", "render-next"]]) -> None:
    """Fit damages to real data; each step has its own --help: `damageland tune density --help`.

    Args:
        step: density: weights, strengths and sites of a recipe's damages by real masks; trains nothing.
            render-next: more of the damages on which a model errs.
    """
    assert step, "main() hands the steps to their own commands"


def challenge(
    data: Positional[str],
    *,
    out: Path,
    submissions: Path | None = None,
    own: bool = False,
    models: tuple[Path, ...] = (),
    seed: int = 0,
) -> None:
    """Make a challenge of a rendered data set: tables for those who enter, and a page that ranks what they sent.

    Who enters writes a prediction file for the test split's queries. One that is wrong is told apart from a bad one;
    entries that figures cannot tell apart share a rank. docs/challenge.md has the tasks and the form of an entry.

    Example: damageland challenge runs/demo --out runs/challenge --submissions sent --own

    Args:
        data: A folder or URL that `damageland render` filled.
        out: Folder for tables/, our own entries in own/, and leaderboard.html, .csv and .parquet.
        submissions: Folder of prediction files, or of folders with predictions.csv and about.yaml.
        own: Make entries of our own: a trivial cue, and gradient boosting on the tables alone.
        models: Folders of trained models to enter besides.
        seed: Seed of the bootstrap.
    """
    from .evaluate.challenge.board import rank_all
    from .evaluate.challenge.own import write_own
    from .evaluate.challenge.page import write_board
    from .evaluate.challenge.tables import write_tables

    if models and not own:
        raise DamagelandError("--models enter with our own entries: add --own.")
    write_tables(data, out / "tables")
    print(f"{out / 'tables'}: what may be learned from, and sample_submission.csv")
    folders = ([write_own(data, out / "own", models)[0].parents[1]] if own else []) + (
        [submissions] if submissions else []
    )
    if folders:
        print(f"{write_board(rank_all(folders, data, seed=seed), data, out)}: open it in a browser.")


COMMANDS = {
    "render": render,
    "preview": preview,
    "calibrate": calibrate,
    "check": check,
    "export": export,
    "train": train,
    "evaluate": evaluate,
    "score": score,
    "study": study,
    "challenge": challenge,
    "identify": identify,
    "feedback": feedback,
    "studio": studio,
    "tune": tune,
}


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Entry point of the ``damageland`` command."""
    signal.signal(signal.SIGTERM, _stop)  # a scheduler's way to say stop: workers end, leases are given back
    commands, prog, arguments = COMMANDS, "damageland", sys.argv[1:]
    try:
        if arguments[:1] == ["tune"] and arguments[1:]:
            from .studio.tune.commands import STEPS

            commands, prog, arguments = STEPS, "damageland tune", arguments[1:]
        tyro.extras.subcommand_cli_from_dict(commands, prog=prog, args=arguments, description=__doc__)
    except DamagelandError as error:
        print(f"damageland: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("damageland: stopped. The same command goes on where it was.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
