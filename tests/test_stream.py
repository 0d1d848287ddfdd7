"""The stream of batches: every capture in its turn, the same for any workers, ranks and restarts, mixed by weight."""

from collections import Counter
from itertools import islice
from pathlib import Path

import fakes
import fsspec
import numpy as np
import pytest
import torch
from damageland.sim.errors import DamagelandError
from damageland.sim.output import claim_output, finish, record_shard
from damageland.sim.scene import KINDS
from damageland.sim.shards import read_captures, shard_path, write_shard
from damageland.train.stream import Mix, open_shards


def data_set(folder: Path, products: int = 4, *, first: int = 0) -> Path:
    """A finished output of three captures per product: a query, its twin and a reference."""
    folder.mkdir(parents=True)
    claim_output(folder, "name: tiny\nseed: 7\n")
    for k in range(products):
        write_shard(shard_path(folder, k), fakes.fake_product(7, first + k))
        record_shard(shard_path(folder, k))
    finish(folder, products)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_set(tmp_path_factory.mktemp("stream") / "data")


def ids(batches) -> list[str]:
    return [name for batch in batches for name in batch.capture_ids]


def test_an_epoch_has_every_capture_once_in_an_order_of_its_own(folder: Path):
    """Epochs differ in order and agree in content; without shuffling the manifest's order is kept; seeds differ."""
    stream = open_shards(folder, batch=5, seed=1)
    first, second = ids(stream), ids(stream)
    stored = [capture.capture_id for capture in read_captures(folder)]
    assert len(stream) == 3 and sorted(first) == sorted(second) == sorted(stored) and first != second
    assert ids(open_shards(folder, batch=5, seed=1)) == first != ids(open_shards(folder, batch=5, seed=2))
    assert ids(open_shards(folder, batch=5, shuffle=False)) == stored
    assert set(ids(open_shards(folder, roles=["query"]))) == {name for name in stored if name.endswith("-query")}
    kept = open_shards(folder, keep=lambda row: bool(row["defect"]))
    assert all((batch.defect == 1).all() for batch in kept)


def test_batches_hold_what_the_shards_hold(folder: Path):
    """Depth, labels, cameras and flags equal the decoded captures to the bit; masks name their kinds."""
    captures = {capture.capture_id: capture for capture in read_captures(folder)}
    stream = open_shards(folder, batch=4)
    for batch in stream:
        rows = stream.rows(batch)
        for b, name in enumerate(batch.capture_ids):
            capture = captures[name]
            assert rows[b]["capture_id"] == name
            assert float(batch.defect[b]) == float(capture.defect or 0)
            assert {k for k, on in zip(KINDS, batch.kinds[b], strict=True) if on} == set(capture.defect_types)
            assert int(batch.severity[b]) == (0 if not capture.defect else 2 if capture.major_defect else 1)
            for view in capture.views:
                v = batch.cameras.index(view.camera)
                assert bool(batch.present[b, v]) and np.array_equal(batch.rgb[b, v].permute(1, 2, 0), view.rgb)
                for image in ("depth", "item", "part", "damage"):
                    expected, got = getattr(view, image), getattr(batch, image)[b, v].numpy()
                    assert np.array_equal(got, np.zeros_like(got) if expected is None else expected), image
                assert batch.lenses[b][v] == view.lens
                assert bool(batch.has_depth[b, v]) == (view.depth is not None)
                assert np.allclose(batch.K[b, v], view.K) and np.allclose(batch.T_world_cam[b, v], view.T_world_cam)


def test_loader_threads_change_nothing(folder: Path):
    """Two loader threads give the batches that none gives, in the same order."""
    for alone, helped in zip(open_shards(folder, batch=3), open_shards(folder, batch=3, workers=2), strict=True):
        assert alone.capture_ids == helped.capture_ids
        assert torch.equal(alone.rgb, helped.rgb) and torch.equal(alone.damage, helped.damage)


def test_a_kept_view_of_a_batch_stays_as_it_was(folder: Path):
    """Memory of a batch is taken again once nothing holds it; one row of one image holds it."""
    stream = open_shards(folder, batch=2, shuffle=False)
    rows, copies, places = [], [], set()
    for _ in range(3):
        for batch in stream:
            places.add(batch.rgb.data_ptr())
            if len(rows) < 3:
                rows.append(batch.rgb[1, :, :, 5:])
                copies.append(batch.rgb[1, :, :, 5:].clone())
            del batch
    assert all(torch.equal(row, copy) for row, copy in zip(rows, copies, strict=True))
    assert len(places) < 3 * len(stream), "no memory was taken again"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_goes_on_with_the_next_batch(folder: Path, workers: int):
    """A position taken after any batch leads to exactly the rest, across epochs; loaders that read ahead lose none."""
    whole = open_shards(folder, batch=2, workers=workers)
    expected = ids(whole) + ids(whole)
    for taken in (0, 1, 5, 6, 8):
        stream, got, state = open_shards(folder, batch=2, workers=workers), [], {}
        state = stream.state_dict()
        while len(got) < 2 * taken:
            for batch in stream:
                got += batch.capture_ids
                state = stream.state_dict()
                if len(got) == 2 * taken:
                    break
        again = open_shards(folder, batch=2, workers=workers)
        again.load_state_dict(state)
        rest = list(got)
        while len(rest) < len(expected):
            rest += ids(again)
        assert rest == expected
    with pytest.raises(DamagelandError, match="taken with seed 0, but this stream has 5"):
        open_shards(folder, seed=5).load_state_dict(whole.state_dict())


def test_ranks_share_an_epoch(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Ranks see disjoint captures that make up the epoch; with drop_last all take equally many steps."""
    parts = [ids(open_shards(folder, batch=2, rank=r, ranks=5)) for r in range(5)]
    assert sorted(name for part in parts for name in part) == sorted(ids(open_shards(folder, batch=2)))
    even = [open_shards(folder, batch=2, rank=r, ranks=5, drop_last=True) for r in range(5)]
    assert [len(stream) for stream in even] == [1] * 5 and [len(list(stream)) for stream in even] == [1] * 5
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "5")
    assert ids(open_shards(folder, batch=2)) == parts[1]
    with pytest.raises(DamagelandError, match="rank 5 of 5"):
        open_shards(folder, rank=5, ranks=5)
    with pytest.raises(DamagelandError, match="do not fill one batch"):
        open_shards(folder, batch=20, drop_last=True)


def test_sources_are_mixed_by_weight(folder: Path, tmp_path: Path):
    """Shares hold exactly over an epoch and within one in every run of draws; a small source goes round evenly."""
    small = data_set(tmp_path / "small", 1, first=9)
    stream = open_shards(Mix(folder, 3), Mix(small, 1), batch=4, captures=24)
    seen: Counter[str] = Counter()
    for _ in range(3):
        drawn = [int(s) for batch in stream for s in batch.source]
        assert drawn.count(1) == 6 and len(drawn) == 24
        assert all(abs(sum(drawn[:k]) - k / 4) <= 1 for k in range(25))
    for batch in islice(open_shards(Mix(folder, 3), Mix(small, 1), batch=4, captures=24), 6):
        seen.update(name for name, s in zip(batch.capture_ids, batch.source, strict=True) if s == 1)
    assert set(seen.values()) == {2}
    with pytest.raises(DamagelandError, match="every source a weight"):
        open_shards(Mix(folder, 3), small)


def test_views_are_brought_to_one_size(folder: Path):
    """Labels and depth are picked, not blended, and a point still falls on its pixel through the changed K."""
    whole = next(iter(open_shards(folder, batch=2)))
    height, width = whole.rgb.shape[-2:]
    half = next(iter(open_shards(folder, batch=2, size_px=(height // 2, width // 2))))
    assert half.rgb.shape[-2:] == (height // 2, width // 2)
    assert set(half.damage.unique().tolist()) <= set(whole.damage.unique().tolist())
    assert set(half.depth.unique().tolist()) <= set(whole.depth.unique().tolist())
    scale = torch.tensor([(width // 2) / width, (height // 2) / height, 1.0])
    assert torch.allclose(half.K, whole.K * scale[:, None])


def test_cameras_are_chosen_and_may_be_missing(folder: Path):
    """A camera that no capture has is not present and black; others keep their order."""
    batch = next(iter(open_shards(folder, batch=2)))
    chosen = next(iter(open_shards(folder, batch=2, cameras=["nowhere", batch.cameras[0]])))
    assert chosen.present.tolist() == [[False, True]] * 2 and not chosen.rgb[:, 0].any()
    assert torch.equal(chosen.rgb[:, 1], batch.rgb[:, 0])


def test_a_url_reads_like_a_folder(folder: Path):
    """The same data set behind a URL gives the same batches."""
    remote = fsspec.filesystem("memory")
    remote.put(str(folder), "/stream-test/data", recursive=True)
    url = "memory://stream-test/data"
    for here, there in zip(open_shards(folder, batch=5), open_shards(url, batch=5), strict=True):
        assert here.capture_ids == there.capture_ids and torch.equal(here.rgb, there.rgb)


def test_what_cannot_be_read_is_told(folder: Path, tmp_path: Path):
    """Unknown folders, splits without captures and a shard that is not what the manifest says are one error each."""
    with pytest.raises(DamagelandError, match=r"manifest\.parquet"):
        open_shards(tmp_path / "nowhere")
    with pytest.raises(DamagelandError, match="it holds train/query"):
        open_shards(folder, split="test")
    with pytest.raises(DamagelandError, match="at least one folder"):
        open_shards()
    broken = data_set(tmp_path / "broken", 1)
    shard = shard_path(broken, 0)
    shard.write_bytes(shard.read_bytes()[512:])
    with pytest.raises(DamagelandError, match="damageland check"):
        list(open_shards(broken))
