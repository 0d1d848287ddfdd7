"""Time and size of the catalogue: ``make bench-products`` prints every figure about products that the notes quote.

Per family: seconds to build one product (mesh, UV, artwork at 2048 px) and its simulated vertices, one after the other
in one process. Then distinct products: so many are drawn from the default catalogue as asked for, told apart by the
SHA-256 of their shape, their artwork and their words, with the process's memory watched.
"""

import argparse
import gc
import hashlib
import resource
import statistics
import time

import numpy as np
from damageland.generators.design import Design
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.products.product import Product
from rich.console import Console
from rich.table import Table

OWN = tuple(name for name in FAMILIES if name != "imported_mesh")
SIDE = 2048


def build(family: str, number: int, texture_px: int) -> Product:
    config, make = FAMILIES[family]
    return make(f"{family}-{number:05d}", config(), Design(0, number, family, texture_px=texture_px))


def digests(product: Product) -> tuple[str, str, str]:
    """SHA-256 of a product's shape, of its artwork, and of its words."""
    shape, art = hashlib.sha256(), hashlib.sha256()
    for sheet in product.sheets:
        shape.update(np.ascontiguousarray(sheet.rest).tobytes())
        for material in sheet.materials:
            if material.base_color_texture is not None:
                art.update(np.ascontiguousarray(material.base_color_texture).tobytes())
            art.update(repr(material.base_color).encode())
    words = repr((product.attributes["brand"], product.attributes["title"], product.attributes["ean"]))
    return shape.hexdigest(), art.hexdigest(), hashlib.sha256(words.encode()).hexdigest()


def resident_mb() -> float:
    """Largest resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def time_families(count: int) -> Table:
    table = Table("family", "build s, median", "slowest", "simulated vertices", "parts", title=f"artwork {SIDE} px")
    medians = []
    for family in OWN:
        build(family, 999, SIDE)  # compiles, loads fonts
        seconds, vertices, parts = [], [], []
        for number in range(count):
            start = time.perf_counter()
            product = build(family, number, SIDE)
            seconds.append(time.perf_counter() - start)
            vertices.append(len(product.sheets[0].vertices))
            parts.append(len(product.sheets) + len(product.contents))
        medians.append(statistics.median(seconds))
        row = (f"{medians[-1]:.3f}", f"{max(seconds):.3f}", f"{statistics.median(vertices):.0f}", f"{max(parts)}")
        table.add_row(family, *row)
    table.add_row("all", f"{statistics.median(medians):.3f}", "", "", "")
    return table


def count_distinct(families: tuple[str, ...], total: int, texture_px: int) -> Table:
    table = Table("products", "distinct shapes", "artworks", "words", "seconds", "largest memory MB")
    seen: tuple[set[str], set[str], set[str]] = (set(), set(), set())
    start = time.perf_counter()
    for k in range(total):
        for kind, digest in zip(
            seen, digests(build(families[k % len(families)], k // len(families), texture_px)), strict=True
        ):
            kind.add(digest)
        if (k + 1) in {total // 10, total // 4, total // 2, total}:
            gc.collect()
            seconds = f"{time.perf_counter() - start:.0f}"
            table.add_row(str(k + 1), *(str(len(kind)) for kind in seen), seconds, f"{resident_mb():.0f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=7, help="products timed per family; 0 skips it")
    parser.add_argument("--distinct", type=int, default=1000, help="products drawn to count repeats; 0 skips it")
    parser.add_argument("--families", nargs="+", choices=OWN, default=OWN, help="families to count in")
    parser.add_argument("--texture-px", type=int, default=256, help="artwork side while counting")
    arguments = parser.parse_args()
    console = Console(width=110)
    if arguments.count:
        console.print(time_families(arguments.count))
    if arguments.distinct:
        console.print(count_distinct(tuple(arguments.families), arguments.distinct, arguments.texture_px))


if __name__ == "__main__":
    main()
