"""All packaging families: one file each, one line here."""

from .folding_carton import FoldingCartonConfig, build_folding_carton
from .product import Family
from .tin import TinConfig, build_tin

FAMILIES: dict[str, Family] = {
    "folding_carton": (FoldingCartonConfig, build_folding_carton),
    "tin": (TinConfig, build_tin),
}
