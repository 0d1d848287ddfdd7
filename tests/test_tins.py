"""The tin experiment: its recipe and booth, dents by warping, and the table of figures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from damageland.generators.recipe import ASSETS, read_plan
from damageland.sim.booth import draw_booth
from damageland.sim.seed import generator_for
from damageland.train.augment import Batch, warp_dents


@pytest.mark.parametrize("path", sorted((ASSETS / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_reads_with_its_booth(path: Path) -> None:
    """Each recipe that ships is valid, and so is the booth it names."""
    plan = read_plan(path)
    booth = draw_booth(plan.booth, generator_for(plan.recipe.seed, 0, "booth"))
    assert [camera.name for camera in booth.cameras] == [camera.name for camera in plan.booth.cameras]


def discs(count: int, side: int = 48) -> Batch:
    """Striped discs on grey."""
    axis = (torch.arange(side) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    item = (torch.hypot(x, y) < 0.7).float().expand(count, 1, side, side).contiguous()
    stripes = 0.5 + 0.3 * torch.sin(20 * y)
    rgb = (stripes * item + 0.3 * (1 - item)).expand(count, 3, side, side).contiguous()
    nothing = torch.zeros_like(item)
    return Batch(rgb, nothing, item, nothing, nothing, torch.arange(count))


def test_warped_dents_change_what_they_mark() -> None:
    """Chosen views change where the mark says, and nowhere else; the other views stay as they were, to the bit."""
    sound = discs(12)
    dented = warp_dents(sound, slice(2, 10), torch.Generator().manual_seed(0))
    same = torch.cat([torch.arange(2), torch.arange(10, 12)])
    for name in ("rgb", "damage", "seen"):
        assert torch.equal(getattr(dented, name)[same], getattr(sound, name)[same])
    change = (dented.rgb - sound.rgb)[2:10].abs().mean(1, keepdim=True)
    marked = dented.seen[2:10] > 0
    assert (marked.float().mean((1, 2, 3)) > 0).float().mean() > 0.7, "most dents are to be seen"
    assert change[marked].mean() > 10 * change[~marked].mean()
    assert float(dented.seen[2:10].mean((1, 2, 3)).max()) < 0.6, "a dent is a place on the item"
    assert bool((dented.damage >= dented.seen).all()), "what is seen is damaged"


def test_warped_dents_repeat_with_their_seed() -> None:
    """The same generator state gives the same dents, another one gives others."""
    first, again, other = (
        warp_dents(discs(4), slice(0, 4), torch.Generator().manual_seed(seed)).rgb for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_dent_needs_an_item_to_be_on() -> None:
    """Where the item fills a corner, so do the dents' middles: change stays near it."""
    batch = discs(8)
    corner = torch.zeros_like(batch.item)
    corner[..., :8, :8] = 1
    dented = warp_dents(replace(batch, item=corner), slice(0, 8), torch.Generator().manual_seed(3))
    far = (dented.rgb - batch.rgb).abs()[..., 40:, 40:]
    assert np.isclose(float(far.max()), 0.0)
