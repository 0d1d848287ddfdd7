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


STEPS = {"density": density}
