"""All packaging families: one file each, one line here."""

from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import BaseModel

from .carton import CartonConfig, build_carton
from .product import Product
from .tin import TinConfig, build_tin

Build = Callable[[str, Any, np.random.Generator], Product]

FAMILIES: dict[str, tuple[type[BaseModel], Build]] = {
    "carton": (CartonConfig, build_carton),
    "tin": (TinConfig, build_tin),
}
