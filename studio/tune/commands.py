"""The steps of ``damageland tune``, as they are on the command line."""

from pathlib import Path

from tyro.conf import Positional

from ...sim.errors import DamagelandError


def density(
    recipe: Positional[Path],
    *,
    real: str,
    out: Path,
    pool: str | None = None,
    pool_captures: int = 240,
    trials: int = 200,
    workers: int = 2,
    seed: int = 0,
) -> None:
    """Fit weights, strengths and sites of a recipe's damages to real masks, severities and kinds; train nothing.

    A pool of damages over all strengths is rendered once (or taken from --pool); each trial weighs it anew. Run it
    again to go on where it was; more --trials go on from the last.

    Example: damageland tune density assets/recipes/tins.yaml --real photos/tins --out runs/tuned

    Args:
        recipe: Recipe YAML whose damages are fitted.
        real: Real captures with damage_mask, major_defect or defect_types (or a data set, to try the method).
        out: Folder for pool/, trials.jsonl, recipe.yaml, transfer-card.json and report.html.
        pool: A rendered data set to weigh instead of rendering one; its strengths should reach from 0 to 1.
        pool_captures: Damages to render for the pool.
        trials: Trials in all.
        workers: Processes that render the pool.
        seed: Seed of the trials and of what is held out.
    """
    from .run import tune_density

    for flag, value, least in (
        ("--trials", trials, 2),
        ("--pool-captures", pool_captures, 20),
        ("--workers", workers, 1),
    ):
        if value < least:
            raise DamagelandError(f"{flag} {value}: expected at least {least}.")
    card = tune_density(
        recipe, real, out, pool=pool, pool_captures=pool_captures, trials=trials, workers=workers, seed=seed
    )
    for name, row in card["loss"].items():
        before, after = row["before"]["value"], row["after"]["value"]
        print(f"mean distance, {name}: {before:.3f} before, {after:.3f} after")
    print(f"{out / 'recipe.yaml'}: the tuned recipe. {out / 'report.html'}: the transfer card.")


def render_next(
    recipe: Positional[Path],
    *,
    data: str,
    predictions: Path,
    out: Path,
    bins: int = 4,
    keep: float = 0.3,
) -> None:
    """Write the recipe to render next: more of the damages on which a model errs, at the recipe's own densities.

    Take the recipe that `tune density` wrote, and real captures have their say in it too.

    Example: damageland tune render-next runs/tuned/recipe.yaml --data runs/demo --predictions mine.csv --out next.yaml

    Args:
        recipe: Recipe YAML whose damages are weighed anew, range by range of strength.
        data: A rendered data set (folder or URL) of held-out captures.
        predictions: Table capture_id,pred of a model on them; captures of the training split are left out.
        out: The next recipe (.yaml).
        bins: Ranges of strength per generator, from 0 to 1.
        keep: Share of the next recipe that stays as the recipe has it.
    """
    from .run import render_next as write_next

    if not 1 <= bins <= 20:
        raise DamagelandError(f"--bins {bins}: expected 1 to 20.")
    if not 0 <= keep <= 1:
        raise DamagelandError(f"--keep {keep}: expected a share between 0 and 1.")
    if out.suffix.lower() not in (".yaml", ".yml") or not out.parent.is_dir():
        raise DamagelandError(f"--out {out}: expected a name that ends in .yaml, in a folder that exists.")
    table, trained = write_next(recipe, data, predictions, out, bins=bins, keep=keep)
    print(table)
    if trained:
        print(f"{trained} captures of the training split were left out.")
    print(f"{out}: render it with `damageland render {out} --out FOLDER`.")


STEPS = {"density": density, "render-next": render_next}
