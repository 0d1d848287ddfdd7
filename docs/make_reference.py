"""Write docs/recipes.md from the models that read the files: ``python docs/make_reference.py``.

``--check`` writes nothing and fails if the committed page is out of date.
"""

import argparse
import sys
import types
import typing
from pathlib import Path

import yaml
from damageland.generators.damage.outcome import Limits, SeverityRules
from damageland.generators.damage.table import DAMAGES
from damageland.generators.held import Held
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.recipe import Consequence, DamageSpec, ProductSpec, Recipe
from damageland.generators.rest import RestRules
from damageland.generators.wear import LookalikesConfig
from damageland.sim import booth, boothspec
from damageland.train.config import TrainConfig
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

PAGE = Path(__file__).resolve().parent / "recipes.md"
BOOTH = {
    "Booth": booth.BoothSpec,
    "Cameras of a booth": booth.CameraSpec,
    "Distortion of a lens": boothspec.DistortionSpec,
    "Pose of a calibrated camera": boothspec.PoseSpec,
    "Depth sensor of a camera": booth.DepthSpec,
    "Place of a depth sensor": boothspec.DepthViewSpec,
    "Lights of a booth": booth.LightSpec,
    "Walls of a booth": boothspec.WallSpec,
    "Surfaces of tray and walls": boothspec.SurfaceSpec,
    "Environment of a booth": boothspec.EnvironmentSpec,
    "Scale under the tray": boothspec.ScaleSpec,
}
OTHERS = (Recipe, ProductSpec, DamageSpec, Consequence, Limits)

MEANING = {
    "Recipe.damaged_share": "share of captures that are damaged; each of them gets a pristine twin",
    "Recipe.preview_samples": "passes of the fast preview",
    "Recipe.test_share": "share of products kept for the final test",
    "Recipe.products": "packaging families, see below",
    "Recipe.damages": "damage generators, see below",
    "Recipe.severity": "limits from which a damage is minor or major, see below",
    "Limits.minor_from": "below this the damage is tolerable",
    "DepthSpec.noise_mm_at_1m": "standard deviation at 1 m; grows with the square of the distance",
    "DepthSpec.grazing_deg": "surfaces seen at a larger angle to their normal return nothing",
    "DepthSpec.gloss_loss": "how readily mirror-like metal returns nothing, 0 to 1",
    "CameraSpec.name": "name in the file names of its images; lower case",
    "DistortionSpec.model": "OpenCV's name of it",
    "CameraSpec.roll_deg": "about its axis",
    "CameraSpec.noise": "standard deviation at mid grey, linear, 1 is white",
    "CameraSpec.blur_px": "standard deviation of its blur",
    "CameraSpec.jpeg_quality": "of the camera's own compression",
    "CameraSpec.depth": "a depth sensor; without this key the camera gives none",
    "LightSpec.azimuth_deg": "where it stands, as cameras",
    "LightSpec.elevation_deg": "above the tray",
    "LightSpec.distance_mm": "from the tray's centre",
    "LightSpec.size_mm": "sides of the panel",
    "SurfaceSpec.saturation": "0 is grey",
    "SurfaceSpec.roughness": "0 is a mirror, 1 is matt",
    "WallSpec.distance_mm": "from the tray's centre",
    "WallSpec.share": "share of captures in which it stands there",
    "WallSpec.surface": "its paint, see surfaces",
    "EnvironmentSpec.ambient": "radiance of the dim surroundings",
    "EnvironmentSpec.panels": "how many brighter panels, fewest and most",
    "BoothSpec.name": "name in recipe.lock.yaml",
    "BoothSpec.tray_size_mm": "side of the square tray",
    "BoothSpec.tray": "its paint, see surfaces",
    "BoothSpec.walls": "see walls",
    "BoothSpec.lights": "see lights",
    "BoothSpec.environment": "see environment",
    "Recipe.lookalikes": "what sound products and trays show that is no damage, see lookalikes",
    "Recipe.rest": "how items come to rest on the tray, see rest",
    "Recipe.held": "draws that are the same in all queries, see held",
    "BoothSpec.scale": "see scale",
    "BoothSpec.cameras": "see cameras; at least one",
}
"""Meaning of keys whose field has no description of its own."""


RANGE = "number or [low, high]"


def meaning(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    """What a key means, in a table cell; a key that nothing explains is an error."""
    text = field.description or MEANING.get(f"{model.__name__}.{name}")
    if text is None:
        raise SystemExit(f"{model.__name__}.{name} has no description: add one to its field")
    return " ".join(text.split()).replace("|", "\\|")


def type_name(annotation: object) -> str:
    """A type in a reader's words."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        ranged = any(getattr(item, "func", None) is boothspec._range for item in inner[1:])
        return RANGE if ranged else type_name(inner[0])
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_name(arm) for arm in inner if arm is not type(None))
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return f"list of {type_name(inner[0])}"
        whole = ", whole" if set(inner) == {int} else ""
        if len(inner) == 2 and set(inner) <= {int, float}:
            return f"[low, high]{whole}"
        return f"list of {len(inner)}" + (f", each a {RANGE}" if type_name(inner[0]) == RANGE else "")
    if origin is dict or annotation is dict:
        return "mapping"
    if annotation is SeverityRules:
        return "limits"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.__name__.removesuffix("Spec").lower()
    return {
        "int": "whole number",
        "float": "number",
        "str": "text",
        "bool": "true or false",
        "Path": "path",
        "date": "date",
    }.get(getattr(annotation, "__name__", ""), str(annotation))


def value_text(field: FieldInfo) -> str:
    """Type and bounds of a key."""
    text = type_name(field.annotation)
    if any(getattr(item, "func", None) is boothspec._range for item in field.metadata):
        text = RANGE
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "multiple_of": "multiple of"}
    bounds = [
        f"{sign} {number if isinstance(number, int) else format(number, 'g')}"
        for item in field.metadata
        for key, sign in signs.items()
        if (number := getattr(item, key, None)) is not None
    ]
    return ", ".join([text, *bounds])


def as_lists(value: object) -> object:
    """Tuples within tuples as lists that YAML writes out one by one; a range without width as its number."""
    if not isinstance(value, tuple):
        return value
    return [v[0] if isinstance(v, tuple) and len(v) == 2 and v[0] == v[1] else as_lists(v) for v in value]


def default_text(field: FieldInfo) -> str:
    """Default of a key as YAML in one line."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "**required**"
    if isinstance(value, BaseModel):
        return "its own defaults"
    if value is None or value == () or value == {}:
        return "none"
    if isinstance(value, tuple) and len(value) == 2 and value[0] == value[1]:
        value = value[0]
    if isinstance(value, dict) and any(isinstance(entry, BaseModel) for entry in value.values()):
        return "see below"
    plain = as_lists(value)
    text = yaml.safe_dump(plain, default_flow_style=True, width=1000, sort_keys=False)
    return f"`{text.replace('...', '').strip()}`"  # YAML ends a bare scalar's document with dots


def table(model: type[BaseModel]) -> str:
    """All keys of a model."""
    rows = [
        f"| `{name}` | {value_text(field)} | {default_text(field)} | {meaning(model, name, field)} |"
        for name, field in model.model_fields.items()
    ]
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def opening(model: type[BaseModel]) -> str:
    """First sentences of a model's docstring."""
    return " ".join((model.__doc__ or "").split())


def _limit(value: float | None) -> str:
    return "never" if value is None else f"{value:g}"


def severity_table() -> str:
    """The default limits of all classes of packaging."""
    rules = SeverityRules()
    rows = [
        f"| `{side}` | `{kind}` | `{limits.measure}` | {limits.minor_from:g} | {_limit(limits.major_from)} |"
        for side in SeverityRules.model_fields
        for kind, several in getattr(rules, side).items()
        for limits in several
    ]
    head = ["| packaging | kind | measure | minor from | major from |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def page() -> str:
    """The whole page."""
    parts = [
        "# Recipes and booths",
        "This page is written by `python docs/make_reference.py` from the models that read these files; a test fails "
        "when it is out of date.",
        "A recipe says what a data set consists of; a booth says where it is photographed. Both are YAML. A misspelt "
        "key, a missing one or a value out of range is an error that names the key and what was expected, before "
        "anything is written. `assets/recipes/demo.yaml` and `assets/booths/demo.yaml` are the ones that `make demo` "
        "renders: start from copies of them.",
        "A name ends in its unit (`_mm`, `_deg`, `_px`). Where a value may be a range, `[low, high]` is drawn from "
        "uniformly, anew for each capture or product.",
        f"## Recipe\n\n{table(Recipe)}",
        f"### Entries of `products`\n\n{table(ProductSpec)}",
        *(f"### Family `{n}`: keys of its `config`\n\n{opening(m)}\n\n{table(m)}" for n, (m, _) in FAMILIES.items()),
        f"### Entries of `damages`\n\n{table(DamageSpec)}",
        f"Entries of `then`:\n\n{table(Consequence)}",
        *(
            f"### Damage `{n}`: keys of its `config`\n\n{opening(m)}\n\n{table(m)}"
            for n, m in ((name, kind.config) for name, kind in DAMAGES.items())
        ),
        f"### Held\n\n{opening(Held)}\n\n{table(Held)}",
        f"### Rest\n\n{opening(RestRules)}\n\n{table(RestRules)}",
        f"### Lookalikes\n\n{opening(LookalikesConfig)}\n\n{table(LookalikesConfig)}",
        f"### Severity\n\n{opening(SeverityRules)} The defaults:\n\n{severity_table()}",
        f"Each limit has these keys:\n\n{table(Limits)}",
        *(f"## {title}\n\n{opening(m)}\n\n{table(m)}" for title, m in BOOTH.items()),
        "## Training settings\n\nOn the command line: `damageland train … --config.steps 2000 --config.seed 1`.\n\n"
        + table(TrainConfig),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def main() -> None:
    """Write the page, or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if the committed page is out of date")
    if not parser.parse_args().check:
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        sys.exit(f"{PAGE.name} is out of date: run `python docs/make_reference.py`")


if __name__ == "__main__":
    main()
