"""The arms of a study: what each learns from, in which stages, and that all of them cost the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ...sim.errors import DamagelandError
from .reals import Reals
from .spec import StudySpec

Food = Literal["renders", "pristine renders", "real", "renders and real", "pristine renders and real", "real pasted",
             "renders beside references"]  # fmt: skip
"""What the batches of a stretch are made of."""


@dataclass(frozen=True)
class Stretch:
    """Steps on one food."""

    food: Food
    steps: int
    lr_share: float = 1.0


@dataclass(frozen=True)
class Arm:
    """One training, and the row and column of the table that it belongs to."""

    row: str
    k: int
    """Damaged real captures that it learns from."""
    seed: int
    stretches: tuple[Stretch, ...]
    without: str | None = None
    """Generator whose damage is left out of the renders."""
    only: str | None = None
    """Name of the one data set of renders that it learns from."""
    base: str | None = None
    """Name of the training that it goes on from, shared by the arms of a seed; its steps count for each of them."""

    @property
    def name(self) -> str:
        """Folder of the arm."""
        return f"{self.row.replace(' ', '-')}-k{self.k}-seed{self.seed}"


def steps_of(spec: StudySpec) -> tuple[int, int]:
    """Steps before and after real captures come in."""
    before = min(max(1, round(spec.pretrain_share * spec.config.steps)), spec.config.steps - 1)
    return before, spec.config.steps - before


def data_names(spec: StudySpec) -> list[str]:
    """Names of the rendered data sets: their folders', numbered where two are alike."""
    names = [place.rstrip("/").rsplit("/", 1)[-1] for place in spec.data]
    return [name if names.count(name) == 1 else f"{name} {i + 1}" for i, name in enumerate(names)]


def base_food(name: str) -> Food:
    """What a shared first stretch is fed."""
    return "pristine renders" if name == "pretrained-pristine" else "renders"


def columns(spec: StudySpec, reals: Reals) -> list[int]:
    """Numbers of damaged real captures, ``all`` resolved; more than there are is an error."""
    most = len(reals.of("train", True))
    numbers = sorted({most if k == "all" else k for k in spec.k})
    if numbers[-1] > most:
        raise DamagelandError(
            f"k: {numbers[-1]}, but the training part of {reals.source} holds {most} damaged captures; leave larger "
            "numbers out, or say `all`"
        )
    return numbers


def list_arms(spec: StudySpec, reals: Reals, generators: Sequence[str]) -> list[Arm]:
    """Every arm of the study, seed by seed, in the order of the table."""
    return [arm for seed in spec.seeds for arm in _of_seed(spec, columns(spec, reals), generators, seed)]


def _of_seed(spec: StudySpec, ks: Sequence[int], generators: Sequence[str], seed: int) -> Iterator[Arm]:
    steps = spec.config.steps
    before, after = steps_of(spec)
    some = [k for k in ks if k > 0]
    for row in spec.rows:
        if row == "real only":
            yield from (Arm(row, k, seed, (Stretch("real", steps),)) for k in some)
        elif row == "real and pasted":
            yield from (Arm(row, k, seed, (Stretch("real pasted", steps),)) for k in some)
        elif row == "renders only" and 0 in ks:
            yield Arm(row, 0, seed, (Stretch("renders", steps),))
        elif row == "without a generator" and 0 in ks and len(generators) > 1:
            for name in generators:
                yield Arm(f"without {name}", 0, seed, (Stretch("renders", steps),), without=name)
        elif row == "each data set" and 0 in ks and len(spec.data) > 1:
            for name in data_names(spec):
                yield Arm(f"renders of {name}", 0, seed, (Stretch("renders", steps),), only=name)
        elif row == "references" and 0 in ks:
            yield Arm(row, 0, seed, (Stretch("renders beside references", steps),))
        elif row in LATER:
            food, base = LATER[row]
            later = (Stretch(base_food(base), before), Stretch(food, after, spec.finetune_lr))
            yield from (Arm(row, k, seed, later, base=base) for k in some)


LATER: dict[str, tuple[Food, str]] = {
    "fine-tuned": ("real", "pretrained"),
    "mixed": ("renders and real", "pretrained"),
    "pristine renders": ("pristine renders and real", "pretrained-pristine"),
}
"""Rows that go on from a shared first stretch: what they are fed then, and its name."""
