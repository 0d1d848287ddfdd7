"""The photoreal version of what is chosen: `damageland render` in a process of its own, which a press can stop."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from ..generators.recipe import Recipe
from ..sim.booth import BoothSpec
from ..sim.capture import Capture
from ..sim.shards import read_shard, shard_path

POLL_S = 0.5


@dataclass(frozen=True)
class Progress:
    """How far a render is."""

    seconds: float
    captures: tuple[Capture, ...] = ()
    """Damaged, then its twin; empty until it is done."""
    failed: str = ""

    @property
    def done(self) -> bool:
        """Whether no more will come."""
        return bool(self.captures or self.failed)


class Render:
    """One render under way."""

    def __init__(self, recipe: Recipe, booth: BoothSpec, samples: int, hear: Callable[[Progress], None]):
        self._stopped = threading.Event()
        photoreal = recipe.model_copy(update={"cycles_share": 1.0, "cycles_samples": samples, "booth": "booth.yaml"})
        threading.Thread(target=self._run, args=(photoreal, booth, hear), daemon=True).start()

    def stop(self) -> None:
        """End it; nothing more is told."""
        self._stopped.set()

    def _run(self, recipe: Recipe, booth: BoothSpec, hear: Callable[[Progress], None]) -> None:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "booth.yaml").write_text(yaml.safe_dump(booth.model_dump(mode="json")))
            (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
            command = [sys.executable, "-m", "damageland.cli", "render", str(folder / "recipe.yaml")]
            command += ["--out", str(folder / "out"), "--workers", "1"]
            with (folder / "log").open("w") as log:
                process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
            while process.poll() is None:
                if self._stopped.wait(POLL_S):
                    process.terminate()  # the command ends its workers
                    process.wait()
                    return
                hear(Progress(time.monotonic() - start))
            seconds = time.monotonic() - start
            if process.returncode:
                hear(Progress(seconds, failed=(folder / "log").read_text()[-600:].strip() or "it ended without a word"))
            else:
                hear(Progress(seconds, tuple(read_shard(shard_path(folder / "out", 0)))))
