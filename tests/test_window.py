"""Windows in which photoreal samples are spent: they hold what they must, and leave no seam."""

from dataclasses import replace

import numpy as np
import pytest
from damageland.sim.scene import Scene
from damageland.sim.truth import trace_truth
from damageland.sim.window import FADE_PX, MARGIN_PX, Window, paste, window_of
from scenes import booth, box, camera, plane


def eye(azimuth: float, size=(160, 120)):
    a = np.radians(azimuth)
    return camera((1.2 * np.sin(a), -1.2 * np.cos(a), 0.7), (0.05, 0, 0), size=size, focal=150.0)


@pytest.mark.parametrize("azimuth", [0, 77, 190, 265])
def test_every_item_pixel_of_both_scenes_lies_a_margin_inside(azimuth):
    """The truth of an item and of its twin that lies elsewhere is within the one window, no larger than asked."""
    cam = eye(azimuth)
    scenes = [Scene((box(sides=(0.1, 0.2, 0.1), centre=(x, 0, 0.05)),)) for x in (-0.1, 0.15)]
    window = window_of(scenes, cam)
    assert window is not None
    world = booth([cam], parts=[plane(half=3.0, item=0)])
    seen = np.logical_or(*(trace_truth(scene, world)["cam"].item > 0 for scene in scenes))
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    gaps = [columns[0] - window.left, window.right - 1 - columns[-1], rows[0] - window.top]
    gaps += [window.bottom - 1 - rows[-1]]
    assert min(gaps) >= MARGIN_PX - 1 and max(gaps) <= MARGIN_PX + 2


def test_dust_makes_no_window_and_large_items_need_none():
    """Specks all over the tray do not count; what reaches behind the camera takes all, and what fills the picture."""
    cam = eye(20)
    item, dust = box(sides=(0.1, 0.1, 0.1), centre=(0, 0, 0.05)), plane(half=0.8, item=0)
    assert window_of([Scene((item,))], cam) == window_of([Scene((item, dust))], cam)
    assert window_of([Scene((dust,))], cam) is None
    assert window_of([Scene(())], cam) is None
    assert window_of([Scene((replace(dust, item=1),))], cam) is None
    behind = box(sides=(0.1, 0.1, 6.0), centre=(0, -3, 0))
    assert window_of([Scene((behind, item))], cam) is None


def test_pasted_picture_has_no_seam_and_leaves_the_rest():
    """Outside the window nothing changes; inside by degrees, and all of it a fade away from the sides."""
    rng = np.random.default_rng(0)
    around = rng.random((60, 80, 3), np.float32)
    window = Window(0, 20, 50, 60)  # touches the left and the lower side of the picture
    inside = around[20:60, :50] + np.float32(1)
    change = (paste(around, inside, window) - around)[..., 0]
    outside = np.ones((60, 80), bool)
    outside[20:60, :50] = False
    assert not change[outside].any()
    np.testing.assert_allclose(change[20 + FADE_PX :, : 50 - FADE_PX], 1, atol=1e-6)
    assert np.abs(np.diff(change, axis=0)).max() <= 1 / FADE_PX + 1e-6 >= np.abs(np.diff(change, axis=1)).max()
