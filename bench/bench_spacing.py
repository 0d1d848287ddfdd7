"""Do damages measure the same on walls that are meshed more finely? ``--share 0.7 --seeds 2 --damages crush,tear``.

Each damage is done on each family that it applies to, on walls at their material's spacing and on the same walls
divided to a share of it. Prints per measure how many agree within 5 %, and the difference at the median and at worst.
"""

import argparse
from collections import defaultdict

import numpy as np
from damageland.generators.coarse import divide_product
from damageland.generators.damage.outcome import UnsolvedError
from damageland.generators.damage.subject import Subject
from damageland.generators.damage.table import DAMAGES, do_damage
from damageland.generators.design import Design
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.products.product import Product
from rich.console import Console
from rich.table import Table

OWN = tuple(name for name in FAMILIES if name != "imported_mesh")
STRENGTH, LEAST = 0.6, 1e-9
AGREE = 0.05


def measures_of(name: str, product: Product, seed: int) -> dict[str, float] | None:
    """What one damage leaves; None if its solver came to no end."""
    try:
        rng = np.random.default_rng([seed, 6])
        return dict(do_damage(name, Subject(product), DAMAGES[name].config(), STRENGTH, rng).measures)
    except UnsolvedError:
        return None


def differences(damages: list[str], families: list[str], share: float, seeds: int):
    """Per damage and measure: relative differences, with the family and seed of each."""
    found: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    for family in families:
        config, build = FAMILIES[family]
        for seed in range(seeds):
            product = build(f"{family}-{seed}", config(), Design(6, seed, family, texture_px=512))
            fine = divide_product(product, share)
            for name in damages:
                if not DAMAGES[name].applies(product):
                    continue
                one, two = measures_of(name, product, seed), measures_of(name, fine, seed)
                if one is None or two is None:
                    found[name, "solved"].append((float((one is None) != (two is None)), f"{family} {seed}"))
                    continue
                for measure, value in one.items():
                    if max(value, two[measure]) > LEAST:
                        gap = abs(two[measure] - value) / max(value, two[measure])
                        found[name, measure].append((gap, f"{family} {seed}: {value:.4g}, {two[measure]:.4g}"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.7, help="distance of vertices over the material's")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--damages", default=",".join(DAMAGES))
    parser.add_argument("--families", default=",".join(OWN))
    arguments = parser.parse_args()
    found = differences(arguments.damages.split(","), arguments.families.split(","), arguments.share, arguments.seeds)
    table = Table("damage", "measure", "cases", "within 5 %", "median", "worst", "which")
    for (name, measure), rows in found.items():
        gaps = np.array([gap for gap, _ in rows])
        worst = rows[int(np.argmax(gaps))]
        agree = f"{(gaps <= AGREE).mean():.0%}"
        which = worst[1] if worst[0] > 0.01 else ""
        table.add_row(name, measure, str(len(rows)), agree, f"{np.median(gaps):.1%}", f"{worst[0]:.1%}", which)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
