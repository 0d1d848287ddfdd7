"""Time of every damage: part of ``make bench``; ``--seeds 5`` for more.

One core, CPU time, after compilation, in one process, beside a fixed numpy workload. Each damage is done on each family
that it applies to, at three strengths and several seeds; solves that fail are counted, as ``damageland render`` counts
them, and what was asked again from other seeds is not.
"""

import argparse
import statistics
import time
from dataclasses import dataclass

import numpy as np
from damageland.generators.compose import finish_product
from damageland.generators.damage.outcome import SeverityRules, UnsolvedError, judge_severity
from damageland.generators.damage.subject import Subject
from damageland.generators.damage.table import DAMAGES, do_damage
from damageland.generators.design import Design
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.products.product import Product
from rich.console import Console
from rich.table import Table

OWN = tuple(name for name in FAMILIES if name != "imported_mesh")
STRENGTHS = (0.3, 0.6, 1.0)
LIMIT_MS = {"crush": 600, "tear": 500, "hole": 500, "spill": 150, "deconstruct": 300}
"""Medians that are aimed at; the rest: 100 ms."""


@dataclass(frozen=True)
class Solve:
    damage: str
    family: str
    ms: float
    vertices: int
    severity: str
    """Or ``unsolved``."""


def numpy_workload_ms() -> float:
    rng = np.random.default_rng(0)
    a, times = rng.normal(size=(600, 600)), []
    for _ in range(5):
        start = time.process_time()
        for _ in range(4):
            np.linalg.svd(a[:200, :200])
            a @ a
            np.sort(a, axis=None)
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times)


def solve(name: str, product: Product, family: str, strength: float, seed: int) -> Solve:
    kind, rng = DAMAGES[name], np.random.default_rng([seed, 5])
    start = time.process_time()
    try:
        outcome = do_damage(name, Subject(product), kind.config(), strength, rng)
    except UnsolvedError:
        return Solve(name, family, 1000 * (time.process_time() - start), 0, "unsolved")
    ms = 1000 * (time.process_time() - start)
    outer = sum(int(np.sum(part.surface == 0)) // 2 for part in finish_product(outcome.product).parts)
    return Solve(name, family, ms, outer, judge_severity(SeverityRules(), outcome))


def all_solves(seeds: int) -> list[Solve]:
    solves = []
    for family in OWN:
        config, build = FAMILIES[family]
        products = [build(f"{family}-{k}", config(), Design(4, k, family, texture_px=2048)) for k in range(seeds)]
        for name, kind in DAMAGES.items():
            for k, product in enumerate(products):
                if not kind.applies(product):
                    continue
                solve(name, product, family, 0.5, 999)  # compiles
                solves += [solve(name, product, family, strength, k) for strength in STRENGTHS]
    return solves


def table_of(solves: list[Solve]) -> Table:
    columns = ("damage", "median ms", "aim", "slowest family (median)", "vertices", "families", "unsolved")
    table = Table(*columns, *("none", "minor", "major"), title="damages, artwork 2048 px")
    for name in DAMAGES:
        own = [s for s in solves if s.damage == name]
        good = [s for s in own if s.severity != "unsolved"]
        by_family = {f: statistics.median(s.ms for s in own if s.family == f) for f in {s.family for s in own}}
        worst = max(sorted(by_family), key=lambda f: by_family[f])
        severities = [f"{sum(s.severity == kind for s in good) / len(good):.0%}" for kind in ("none", "minor", "major")]
        table.add_row(
            name,
            f"{statistics.median(s.ms for s in own):.0f}",
            str(LIMIT_MS.get(name, 100)),
            f"{worst} {by_family[worst]:.0f}",
            f"{statistics.median(s.vertices for s in good):.0f}",
            str(len(by_family)),
            f"{1 - len(good) / len(own):.1%} of {len(own)}",
            *severities,
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="products of each family")
    arguments = parser.parse_args()
    console = Console(width=130)
    console.print(f"fixed numpy workload: {numpy_workload_ms():.0f} ms")
    console.print(table_of(all_solves(arguments.seeds)))
    console.print(f"fixed numpy workload: {numpy_workload_ms():.0f} ms")


if __name__ == "__main__":
    main()
