"""A run: makes the shards that are missing or damaged, whatever happens to workers, and tells how far it is.

``run_shards`` is handed the function that makes a shard and the engine that makes them; what is done and what is not is
read from the output (see ``output``), so a run may be stopped at any moment and started again.
"""

from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path

from .engines import Engine, LocalEngine
from .errors import DamagelandError, StorageError
from .output import output_lock, pending_shards, shard_is_done
from .progress import Status, Watcher, watch
from .shards import shard_name
from .store import Source, Store, as_store
from .task import MakeShard, Task, Told, make_and_record, own_version

RETRIES = 2
"""How often a shard whose worker was killed, crashed or hung is tried again."""
BLAMELESS_RETRIES = 20
"""How often if it was not the shard's fault: nodes that are rented cheaply come and go."""
POLL_S = 0.25


def make_one(make_shard: MakeShard, k: int, out: Source) -> bool:
    """Make shard k in this process unless it is done; return whether it was made. For job arrays: one job per shard."""
    store = as_store(out)
    store.make()
    with output_lock(store, shared=True):
        if shard_is_done(store / shard_name(k)):
            return False
        make_and_record(make_shard, k, store)
    return True


def run_shards(
    make_shard: MakeShard,
    count: int,
    out: Source,
    *,
    workers: int = 1,
    engine: Engine | None = None,
    progress: bool = True,
    log: Path | None = None,
    time_limit_s: float = 3600.0,
    tasks_per_worker: int = 4,
    captures_per_shard: int = 1,
    captures: int | None = None,
    trust: bool = False,
) -> int:
    """Make the shards 0 … count - 1 that are missing or damaged; return how many were made.

    Without an ``engine``, local processes make them: ``workers`` of them, each replaced after ``tasks_per_worker``
    shards (0: never). A shard that takes longer than ``time_limit_s`` is killed. Shards that keep failing are named in
    one error at the end; all others are kept. ``captures`` is how many there are in all, if the last shard has fewer.
    ``trust`` takes shards with a checksum for done without reading them.
    """
    if workers < 1 or count < 1:
        raise DamagelandError(f"run_shards needs at least one worker and one shard, got {workers} and {count}")
    engine = engine or LocalEngine(workers=workers, time_limit_s=time_limit_s, tasks_per_worker=tasks_per_worker)
    store = as_store(out)
    store.make()
    with output_lock(store):
        store.remove_temporaries()
        todo = pending_shards(store, count, trust=trust)
        if not todo:
            return 0
        status = Status(
            shards=count, shards_done=count - len(todo), captures_per_shard=captures_per_shard, total=captures
        )
        try:
            with watch(status, progress=progress, log=log) as watcher:
                engine.open(Task(make_shard, store, own_version()))
                failures = _Run(engine, status, watcher).all(todo)
        finally:
            engine.close()
            store.remove_temporaries()
    if failures:
        raise DamagelandError(_describe_failures(store, failures, count))
    return len(todo)


def _describe_failures(store: Store, failures: dict[int, str], count: int, *, limit: int = 40) -> str:
    causes = [f"  shard {k}: {cause}" for k, cause in sorted(failures.items())]
    more = [f"  … and {len(causes) - limit} more"] if len(causes) > limit else []
    return (
        f"{len(failures)} of {count} shards failed; the others are kept in {store}. "
        "Run the same command again to try only these:\n" + "\n".join(causes[:limit] + more)
    )


class _Run:
    """The state of one call of ``run_shards``: what waits, what failed, how often."""

    def __init__(self, engine: Engine, status: Status, watcher: Watcher):
        self.engine, self.status, self.watcher = engine, status, watcher
        self.attempts: Counter[int] = Counter()
        self.mishaps: Counter[int] = Counter()
        self.failed: dict[int, str] = {}

    def all(self, todo: Sequence[int]) -> dict[int, str]:
        """Make all of these; a failing one is tried again after the others, so that it holds up none."""
        waiting, handed_over = deque(todo), set[int]()
        while waiting or handed_over:
            while waiting and len(handed_over) < self.engine.window:
                k = waiting.popleft()
                handed_over.add(k)
                self.engine.submit(k)
            for told in self.engine.poll(POLL_S):
                handed_over.discard(told.k)
                if self._settle(told):
                    waiting.append(told.k)
            self.status.working = self.engine.working()
            self.watcher.tick()
        return self.failed

    def _settle(self, told: Told) -> bool:
        """Take note of a try; return whether the shard is to be tried again."""
        if not told.trouble:
            self.watcher.made(told)
            return False
        (self.mishaps if told.blameless else self.attempts)[told.k] += 1
        if told.fatal:
            self.watcher.failed(told)
            raise StorageError(f"{told.trouble}.", final=True)
        spent = self.attempts[told.k] > RETRIES or self.mishaps[told.k] > BLAMELESS_RETRIES
        if told.again and not spent:
            self.watcher.retried(told)
            return True
        tries = self.attempts[told.k] + self.mishaps[told.k]
        self.failed[told.k] = told.trouble if tries == 1 else f"{told.trouble} ({tries} attempts)"
        self.watcher.failed(told)
        return False
