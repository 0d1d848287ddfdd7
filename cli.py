"""The command line: one door to rendering, training, evaluation and reports."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .sim.errors import DamagelandError
from .train.config import TrainConfig

Positional = tyro.conf.Positional


def render(
    recipe: Positional[Path],
    *,
    out: Path,
    workers: int = 2,
    shard: int | None = None,
    time_limit_s: float = 1800.0,
) -> None:
    """Render a recipe to shards with a manifest and a data card.

    Run it again to resume; a finished run renders nothing.

    Example: damageland render assets/recipes/demo.yaml --out runs/demo

    Args:
        recipe: Recipe YAML. The numbers in it carry their units in their names.
        out: Folder for the data set. It holds one recipe's run and no other.
        workers: Worker processes.
        shard: Render only this shard (for array jobs of a scheduler); without it, all that are missing.
        time_limit_s: Longest time for one shard; after it the worker is replaced and the shard tried again.
    """
    from functools import partial

    from .generators.recipe import check_inputs, read_plan, shard_count
    from .generators.shoot import render_shard
    from .sim.batch import make_one, run_shards
    from .sim.output import claim_output, finish

    plan = read_plan(recipe)
    count = shard_count(plan.recipe)
    if shard is not None and not 0 <= shard < count:
        raise DamagelandError(f"--shard {shard}: {recipe} has shards 0 to {count - 1}.")
    if workers < 1:
        raise DamagelandError(f"--workers {workers}: expected at least 1.")
    if plan.recipe.cycles_share > 0:
        _require_blender()
    check_inputs(plan)
    claim_output(out, plan.lock)
    make = partial(render_shard, plan)
    if shard is not None:
        made = make_one(make, shard, out)
        print(f"shard {shard} of {out}: {'rendered' if made else 'was there already'}")
        return
    made = run_shards(
        make, count, out, workers=workers, time_limit_s=time_limit_s, captures_per_shard=plan.recipe.shard_size
    )
    finish(out, count)
    print(f"{out}: {count} shards, {made} rendered now. Look at {out / 'README.md'}, {out / 'manifest.csv'}.")


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


def check(folder: Positional[Path]) -> None:
    """Verify a data set: checksums, counts, alignment of labels, value ranges, manifest.

    Example: damageland check runs/demo

    Args:
        folder: A folder that `damageland render` made.
    """
    from .sim.output import check as check_output

    problems = check_output(folder)
    if problems:
        raise DamagelandError(f"{folder}: {len(problems)} problem(s):\n" + "\n".join(f"  {p}" for p in problems))
    print(f"{folder}: all is well")


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
    data: Positional[tuple[Path, ...]],
    *,
    out: Path,
    real: tuple[Path, ...] = (),
    config: TrainConfig = TrainConfig(),  # noqa: B008  (frozen)
) -> None:
    """Train a damage score per capture and a damage mask per view on rendered shards.

    Example: damageland train runs/demo --out runs/demo/model

    Args:
        data: Folders that `damageland render` made.
        out: Folder for model.safetensors and model.json; it is what --model takes.
        real: Folders of real captures (with query.csv) to mix in, if you have any to learn from.
        config: Settings; the same seed on the same data repeats the run.
    """
    from .evaluate.folder import find_sets, read_folder
    from .train.loop import train as train_model

    captures = [capture for path in real for folder in find_sets(path) for capture in read_folder(folder)]
    train_model(data, config, out, real=captures)
    print(f"{out}: model.safetensors and model.json. Next: damageland evaluate --model {out} --data {data[0]}")


def evaluate(
    *,
    model: Path,
    real: tuple[Path, ...] = (),
    data: Path | None = None,
    out: Path = Path("runs/evaluate"),
    seed: int = 0,
) -> None:
    """Measure a model on real captures and on rendered ones of unseen products; write a report.

    Example: damageland evaluate --model runs/demo/model --real photos/tins --data runs/demo --out runs/demo/report

    Args:
        model: Folder with model.safetensors and model.json.
        real: Folders of real captures: each with query.csv, or a folder of such folders.
        data: A rendered data set, whose test products the model never saw.
        out: Folder for report.html, metrics.json and predictions/.
        seed: Seed of the bootstrap.
    """
    from .evaluate.run import evaluate as evaluate_model

    report = evaluate_model(model, real=real, data=data, out=out, seed=seed)
    print(f"{report}: open it in a browser. Numbers: {out / 'metrics.json'}")


def preview(
    what: Positional[Literal["products", "damages"]],
    *,
    out: Path,
    families: tuple[str, ...] = (),
    damages: tuple[str, ...] = (),
    count: int = 5,
    photoreal: bool = False,
    samples: int | None = None,
    width_px: int = 640,
    seed: int = 0,
) -> None:
    """Draw a contact sheet: every packaging family, several products each; or every damage on each of them.

    Example: damageland preview products --out sheet.png
    Example: damageland preview damages --families tin book --photoreal --out damages.png

    Args:
        what: What to look at: sound products; or damages, a minor and a major one beside the sound twin.
        out: The picture: .png or .jpg.
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


COMMANDS = {
    "render": render,
    "preview": preview,
    "check": check,
    "export": export,
    "train": train,
    "evaluate": evaluate,
}


def main() -> None:
    """Entry point of the ``damageland`` command."""
    try:
        tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="damageland", description=__doc__)
    except DamagelandError as error:
        print(f"damageland: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("damageland: stopped. The same command goes on where it was.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
