"""Contact sheets: a grid over one or two settings, or draws from a damage's distribution, to judge the spread."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..generators.damage.table import DAMAGES
from ..sim.errors import DamagelandError
from ..sim.seed import generator_for
from .choices import Choices, Step
from .controls import Control, changed, controls_of

MOST_CELLS = 64
STRENGTH = "strength"


@dataclass(frozen=True)
class Axis:
    """One setting and the values that it takes."""

    generator: str
    path: tuple[str | int, ...]
    """``("strength",)`` or a control's path in the generator's config."""
    low: float
    high: float
    count: int
    whole: bool = False

    @property
    def values(self) -> tuple[float, ...]:
        """Evenly spread, ends included."""
        spread = np.linspace(self.low, self.high, self.count)
        return tuple(round(float(v)) for v in spread) if self.whole else tuple(float(f"{v:.6g}") for v in spread)


def settings_of(choices: Choices) -> dict[str, Control | None]:
    """What a grid can go over, by name: strengths (None) and all single numbers of the damages' configs."""
    found: dict[str, Control | None] = {}
    for step in choices.steps:
        found[f"{step.generator}: {STRENGTH}"] = None
        for control in _numbers(controls_of(DAMAGES[step.generator].config)):
            found[f"{step.generator}: {' '.join(str(key) for key in control.path)}"] = control
    return found


def _numbers(controls: Sequence[Control]) -> list[Control]:
    out = []
    for control in controls:
        if control.shape == "group":
            out += _numbers(control.inside)
        elif control.shape in ("number", "whole", "range", "whole_range"):
            out.append(control)
    return out


def axis_of(choices: Choices, name: str, low: float, high: float, count: int) -> Axis:
    """An axis over a setting; a range is set to one value at a time."""
    settings = settings_of(choices)
    if name not in settings:
        raise DamagelandError(f"{name!r}: no damage that is chosen has this setting. Choose one of the list.")
    if low >= high:
        raise DamagelandError(f"{name}: from {low:g} to {high:g} is no range. Give two rising numbers.")
    if count < 2:
        raise DamagelandError(f"{name}: {count} steps; expected at least 2.")
    control, generator = settings[name], name.partition(":")[0]
    if control is None:
        return Axis(generator, (STRENGTH,), low, high, count)
    return Axis(generator, control.path, low, high, count, control.shape in ("whole", "whole_range"))


def grid(choices: Choices, axes: Sequence[Axis]) -> list[tuple[str, Choices]]:
    """Every combination of the axes' values, the last axis along the rows, each with what to call it."""
    cells = [("", choices)]
    for axis in axes:
        name = f"{axis.generator} {' '.join(str(key) for key in axis.path)}"
        cells = [
            (f"{text}{', ' if text else ''}{name} {value:g}", put(cell, axis, value))
            for text, cell in cells
            for value in axis.values
        ]
    if len(cells) > MOST_CELLS:
        raise DamagelandError(f"{len(cells)} pictures: expected {MOST_CELLS} at most. Take fewer steps.")
    return cells


def put(choices: Choices, axis: Axis, value: float) -> Choices:
    """Choices with one setting at a value."""

    def step(old: Step) -> Step:
        if old.generator != axis.generator:
            return old
        if axis.path == (STRENGTH,):
            return Step.model_validate(old.model_dump() | {STRENGTH: value})
        control = next(c for c in _numbers(controls_of(DAMAGES[old.generator].config)) if c.path == axis.path)
        new = [value, value] if control.shape.endswith("range") else value
        return old.model_copy(update={"config": changed(old.config, axis.path, new)})

    return choices.model_copy(update={"steps": tuple(step(old) for old in choices.steps)})


def draws(choices: Choices, count: int, strength: tuple[float, float]) -> list[tuple[str, Choices]]:
    """So many draws of where, how and (for the first damage) how hard, as a recipe with that range would draw them."""
    if not choices.steps:
        raise DamagelandError("No damage is chosen: choose one to see draws of it.")
    if not 0 <= strength[0] <= strength[1] <= 1:
        raise DamagelandError(f"strength {strength[0]:g} to {strength[1]:g}: give a rising range within 0 to 1.")
    if not 1 <= count <= MOST_CELLS:
        raise DamagelandError(f"{count} pictures: expected 1 to {MOST_CELLS}.")
    cells = []
    for k in range(count):
        hard = float(generator_for(choices.seed, k, "studio strength").uniform(*strength))
        axis = Axis(choices.steps[0].generator, (STRENGTH,), hard, hard, 1)
        cells.append((f"draw {k}, strength {hard:.2f}", put(choices.model_copy(update={"damage_draw": k}), axis, hard)))
    return cells
