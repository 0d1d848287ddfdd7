"""Use every solver once while nobody waits: compiled kernels take a second or more to load, and forks share them."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache

from ..generators.damage.outcome import UnsolvedError
from ..generators.damage.subject import Subject
from ..generators.damage.table import DAMAGES, do_damage
from ..generators.design import Design
from ..generators.products.catalogue import FAMILIES
from ..generators.products.product import Product
from ..sim.errors import DamagelandError
from ..sim.seed import generator_for

EXAMPLES = ("tin", "folding_carton", "standup_pouch", "pet_bottle", "blister_pack")
"""Families among which each damage finds one that it applies to; the first that fits is taken."""
GENTLE = 0.3


def warm_steps() -> list[Callable[[], None]]:
    """One step per damage."""
    return [_step(name) for name in DAMAGES]


def _step(name: str) -> Callable[[], None]:
    def run() -> None:
        for family in EXAMPLES:
            product = _example(family)
            if DAMAGES[name].applies(product):
                with suppress(UnsolvedError, DamagelandError):
                    do_damage(name, Subject(product), DAMAGES[name].config(), GENTLE, generator_for(0, 0, name))
                return

    return run


@cache
def _example(family: str) -> Product:
    config, build = FAMILIES[family]
    return build("warm", config(), Design(0, 0, family, texture_px=256))
