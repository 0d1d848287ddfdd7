"""Thresholds and figures of any scorer, from rendered captures of products that training did not see."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from ..sim.capture import Capture
from ..sim.seed import generator_for
from .checkpoint import Modality, Model
from .config import TrainConfig
from .console import bar, say
from .loop import _measure as figures_of
from .threshold import Threshold, choose_threshold

ScoreOf = Callable[[Capture, bool], float]
"""Score of a capture, with its depth or without."""


def modality_of(capture: Capture, *, use_depth: bool = True) -> Modality:
    """Whether any view gives depth."""
    return "rgbd" if use_depth and any(v.depth is not None and v.depth.any() for v in capture.views) else "rgb"


def group_of(capture: Capture) -> str:
    """What captures are independent of: the product."""
    return capture.group or capture.item_identifier or capture.capture_id


def threshold_of(
    scores: Float[np.ndarray, " n"], damaged: Bool[np.ndarray, " n"], groups: Sequence[str], config: TrainConfig
) -> Threshold:
    """Threshold from the pristine ones among scores, one capture of each group."""
    return choose_threshold(
        scores[~damaged],
        fpr=config.fpr_budget,
        delta=config.delta,
        groups=np.asarray(groups)[~damaged].tolist(),
        rng=generator_for(config.seed, 0, "train/threshold"),
    )


def calibrate(model: Model, score: ScoreOf, captures: Iterable[Capture], *, progress: bool) -> Model:
    """Choose a threshold with and without depth, and measure, on captures that are no references."""
    scores: dict[Modality, list[float]] = {"rgbd": [], "rgb": []}
    damaged: list[bool] = []
    groups: list[str] = []
    with bar("validate", None, enabled=progress) as advance:
        for capture in captures:
            if capture.defect is None or capture.role == "reference":
                continue
            damaged.append(capture.defect)
            groups.append(group_of(capture))
            scores["rgbd"].append(score(capture, True))
            scores["rgb"].append(score(capture, False))
            advance()
    config, truth = model.card.config, np.array(damaged)
    thresholds = {m: threshold_of(np.array(values), truth, groups, config) for m, values in scores.items()}
    validation = {m: figures_of(truth, np.array(values), thresholds[m].value) for m, values in scores.items()}
    for modality, measured in validation.items():
        if measured.auroc is not None:
            say(f"validation {modality}: AUROC {measured.auroc:.3f}", enabled=progress)
    return Model(model.networks, model.card.model_copy(update={"thresholds": thresholds, "validation": validation}))


__all__ = ["calibrate", "figures_of", "group_of", "modality_of", "threshold_of"]
