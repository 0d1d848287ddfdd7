"""``fusion``: the query model and the comparing model, joined by a small calibrated stack.

The stack is logistic, on the logits of both. It is fitted on rendered captures of products that neither model has seen,
in folds that share no product, and it is taken only if it finds more damage at the budget of false alarms than either
model alone: a better ranking elsewhere is of no use to anybody.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve
from sklearn.model_selection import GroupKFold

from ..sim.capture import Capture
from ..sim.errors import DamagelandError
from ..sim.files import sha256_of, write_atomic
from ..sim.shards import read_captures
from ..sim.store import Source
from .calibrate import figures_of, modality_of, threshold_of
from .checkpoint import CARD, Modality, Scores, TrainedOn, load_model, versions
from .config import TrainConfig
from .console import say, track
from .loop import train as train_query
from .predict import Prediction, predict
from .refdiff import Compared, Refdiff, train_refdiff
from .references import ReferenceBook
from .threshold import Threshold

PARTS = ("query", "refdiff")
MODALITIES: tuple[Modality, ...] = ("rgbd", "rgb")
FOLDS = 5
CLIP = 1e-6
"""Scores are kept this far from 0 and 1 before their logits are taken."""


class Stack(BaseModel):
    """How the logits of both models become one."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    chosen: Literal["query", "refdiff", "both"]
    """Whether the stack was taken, or one model alone found as much at the budget."""
    weights: tuple[float, float]
    """Of the logits of query and refdiff."""
    bias: float
    recall_at_budget: dict[str, float]
    """Of each choice, on scores from folds without their product."""

    def join(self, scores: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
        """Joint score in [0, 1]: of scores of both models, a probability of damage where half of the rows have one."""
        return 1 / (1 + np.exp(-(logit(scores) @ np.array(self.weights) + self.bias)))


class FusionCard(BaseModel):
    """The content of ``model.json``; the two models lie beside it in ``query/`` and ``refdiff/``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format_version: Literal[1] = 1
    architecture: Literal["fusion"] = "fusion"
    weights_sha256: str
    """Of both models' ``model.json``, which name the hashes of their weights."""
    config: TrainConfig
    stacks: dict[Modality, Stack]
    thresholds: dict[Modality, Threshold]
    validation: dict[Modality, Scores]
    """On folds without the product at hand."""
    trained_on: TrainedOn
    versions: dict[str, str]


@dataclass(frozen=True)
class Fused(Compared):
    """A joint prediction; its masks are the comparing model's."""

    query_score: float = 0.0
    refdiff_score: float = 0.0


def logit(scores: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Log odds of scores in [0, 1]."""
    p = np.clip(scores, CLIP, 1 - CLIP)
    return np.log(p / (1 - p))


class Fusion:
    """Both models and the stack as a function of a capture and its product's references."""

    wants_references = True

    def __init__(self, card: FusionCard, query: Any, refdiff: Refdiff) -> None:
        self.card, self.query, self.refdiff = card, query, refdiff

    @property
    def info(self) -> dict[str, Any]:
        """The content of ``model.json``."""
        return self.card.model_dump(mode="json")

    def __call__(self, capture: Capture, references: Sequence[Capture] = (), *, use_depth: bool = True) -> Prediction:
        """Score a capture by both models; by the query model where no reference shows its design.

        The comparing model's threshold rests on captures with references and means nothing without. The query's score
        is shifted there, so that its own threshold falls on the joint one.
        """
        alone = predict(self.query, capture, use_depth=use_depth)
        beside = self.refdiff(capture, references, use_depth=use_depth)
        modality = modality_of(capture, use_depth=use_depth)
        stack = self.card.stacks[modality]
        limit = self.card.thresholds[modality].value
        if beside.design == "known":
            views = stack.join(np.stack([alone.view_scores, beside.view_scores], axis=1))
            score = float(stack.join(np.array([[alone.score, beside.score]]))[0])
        else:
            shift = logit(np.array([limit, self.query.card.thresholds[modality].value]))
            joint = 1 / (1 + np.exp(-(logit(np.array([alone.score, *alone.view_scores])) - shift[1] + shift[0])))
            score, views = float(joint[0]), joint[1:]
        return Fused(
            **{name: getattr(beside, name) for name in Compared.__dataclass_fields__} | {
                "score": score,
                "alarm": score > limit if beside.design == "known" else alone.alarm,
                "view_scores": tuple(float(v) for v in views),
            },
            query_score=alone.score,
            refdiff_score=beside.score,
        )  # fmt: skip


# Fitting


def fit_stack(
    scores: Float[np.ndarray, "n 2"],
    damaged: Bool[np.ndarray, " n"],
    products: Sequence[str],
    *,
    fpr: float,
) -> tuple[Stack, Float[np.ndarray, " n"]]:
    """Choose among query, refdiff and both by recall at the budget; return the stack and its out-of-fold scores.

    Every choice is a logistic regression of logits, fitted in folds that share no product, so that none is favoured by
    what it has seen; the one returned is fitted on all rows.
    """
    x = logit(scores)
    columns: dict[str, list[int]] = {"query": [0], "refdiff": [1], "both": [0, 1]}
    held_out = {name: _out_of_fold(x[:, used], damaged, products) for name, used in columns.items()}
    recalls = {name: recall_at(values, damaged, fpr) for name, values in held_out.items()}
    chosen = max(recalls, key=lambda name: (recalls[name], -len(columns[name])))
    whole = _regression(x[:, columns[chosen]], damaged)
    weights = np.zeros(2)
    weights[columns[chosen]] = np.asarray(whole.coef_)[0]
    stack = Stack(
        chosen=chosen,  # pyright: ignore[reportArgumentType]
        weights=(float(weights[0]), float(weights[1])),
        bias=float(np.asarray(whole.intercept_)[0]),
        recall_at_budget=recalls,
    )
    return stack, held_out[chosen]


def recall_at(scores: Float[np.ndarray, " n"], damaged: Bool[np.ndarray, " n"], fpr: float) -> float:
    """Largest share of damage found at a share of false alarms of at most ``fpr``."""
    false, found, _ = roc_curve(damaged, scores, drop_intermediate=False)
    return float(found[false <= fpr].max())


def _regression(x: np.ndarray, damaged: np.ndarray) -> LogisticRegression:
    return LogisticRegression(class_weight="balanced", C=1.0).fit(x, damaged)


def _out_of_fold(x: np.ndarray, damaged: np.ndarray, products: Sequence[str]) -> Float[np.ndarray, " n"]:
    """Probability of each row by a regression that saw none of its product."""
    groups = np.asarray(products)
    folds = min(FOLDS, len(set(products)))
    found = np.full(len(x), np.nan)
    for learn, test in GroupKFold(folds).split(x, damaged, groups):
        if len(set(damaged[learn].tolist())) < 2:
            raise DamagelandError(
                "the validation split has damaged captures of one product only, so no stack can be fitted in folds "
                "that share no product: render more products"
            )
        found[test] = _regression(x[learn], damaged[learn]).predict_proba(x[test])[:, 1]
    return found


def train_fusion(data: Sequence[Source], config: TrainConfig, out: Path) -> Path:
    """Train both models, then fit the stack; return ``out``, which holds both and ``model.json``."""
    if not ReferenceBook.of(chain.from_iterable(read_captures(f, split="train", roles=("reference",)) for f in data)):
        raise DamagelandError(
            f"{', '.join(map(str, data))}: no reference captures to compare with; render with `gallery: 2` or more in "
            "the recipe, or train --model query"
        )
    train_query(data, config, out / "query")
    train_refdiff(data, config, out / "refdiff")
    return join(out, lambda: chain.from_iterable(read_captures(f, split="validation") for f in data), config)


def join(out: Path, validation: Any, config: TrainConfig, *, progress: bool = True) -> Path:
    """Fit the stack of two finished models, ``out/query`` and ``out/refdiff``, and write ``out/model.json``."""
    query, refdiff = load_model(out / "query"), Refdiff(load_model(out / "refdiff"))
    book = ReferenceBook.of(validation())
    rows = list(_rows(query, refdiff, book, validation(), progress=progress))
    if len({row.product for row in rows}) < 2 or len({row.damaged for row in rows}) < 2:
        raise DamagelandError(
            "the validation split needs damaged and pristine captures of at least two products to fit a stack: render "
            "more products, or raise validation_share in the recipe"
        )
    damaged, products = np.array([row.damaged for row in rows]), [row.product for row in rows]
    stacks: dict[Modality, Stack] = {}
    thresholds: dict[Modality, Threshold] = {}
    validation_figures: dict[Modality, Scores] = {}
    for modality in MODALITIES:
        both = np.array([row.scores[modality] for row in rows])
        stacks[modality], joint = fit_stack(both, damaged, products, fpr=config.fpr_budget)
        thresholds[modality] = threshold_of(joint, damaged, products, config)
        validation_figures[modality] = figures_of(damaged, joint, thresholds[modality].value)
        say(f"{modality}: {stacks[modality].chosen}, recall {stacks[modality].recall_at_budget}", enabled=progress)
    card = FusionCard(
        weights_sha256="+".join(sha256_of(out / part / CARD) for part in PARTS),
        config=config,
        stacks=stacks,
        thresholds=thresholds,
        validation=validation_figures,
        trained_on=query.card.trained_on,
        versions=versions(),
    )
    write_atomic(out / CARD, card.model_dump_json(indent=1) + "\n")
    return out


@dataclass(frozen=True)
class _Scored:
    damaged: bool
    product: str
    scores: Mapping[Modality, tuple[float, float]]


def _rows(
    query: Any, refdiff: Refdiff, book: ReferenceBook, captures: Iterable[Capture], *, progress: bool
) -> Iterable[_Scored]:
    for capture in track(captures, "stacking", total=None, enabled=progress):
        if capture.role == "reference" or capture.defect is None:
            continue
        references = book.find(capture)
        scores: dict[Modality, tuple[float, float]] = {}
        for modality in MODALITIES:
            deep = modality == "rgbd"
            alone = predict(query, capture, use_depth=deep).score
            scores[modality] = alone, refdiff(capture, references, use_depth=deep).score
        yield _Scored(capture.defect, capture.item_identifier or capture.capture_id, scores)


def load_fusion(folder: Path) -> Fusion:
    """Read a folder that ``train_fusion`` wrote; every mismatch is one clear error."""
    path = folder / CARD
    try:
        card = FusionCard.model_validate(json.loads(path.read_bytes()))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise DamagelandError(f"{path} does not describe a fusion: {wrong}") from None
    missing = [str(folder / part) for part in PARTS if not (folder / part / CARD).is_file()]
    if missing:
        raise DamagelandError(f"{', '.join(missing)}: missing beside {path}; copy the whole folder of one run")
    if card.weights_sha256 != "+".join(sha256_of(folder / part / CARD) for part in PARTS):
        raise DamagelandError(f"{folder}: its two models are not those that {path} describes: copy one run's folder")
    return Fusion(card, load_model(folder / "query"), Refdiff(load_model(folder / "refdiff")))


__all__ = ["Fused", "Fusion", "FusionCard", "Stack", "fit_stack", "join", "load_fusion", "train_fusion"]
