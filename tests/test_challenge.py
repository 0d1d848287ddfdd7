"""The challenge on a made-up data set: ranks follow skill, ties are ties, what is wrong is no zero, nothing leaks."""

import csv
from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from damageland.evaluate.challenge.board import rank_all
from damageland.evaluate.challenge.own import write_own
from damageland.evaluate.challenge.page import write_board
from damageland.evaluate.challenge.tables import write_tables
from damageland.sim.errors import DamagelandError
from damageland.sim.output import claim_output, finish, record_shard
from damageland.sim.shards import read_captures, shard_path, write_shard

COUNT = 60


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Damaged and intact queries; the scale tells in part which is which."""
    folder = tmp_path_factory.mktemp("challenge") / "set"
    claim_output(folder, "name: tiny\nseed: 1\n")
    captures = []
    for index in range(COUNT):
        split = ("train", "test")[index % 2]
        query, twin, reference = fakes.fake_product(1, index, split=split)
        if index % 4 > 1:
            query = replace(twin, role="query", capture_id=query.capture_id)
        mass = 100.0 - 20 * bool(query.defect) + index % 3 * 15
        attributes = {**query.attributes, "catalogue_mass_g": 100.0, "actual_mass_g": mass}
        captures += [replace(query, attributes=attributes), reference]
    write_shard(shard_path(folder, 0), captures)
    record_shard(shard_path(folder, 0))
    finish(folder, 1)
    return folder


def send(folder: Path, name: str, rows: list[tuple[object, ...]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("capture_id", "pred"), *rows])


def test_ranks_ties_and_what_is_wrong(data: Path, tmp_path: Path) -> None:
    """Skill decides, a hair's difference is a tie, a wrong file has a reason and no rank; twice the same bytes."""
    rng = np.random.default_rng(0)
    truth = [(c.capture_id, bool(c.defect)) for c in read_captures(data, split="test", roles=("query",))]
    noise = rng.normal(size=len(truth))
    sent = tmp_path / "sent"
    for name, skill, more in (("good", 3.0, 0.0), ("as-good", 3.0, 0.01), ("none", 0.0, 0.0)):
        shift = noise + more * rng.normal(size=len(truth))
        send(sent, name, [(n, 1 / (1 + np.exp(-skill * d - s))) for (n, d), s in zip(truth, shift, strict=True)])
    send(sent, "zero", [(name, 0.0) for name, _ in truth])
    send(sent, "short", [(name, 0.5) for name, _ in truth[1:]])
    send(sent, "wild", [(name, 1.5) for name, _ in truth])
    entries = {entry.name: entry for entry in rank_all([sent], data)}
    ranks = {name: entry.ranks["damage"] for name, entry in entries.items()}
    assert ranks["good"] == ranks["as-good"] == 1
    assert ranks["none"] == ranks["zero"] == 3
    assert ranks["short"] is None and "1 of 30 captures" in str(entries["short"].error)
    assert ranks["wild"] is None and "expected a number in [0, 1]" in str(entries["wild"].error)
    assert entries["zero"].error is None and entries["good"].ranks["kind"] is None
    pages = [write_board(rank_all([sent], data), data, tmp_path / out).read_bytes() for out in ("a", "b")]
    assert pages[0] == pages[1] and b"expected a number in [0, 1]" in pages[0]
    parquet = pyarrow.parquet.read_table(tmp_path / "a" / "leaderboard.parquet")
    assert parquet["name"].to_pylist()[-2:] == ["short", "wild"]


def test_tables_leak_nothing_and_twins_agree(data: Path, tmp_path: Path) -> None:
    """Test tables hold no label and nothing that only the renderer knows; csv and parquet hold the same rows."""
    write_tables(data, tmp_path)
    test = pyarrow.parquet.read_table(tmp_path / "query-test.parquet")
    secret = (
        "defect",
        "severity",
        "generator",
        "twin",
        "lookalike",
        "depth_mm",
        "visible",
        "actual_units",
        "tolerable",
    )
    assert not [name for name in test.column_names if any(word in name for word in secret)]
    assert not [name for name in test["capture_id"].to_pylist() if "twin" in name]
    for path in tmp_path.glob("*.parquet"):
        table = pyarrow.parquet.read_table(path)
        types = pyarrow.csv.ConvertOptions(
            column_types=table.schema, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        )
        options = pyarrow.csv.ParseOptions(newlines_in_values=True)
        assert pyarrow.csv.read_csv(path.with_suffix(".csv"), convert_options=types, parse_options=options).equals(
            table
        )


def test_own_entries_are_submissions(data: Path, tmp_path: Path) -> None:
    """Ours are scored like anybody's, and the tables alone beat chance where the scale tells."""
    write_own(data, tmp_path / "own")
    entries = {entry.name: entry for entry in rank_all([tmp_path / "own"], data)}
    assert set(entries) == {"cue", "tables"} and all(entry.error is None for entry in entries.values())
    auroc = entries["tables"].figures["AUROC"]
    assert auroc.low is not None and auroc.low > 0.55
    assert entries["tables"].figures["AP_kinds"].value is not None
    with pytest.raises(DamagelandError, match="holds no submission"):
        rank_all([data.parent], data)
