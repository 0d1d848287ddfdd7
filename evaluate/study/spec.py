"""What a study consists of: ``study.yaml``."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ...sim.errors import DamagelandError
from ...sim.yamlfile import read_yaml
from ...train.config import TrainConfig

Row = Literal[
    "real only",
    "real and pasted",
    "renders only",
    "fine-tuned",
    "mixed",
    "pristine renders",
    "without a generator",
    "each data set",
    "references",
]
USUAL_ROWS: tuple[Row, ...] = (
    "real only", "real and pasted", "renders only", "fine-tuned", "mixed", "pristine renders", "without a generator",
    "each data set",
)  # fmt: skip
Headline = Literal["AUROC", "AP", "recall_at_fpr_0.01"]


class SplitSpec(BaseModel):
    """Shares of the real set's independent units, where its table does not name splits."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    train: float = Field(default=0.4, gt=0, lt=1)
    """The pool that the k real captures are drawn from."""
    calibration: float = Field(default=0.15, gt=0, lt=1)
    """Of its intact captures come the thresholds."""
    links: tuple[Literal["product", "session", "group"], ...] = ("product", "session", "group")
    """What captures of two parts must not share. Leave sessions out where all captures come from a few of them; the
    report says so."""

    @model_validator(mode="after")
    def _leave_some(self) -> "SplitSpec":
        if self.train + self.calibration >= 1:
            raise ValueError(f"train and calibration take {self.train + self.calibration:g} of 1: leave some to test")
        return self


class StudySpec(BaseModel):
    """Settings of ``damageland study``. Every trained arm takes ``config.steps`` steps of equally many crops."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(default="study", pattern=r"^[a-z0-9][a-z0-9-]*$")
    data: tuple[str, ...] = ()
    """Rendered data sets (folders or URLs) to learn from; ``--data`` takes their place. Their train split is used."""
    real: str | None = None
    """Folder of a real set of any layout that ``evaluate --real`` takes, or a rendered data set that stands in for one
    and is called *pretend real* everywhere; ``--real`` takes its place."""
    real_format: str | None = None
    """The layout of ``real``, if what lies in the folder should not decide."""
    real_masks: bool = True
    """Whether masks of damage on real captures, where there are any, may be learned from."""
    k: tuple[int | Literal["all"], ...] = (0, 10, 30, 100, 300, "all")
    """Numbers of damaged real captures to learn from. Larger ones hold the smaller ones of the same seed."""
    intact_per_damaged: float = Field(default=1.0, gt=0)
    """Intact real captures that come with each damaged one."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)
    """Each draws its own subsets, first weights and augmentation."""
    rows: tuple[Row, ...] = USUAL_ROWS
    """Which rows are made; ``references`` needs pristine references on both sides."""
    claim: Literal["mixed", "fine-tuned"] = "mixed"
    """The way to use renders that is held against real captures alone: said before the figures are known."""
    headline: Headline = "AUROC"
    """The figure that the verdict and the multiplier are about."""
    pretrain_share: float = Field(default=0.6, gt=0, lt=1)
    """Share of the steps on renders alone, of arms that go on with real captures."""
    finetune_lr: float = Field(default=0.5, gt=0, le=1)
    """Peak learning rate of the steps after that, as a share of ``config.lr``."""
    split: SplitSpec = SplitSpec()
    split_seed: int = Field(default=0, ge=0)
    """Seed of the split of the real set, and of the bootstrap: the same for all seeds of training."""
    config: TrainConfig = TrainConfig()
    """Settings of training; its ``seed`` is set by ``seeds``."""

    @field_validator("k", "seeds", "rows")
    @classmethod
    def _once_each(cls, value: tuple[object, ...]) -> tuple[object, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"something comes twice in {', '.join(map(str, value))}: name each once")
        return value

    @field_validator("k")
    @classmethod
    def _rising(cls, value: tuple[int | str, ...]) -> tuple[int | str, ...]:
        numbers = [k for k in value if not isinstance(k, str)]
        if any(k < 0 for k in numbers):
            raise ValueError("a number of captures cannot be negative")
        return (*sorted(numbers), *("all" for k in value if k == "all"))


def read_study(path: Path, *, data: tuple[str, ...] = (), real: str | None = None) -> StudySpec:
    """Read a study; ``data`` and ``real`` take the place of its own. Paths in it are relative to its folder."""
    spec = read_yaml(path, StudySpec)
    beside = [place if "://" in place else str((path.parent / place).resolve()) for place in spec.data]
    theirs = None if spec.real is None else str((path.parent / spec.real).resolve())
    spec = spec.model_copy(update={"data": data or tuple(beside), "real": real or theirs})
    if not spec.data:
        raise DamagelandError(f"{path}: no rendered data set to learn from: name one as `data:` or with --data")
    if spec.real is None:
        raise DamagelandError(
            f"{path}: no real set to measure on: name a folder as `real:` or with --real (docs/real-captures.md); a "
            "rendered data set may stand in for one, and is then called pretend real"
        )
    return spec
