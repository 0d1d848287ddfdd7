"""Scores of an arm on the calibration and test parts of the real set, and the file they lie in."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import from_numpy, nn, zeros

from ...sim.capture import Capture
from ...sim.errors import DamagelandError
from ...sim.files import write_atomic
from ...train.calibrate import figures_of, threshold_of
from ...train.checkpoint import Modality
from ...train.checkpoint import Scores as Figures
from ...train.config import TrainConfig
from ...train.console import track
from ...train.crops import Square, cut, cut_depth, network_input, to_tensor
from ...train.data import check_view
from ...train.predict import CROP_ZOOM, find_item, score_crops
from ...train.threshold import Threshold
from ..folder import read_table
from .reals import Reals

PREDICTIONS = "predictions.csv"
COLUMNS = ("capture_id", "pred", "pred_rgb")
TOGETHER = 12
"""Captures that are scored at a time."""
MODALITIES: tuple[Modality, ...] = ("rgbd", "rgb")


@dataclass(frozen=True)
class Look:
    """The views of a capture as the detector sees them."""

    rgb: np.ndarray
    """uint8 (v, s, s, 3)."""
    depth: np.ndarray
    """Metres, float32 (v, s, s); 0 = no return."""


Looks = Mapping[str, Look]
"""By capture."""


def look_at(
    locate: nn.Module, captures: Iterable[Capture], wanted: Collection[str], config: TrainConfig, *, progress: bool
) -> Looks:
    """Crops of the captures that are wanted, around the items that a localiser finds."""
    return {
        capture.capture_id: look(locate, capture, config)
        for capture in track(captures, "looking", total=None, enabled=progress)
        if capture.capture_id in wanted
    }


def look(locate: nn.Module, capture: Capture, config: TrainConfig) -> Look:
    """Crops of a capture's views."""
    rgb, depth, side = [], [], config.crop_px
    for view in capture.views:
        check_view(view, f"capture {capture.capture_id}, camera {view.camera}")
        square = find_item(locate, view.rgb, config.locate_px)
        window = Square(square.cx, square.cy, square.half * CROP_ZOOM)
        rgb.append(cut(view.rgb, window, side))
        flat = np.zeros((side, side), np.float32)
        depth.append(flat if view.depth is None else cut_depth(view.depth, window, side))
    return Look(np.stack(rgb), np.stack(depth))


@dataclass(frozen=True)
class ArmScores:
    """Scores by capture."""

    names: tuple[str, ...]
    values: Mapping[Modality, Float[np.ndarray, " n"]]
    """With depth where there is some, and without any."""

    def of(self, names: Sequence[str], modality: Modality) -> Float[np.ndarray, " m"]:
        """Scores of some captures, in their order."""
        place = {name: i for i, name in enumerate(self.names)}
        return self.values[modality][[place[name] for name in names]]

    def thresholds(self, reals: Reals, config: TrainConfig) -> dict[Modality, Threshold]:
        """Thresholds from the intact captures of the calibration part."""
        rows = reals.of("calibration", False)
        names, groups = [row.capture_id for row in rows], [row.group for row in rows]
        sound = np.zeros(len(rows), bool)
        return {m: threshold_of(self.of(names, m), sound, groups, config) for m in MODALITIES}

    def figures(self, reals: Reals, config: TrainConfig) -> dict[Modality, Figures]:
        """How the calibration part is told apart; the thresholds look at its intact captures alone."""
        rows, limits = reals.of("calibration"), self.thresholds(reals, config)
        names, damaged = [row.capture_id for row in rows], np.array([row.defect for row in rows])
        return {m: figures_of(damaged, self.of(names, m), limits[m].value) for m in MODALITIES}


def predict_arm(detect: nn.Module, looks: Looks) -> ArmScores:
    """Score every capture as ``predict`` does, by the highest of its views, many views at a time."""
    names = tuple(looks)
    values: dict[Modality, list[float]] = {"rgbd": [], "rgb": []}
    for i in range(0, len(names), TOGETHER):
        some = [looks[name] for name in names[i : i + TOGETHER]]
        ends = np.cumsum([len(look.rgb) for look in some])[:-1]
        rgb = to_tensor(np.concatenate([look.rgb for look in some]))
        depth = from_numpy(np.concatenate([look.depth for look in some]))[:, None]
        for modality in MODALITIES:
            _, logits = score_crops(detect, network_input(rgb, depth if modality == "rgbd" else zeros(depth.shape)))
            scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
            values[modality] += [float(of_one.max()) for of_one in np.split(scores, ends)]
    return ArmScores(names, {m: np.array(v) for m, v in values.items()})


def score_file(row: str) -> str:
    """Name of the file with a row's scores: a control's has its name in it."""
    more = row.partition(", ")[2].replace(" ", "-")
    return PREDICTIONS.replace(".", f"-{more}.") if more else PREDICTIONS


def write_scores(folder: Path, scores: ArmScores, *, name: str = PREDICTIONS) -> None:
    """Write ``predictions.csv``, which ``damageland score`` reads too."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows(
        (name, repr(float(a)), repr(float(b)))
        for name, a, b in zip(scores.names, scores.values["rgbd"], scores.values["rgb"], strict=True)
    )
    write_atomic(folder / name, text.getvalue())


def read_scores(folder: Path, *, name: str = PREDICTIONS) -> ArmScores:
    """Read ``predictions.csv``."""
    names, columns = [], ([], [])
    for where, fields in read_table(folder / name, COLUMNS):
        names.append(fields["capture_id"])
        for column, key in zip(columns, COLUMNS[1:], strict=True):
            try:
                column.append(float(fields[key]))
            except ValueError:
                raise DamagelandError(
                    f"{where}: {key} is {fields[key]!r}: delete {folder} and run the study again"
                ) from None
    return ArmScores(tuple(names), {"rgbd": np.array(columns[0]), "rgb": np.array(columns[1])})
