"""From a recipe and an index to a scene: the item as it lies in the booth, its pristine twin, and what was done to it.

Product, benign looks, pose, camera and light are drawn before damage and apart from it, each from a stream of its own.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..sim.booth import Booth, draw_booth
from ..sim.errors import DamagelandError
from ..sim.scene import Scene, transform_part
from ..sim.seed import generator_for
from ..sim.yamlfile import parse_mapping
from .damage.outcome import Outcome
from .damage.table import DAMAGES
from .mesh import finish_sheet
from .products.product import Product
from .recipe import Plan, Recipe, Unit, build_product, locate


@dataclass(frozen=True)
class Composed:
    """One unit of a recipe before it is captured."""

    unit: Unit
    product: Product
    """As it is without the damage."""
    scene: Scene
    twin: Scene | None
    """The pristine scene of a damaged item; None for a pristine one."""
    outcomes: tuple[Outcome, ...]
    booth: Booth
    clutter: tuple[str, ...] = ()
    """What else lies on the tray: ``extras``, ``dust``."""

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
    gone = tuple(lost for _, lost in finished if lost is not None)
    return Scene((*(part for part, _ in finished), *product.contents), gone)


def _draw_pose(product: Product, rng: np.random.Generator) -> Float[np.ndarray, "4 4"]:
    """How the item stands: a box on any of its sides, what is round upright; turned and shifted at random."""
    tip = np.eye(3)
    if product.shape == "box":
        axis = int(rng.integers(3))
        tip = np.roll(np.eye(3), axis, axis=1) if axis else tip
    turn = rng.uniform(0, 2 * np.pi)
    spin = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    T = np.eye(4)
    T[:3, :3] = spin @ tip
    T[:2, 3] = rng.uniform(-0.015, 0.015, 2)
    return T


def _stand(item: Scene, pose: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """Complete a pose so that the item stands on the tray with its middle at the drawn place."""
    points = np.concatenate([part.vertices for part in item.parts]) @ pose[:3, :3].T
    low, high = points.min(axis=0), points.max(axis=0)
    T = pose.copy()
    T[:3, 3] = [*(pose[:2, 3] - (low + high)[:2] / 2), -low[2]]
    return T


def _place(item: Scene, T_world_item: Float[np.ndarray, "4 4"]) -> Scene:
    parts, gone = ((tuple(transform_part(part, T_world_item) for part in group)) for group in (item.parts, item.gone))
    return Scene(parts, gone)


def draw_damage(recipe: Recipe, product: Product, index: int) -> Outcome:
    """Draw one of the recipe's damages among those that apply to a product, and do it."""
    rng = generator_for(recipe.seed, index, "damage")
    specs = [spec for spec in recipe.damages if DAMAGES[spec.generator].applies(product)]
    if not specs:
        names = ", ".join(spec.generator for spec in recipe.damages)
        raise DamagelandError(
            f"{product.item_identifier}: none of the recipe's damages ({names}) applies to a {product.family}. "
            "Add one that does under damages: (docs/recipes.md has the table), or leave the family out."
        )
    weights = np.array([spec.weight for spec in specs])
    spec = specs[int(rng.choice(len(weights), p=weights / weights.sum()))]
    damage = DAMAGES[spec.generator]
    strength = float(rng.uniform(*spec.strength))
    return damage.apply(product, parse_mapping(spec.config, damage.config, spec.generator), strength, rng)


def compose(plan: Plan, index: int) -> Composed:
    """Make unit ``index`` of a recipe."""
    recipe, unit = plan.recipe, locate(plan.recipe, index)
    product = build_product(plan, unit.spec, unit.number, unit.edition, specimen=index)
    item = finish_product(product)
    # A damaged item stays where its twin stands: the pristine item's extent places both.
    pose = _stand(item, _draw_pose(product, generator_for(recipe.seed, index, "pose")))
    booth = draw_booth(plan.booth, generator_for(recipe.seed, index, "booth"))
    pristine = _place(item, pose)
    damaged = not unit.reference and generator_for(recipe.seed, index, "label").random() < recipe.damaged_share
    if not damaged:
        return Composed(unit, product, pristine, None, (), booth)
    outcome = draw_damage(recipe, product, index)
    return Composed(unit, product, _place(finish_product(outcome.product), pose), pristine, (outcome,), booth)
