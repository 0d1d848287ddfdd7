"""Shards on a real Ray cluster of two nodes on this machine: the same bytes, whatever dies."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fakes
import pytest
from damageland.sim.batch import make_one, run_shards
from damageland.sim.errors import DamagelandError
from damageland.sim.output import claim_output, pending_shards
from damageland.sim.raybatch import RayEngine, _importable
from damageland.sim.shards import shard_name


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and one more node with one CPU each."""
    import ray
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    with _importable():
        made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        made.add_node(**node)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def once(flags: Path, name: str) -> bool:
    """Whether this is the first call for this name, in whatever process."""
    try:
        (flags / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def troubles(k: int, out: Path, *, flags: Path) -> None:
    """Shard 1 is killed once, 2 hangs once, 3 crashes once, 4 is the user's mistake; the others are fine."""
    if k == 1 and once(flags, "killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    if k == 2 and once(flags, "hung"):
        time.sleep(600)
    if k == 3 and once(flags, "crashed"):
        raise ValueError("a crash")
    if k == 4:
        raise DamagelandError("no such mesh: cup.glb")
    fakes.fake_shard(k, out)


def slow_shard(k: int, out: Path, *, flags: Path) -> None:
    """A shard that leaves a flag with its process while it is in the making, and waits the first time."""
    (flags / f"{k} {os.getppid()}").touch()
    fakes.fake_shard(k, out, delay_s=3.0 if once(flags, f"first {k}") else 0.0)


def test_troubles_are_survived_and_told_apart(cluster: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Killed, hung and crashed shards are tried again, a mistake is not; the rest has the bytes of local processes."""
    flags, out, here = tmp_path / "flags", tmp_path / "out", tmp_path / "here"
    flags.mkdir()
    here.mkdir()
    claim_output(out, "name: tiny\n")
    engine = RayEngine(time_limit_s=2.5)
    with pytest.raises(DamagelandError, match=r"(?s)1 of 6 shards failed.*shard 4: no such mesh: cup.glb$"):
        run_shards(partial(troubles, flags=flags), 6, out, engine=engine, captures_per_shard=3)
    assert sorted(p.name for p in flags.iterdir()) == ["crashed", "hung", "killed"]
    told = capsys.readouterr().err.splitlines()[-1]
    assert "15/18 captures" in told and "failed shards 1 (1 mistake)" in told
    assert all(cause in told for cause in ("retried 3", "1 killed", "1 time limit", "1 ValueError"))
    assert pending_shards(out, 6) == [4]
    for k in (0, 1, 2, 3, 5):
        make_one(fakes.fake_shard, k, here)
        assert (out / shard_name(k)).read_bytes() == (here / shard_name(k)).read_bytes()


def test_what_no_node_can_take_is_an_error(cluster: Any, tmp_path: Path):
    """Ray would wait for ever, silently; we say what is asked and what there is."""
    with pytest.raises(DamagelandError, match=r"each needs 1 CPU, 2 GPU, the most that 2 node.s. offer is 1 CPU"):
        run_shards(fakes.fake_shard, 1, tmp_path / "out", engine=RayEngine(gpus_per_task=2), progress=False)
    with pytest.raises(DamagelandError, match="not below 0"):
        RayEngine(cpus_per_task=-1)


def test_lost_node(cluster: Any, tmp_path: Path):
    """A node is SIGKILLed with a shard in the making: another node makes it, and the shard is not to blame."""
    flags, out = tmp_path / "flags", tmp_path / "out"
    flags.mkdir()
    victim = cluster.list_all_nodes()[-1]
    raylet = victim.all_processes["raylet"][0].process.pid

    def kill_when_busy() -> None:
        end = time.monotonic() + 40
        while time.monotonic() < end and not [p for p in flags.iterdir() if p.name.endswith(f" {raylet}")]:
            time.sleep(0.05)
        cluster.remove_node(victim, allow_graceful=False)

    killer = threading.Thread(target=kill_when_busy)
    killer.start()
    log = tmp_path / "log.jsonl"
    run_shards(partial(slow_shard, flags=flags), 4, out, engine=RayEngine(), progress=False, log=log)
    killer.join()
    assert pending_shards(out, 4) == []
    assert '"shard retried"' in log.read_text()
