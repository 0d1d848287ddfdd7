"""From a composed scene to captures and shards: colour, truth, sensors, labels and what the manifest says."""

import importlib.metadata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..sim.booth import Booth
from ..sim.capture import Capture, Damage, Severity, View, is_seen, pose_rows
from ..sim.depth import record_depth
from ..sim.preview import preview_colour
from ..sim.scene import KINDS, SURFACES, Part, Scene
from ..sim.seed import generator_for
from ..sim.sensor import meter_exposure, record_colour, weigh
from ..sim.shards import shard_path, write_shard
from ..sim.task import capture_done
from ..sim.truth import Truth, trace_truth
from .compose import Composed, compose
from .damage.outcome import Outcome, judge_severity
from .mesh import face_areas
from .products.product import Product
from .recipe import Plan, Recipe, reference_id, split_of, unit_count

COUNTED = [SURFACES.index(name) for name in ("outer", "contents", "puddle")]
FILL_TOLERANCE = 0.008
"""Relative spread of what packs hold around what they say."""


def renderer_of(recipe: Recipe, index: int) -> str:
    """Which renderer makes the colour of a unit."""
    drawn = generator_for(recipe.seed, index, "renderer").random()
    return "cycles" if drawn < recipe.cycles_share else "preview"


def colour_of(scenes: Sequence[Scene], booth: Booth, recipe: Recipe, index: int):
    """Linear radiance per camera of each scene; a scene's does not depend on the others."""
    seed = int(generator_for(recipe.seed, index, "samples").integers(2**31 - 1))
    if renderer_of(recipe, index) == "preview":
        return preview_colour(scenes, booth, samples=recipe.preview_samples, seed=seed)
    from ..sim.cycles import cycles_colour  # Blender is loaded only where it is used

    around, noise = recipe.cycles_around, recipe.cycles_noise
    return cycles_colour(scenes, booth, samples=recipe.cycles_samples, seed=seed, around=around, noise=noise)


def shoot(plan: Plan, composed: Composed) -> list[Capture]:
    """Capture a composed unit: the item, and its twin if it has one, with the same exposure and the same noise."""
    scenes = [composed.scene] + ([composed.twin] if composed.twin else [])
    colours = colour_of(scenes, composed.booth, plan.recipe, composed.index)
    gains = {c.name: meter_exposure(colours[-1][c.name], c) for c in composed.booth.cameras}
    captures = []
    for scene, colour in zip(scenes, colours, strict=True):
        truth = trace_truth(scene, composed.booth)
        views = record_views(plan.recipe, composed, colour, truth, gains)
        captures.append(label_capture(plan, composed, scene, truth, views, is_twin=scene is composed.twin))
    return captures


def record_views(recipe: Recipe, composed: Composed, colour, truth: dict[str, Truth], gains) -> tuple[View, ...]:
    """What the cameras of a unit record of its scene or of its twin's."""
    views = []
    for camera in composed.booth.cameras:
        name, exact = camera.name, truth[camera.name]
        # Twins share these generators: what differs between them is the damage alone.
        rgb = record_colour(
            colour[name], camera, gains[name], generator_for(recipe.seed, composed.index, f"colour noise {name}")
        )
        depth = None
        if camera.depth is not None:
            depth = record_depth(exact, camera, generator_for(recipe.seed, composed.index, f"depth noise {name}"))
        labels = (exact.item, exact.part, exact.damage)
        views.append(View(name, rgb, camera.K, camera.T_world_cam, depth, *labels, lens=camera.lens))
    return tuple(views)


def _damaged_mm2(scene: Scene, bit: int) -> float:
    """Labelled area: one side of each wall, contents, puddles, and what is gone."""

    def area(part: Part) -> float:
        chosen = ((part.damage >> bit) & 1 == 1) & np.isin(part.surface, COUNTED)
        return 1e6 * float(face_areas(part.vertices, part.faces)[chosen].sum())

    return sum(area(part) for part in (*scene.parts, *scene.gone))


def _describe(recipe: Recipe, scene: Scene, outcome: Outcome, truth: dict[str, Truth]) -> Damage:
    bit = KINDS.index(outcome.kind)
    total = max(_damaged_mm2(scene, bit), 1e-9)
    seen = {name: float(np.clip(exact.visible_mm2[bit] / total, 0, 1)) for name, exact in truth.items()}
    severity = judge_severity(recipe.severity, outcome)
    return Damage(
        outcome.kind, outcome.generator, outcome.parameters, outcome.measures, severity, severity == "none", seen
    )


def _worst(damages: Sequence[Damage]) -> Severity:
    order: tuple[Severity, ...] = ("none", "minor", "major")
    return order[max((order.index(d.severity) for d in damages), default=0)]


def _attributes(recipe: Recipe, composed: Composed, product: Product, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Columns beside the picture: the catalogue's, the day, and what the booth's scale reads."""
    missing = sum(outcome.measures.get("units_missing", 0) for outcome in outcomes)
    fill = 1 + FILL_TOLERANCE * float(generator_for(recipe.seed, composed.index, "fill").normal())
    scale = generator_for(recipe.seed, composed.index, "scale")
    return {
        **product.attributes,
        "family": product.family,
        "captured_on": composed.unit.captured_on.isoformat(),
        "lookalikes": ",".join(sorted({*product.lookalikes, *composed.clutter})),
        "actual_units": int(product.attributes["expected_units"] - missing),
        "actual_mass_g": weigh(product.mass_g * fill, composed.booth.scale, scale),
    }


def label_capture(
    plan: Plan, composed: Composed, scene: Scene, truth: dict[str, Truth], views: tuple[View, ...], *, is_twin: bool
) -> Capture:
    """A unit's capture: its views, and all that is known of them."""
    recipe, unit = plan.recipe, composed.unit
    outcomes = () if is_twin else composed.outcomes
    product = outcomes[-1].product if outcomes else composed.product
    damages = tuple(_describe(recipe, scene, outcome, truth) for outcome in outcomes)
    real = [d for d in damages if d.severity != "none" and any(is_seen(d, view) for view in views)]
    identifier = product.item_identifier
    references = [reference_id(recipe, unit.spec, unit.number, unit.edition, k) for k in range(recipe.gallery)]
    return Capture(
        capture_id=f"{composed.capture_id}-twin" if is_twin else composed.capture_id,
        item_identifier=identifier,
        origin="synthetic",
        views=views,
        defect=bool(real),
        major_defect=_worst(real) == "major",
        defect_types=tuple(sorted({d.kind for d in real})),
        item_material=product.item_material,
        role="reference" if composed.reference else "twin" if is_twin else "query",
        split=split_of(recipe, identifier),
        group=identifier,
        session=recipe.name,
        T_world_item=pose_rows(composed.T_world_item),
        attributes=_attributes(recipe, composed, product, outcomes),
        damages=damages,
        twin_id=f"{composed.capture_id}-twin" if composed.twin and not is_twin else None,
        reference_ids=() if unit.reference else tuple(references),
        provenance={
            "recipe": recipe.name,
            "recipe_hash": plan.recipe_hash,
            "seed": recipe.seed,
            "index": composed.index,
            "renderer": renderer_of(recipe, composed.index),
            "resampled": composed.mishap.resampled,
            "rejected": ",".join(composed.mishap.rejected),
            "set_back": composed.mishap.set_back,
            "versions": {"damageland": importlib.metadata.version("damageland"), "numpy": np.__version__},
        },
    )


def shard_captures(plan: Plan, k: int) -> Iterator[Capture]:
    """Captures of shard ``k``; twins and their queries count as one for the progress bar."""
    recipe = plan.recipe
    for index in range(k * recipe.shard_size, min((k + 1) * recipe.shard_size, unit_count(recipe))):
        yield from shoot(plan, compose(plan, index))
        capture_done()


def render_shard(plan: Plan, k: int, out: Path) -> None:
    """Make shard ``k`` of a recipe in folder ``out``, whole or not at all (contract C4)."""
    write_shard(shard_path(out, k), shard_captures(plan, k))
