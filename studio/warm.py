"""Use a solver once while nobody waits: compiled kernels take a second or more to load, and forks share them."""

from contextlib import suppress
from functools import cache

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


def warm(name: str) -> None:
    """Do a damage gently to some product that it applies to."""
    for family in EXAMPLES:
        product = _example(family)
        if DAMAGES[name].applies(product):
            with suppress(DamagelandError):  # what came of it is of no interest
                do_damage(name, Subject(product), DAMAGES[name].config(), GENTLE, generator_for(0, 0, name))
            return


@cache
def _example(family: str) -> Product:
    config, build = FAMILIES[family]
    return build("warm", config(), Design(0, 0, family, texture_px=256))
