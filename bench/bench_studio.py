"""How fast the studio answers a moved slider: ``OMP_NUM_THREADS=1 python bench/bench_studio.py``.

Drives a worker as the page does, without a browser: each damage on a family that it applies to, several strengths, with
warm solvers and the product at hand. Times run from the move to the arrival of the message in the page's process. The
booth has one camera of 384 x 384 pixels and its pictures take one pass; ``--booth`` names another.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import yaml
from damageland.studio.choices import Choices, Step, plan_of
from damageland.studio.keeper import Keeper, wait_for
from damageland.studio.told import Ended, Facts, Failed, Pictures, Shape, Told

FAMILY = {
    "crush": "tin", "tear": "folding_carton", "hole": "tin", "open": "folding_carton", "missing": "blister_pack",
    "deconstruct": "corrugated_shipper", "spill": "pet_bottle", "scuff": "tin",
}  # fmt: skip
STRENGTHS = (0.3, 0.5, 0.7, 0.9)
BOOTH = {
    "name": "one",
    "walls": [{"azimuth_deg": 0, "distance_mm": 300}],
    "lights": [{"azimuth_deg": 30, "elevation_deg": 50, "distance_mm": 600, "size_mm": 200, "radiance": 12}],
    "cameras": [
        {"name": "front", "width": 384, "height": 384, "hfov_deg": 35, "azimuth_deg": 0, "elevation_deg": 20,
         "distance_mm": 400, "aim_mm": 60, "depth": {}}
    ],
}  # fmt: skip
STAGES = ("measures", "mesh", "finished mesh", "first pictures", "captures")


def one_move(keeper: Keeper, choices: Choices, folder: Path) -> dict[str, float] | str:
    """Milliseconds until each stage, or why it failed."""
    heard: list[Told] = []
    times: dict[str, float] = {}
    start = time.perf_counter()

    def hear(told: Told) -> None:
        passed = 1000 * (time.perf_counter() - start)
        if isinstance(told, Facts):
            times["measures"] = passed
        elif isinstance(told, Shape):
            times["finished mesh" if told.fine else "mesh"] = passed
        elif isinstance(told, Pictures):
            times["captures" if told.fine else "first pictures"] = passed
        heard.append(told)

    keeper.ask((plan_of(choices, folder),), hear)
    wait_for(heard, Ended, 300)
    failed = [told.text for told in heard if isinstance(told, Failed)]
    return failed[0] if failed else times


def measure(name: str, choices: Choices, folder: Path) -> str:
    """A row of the table: medians over strengths, and the slowest."""
    keeper = Keeper()
    try:
        one_move(keeper, choices, folder)
        time.sleep(6)  # the solver is warmed while nobody asks
        found = [one_move(keeper, _at(choices, strength), folder) for strength in STRENGTHS]
    finally:
        keeper.close()
    times = [each for each in found if isinstance(each, dict)]
    if not times:
        return f"| {name} on {choices.family} | {found[0]} |"
    cells = [
        f"{statistics.median(t[stage] for t in times):.0f} ({max(t[stage] for t in times):.0f})" for stage in STAGES
    ]
    return f"| {name} on {choices.family} | {' | '.join(cells)} |"


def _at(choices: Choices, strength: float) -> Choices:
    return choices.model_copy(update={"steps": (choices.steps[0].model_copy(update={"strength": strength}),)})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--booth", default="booths/one.yaml", help="name of a booth in assets/booths")
    parser.add_argument("--damages", nargs="*", default=list(FAMILY), help="only these")
    asked = parser.parse_args()
    print(f"Milliseconds after a move: median of strengths {STRENGTHS} (slowest)\n")
    print(f"| damage | {' | '.join(STAGES)} |\n|{'---|' * (len(STAGES) + 1)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "booths").mkdir()
        (folder / "booths" / "one.yaml").write_text(yaml.safe_dump(BOOTH))
        for damage in asked.damages:
            steps = (Step(generator=damage, strength=0.4),)
            choices = Choices(family=FAMILY[damage], steps=steps, booth=asked.booth, samples=1)
            print(measure(damage, choices, folder), flush=True)


if __name__ == "__main__":
    sys.exit(main())
