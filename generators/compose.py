"""From a recipe and an index to a scene: the item as it lies in the booth, its pristine twin, and what was done to it.

Product, benign looks, pose, camera and light are drawn before damage and apart from it, each from a stream of its own.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from ..sim.booth import Booth, check_cameras, draw_booth
from ..sim.scene import Part, Scene, transform_part
from ..sim.seed import generator_for
from .clutter import draw_clutter
from .damage.outcome import Outcome
from .damage.subject import Subject
from .held import held_or
from .mesh import finish_sheet
from .mishap import Mishap, draw_mishap
from .products.product import Product
from .recipe import Plan, Recipe, Unit, build_product, design_of, is_damaged, locate
from .rest import lay_down
from .wear import benign, print_lookalike


@dataclass(frozen=True)
class Composed:
    """One unit of a recipe before it is captured."""

    unit: Unit
    product: Product
    """As it is without the damage."""
    scene: Scene
    twin: Scene | None
    """The pristine scene of a damaged item; None for a pristine one."""
    mishap: Mishap
    booth: Booth
    T_world_item: Float[np.ndarray, "4 4"]
    """Where the item lies; a damaged one lies where its pristine form would."""
    clutter: tuple[str, ...] = ()
    """What else lies on the tray: ``extras``, ``dust``."""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Its damages, in causal order; the last one's product bears all of them."""
        return self.mishap.outcomes

    @property
    def capture_id(self) -> str:
        """Name of the capture."""
        return self.unit.capture_id

    @property
    def index(self) -> int:
        """Index of the unit in its recipe."""
        return self.unit.index

    @property
    def reference(self) -> bool:
        """Whether this is a gallery capture."""
        return self.unit.reference


def finish_product(product: Product) -> Scene:
    """Finish a product's sheets, in its item frame."""
    finished = [finish_sheet(sheet) for sheet in product.sheets]
    drawn = (part for part, _ in finished if len(part.faces))
    gone = (lost for _, lost in finished if lost is not None)
    return Scene((*drawn, *product.contents), (*gone, *product.gone))


def _place(item: Scene, T_world_item: Float[np.ndarray, "4 4"]) -> Scene:
    parts, gone = ((tuple(transform_part(part, T_world_item) for part in group)) for group in (item.parts, item.gone))
    return Scene(parts, gone)


class _Finished:
    """Finishes each product of a unit once: its pose and its scene both need it."""

    def __init__(self) -> None:
        self.last: tuple[Product, Scene] | None = None

    def scene(self, product: Product) -> Scene:
        """Finished parts of a product, in its frame."""
        if self.last is None or self.last[0] is not product:
            self.last = product, finish_product(product)
        return self.last[1]

    def points(self, product: Product) -> Float[np.ndarray, "n 3"]:
        """All that is drawn of a product."""
        return np.concatenate([part.vertices for part in self.scene(product).parts])


def _tray_size(booth: Booth) -> tuple[float, float]:
    width, depth = np.ptp(next(part for part in booth.parts if part.name == "tray").vertices[:, :2], axis=0)
    return float(width), float(depth)


def _draw_clutter(recipe: Recipe, look: int, item: Scene, booth: Booth) -> tuple[Part, ...]:
    """What else lies on the tray; it keeps clear of the pristine item."""
    seen_from_above = np.concatenate([part.vertices for part in item.parts])[:, :2]
    return draw_clutter(
        generator_for(recipe.seed, look, "clutter"),
        keep_out=seen_from_above,
        tray_size_m=_tray_size(booth),
        config=recipe.lookalikes,
    )


@dataclass(frozen=True)
class Sound:
    """One unit of a recipe as it lies in the booth, before anything happens to it."""

    unit: Unit
    product: Product
    scene: Scene
    """With what else lies on the tray."""
    booth: Booth
    T_world_item: Float[np.ndarray, "4 4"]
    clutter: tuple[Part, ...]
    """What else lies on the tray."""


def make_product(plan: Plan, index: int) -> Product:
    """Make the piece that unit ``index`` shows, with what looks like damage on it and is none."""
    recipe, unit = plan.recipe, locate(plan.recipe, index)
    look = held_or(recipe.held.look, index)
    made = build_product(plan, unit.spec, unit.number, unit.edition, specimen=look)
    made = print_lookalike(made, design_of(plan, unit.spec, unit.number, unit.edition), recipe.lookalikes)
    if unit.reference:  # a gallery shows the product as it leaves the factory
        return made
    return benign(made, generator_for(recipe.seed, look, "benign"), recipe.lookalikes, recipe.severity)


def lay_product(plan: Plan, index: int, made: Product) -> Sound:
    """Lay a unit's product in its booth."""
    recipe, unit = plan.recipe, locate(plan.recipe, index)
    booth = draw_booth(plan.booth, generator_for(recipe.seed, held_or(recipe.held.booth, index), "booth"))
    # A damaged item stays where its twin lies: the pristine item's form places both.
    finished = _Finished()
    draws = generator_for(recipe.seed, held_or(recipe.held.pose, index), "pose")
    product, rest = lay_down(made, draws, finished.points, walls=booth.parts, rules=recipe.rest)
    pose = rest.T_world_item
    item = _place(finished.scene(product), pose)
    check_cameras(booth, item)
    clutter = () if unit.reference else _draw_clutter(recipe, held_or(recipe.held.look, index), item, booth)
    return Sound(unit, product, replace(item, parts=(*item.parts, *clutter)), booth, pose, clutter)


def strike(plan: Plan, sound: Sound) -> Mishap:
    """Draw what happens to a unit, and do it; nothing to one that the recipe leaves sound."""
    if not is_damaged(plan.recipe, sound.unit.index):
        return Mishap(())
    walls = tuple(part for part in sound.booth.parts if part.name != "tray")
    subject = Subject(sound.product, sound.T_world_item, _tray_size(sound.booth), (*walls, *sound.clutter))
    return draw_mishap(plan.recipe, subject, sound.unit.index)


def finish(sound: Sound, mishap: Mishap) -> Composed:
    """The scene after a mishap, with its pristine twin."""
    tags = tuple(sorted({"dust" if part.name == "dust" else "extras" for part in sound.clutter}))
    scene, twin = sound.scene, None
    if mishap.outcomes:
        spoilt = _place(finish_product(mishap.outcomes[-1].product), sound.T_world_item)
        scene, twin = replace(spoilt, parts=(*spoilt.parts, *sound.clutter)), sound.scene
    return Composed(sound.unit, sound.product, scene, twin, mishap, sound.booth, sound.T_world_item, tags)


def compose(plan: Plan, index: int) -> Composed:
    """Make unit ``index`` of a recipe."""
    sound = lay_product(plan, index, make_product(plan, index))
    return finish(sound, strike(plan, sound))
