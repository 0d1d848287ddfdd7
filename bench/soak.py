"""Kill a run again and again and see that it ends with the bytes of one that nobody disturbed: ``make soak``.

Real renders of a small recipe, by the command line as a user types it. At random moments (drawn from ``--seed``)
SIGKILL hits a worker or the driver, on local processes or on Ray, all on one and the same output. Now and then a
finished shard is truncated or loses a bit as well. In the end: is the output byte-identical, does ``check`` pass, is
any process left?
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

RECIPE = {
    "name": "soak",
    "captures": 24,
    "shard_size": 1,
    "damaged_share": 0.2,
    "preview_samples": 1,
    "texture_px": 256,
    "booth": "booth.yaml",
    "products": [{"family": "tin", "count": 4}],
    "damages": [{"generator": "scuff"}],
}
CAMERA = {"width": 48, "height": 48, "hfov_deg": 40, "elevation_deg": 20, "distance_mm": 400}
BOOTH = {
    "name": "soak",
    "cameras": [{"name": "a", "azimuth_deg": 0, **CAMERA}, {"name": "b", "azimuth_deg": 90, **CAMERA}],
}


def render(recipe: Path, out: Path, engine: str) -> list[str]:
    """The command, as a user types it."""
    command = [sys.executable, "-m", "damageland.cli", "render", str(recipe), "--out", str(out), "--workers", "2"]
    return [*command, "--engine", engine]


def descendants(pid: int) -> list[int]:
    """All processes below one, the nearest first."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return found[1:]


def is_worker(pid: int) -> bool:
    """Whether a process makes shards: one of multiprocessing's, or one that Ray has given a shard."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"spawn_main" in command or command.startswith((b"ray::_work", b"ray::IDLE"))


def is_agent(pid: int) -> bool:
    """Whether it is one of Ray's helpers, which look for their node a few times before they end; they make nothing."""
    try:
        return b"Agent" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def disturb(recipe: Path, out: Path, engine: str, rng: np.random.Generator) -> str:
    """Start a run, kill a worker or the driver after a while, and tell what was hit."""
    log = recipe.with_name("log.jsonl")
    log.write_text("")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    driver = subprocess.Popen([*render(recipe, out, engine), "--log", str(log)], **quiet)
    # Mostly after it has made some shards, and sometimes while it is still starting.
    wanted = int(rng.integers(1, 5)) if rng.random() < 0.8 else 0
    wait_s, start = float(rng.uniform(0, 5)), time.monotonic()
    while driver.poll() is None and log.read_text().count("shard made") < wanted:
        time.sleep(0.1)
    try:
        driver.wait(wait_s)
        return "had ended"
    except subprocess.TimeoutExpired:
        wait_s = time.monotonic() - start
    below = descendants(driver.pid)
    workers = [pid for pid in below if is_worker(pid)]
    hit = "driver"
    if workers and rng.random() < 0.5:
        os.kill(int(rng.choice(workers)), signal.SIGKILL)
        time.sleep(float(rng.uniform(0, 3)))
        hit = "worker, then driver"
        below = descendants(driver.pid)
    driver.kill()
    driver.wait()
    end = time.monotonic() + 60
    while left := [pid for pid in below if is_alive(pid) and not is_agent(pid)]:
        if time.monotonic() > end:
            raise SystemExit(f"processes outlive their driver: {left}")
        time.sleep(0.1)
    return f"killed {hit} after {wait_s:.1f} s"


def damage(out: Path, rng: np.random.Generator) -> str:
    """Truncate a finished shard, or flip a bit of it."""
    shards = sorted(out.glob("shard-*.tar"))
    if not shards:
        return ""
    path = shards[int(rng.integers(len(shards)))]
    data = bytearray(path.read_bytes())
    at = int(rng.integers(len(data)))
    if rng.random() < 0.5:
        data = data[:at]
    else:
        data[at] ^= 1 << int(rng.integers(8))
    path.write_bytes(bytes(data))
    return f", {path.name} damaged at byte {at}"


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != ".lock"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--engine", choices=("local", "ray", "mixed"), default="mixed")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="damageland-soak-") as folder:
        recipe, calm, out = Path(folder) / "recipe.yaml", Path(folder) / "calm", Path(folder) / "out"
        recipe.write_text(yaml.safe_dump(RECIPE))
        (Path(folder) / "booth.yaml").write_text(yaml.safe_dump(BOOTH))
        subprocess.run(render(recipe, calm, "local"), check=True)
        kills = 0
        while kills < arguments.kills:
            engine = arguments.engine if arguments.engine != "mixed" else str(rng.choice(["local", "ray"]))
            told = disturb(recipe, out, engine, rng)
            kills += told.startswith("killed")
            if not told.startswith("killed"):  # begin anew, or there would be nothing to kill
                for path in out.glob("shard-*"):
                    path.unlink()
            elif rng.random() < 0.3:
                told += damage(out, rng)
            done = len(list(out.glob("shard-*.sha256")))
            print(f"{kills:3d}  {engine:5s}  {done:3d} shards done  {told}", flush=True)
        subprocess.run(render(recipe, out, "local" if arguments.engine != "ray" else "ray"), check=True)
        same = bytes_of(out) == bytes_of(calm)
        subprocess.run([sys.executable, "-m", "damageland.cli", "check", str(out), "--pixels"], check=True)
    print(f"{kills} kills: {'the same bytes' if same else 'THE BYTES DIFFER'}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
