"""All damages: one file each, one line here."""

from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import BaseModel

from ..products.product import Product
from .crush import CrushConfig, crush
from .hole import HoleConfig, hole
from .outcome import Outcome
from .scuff import ScuffConfig, scuff

Apply = Callable[[Product, Any, float, np.random.Generator], Outcome]

DAMAGES: dict[str, tuple[type[BaseModel], Apply]] = {
    "crush": (CrushConfig, crush),
    "hole": (HoleConfig, hole),
    "scuff": (ScuffConfig, scuff),
}
