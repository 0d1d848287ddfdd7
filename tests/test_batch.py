"""Runs that are killed, crash or hang: nothing finished is lost, nothing damaged is trusted, the bytes are the same."""

import io
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import fakes
import pytest
from damageland.sim import progress
from damageland.sim.batch import make_one, run_shards
from damageland.sim.engines import Working
from damageland.sim.errors import DamagelandError
from damageland.sim.output import (
    check,
    claim_output,
    finish,
    output_lock,
    pending_shards,
    record_shard,
    shard_is_done,
    sidecar_name,
)
from damageland.sim.progress import Status, bar, plain_line
from damageland.sim.shards import shard_path
from rich.console import Console

TESTS = Path(__file__).parent
DRIVER = """
import signal
import sys
from functools import partial
from pathlib import Path
sys.path.insert(0, {tests!r})
import fakes
from damageland.sim.batch import run_shards

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background has it ignored
    make = partial(fakes.fake_shard, delay_s=float(sys.argv[3]))
    run_shards(make, int(sys.argv[2]), Path(sys.argv[1]), workers=2, captures_per_shard=3)
"""


def kill_own_worker_once(k: int, out: Path, *, flags: Path, times: int = 1) -> None:
    """Shard 1 kills its own process the first few times; the other shards are fine."""
    if k == 1 and len(list(flags.iterdir())) < times:
        (flags / f"{time.monotonic_ns()}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    fakes.fake_shard(k, out)


def various_troubles(k: int, out: Path, *, log: Path) -> None:
    """Shard 1 crashes, 2 hangs, 3 is the user's mistake, 4 writes nothing; 0 and 5 are fine."""
    with (log / str(k)).open("a") as file:
        file.write("x")
    if k == 1:
        raise ValueError("a crash")
    if k == 2:
        time.sleep(600)
    if k == 3:
        raise DamagelandError("no such mesh: cup.glb")
    if k != 4:
        fakes.fake_shard(k, out)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.name != ".lock"}


def run_whole(out: Path, count: int, make=fakes.fake_shard) -> Path:
    claim_output(out, "name: tiny\nseed: 7\n")
    run_shards(make, count, out, workers=1, progress=False, captures_per_shard=3)
    finish(out, count)
    return out


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six shards that nothing disturbed."""
    return run_whole(tmp_path_factory.mktemp("undisturbed") / "run", 6)


def wait_until(condition, timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)


def children_of(pid: int) -> list[int]:
    """Child processes of a process, by all its threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def test_killed_driver_resumes_to_the_same_bytes(tmp_path: Path, undisturbed: Path):
    """SIGKILL the driver midway: its workers die, finished shards stay, and a second run ends with the same bytes."""
    out = tmp_path / "run"
    claim_output(out, "name: tiny\nseed: 7\n")
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(tests=str(TESTS)))
    with subprocess.Popen([sys.executable, str(script), str(out), "6", "0.6"], stderr=subprocess.PIPE) as driver:
        wait_until(lambda: (out / sidecar_name("shard-000001.tar")).exists() and list(out.glob("*.tmp")))
        workers = children_of(driver.pid)
        driver.send_signal(signal.SIGKILL)
    assert workers
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 10)
    assert list(out.glob("*.tmp")), "the kill was to hit a shard in the making"
    pending = pending_shards(out, 6)
    assert 0 < len(pending) < 6
    kept = {k: shard_path(out, k).stat().st_mtime_ns for k in range(6) if k not in pending}

    assert len(pending) == run_shards(fakes.fake_shard, 6, out, workers=1, progress=False)
    finish(out, 6)
    assert bytes_of(out) == bytes_of(undisturbed)
    assert {k: shard_path(out, k).stat().st_mtime_ns for k in kept} == kept


def test_second_run_makes_nothing_and_touches_nothing(tmp_path: Path):
    """A finished folder is left as it is, dates included, and no worker is started."""
    log = tmp_path / "log"
    log.mkdir()
    out = run_whole(tmp_path / "run", 2, partial(fakes.fake_shard, log=log))
    before = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in out.iterdir()}
    run_whole(out, 2, partial(fakes.fake_shard, log=log))
    assert {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in out.iterdir()} == before
    assert [p.read_text() for p in sorted(log.iterdir())] == ["x", "x"]
    assert check(out) == []


def test_coreutils_verifies(undisturbed: Path):
    """Anyone can verify a set with sha256sum alone: all files at once, or one shard."""
    for name in ("checksums", "shard-000003.tar.sha256"):
        subprocess.run(["sha256sum", "--strict", "--quiet", "-c", name], cwd=undisturbed, check=True)
    covered = {line.split("  ")[1] for line in (undisturbed / "checksums").read_text().splitlines()}
    others = {p.name for p in undisturbed.iterdir() if p.suffix != ".sha256"} - {"checksums", ".lock"}
    assert covered == others >= {"manifest.parquet", "manifest.csv", "README.md", "card.jpg", "recipe.lock.yaml"}


def test_only_the_damaged_shard_is_made_again(tmp_path: Path, undisturbed: Path):
    """Flip one bit, lose one sidecar: just these two are made again, and the folder heals to the byte."""
    out, log = tmp_path / "run", tmp_path / "log"
    log.mkdir()
    out.mkdir()
    for name, data in bytes_of(undisturbed).items():
        (out / name).write_bytes(data)
    data = bytearray(shard_path(out, 4).read_bytes())
    data[len(data) // 3] ^= 4
    shard_path(out, 4).write_bytes(data)
    (out / sidecar_name("shard-000002.tar")).unlink()
    (out / "shard-000009.tar.0badcafe.tmp").write_bytes(b"half")
    with pytest.raises(DamagelandError, match=r"shards \['shard-000002.tar', 'shard-000004.tar'\] are unfin"):
        finish(out, 6)
    run_whole(out, 6, partial(fakes.fake_shard, log=log))
    assert sorted(p.name for p in log.iterdir()) == ["2", "4"]
    assert bytes_of(out) == bytes_of(undisturbed)


def test_damaged_manifest_is_derived_again(tmp_path: Path, undisturbed: Path):
    """A manifest or card that was changed or lost comes back from the shards."""
    out = tmp_path / "run"
    out.mkdir()
    for name, data in bytes_of(undisturbed).items():
        (out / name).write_bytes(data)
    (out / "manifest.csv").write_text("nonsense")
    (out / "card.jpg").unlink()
    finish(out, 6)
    assert bytes_of(out) == bytes_of(undisturbed)


def test_killed_worker_costs_a_retry(tmp_path: Path):
    """A worker that is SIGKILLed is replaced and its shard tried again; nobody else notices."""
    flags = tmp_path / "flags"
    flags.mkdir()
    make = partial(kill_own_worker_once, flags=flags)
    assert run_shards(make, 3, tmp_path / "run", workers=2, progress=False) == 3
    assert pending_shards(tmp_path / "run", 3) == [] and len(list(flags.iterdir())) == 1


def test_worker_that_always_dies_is_reported(tmp_path: Path):
    """After two retries the shard is given up and named with the signal; the others are kept."""
    flags = tmp_path / "flags"
    flags.mkdir()
    make = partial(kill_own_worker_once, flags=flags, times=99)
    with pytest.raises(
        DamagelandError, match=r"(?s)1 of 3 shards.*shard 1: its worker was killed by SIGKILL.*3 attempts"
    ):
        run_shards(make, 3, tmp_path / "run", workers=1, progress=False)
    assert pending_shards(tmp_path / "run", 3) == [1] and len(list(flags.iterdir())) == 3


def test_troubles_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Crashes and hangs are tried three times, a user's mistake once; each is reported with its own cause."""
    out, log = tmp_path / "run", tmp_path / "log"
    log.mkdir()
    with pytest.raises(DamagelandError) as caught:
        run_shards(partial(various_troubles, log=log), 6, out, workers=2, time_limit_s=1.5, captures_per_shard=3)
    text = str(caught.value)
    assert "4 of 6 shards failed" in text and str(out) in text
    assert "shard 1: ValueError: a crash (in various_troubles, test_batch.py:" in text and "3 attempts" in text
    assert "shard 2: took longer than the time limit of 1.5 s" in text
    assert "shard 3: no such mesh: cup.glb" in text and "shard 4: shard-000004.tar was not written" in text
    assert {k: len((log / str(k)).read_text()) for k in range(6)} == {0: 1, 1: 3, 2: 3, 3: 1, 4: 1, 5: 1}
    assert pending_shards(out, 6) == [1, 2, 3, 4]
    assert "6/18 captures" in capsys.readouterr().err


def test_progress_counts_captures_inside_a_shard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """While a shard is still in the making its finished captures count, and a resumed run starts where it left."""
    monkeypatch.setattr(progress, "PLAIN_LINE_EVERY_S", 0.0)
    make_one(fakes.fake_shard, 0, tmp_path)
    run_shards(partial(fakes.fake_shard, delay_s=1.5), 2, tmp_path, captures_per_shard=3)
    counts = [int(line.split("/")[0]) for line in capsys.readouterr().err.splitlines()]
    assert counts == sorted(counts) and counts[-1] == 6 and {4, 5} & set(counts)


def test_bar_tells_who_is_at_work_and_what_failed():
    """On a terminal: captures, rate and time left, failures by cause, and each worker with its shard."""
    status = Status(shards=40, shards_done=10, captures_per_shard=5, shards_made=6, total=198)
    status.started -= 100
    status.working = {k: Working(f"host:{k}", 3) for k in range(12, 22)}
    status.failed["time limit"] += 1
    status.retried.update({"killed": 2, "ValueError": 1})
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(bar(status))
    text = console.export_text()
    assert (
        "80/198 captures" in text and "1.7 s each" in text and "1 min 40 s gone" in text and "3 min 17 s left" in text
    )
    assert "host:12" in text and "shard 12" in text and "3/5" in text and "and 2 more workers" in text
    assert "1 (1 time limit)" in text and "retried 3 (2 killed, 1 ValueError)" in text
    assert plain_line(status).startswith("80/198 captures, 1.7 s each, 3 min 17 s left, 10 at work")


def test_interrupt_stops_workers_at_once(tmp_path: Path):
    """Ctrl-C ends driver and workers within seconds, however long a shard takes, and leaves no half file."""
    script, out = tmp_path / "driver.py", tmp_path / "run"
    script.write_text(DRIVER.format(tests=str(TESTS)))
    out.mkdir()
    with subprocess.Popen([sys.executable, str(script), str(out), "4", "90"], stderr=subprocess.PIPE) as driver:
        wait_until(lambda: len(list(out.glob("*.tmp"))) == 2)
        workers = children_of(driver.pid)
        start = time.monotonic()
        driver.send_signal(signal.SIGINT)
        assert driver.wait(20) != 0
        assert time.monotonic() - start < 5
        assert driver.stderr is not None and b"KeyboardInterrupt" in driver.stderr.read()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 5)
    assert [p.name for p in out.iterdir()] == [".lock"]


def test_one_driver_per_folder(tmp_path: Path):
    """While one driver holds the folder another is refused; single-shard jobs share it."""
    with output_lock(tmp_path), pytest.raises(DamagelandError, match="another damageland"):
        run_shards(fakes.fake_shard, 1, tmp_path, progress=False)
    with output_lock(tmp_path, shared=True):
        assert make_one(fakes.fake_shard, 0, tmp_path)
        assert not make_one(fakes.fake_shard, 0, tmp_path)
        with pytest.raises(DamagelandError, match="another damageland"):
            finish(tmp_path, 1)


def test_job_array_equals_local_processes(tmp_path: Path, undisturbed: Path):
    """Shards made one by one, in any order, make the same folder as one driver does."""
    out = tmp_path / "run"
    claim_output(out, "name: tiny\nseed: 7\n")
    for k in (3, 5, 0, 1, 4, 2):
        make_one(fakes.fake_shard, k, out)
    finish(out, 6)
    assert bytes_of(out) == bytes_of(undisturbed)


def test_tar_without_record_is_not_trusted(tmp_path: Path):
    """A tar counts as done once its checksum is recorded, and only while it agrees."""
    path = shard_path(tmp_path, 0)
    fakes.fake_shard(0, tmp_path)
    assert not shard_is_done(path)
    record_shard(path)
    assert shard_is_done(path)
    path.write_bytes(path.read_bytes()[:-512])
    assert not shard_is_done(path)


def test_finish_refuses_missing_and_surplus_shards(tmp_path: Path):
    """Neither a hole in the numbers nor a shard too many ends up in a manifest."""
    for k in (0, 2):
        make_one(fakes.fake_shard, k, tmp_path)
    for count in (1, 3):
        with pytest.raises(DamagelandError, match="missing or too many"):
            finish(tmp_path, count)
    assert not (tmp_path / "manifest.parquet").exists()
