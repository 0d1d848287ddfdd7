"""Runs that are disturbed in every way that was thought of end with the bytes of an undisturbed one."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import fakes
import numpy as np
import pytest
from damageland.sim import lease as leases
from damageland.sim.batch import make_one, run_shards
from damageland.sim.errors import DamagelandError, StorageError
from damageland.sim.lease import lease
from damageland.sim.output import check, claim_output, finish, inspect, output_lock, pending_shards
from damageland.sim.shards import shard_name, shard_path, write_shard
from damageland.sim.store import Store, as_store
from damageland.sim.task import SCRATCH, Task, own_version, scratch_folder, try_shard
from s3 import BUCKET, loopback_s3

LOCK = "name: tiny\nseed: 7\n"
COUNT = 5
TESTS = Path(__file__).parent
DRIVER = """
import sys
from functools import partial
sys.path.insert(0, {tests!r})
import fakes
from damageland.sim.batch import run_shards
from damageland.sim.output import claim_output, finish

if __name__ == "__main__":
    out, count, delay_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    claim_output(out, {lock!r})
    run_shards(partial(fakes.fake_shard, delay_s=delay_s), count, out, workers=2, captures_per_shard=3, progress=False)
    finish(out, count)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with loopback_s3() as environment:
        yield environment


def bytes_of(store: Store) -> dict[str, bytes]:
    return {name: (store / name).read_bytes() for name in store.names() if name != ".lock"}


def run_here(out: Path | str, count: int = COUNT, make=fakes.fake_shard) -> Store:
    """Make all shards in this process, as a job array would, and finish."""
    claim_output(out, LOCK)
    for k in pending_shards(out, count):
        make_one(make, k, out)
    finish(out, count)
    return as_store(out)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return bytes_of(run_here(tmp_path_factory.mktemp("undisturbed") / "run"))


def start_driver(tmp_path: Path, out: str, delay_s: float) -> subprocess.Popen[bytes]:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(tests=str(TESTS), lock=LOCK))
    return subprocess.Popen([sys.executable, str(script), out, str(COUNT), str(delay_s)], stderr=subprocess.PIPE)


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


# Kills


def test_killed_again_and_again(tmp_path: Path, undisturbed: dict[str, bytes]):
    """SIGKILL workers and drivers at random moments, over and over: the folder ends with the bytes of a calm run."""
    rng = np.random.default_rng(11)
    out = tmp_path / "run"
    for _ in range(3):
        with start_driver(tmp_path, str(out), 0.15) as driver:
            time.sleep(float(rng.uniform(1.5, 3.5)))
            workers = children_of(driver.pid)
            if workers and rng.random() < 0.7:
                os.kill(int(rng.choice(workers)), signal.SIGKILL)
                time.sleep(float(rng.uniform(0.0, 0.5)))
            driver.kill()
    with start_driver(tmp_path, str(out), 0.0) as driver:
        assert driver.wait(60) == 0, driver.stderr and driver.stderr.read()
    assert bytes_of(as_store(out)) == undisturbed


def test_killed_on_object_storage(tmp_path: Path, server: dict[str, str], undisturbed: dict[str, bytes]):
    """A driver that writes to S3 is SIGKILLed; the next one waits for nobody, goes on and ends with the same bytes."""
    url = f"s3://{BUCKET}/killed"
    with start_driver(tmp_path, url, 0.6) as driver:
        end = time.monotonic() + 60
        while shard_name(1) + ".sha256" not in as_store(url).names():
            assert time.monotonic() < end and driver.poll() is None
            time.sleep(0.05)
        driver.kill()
    assert [name for name in as_store(url).names() if name.startswith(leases.PREFIX)], "the kill was to leave a lease"
    assert bytes_of(run_here(url)) == undisturbed


# Two drivers


def test_second_driver_is_refused_on_object_storage(server: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    """While the holder's lease moves, another driver gets an error that says who holds it; afterwards it is free."""
    monkeypatch.setattr(leases, "BEAT_S", 0.2)
    store = as_store(f"s3://{BUCKET}/two")
    with output_lock(store):
        with pytest.raises(DamagelandError, match=rf"being written by another damageland \(process {os.getpid()} on"):
            run_shards(fakes.fake_shard, 1, store, progress=False)
        with output_lock(store, shared=True):
            pass
    assert store.names() == []


def test_a_dead_holder_is_waited_out_once(server: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    """A lease of another machine that does not move is taken over by exactly one of several that try, clocks or no."""
    monkeypatch.setattr(leases, "BEAT_S", 0.2)
    monkeypatch.setattr(leases, "LEASE_S", 1.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # a clock that was set back
    store = as_store(f"s3://{BUCKET}/dead")
    (store / f"{leases.PREFIX}000004").write(json.dumps({"owner": "x", "host": "far", "pid": 1, "beat": 9}))
    at_once, most, refused = 0, 0, []
    guard = threading.Lock()

    def drive() -> None:
        nonlocal at_once, most
        try:
            with lease(store):
                with guard:
                    at_once += 1
                    most = max(most, at_once)
                time.sleep(1.5)
                with guard:
                    at_once -= 1
        except DamagelandError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=drive) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1 and len(refused) == 2 and all("another damageland" in text for text in refused)
    assert store.names() == []


def test_a_lost_lease_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Who was frozen while another took over learns of it, and does not delete the other's lease."""
    monkeypatch.setattr(leases, "BEAT_S", 0.1)
    store = as_store(tmp_path)
    with pytest.raises(DamagelandError, match="another damageland took over"), lease(store):
        (store / f"{leases.PREFIX}000002").write("{}")
        time.sleep(0.5)
    assert store.names() == [f"{leases.PREFIX}000002"]


# Damaged shards


@pytest.mark.parametrize("sort", ["local", "s3"])
def test_check_names_the_bad_and_render_mends_them(
    sort: str, tmp_path: Path, server: dict[str, str], undisturbed: dict[str, bytes]
):
    """A flipped bit, a truncated tar, a lost checksum: check names just these, and another run makes just these."""
    out = run_here(tmp_path / "run" if sort == "local" else f"s3://{BUCKET}/mend")
    flipped, cut = bytearray((out / shard_name(1)).read_bytes()), (out / shard_name(3)).read_bytes()
    flipped[len(flipped) // 2] ^= 16
    (out / shard_name(1)).write(bytes(flipped))
    (out / shard_name(3)).write(cut[: len(cut) // 2])
    (out / f"{shard_name(4)}.sha256").unlink()
    for pixels in (False, True):
        assert inspect(out, pixels=pixels).bad_shards == (shard_name(1), shard_name(3), shard_name(4))
    assert pending_shards(out, COUNT) == [1, 3, 4] and pending_shards(out, COUNT, trust=True) == [4]
    log = tmp_path / "log"
    log.mkdir()
    run_here(out.url, make=partial(fakes.fake_shard, log=log))
    assert sorted(p.name for p in log.iterdir()) == ["1", "3", "4"]
    assert bytes_of(out) == undisturbed
    assert check(out, pixels=False) == [] == check(out)


def test_fast_check_sees_images_that_do_not_fit(tmp_path: Path, undisturbed: dict[str, bytes]):
    """Without decoding, and with checksums that agree: wrong size, wrong type, cut short, missing, surplus."""
    import cv2
    from test_shards import rewrite  # the same surgery on tars

    png = {
        "size": cv2.imencode(".png", np.zeros((47, 64), np.uint8))[1].tobytes(),
        "type": cv2.imencode(".png", np.zeros((48, 64), np.uint16))[1].tobytes(),
    }
    cases = {
        "top.item.png": (png["size"], "is 64x47, but its view 64x48"),
        "top.damage.png": (png["type"], "has 16 bits and colour type 0"),
        "left.item.png": (b"GIF89a", "is not a readable image"),
        "top.rgb.jpg": (b"\xff\xd8\xff", "is not a readable image"),
    }
    for i, (name, (data, words)) in enumerate(cases.items()):
        out = run_here(tmp_path / str(i), count=1)
        path = tmp_path / str(i) / shard_name(0)
        rewrite(path, lambda members, name=name, data=data: members.update({f"P000-twin.{name}": data}))
        found = inspect(out, pixels=False)
        assert any(f"P000-twin.{name}" in p and words in p for p in found.problems), found.problems
    rewrite(path, lambda members: members.update({"P000-ref.extra.txt": b"x"}))
    assert any("does not list" in p for p in inspect(out, pixels=False).problems)


# Folders that are not as expected


def test_edited_recipe_and_newer_folder(tmp_path: Path):
    """A recipe edited between resumes is refused with what changed; a folder of a newer version likewise."""
    claim_output(tmp_path / "run", "format: 1\nrecipe:\n  captures: 10\n  booth: a\n  cameras: [1, 2]\n")
    with pytest.raises(DamagelandError) as told:
        claim_output(tmp_path / "run", "format: 1\nrecipe:\n  captures: 12\n  cameras: [1, 3]\n  booth: a\n")
    assert "recipe.captures: 10 in the folder, 12 now" in str(told.value)
    assert "recipe.cameras.1: 2 in the folder, 3 now" in str(told.value) and "booth" not in str(told.value)
    claim_output(tmp_path / "new", "format: 2\n")
    with pytest.raises(DamagelandError, match=r"newer damageland .format 2, this one knows 1"):
        claim_output(tmp_path / "new", "format: 1\n")
    run_here(tmp_path / "done", count=1)
    (tmp_path / "done" / "recipe.lock.yaml").write_text("format: 9\n")
    with pytest.raises(DamagelandError, match="newer damageland"):
        check(tmp_path / "done")


def small_files_only(k: int, out: Path) -> None:
    """A disk on which shard 1 finds no room, and shard 2 hardly any."""
    if k:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    try:
        fakes.fake_shard(k, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_full_disk(tmp_path: Path, undisturbed: dict[str, bytes]):
    """No room stops the run at once with one error, leaves nothing half-written, and the next run goes on."""
    out = tmp_path / "run"
    claim_output(out, LOCK)
    with pytest.raises(StorageError, match=r"no room for shard 1 in .*run.*free some space.*is kept"):
        run_shards(small_files_only, COUNT, out, workers=1, progress=False)
    assert sorted(p.name for p in out.iterdir()) == [
        ".lock", "recipe.lock.yaml", shard_name(0), f"{shard_name(0)}.sha256"
    ]  # fmt: skip
    run_here(out)
    assert bytes_of(as_store(out)) == undisturbed


def test_other_versions_and_unseen_folders_stop_a_run(tmp_path: Path):
    """A worker of another version, or one that does not see the driver's folder, makes nothing and says why."""
    task = Task(fakes.fake_shard, as_store(tmp_path), own_version())
    told = try_shard(replace(task, version="damageland 0.0.1"), 0)
    assert told.fatal and "the driver damageland 0.0.1" in told.trouble and "same versions" in told.trouble
    told = try_shard(task, 0)
    assert told.fatal and f"does not see {tmp_path}" in told.trouble
    assert list(tmp_path.iterdir()) == []


def contradictory(k: int, out: Path) -> None:
    captures = fakes.fake_product(7, k)
    write_shard(shard_path(out, k), [replace(captures[0], defect_types=()), *captures[1:]])


def test_unsound_shards_are_not_recorded(tmp_path: Path):
    """A shard whose labels contradict each other is refused where it is made, by name, and not tried again."""
    with pytest.raises(DamagelandError, match=r"shard 0 is not sound.*P000-query: has defect True, but"):
        make_one(contradictory, 0, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


def test_scratch_of_killed_workers_is_swept(tmp_path: Path, server: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    """Shards for object stores are made in scratch folders; those of the dead go, those of the living stay."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"{SCRATCH}dead").mkdir()
    (tmp_path / f"{SCRATCH}dead" / "half.tar").write_bytes(b"x")
    (tmp_path / f"{SCRATCH}dead.held").touch()
    with scratch_folder() as living:
        make_one(fakes.fake_shard, 0, f"s3://{BUCKET}/scratch")
        assert living.is_dir() and not (tmp_path / f"{SCRATCH}dead").exists()
    assert list(tmp_path.iterdir()) == []
    assert as_store(f"s3://{BUCKET}/scratch").names() == [shard_name(0), f"{shard_name(0)}.sha256"]
