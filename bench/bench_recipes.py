"""What the shipped recipes take, on paper: captures, bytes and hours, from a few rendered samples of each sort.

``make bench-recipes`` prints the table. Hours are those of workers like the core that ran
the samples; run it on the machine that you mean to use, with nothing beside it.
"""

import argparse

from damageland.generators.estimate import Estimate, estimate
from damageland.generators.recipe import ASSETS, read_plan
from damageland.sim.progress import amount
from rich.console import Console
from rich.table import Table

WORKERS = (1, 8, 64)


def hours(seconds: float) -> str:
    """Hours with two figures that mean something."""
    return f"{seconds / 3600:.1f}" if seconds < 36000 else f"{seconds / 3600:.0f}"


def row(name: str, e: Estimate) -> list[str]:
    """One line of the table."""
    captures = e.captures + e.damaged + e.references
    each = e.seconds / captures
    return [
        name, f"{e.captures:,}", f"{captures:,.0f}", f"{e.shards:,}", amount(e.size_bytes / captures),
        amount(e.size_bytes), f"{each:.2f}", *(hours(e.seconds / workers) for workers in WORKERS),
    ]  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recipes", nargs="*", help="names of recipes; all shipped ones without it")
    parser.add_argument("--samples", type=int, default=3, help="of each sort")
    options = parser.parse_args()
    names = options.recipes or sorted(path.stem for path in (ASSETS / "recipes").glob("*.yaml"))
    columns = ("recipe", "queries", "captures with twins and references", "shards", "each", "all", "s each")
    table = Table(*columns, *(f"h, {workers} worker{'s' * (workers > 1)}" for workers in WORKERS))
    for name in names:
        plan = read_plan(ASSETS / "recipes" / f"{name}.yaml")
        table.add_row(*row(name, estimate(plan, samples=options.samples)))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
