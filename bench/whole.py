"""A thousand captures in one go: render, check, export to every format, train: ``make bench-whole``.

By the command line, as a user types it, in preview with one sample. While it renders, the resident memory of the driver
and of its workers is sampled: flat means that the last fifth of the run takes no more than the second.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from damageland.generators.recipe import ASSETS
from damageland.sim.export.table import FORMATS
from damageland.sim.manifest import read_table
from damageland.sim.store import as_store
from rich.console import Console
from rich.table import Table
from soak import descendants

EVERY_S = 2.0
CHANGES = {"cycles_share": 0.0, "preview_samples": 1, "damaged_share": 0.9, "shard_size": 8}


@dataclass(frozen=True)
class Step:
    """One command that ran."""

    name: str
    seconds: float
    said: str
    """Last line of what it printed."""


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "damageland.cli", *map(str, arguments)]


def run(name: str, *arguments: str | Path) -> Step:
    """Run a command to its end; a failing one ends the bench."""
    start = time.perf_counter()
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    return Step(name, time.perf_counter() - start, (done.stdout.strip().splitlines() or [""])[0])


def resident_mb(pid: int) -> float:
    """Resident memory of a process [MB]; 0 if it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS")), 0.0)


class Memory:
    """Samples of a command's memory while it runs: (driver, largest of its workers, all together) in MB."""

    def __init__(self, pid: int):
        self.pid, self.samples, self.stop = pid, [], threading.Event()
        self.thread = threading.Thread(target=self._sample, daemon=True)
        self.thread.start()

    def _sample(self) -> None:
        while not self.stop.wait(EVERY_S):
            workers = [resident_mb(pid) for pid in descendants(self.pid)]
            driver = resident_mb(self.pid)
            self.samples.append((driver, max(workers, default=0.0), driver + sum(workers)))

    def fifths(self) -> np.ndarray:
        """Largest of each column in each fifth of the run."""
        self.stop.set()
        self.thread.join()
        return np.array([part.max(axis=0) for part in np.array_split(np.array(self.samples), 5)])


def render(recipe: Path, out: Path, workers: int) -> tuple[Step, np.ndarray]:
    start = time.perf_counter()
    process = subprocess.Popen(
        command("render", recipe, "--out", out, "--workers", str(workers)),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    memory = Memory(process.pid)
    said, _ = process.communicate()
    if process.returncode:
        sys.exit("rendering failed: run `damageland render` on this recipe by hand")
    return Step("render", time.perf_counter() - start, said.splitlines()[0]), memory.fifths()


def main() -> None:
    """Print what each command took and said, and the memory of rendering."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--captures", type=int, default=500, help="units: nine in ten come with a twin")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100, help="training steps")
    parser.add_argument("--keep", type=Path, help="a folder for the data, which is kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        out, recipe = folder / "data", folder / "whole.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        plain = yaml.safe_load((ASSETS / "recipes" / "demo.yaml").read_text())
        recipe.write_text(yaml.safe_dump({**plain, **CHANGES, "name": "whole", "captures": options.captures}))
        rendered, memory = render(recipe, out, options.workers)
        steps = [rendered, run("check", "check", out), run("check --pixels", "check", out, "--pixels")]
        steps += [run(f"export {name}", "export", name, out, "--out", folder / name) for name in FORMATS]
        short = ("--config.steps", str(options.steps), "--config.locate-steps", str(options.steps))
        steps.append(run("train", "train", out, "--out", folder / "model", *short))
        captures = read_table(as_store(out) / "manifest.parquet").num_rows
        table = Table("command", "seconds", "captures/s", "said", title=f"{captures} captures")
        for step in steps:
            said = step.said.replace(str(folder), "…")
            table.add_row(step.name, f"{step.seconds:.0f}", f"{captures / step.seconds:.1f}", said)
    resident = Table("fifth of the run", "driver MB", "largest worker MB", "all MB", title="Memory while rendering")
    for k, row in enumerate(memory):
        resident.add_row(str(k + 1), *(f"{value:.0f}" for value in row))
    console = Console(width=150)
    console.print(table, resident)
    console.print(f"all together, last fifth over second: {memory[4, 2] / memory[1, 2]:.2f}")


if __name__ == "__main__":
    main()
