"""Controls of a config, read off its fields: type, bounds, unit, help. What a page shows is written nowhere else.

A control knows nothing of a page. A field that no slider fits is a line of YAML, checked by the config itself.
"""

import math
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from annotated_types import Ge, Gt, Interval, Le, Lt
from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from ..generators.products.ranges import Within
from ..sim.errors import DamagelandError

Shape: TypeAlias = Literal["number", "range", "whole", "box", "whole_range", "switch", "choice", "text", "group"]
UNITS = {
    "mm": "mm", "mm2": "mm²", "ml": "ml", "deg": "°", "g": "g", "rad": "rad", "m": "m", "px": "px", "share": "share",
    "kg": "kg", "ev": "EV", "k": "K",
}  # fmt: skip
"""Last word of a field's name, and what it says."""
STEPS = 200
"""Positions of a slider, about."""
MOST_WHOLE = 1000
"""Whole numbers in a wider range get a box instead of a slider."""
ROOM = 3.0
"""A field without an upper bound gets a slider to so many times its default."""


@dataclass(frozen=True)
class Control:
    """One thing to set: a field of a config, or an entry of a mapping in it."""

    path: tuple[str | int, ...]
    """Keys from the config's top to here."""
    shape: Shape
    default: Any
    unit: str
    """Empty where the name says none."""
    help: str
    low: float = 0.0
    high: float = 1.0
    step: float = 0.01
    choices: tuple[str, ...] = ()
    inside: "tuple[Control, ...]" = ()
    """Of a group."""

    @property
    def label(self) -> str:
        """Name with its unit."""
        words = str(self.path[-1]).replace("_", " ")
        last = words.rpartition(" ")[2]
        if not self.unit or self.unit == "share":
            return words
        return f"{words.removesuffix(last).strip() if last in UNITS else words} [{self.unit}]"


def controls_of(model: type[BaseModel]) -> tuple[Control, ...]:
    """Controls of all fields of a config, in its order."""
    return tuple(
        _control((name,), field.annotation, field.metadata, _default(field), _help(field))
        for name, field in model.model_fields.items()
    )


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _help(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def unit_of(name: str) -> str:
    """Unit in a field's name."""
    return UNITS.get(name.rpartition("_")[2], "") if "_" in name else ""


def _control(path: tuple[str | int, ...], annotation: Any, metadata: list[Any], default: Any, text: str) -> Control:
    if typing.get_origin(annotation) is Annotated:
        annotation, *more = typing.get_args(annotation)
        metadata = [*metadata, *more]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    named = next(str(key) for key in reversed(path) if isinstance(key, str))
    unit = unit_of(named)
    if annotation is bool:
        return Control(path, "switch", default, unit, text)
    if origin is Literal and all(isinstance(value, str) for value in inner):
        return Control(path, "choice", default, unit, text, choices=inner)
    if annotation in (int, float) and default is not None:
        low, high, step = _bounds(metadata, (default,), unit, named, whole=annotation is int)
        shape: Shape = "number" if annotation is float else "whole" if high - low <= MOST_WHOLE else "box"
        return Control(path, shape, default, unit, text, low, high, step)
    if origin is tuple and inner in ((float, float), (int, int)) and default is not None:
        whole = inner == (int, int)
        low, high, step = _bounds(metadata, default, unit, named, whole=whole)
        return Control(path, "whole_range" if whole else "range", default, unit, text, low, high, step)
    if origin is dict and inner[1] is not Any:
        entries = _entries(path, inner, metadata, default, text)
        return Control(path, "group", default, unit, text, inside=entries)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and isinstance(default, annotation):
        inside = tuple(
            _control((*path, name), field.annotation, field.metadata, getattr(default, name), _help(field))
            for name, field in annotation.model_fields.items()
        )
        return Control(path, "group", default, unit, text, inside=inside)
    return Control(path, "text", default, unit, text)


def _entries(path: tuple[str | int, ...], inner: Any, metadata: list[Any], default: Any, text: str):
    """Controls of a mapping's entries: all that its type allows, else those of the default."""
    keys = typing.get_args(inner[0]) if typing.get_origin(inner[0]) is Literal else tuple(default)
    empty = 0.0 if inner[1] is float else {}
    allowed = [item for item in metadata if not isinstance(item, AfterValidator)]
    return tuple(_control((*path, key), inner[1], allowed, default.get(key, empty), text) for key in keys)


def _bounds(
    metadata: list[Any], default: tuple[float, ...], unit: str, name: str, *, whole: bool
) -> tuple[float, float, float]:
    """Ends and step of a slider: the field's own bounds where it has them."""
    low, high, above = -math.inf, math.inf, False
    for item in metadata:
        if isinstance(item, AfterValidator) and isinstance(item.func, Within):
            low, high = item.func.low, item.func.high
        low = max(low, *(float(getattr(item, k)) for k in ("ge", "gt") if _has(item, k, Ge, Gt)), -math.inf)
        high = min(high, *(float(getattr(item, k)) for k in ("le", "lt") if _has(item, k, Le, Lt)), math.inf)
        above = above or (_has(item, "gt", Gt, Gt))
    reach = max(abs(value) for value in default)
    if math.isinf(low):
        low = 0.0 if min(default) >= 0 else -ROOM * reach
    if math.isinf(high):
        share = unit == "share" or name.endswith("shares") or (not unit and reach <= 1)
        high = 1.0 if share and reach <= 1 else max(round(ROOM * reach, 6), 1.0)
    low, high = min(low, *default), max(high, *default)
    if whole:
        return math.floor(low), math.ceil(high), 1
    step = _round_step((high - low) / STEPS, min((abs(v) for v in default if v), default=1.0))
    return (low + step if above and low + step <= min(default) else low), high, step


def _has(item: Any, key: str, *kinds: type) -> bool:
    return isinstance(item, (*kinds, Interval)) and getattr(item, key, None) is not None


def _round_step(step: float, smallest: float) -> float:
    """A step of 1, 2 or 5 times a power of ten, fine enough for the default to be set again."""
    step = min(step, smallest / 2)
    power = 10.0 ** math.floor(math.log10(step))
    return next(k * power for k in (5, 2, 1) if k * power <= step * 1.0001)


# ---- Values ---------------------------------------------------------------------------------------------------------


def value_at(config: dict[Any, Any], control: Control) -> Any:
    """What a config's changes say of a control, or its default."""
    here: Any = config
    for key in control.path:
        if not isinstance(here, dict) or key not in here:
            return control.default
        here = here[key]
    return here


def changed(config: dict[Any, Any], path: tuple[str | int, ...], value: Any) -> dict[Any, Any]:
    """A config's changes with one more."""
    if len(path) == 1:
        return {**config, path[0]: value}
    return {**config, path[0]: changed(dict(config.get(path[0], {})), path[1:], value)}


def with_whole_groups(config: dict[Any, Any], controls: tuple[Control, ...]) -> dict[Any, Any]:
    """Fill mappings that were changed in part with their other defaults: a config takes them whole."""
    out = dict(config)
    for control in controls:
        key = control.path[-1]
        if control.shape == "group" and isinstance(out.get(key), dict):
            inner = with_whole_groups(out[key], control.inside)
            defaults = control.default if isinstance(control.default, dict) else {}
            out[key] = {**defaults, **inner}
    return out


def require_rising(config: dict[Any, Any], controls: tuple[Control, ...], name: str) -> None:
    """Refuse a range turned upside down: not every config minds, and a slider would silently show another."""
    for control in controls:
        if control.shape == "group":
            require_rising(config, control.inside, name)
            continue
        value = value_at(config, control)
        if control.shape in ("range", "whole_range") and isinstance(value, list | tuple) and len(value) == 2:
            low, high = value
            if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
                raise DamagelandError(
                    f"{name}: {control.label} is {low:g} to {high:g}, upside down. Give the smaller number first."
                )


def parse_text(control: Control, text: str) -> Any:
    """A value from a line of YAML."""
    try:
        return yaml.safe_load(text) if text.strip() else None
    except yaml.YAMLError as error:
        raise DamagelandError(f"{control.label}: {text!r} is no YAML value ({error}). Mend it.") from None


def show_text(value: Any) -> str:
    """A value as a line of YAML."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    plain = list(plain) if isinstance(plain, tuple) else str(plain) if hasattr(plain, "parts") else plain
    if plain is None:
        return ""
    return yaml.safe_dump(plain, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")
