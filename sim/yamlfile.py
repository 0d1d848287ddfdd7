"""YAML files that are a pydantic model: every mistake at once, each with its path, what was expected, and a guess."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from .errors import DamagelandError

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path, model: type[Model]) -> Model:
    """Load a YAML file as a model, or raise one DamagelandError that lists every mistake in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DamagelandError(f"{path}: no such file. Give the path of a YAML file that exists.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DamagelandError(f"{path}: cannot be read as text ({error}). Expected a YAML file in UTF-8.") from None
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DamagelandError(f"{path}: not valid YAML: {error}. Mend the line it names.") from None
    if not isinstance(data, dict):
        raise DamagelandError(f"{path}: expected a mapping of keys to values, found {type(data).__name__}.")
    return parse_mapping(data, model, str(path))


def parse_mapping(data: dict[str, Any], model: type[Model], source: str) -> Model:
    """Validate a mapping as a model; ``source`` names where it came from in the error."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [f"  {_explain(item, model)}" for item in _own_mistakes(error.errors())]
        raise DamagelandError(f"{source}: {len(lines)} mistake(s):\n" + "\n".join(lines)) from None


def _own_mistakes(items: Sequence[Any]) -> list[Any]:
    """Leave out that a list is too short where its entries are what is wrong."""
    places = [tuple(item["loc"]) for item in items]

    def follows(item: Any) -> bool:
        loc = tuple(item["loc"])
        return item["type"] == "too_short" and any(len(p) > len(loc) and p[: len(loc)] == loc for p in places)

    return [item for item in items if not follows(item)]


def _explain(item: Any, model: type[BaseModel]) -> str:
    where = ".".join(str(step) for step in item["loc"]) or "(top level)"
    if item["type"] == "extra_forbidden":
        names = _all_keys(model)
        near = difflib.get_close_matches(str(item["loc"][-1]), names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(dict.fromkeys(names))}."
        return f"{where}: unknown key; {hint}"
    return f"{where}: {item['msg']}; found {item['input']!r}"


def _all_keys(model: type[BaseModel], seen: frozenset[type] = frozenset()) -> list[str]:
    """Keys of a model and of the models inside it."""
    if model in seen:
        return []
    names: list[str] = []
    for name, field in model.model_fields.items():
        names.append(name)
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                names += _all_keys(inner, seen | {model})
    return names
