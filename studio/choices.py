"""What is chosen on the page, and the recipe that says the same: the one makes the other, so that nothing is lost."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from ..generators.damage.table import DAMAGES
from ..generators.products.catalogue import FAMILIES
from ..generators.recipe import ASSETS, Plan, Recipe, make_plan
from ..generators.rest import RestRules
from ..sim.booth import BoothSpec, read_booth
from ..sim.errors import DamagelandError
from ..sim.files import create_exclusive, write_atomic
from ..sim.yamlfile import parse_mapping
from .controls import controls_of, require_rising, with_whole_groups

VERSION = 1
"""Of presets: one of another version is refused, since the same numbers might mean something else."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
STUDIO = "studio"
"""Name of the studio's recipes: it begins the identifiers of their products."""


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(_Spec):
    """A damage."""

    generator: str = Field(description="damage generator: one of the table's")
    strength: float = Field(default=0.6, ge=0, le=1, description="0 is nothing, 1 the most")
    config: dict[str, Any] = Field(default={}, description="changes to the generator's config")


class Choices(_Spec):
    """All that decides what the page shows. Draws are named by numbers: another number, another draw."""

    version: Literal[1] = VERSION
    family: str = Field(default="tin", description="packaging family")
    family_config: dict[str, Any] = Field(default={}, description="changes to the family's config")
    number: int = Field(default=0, ge=0, le=9999, description="which product of the family")
    edition: int = Field(default=0, ge=0, le=9, description="which of its designs: packaging changes")
    steps: tuple[Step, ...] = Field(
        default=(Step(generator="crush"),), description="damages; the first leads to others"
    )
    seed: int = Field(default=0, ge=0, le=9999, description="all randomness flows from it")
    damage_draw: int = Field(default=0, ge=0, le=9999, description="where and how it strikes")
    look_draw: int = Field(default=0, ge=0, le=9999, description="the piece, and what else lies on the tray")
    pose_draw: int = Field(default=0, ge=0, le=9999, description="how it comes to rest")
    booth_draw: int = Field(
        default=0, ge=0, le=9999, description="cameras, lamps and surfaces within the booth's ranges"
    )
    booth: str = Field(default="demo", description="name of a booth in assets/booths, or a YAML file in the folder")
    rest: dict[str, Any] = Field(default={}, description="changes to how items come to rest")
    texture_px: int = Field(default=1024, ge=256, le=8192, description="side of the artwork's texture")
    samples: int = Field(default=4, ge=1, le=64, description="passes of the pictures")


def plan_of(choices: Choices, folder: Path) -> Plan:
    """The recipe of what is chosen, with its booth; ``folder`` is where recipes and own booths lie.

    Raises:
        DamagelandError: a value is not allowed.
    """
    path = _booth_path(choices.booth, folder)
    return make_plan(recipe_of(choices), _booth(path, path.stat().st_mtime_ns), folder=folder)


@lru_cache(8)
def _booth(path: Path, changed_ns: int) -> BoothSpec:
    """A booth that did not change since is not read again for every move."""
    return read_booth(path)


def booth_names(folder: Path) -> tuple[str, ...]:
    """Booths that can be chosen: ours, and the YAML files in ``booths`` of the folder."""
    ours = sorted(path.stem for path in (ASSETS / "booths").glob("*.yaml"))
    return (*ours, *sorted(f"booths/{path.name}" for path in (folder / "booths").glob("*.yaml")))


def _booth_path(name: str, folder: Path) -> Path:
    if name not in booth_names(folder):
        raise DamagelandError(f"booth {name!r}: expected one of {', '.join(booth_names(folder))}.")
    return folder / name if name.startswith("booths/") else ASSETS / "booths" / f"{name}.yaml"


def _check(choices: Choices) -> None:
    """Refuse names that are none, and ranges upside down."""
    if choices.family not in FAMILIES:
        raise DamagelandError(f"family {choices.family!r}: expected one of {', '.join(FAMILIES)}.")
    require_rising(choices.family_config, controls_of(FAMILIES[choices.family][0]), choices.family)
    require_rising(choices.rest, controls_of(RestRules), "rest")
    for step in choices.steps:
        if step.generator not in DAMAGES:
            raise DamagelandError(f"damage {step.generator!r}: expected one of {', '.join(DAMAGES)}.")
        require_rising(step.config, controls_of(DAMAGES[step.generator].config), step.generator)


def _strike(step: Step) -> dict[str, Any]:
    """An entry of a recipe's damages."""
    return {
        "generator": step.generator,
        "strength": (step.strength, step.strength),
        "config": with_whole_groups(step.config, controls_of(DAMAGES[step.generator].config)),
    }


def recipe_of(choices: Choices) -> Recipe:
    """A recipe of one capture (and its twin) that shows what is chosen."""
    _check(choices)
    order = list(DAMAGES)
    struck = [_strike(step) for step in sorted(choices.steps, key=lambda step: order.index(step.generator))]
    first = struck[0] if struck else {"generator": "crush"}
    recipe = {
        "name": STUDIO,
        "seed": choices.seed,
        "captures": 1,
        "damaged_share": 1.0 if struck else 0.0,
        "gallery": 0,
        "shard_size": 1,
        "preview_samples": choices.samples,
        "booth": choices.booth,
        "texture_px": choices.texture_px,
        "products": [
            {
                "family": choices.family,
                "count": choices.number + 1,
                "editions": choices.edition + 1,
                "config": with_whole_groups(choices.family_config, controls_of(FAMILIES[choices.family][0])),
            }
        ],
        "damages": [{**first, "then": struck[1:]}],
        "held": {
            "product": choices.number,
            "edition": choices.edition,
            "look": choices.look_draw,
            "pose": choices.pose_draw,
            "booth": choices.booth_draw,
            "damage": choices.damage_draw,
        },
        "rest": with_whole_groups(choices.rest, controls_of(RestRules)),
    }
    return parse_mapping(recipe, Recipe, "what is chosen")


def recipe_text(recipe: Recipe, hashes: Mapping[str, str]) -> str:
    """A recipe as YAML that renders the same again, with the checksums of what it should give."""
    lines = ["# Written by the studio: `damageland render` makes what was on the screen."]
    if hashes:
        lines.append("# SHA-256 of the images of the first capture in shard-000000.tar, as they were on the screen:")
        lines += [f"#   {digest}  {name}" for name, digest in hashes.items()]
    body = recipe.model_dump(mode="json", exclude_defaults=True)
    return "\n".join(lines) + "\n" + yaml.safe_dump(body, sort_keys=False, allow_unicode=True)


def save_recipe(folder: Path, name: str, recipe: Recipe, hashes: Mapping[str, str]) -> Path:
    """Write a recipe into the folder under a new name."""
    path = folder / f"{check_name(name)}.yaml"
    if not create_exclusive(path, recipe_text(recipe, hashes)):
        raise DamagelandError(f"{path}: there is one already. Choose another name.")
    return path


def check_name(name: str) -> str:
    """A name for a file, which cannot lead out of its folder."""
    if not NAME.fullmatch(name):
        raise DamagelandError(f"name {name!r}: use lower-case letters, digits and '-', 63 at most.")
    return name


# ---- Presets --------------------------------------------------------------------------------------------------------


def save_preset(folder: Path, name: str, choices: Choices) -> Path:
    """Keep what is chosen under a name; the same name again replaces it."""
    path = folder / "presets" / f"{check_name(name)}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, yaml.safe_dump(choices.model_dump(mode="json"), sort_keys=False, allow_unicode=True))
    return path


def preset_names(folder: Path) -> tuple[str, ...]:
    """Presets in the folder."""
    return tuple(sorted(path.stem for path in (folder / "presets").glob("*.yaml") if NAME.fullmatch(path.stem)))


def load_preset(folder: Path, name: str) -> Choices:
    """What was kept under a name.

    Raises:
        DamagelandError: it cannot be read, is of another version, or names what there is no more.
    """
    return read_choices(folder / "presets" / f"{check_name(name)}.yaml")


def read_choices(path: Path) -> Choices:
    """Read choices from a file."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DamagelandError(f"{path}: no such preset.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DamagelandError(f"{path}: not a preset ({error}). Save it again from the page.") from None
    version = data.get("version") if isinstance(data, dict) else None
    if version != VERSION:
        raise DamagelandError(
            f"{path}: a preset of version {version}, but this studio reads version {VERSION}. Its numbers may mean "
            "something else now: set them by hand and save it again."
        )
    choices = parse_mapping(data, Choices, str(path))
    recipe_of(choices)  # families, damages and their keys may have changed since
    return choices
