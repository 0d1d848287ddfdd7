"""Steps of training that survive a kill: what is learned, the optimiser and the log go into one file now and then.

The draws of a step come from a generator of its own, so the number of steps taken is all the position there is. A run
that is started again goes on from the file and ends with the same weights, to the byte.
"""

import csv
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..sim.errors import DamagelandError
from ..sim.files import write_atomic
from .batches import ahead
from .config import TrainConfig
from .console import bar, say
from .data import ViewSet

T = TypeVar("T")
Losses = tuple[Tensor, Tensor | None, Tensor]
"""What is minimised, the score's part of it where there is one, and the masks' part."""
GRADIENT_NORM = 2.0
LOG_EVERY = 10
LOG_COLUMNS = ("stage", "step", "loss", "score_loss", "mask_loss", "lr")
SAVE_EVERY = 100
"""Steps between two saves of the position."""
POSITION = "training.safetensors"
"""Name of the file that holds the position, beside the model to come; the finished model takes its place."""


class TrainingLog:
    """Losses of all stages; ``log.csv`` holds every LOG_EVERYth step."""

    def __init__(self, path: Path) -> None:
        self.path, self.smooth, self.stage = path, 0.0, ""
        self.rows: list[list[str]] = []

    def add(self, stage: str, step: int, losses: Losses, lr: float) -> None:
        """Remember the losses of a step."""
        loss, score, mask = losses
        value = loss.item()
        self.smooth = value if stage != self.stage else 0.95 * self.smooth + 0.05 * value
        self.stage = stage
        if step % LOG_EVERY == 0:
            told = ("" if score is None else f"{score.item():.6g}", f"{mask.item():.6g}", f"{lr:.6g}")
            self.rows.append([stage, str(step), f"{value:.6g}", *told])

    def write(self) -> None:
        """Write ``log.csv``."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([LOG_COLUMNS, *self.rows])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path, text.getvalue())


class Steps:
    """AdamW on a one-cycle schedule, with the gradient's norm bounded."""

    def __init__(self, network: nn.Module, config: TrainConfig, total: int, *, lr: float | None = None) -> None:
        self.network, peak = network.train(), lr or config.lr
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=peak, weight_decay=config.weight_decay)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, peak, total_steps=total + 1)

    @property
    def lr(self) -> float:
        """Learning rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def take(self, loss: Tensor) -> None:
        """One step down the gradient of a loss."""
        if not torch.isfinite(loss):
            raise DamagelandError(f"the loss is {loss.item()}: train again with a smaller lr")
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
        self.optimizer.step()
        self.schedule.step()

    def tensors(self) -> dict[str, Tensor]:
        """The optimiser's moments, by parameter."""
        named = self.network.named_parameters()
        return {
            f"{name}.{key}": value
            for name, parameter in named
            for key, value in self.optimizer.state.get(parameter, {}).items()
        }

    def numbers(self) -> dict[str, Any]:
        """Where the schedule is."""
        group = self.optimizer.param_groups[0]
        return {"lr": group["lr"], "betas": list(group["betas"]), "taken": self.schedule.last_epoch}

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Undo ``tensors`` and ``numbers``."""
        for name, parameter in self.network.named_parameters():
            kept = {key: tensors[f"{name}.{key}"] for key in ("step", "exp_avg", "exp_avg_sq")}
            moments = {key: torch.empty_like(parameter).copy_(kept[key]) for key in ("exp_avg", "exp_avg_sq")}
            self.optimizer.state[parameter] = {"step": kept["step"], **moments}
        self.optimizer.param_groups[0] |= {"lr": numbers["lr"], "betas": tuple(numbers["betas"])}
        self.schedule.last_epoch = numbers["taken"]
        self.schedule._step_count = numbers["taken"] + 1


class Position:
    """Where a run of several stages is, kept in one file beside the model to come.

    ``key`` says what run it is; a file of another run is not taken up. ``stages`` are named in their order.
    """

    def __init__(self, networks: nn.ModuleDict, log: TrainingLog, stages: Sequence[str], key: str) -> None:
        self.path = log.path.parent / POSITION
        self.networks, self.log, self.stages, self.key = networks, log, tuple(stages), key
        self._found: dict[str, Any] | None = None
        self._moments: dict[str, Tensor] = {}

    def load(self, *, progress: bool = False) -> None:
        """Take up a run that was killed, if the file holds this one."""
        if not self.path.is_file():
            return
        found: dict[str, Any] = {"key": None}
        tensors: dict[str, Tensor] = {}
        with suppress(SafetensorError, OSError, KeyError, ValueError), safe_open(self.path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
            found = json.loads((file.metadata() or {})["position"])
        if found["key"] != self.key:
            say(f"{self.path} belongs to another run: training begins anew", enabled=progress)
            return
        sorts = {sort: _under(sort, tensors) for sort in ("network.", "moment.")}
        self.networks.load_state_dict(sorts["network."])
        self._found, self._moments = found, sorts["moment."]
        self.log.rows, self.log.smooth, self.log.stage = found["rows"], found["smooth"], found["stage"]
        say(f"{self.path}: going on in stage {found['stage']} at step {found['done']}", enabled=progress)

    def done(self, stage: str, total: int, steps: Steps) -> int:
        """Steps that a stage has behind it; its optimiser is put where it was."""
        if self._found is None or self.stages.index(stage) > self.stages.index(self._found["stage"]):
            return 0
        if stage != self._found["stage"]:
            return total
        if self._found["done"] < total:
            steps.restore(self._moments, self._found["steps"])
        return int(self._found["done"])

    def save(self, stage: str, done: int, steps: Steps) -> None:
        """Write the file, whole or not at all."""
        tensors = {f"network.{name}": value for name, value in self.networks.state_dict().items()}
        tensors |= {f"moment.{name}": value for name, value in steps.tensors().items()}
        told = {"key": self.key, "stage": stage, "done": done, "steps": steps.numbers()}
        told |= {"rows": self.log.rows, "smooth": self.log.smooth}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        plain = {name: value.contiguous() for name, value in tensors.items()}
        write_atomic(self.path, safetensors.torch.save(plain, {"position": json.dumps(told)}))

    def remove(self) -> None:
        """The model is there: nothing is left to go on with."""
        self.path.unlink(missing_ok=True)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


@dataclass(frozen=True)
class Stage:
    """A stretch of training of one network."""

    name: str
    total: int
    lr: float | None = None
    """Peak of the learning rate; the config's if None."""


def run_stage(
    stage: Stage,
    network: nn.Module,
    config: TrainConfig,
    draw: Callable[[int], T],
    losses_of: Callable[[T], Losses],
    log: TrainingLog,
    *,
    position: Position | None = None,
    progress: bool = False,
) -> None:
    """Take the steps of a stage that are still to be taken; ``draw`` makes the batch of a step from its number."""
    steps = Steps(network, config, stage.total, lr=stage.lr)
    begin = 0 if position is None else position.done(stage.name, stage.total, steps)
    with bar(stage.name, stage.total - begin, enabled=progress) as advance:
        for step, batch in enumerate(ahead(draw, range(begin, stage.total)), begin):
            losses, lr = losses_of(batch), steps.lr
            steps.take(losses[0])
            log.add(stage.name, step, losses, lr)
            advance(f"loss {log.smooth:.3f}")
            if position is not None and (step + 1) % SAVE_EVERY == 0:
                position.save(stage.name, step + 1, steps)


def run_key(config: TrainConfig, *sets: ViewSet, more: str = "") -> str:
    """Hash of what a run depends on: settings, and the pictures and labels it learns from."""
    digest = hashlib.sha256(f"{config.model_dump_json()} {torch.__version__} {more}".encode())
    for views in sets:
        digest.update(" ".join(note.capture_id for note in views.notes).encode())
        for array in (views.rgb, views.depth, views.labels, views.target):
            digest.update(str(zlib.crc32(array.data)).encode())
    return digest.hexdigest()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use so many threads of torch in the block; 0 leaves them as they are."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


__all__ = ["Losses", "Position", "Stage", "Steps", "TrainingLog", "run_key", "run_stage", "threads"]
