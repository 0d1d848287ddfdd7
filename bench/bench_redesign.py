"""Staying alive: false alarms and finds when packaging changes, before and after the gallery is refreshed.

Renders a small ``assets/recipes/redesign-stream.yaml`` into --data unless it is there, and scores its captures of new
designs with a model that never saw these products, beside galleries of the first design alone, with 1 and with 3
references of each new design. No weight changes. ``--drawn`` takes printed boxes instead, for a model that
``bench_references.py --drawn --model`` trained. ``unknown``: share of captures whose design the model does not know.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from damageland.generators.recipe import ASSETS, make_plan, read_plan, shard_count
from damageland.generators.shoot import render_shard
from damageland.sim.batch import run_shards
from damageland.sim.capture import Capture
from damageland.sim.output import claim_output, finish
from damageland.sim.shards import read_captures
from damageland.train.gallery import Gallery, add_references, book_of
from damageland.train.references import ReferenceBook, design_of
from damageland.train.scorers import Scorer, load_scorer

REFRESHED = (0, 1, 3)
"""References of each new design, one gallery version each."""


def render(folder: Path, captures: int, products: int, workers: int) -> None:
    plan = read_plan(ASSETS / "recipes" / "redesign-stream.yaml")
    specs = tuple(s.model_copy(update={"count": products, "editions": 2}) for s in plan.recipe.products[:2])
    changes = {"captures": captures, "gallery": 3, "products": specs, "preview_samples": 2, "damaged_share": 0.5}
    plan = make_plan(plan.recipe.model_copy(update=changes), plan.booth)
    claim_output(folder, plan.lock)
    run_shards(partial(render_shard, plan), shard_count(plan.recipe), folder, workers=workers)
    finish(folder, shard_count(plan.recipe))


def draw(products: int) -> list[Capture]:
    """Printed boxes of ``tests/boxes.py`` in two designs: seconds instead of a quarter of an hour."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
    from boxes import box_capture

    found = []
    for n in range(products):
        for edition in (0, 1):
            same = partial(box_capture, product=f"p{500 + n}", edition=edition)
            found += [same(900 + k, role="reference") for k in range(3)]
            found += [
                same(5000 + 10 * n + edition, blot=blot, role="query" if blot else "twin") for blot in (True, False)
            ]
    return found


def refresh(gallery: Gallery, captures: Sequence[Capture]) -> list[int]:
    """Version numbers with no, one and three references of new designs."""
    references = [c for c in captures if c.role == "reference"]
    numbers = []
    for count in REFRESHED:
        fresh = [
            r for name in dict.fromkeys(r.item_identifier for r in references) for r in _new(references, name)[:count]
        ]
        wanted = [*(r for r in references if design_of(r) == "0"), *fresh]
        version, refused = add_references(gallery, wanted)
        assert version is not None and not refused, refused
        numbers.append(version.number)
    return numbers


def _new(references: Sequence[Capture], product: str | None) -> list[Capture]:
    return [r for r in references if r.item_identifier == product and design_of(r) != "0"]


def measure(scorer: Scorer, captures: Sequence[Capture], book: ReferenceBook) -> str:
    alarms: dict[bool, list[bool]] = {True: [], False: []}
    unknown, fits = [], []
    for capture in captures:
        open_choice = replace(capture, reference_ids=())  # nobody tells the model which design this is
        found = scorer(capture, book.find(open_choice))
        alarms[bool(capture.defect)].append(found.alarm)
        unknown.append(getattr(found, "design", "none") == "unknown")
        fits.append(getattr(found, "fit", 0.0))
    told = [f"{np.mean(values):.3f} ({len(values)})" for values in (alarms[False], alarms[True])]
    return f"false alarms {told[0]}, recall {told[1]}, unknown {np.mean(unknown):.3f}, fit {np.median(fits):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("runs/redesign"))
    parser.add_argument("--drawn", action="store_true", help="printed boxes drawn in seconds instead of renders")
    parser.add_argument("--captures", type=int, default=60)
    parser.add_argument("--products", type=int, default=3, help="of each of two families")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if not options.drawn and not any(options.data.glob("shard-*.tar")):
        render(options.data, options.captures, options.products, options.workers)
    scorer = load_scorer(options.model)
    captures = draw(12) if options.drawn else list(read_captures(options.data))
    asked = [c for c in captures if c.role != "reference" and c.defect is not None]
    old = [c for c in asked if design_of(c) == "0"]
    new = [c for c in asked if design_of(c) != "0"]
    with tempfile.TemporaryDirectory() as folder:
        gallery = Gallery(Path(folder))
        numbers = refresh(gallery, captures)
        print(f"first design, its own references: {measure(scorer, old, book_of(gallery, numbers[0]))}")
        for count, number in zip(REFRESHED, numbers, strict=True):
            print(f"new designs, {count} references of them: {measure(scorer, new, book_of(gallery, number))}")


if __name__ == "__main__":
    main()
