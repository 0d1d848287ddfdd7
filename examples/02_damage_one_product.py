"""Damage one product: what you learn is the way from a product to a labelled picture, without recipe or shards.

A product is made of sheets (welded meshes of its walls). A damage takes a product and returns another, with what was
measured on it. ``finish_sheet`` turns a sheet into what is drawn, with a label on every face. All randomness comes from
generators that are handed in, so the same seed gives the same tin.

    python examples/02_damage_one_product.py crushed.png
"""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from damageland.generators.damage.crush import CrushConfig, crush
from damageland.generators.damage.subject import Subject
from damageland.generators.design import Design
from damageland.generators.mesh import finish_sheet
from damageland.generators.products.product import Product
from damageland.generators.products.tin import TinConfig, build_tin
from damageland.sim.booth import draw_booth, read_booth
from damageland.sim.preview import preview_colour
from damageland.sim.scene import Scene
from damageland.sim.seed import generator_for
from damageland.sim.sensor import meter_exposure, record_colour
from damageland.sim.truth import trace_truth

BOOTH = Path(__file__).resolve().parents[1] / "assets" / "booths" / "demo.yaml"


def scene_of(product: Product) -> Scene:
    """The product as it stands at the centre of the tray."""
    finished = [finish_sheet(sheet) for sheet in product.sheets]
    return Scene(tuple(part for part, _ in finished), tuple(lost for _, lost in finished if lost is not None))


def main(picture: str, *, seed: int = 8, samples: int = 8) -> None:
    tin = build_tin("my-tin", TinConfig(), Design(seed, number=0, family="tin"))
    outcome = crush(Subject(tin), CrushConfig(), 0.6, generator_for(seed, 0, "damage"))
    print(f"{outcome.generator} yields {outcome.kind}, at the {outcome.parameters['site']}")
    for name, value in outcome.measures.items():
        print(f"  {name:16} {value:8.2f}")

    booth = draw_booth(read_booth(BOOTH), generator_for(seed, 0, "booth"))
    booth = replace(booth, cameras=booth.cameras[:1])
    scenes = [scene_of(tin), scene_of(outcome.product)]
    colours = preview_colour(scenes, booth, samples=samples, seed=seed)
    camera = booth.cameras[0]
    gain = meter_exposure(colours[0][camera.name], camera)  # the twin's exposure serves both
    shots = [record_colour(c[camera.name], camera, gain, generator_for(seed, 0, "noise")) for c in colours]

    mask = trace_truth(scenes[1], booth)[camera.name].damage > 0
    print(f"  {np.count_nonzero(mask)} of {mask.size} pixels of camera {camera.name} show the damage")
    marked = np.where(mask[..., None], shots[1] // 2 + np.array([115, 0, 0], np.uint8), shots[1])
    row = np.concatenate([*shots, marked], axis=1)
    if not cv2.imwrite(picture, cv2.cvtColor(row, cv2.COLOR_RGB2BGR)):
        sys.exit(f"cannot write {picture}")
    print(f"{picture}: pristine, crushed, and where")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "crushed.png")
