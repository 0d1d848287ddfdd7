"""Croissant is read by its own library; the data card says what the captures say."""

import socket
from collections import Counter
from dataclasses import replace
from pathlib import Path

import fakes
import mlcroissant
import pytest
import simplejpeg
from damageland.sim.manifest import read_manifest
from damageland.sim.output import CHECKSUMS, claim_output, finish, record_shard
from damageland.sim.shards import read_captures, shard_path, write_shard


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished set of three products."""
    folder = tmp_path_factory.mktemp("made up") / "set"
    claim_output(folder, "name: tiny\nseed: 7\n")
    for k in range(3):
        captures = fakes.fake_product(7, k)
        write_shard(shard_path(folder, k), [replace(c, attributes={**c.attributes, "family": "tin"}) for c in captures])
        record_shard(shard_path(folder, k))
    finish(folder, 3)
    return folder


def test_croissant_describes_the_manifest(source: Path, monkeypatch):
    """mlcroissant finds no error, and reads the rows of the manifest through it; no network is touched."""

    def no_network(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    data = mlcroissant.Dataset(jsonld=str(source / "croissant.json"))
    assert not data.metadata.issues.errors
    rows = read_manifest(source)

    def plain(value: object) -> object:
        return value.decode() if isinstance(value, bytes) else None if value != value else value

    read = [{k.removeprefix("captures/"): plain(v) for k, v in row.items()} for row in data.records("captures")]
    assert read == rows
    fields = {field.name: field for field in data.metadata.record_sets[0].fields}
    assert list(fields) == list(rows[0]) and all(field.description for field in fields.values())
    assert "recipe hash" in data.metadata.data_collection and data.metadata.license
    assert {node.id for node in data.metadata.distribution} >= {"manifest.parquet", "shards", "shards/damage"}


def test_croissant_and_card_are_remade_to_the_byte(source: Path, tmp_path: Path):
    """Both are covered by the checksums and come out the same in another folder at another time."""
    again = tmp_path / "another name"
    again.mkdir()
    for path in source.iterdir():
        if path.suffix in (".tar", ".sha256", ".yaml"):
            (again / path.name).write_bytes(path.read_bytes())
    finish(again, 3)
    for name in ("croissant.json", "README.md", CHECKSUMS):
        assert (again / name).read_bytes() == (source / name).read_bytes(), name
    assert "  croissant.json\n" in (source / CHECKSUMS).read_text()


def test_card_counts_kinds_by_severity(source: Path):
    """The card's table of damages is that of the captures; material, family, seed and limits are there."""
    text = (source / "README.md").read_text()
    counts = Counter((d.kind, d.severity) for c in read_captures(source) for d in c.damages)
    for kind in {kind for kind, _ in counts}:
        assert f"| {kind} | " + " | ".join(str(counts[kind, s]) for s in ("none", "minor", "major")) + " |" in text
    assert "| material | corrugate: 9 |" in text and "| family | tin: 9 |" in text
    assert "- seed: 7" in text and "- recipe hash: `" in text and "amodal" in text and "croissant.json" in text
    assert simplejpeg.decode_jpeg((source / "card.jpg").read_bytes()).shape[1] == 4 * 224
