"""One noun for local folders and URLs: the same promises on a disk, in memory and on an S3 server."""

import io
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from damageland.sim.errors import DamagelandError
from damageland.sim.store import Store, as_file, as_store
from s3 import BUCKET, loopback_s3


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with loopback_s3() as environment:
        yield environment


@pytest.fixture(params=["local", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty folder of each sort."""
    if request.param == "s3":
        request.getfixturevalue("server")
    name = secrets.token_hex(4)
    url = {"local": str(tmp_path / "new" / "out"), "memory": f"memory://{name}/out", "s3": f"s3://{BUCKET}/{name}/out"}
    made = as_store(url[request.param])
    made.make()
    return made


def test_what_is_written_is_read(store: Store, tmp_path: Path):
    """Write, publish, list, size, stream and delete say the same on every store."""
    assert store.names() == []
    (store / "b.txt").write("wörds")
    (store / "b.txt").write("words")
    whole = os.urandom(3 * 2**20 + 17)
    (tmp_path / "made").write_bytes(whole)
    (store / "a.tar").publish(tmp_path / "made")
    assert store.names() == ["a.tar", "b.txt"] and store.sizes() == {"a.tar": len(whole), "b.txt": 5}
    assert (store / "b.txt").read_text() == "words" and (store / "a.tar").size() == len(whole)
    with (store / "a.tar").open() as file:
        assert file.read(1000) == whole[:1000] and file.read() == whole[1000:]
    again = as_file((store / "a.tar").url)
    assert again.read_bytes() == whole and again == store / "a.tar" and again.is_file()
    again.unlink()
    again.unlink()
    assert store.names() == ["b.txt"] and not again.is_file()


def test_of_many_creators_one_wins(store: Store):
    """Eight threads create one name at once: one is told that it was free, and its words are there whole."""
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda i: (store / "claim").create(f"owner {i}" * 100), range(8)))
    assert won.count(True) == 1
    assert (store / "claim").read_text() == f"owner {won.index(True)}" * 100
    assert store.names() == ["claim"]


def test_missing_files_and_escaping_names(store: Store):
    """A missing file is one error with its whole address; no name leads out of the folder."""
    for use in (lambda f: f.read_bytes(), lambda f: f.size(), lambda f: f.open(), lambda f: f.sha256()):
        with pytest.raises(DamagelandError, match=r"nothing.tar.*does not exist"):
            use(store / "nothing.tar")
    for name in ("..", "../x", "a/b", "/etc/passwd", "", ".", "a\\b"):
        with pytest.raises(DamagelandError, match="cannot name a file"):
            store / name


def test_uploads_are_whole_or_absent(server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A multipart upload that breaks leaves the old object as it was; readers meet either the old or the new bytes."""
    import s3fs

    file = as_store(f"s3://{BUCKET}/whole") / "shard.tar"
    file.write(b"old")
    (tmp_path / "made").write_bytes(bytes(120 * 2**20))
    real, calls = s3fs.S3FileSystem._call_s3, []

    async def breaks(self, method, *args, **kwargs):
        calls.append(method)
        if calls.count("upload_part") == 2:
            raise OSError("the line went dead")
        return await real(self, method, *args, **kwargs)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", breaks)
    with pytest.raises(DamagelandError, match=r"cannot write s3://.*the line went dead"):
        file.publish(tmp_path / "made")
    monkeypatch.undo()
    assert "upload_part" in calls and file.read_bytes() == b"old"


def test_addresses_that_lead_nowhere(server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No such bucket, unknown scheme, no folder in the URL, no credentials, a missing package: each one clear error."""
    with pytest.raises(DamagelandError, match=r"s3://nobody/x: it does not exist.*no bucket 'nobody'"):
        as_store("s3://nobody/x").make()
    with pytest.raises(DamagelandError, match=r"unknown scheme gopher://; expected .*s3://"):
        as_store("gopher://a/b")
    with pytest.raises(DamagelandError, match="names no folder"):
        as_store("s3://")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DamagelandError, match="cannot make the folder"):
        as_store(tmp_path / "file").make()

    def refuse(*args, **kwargs):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("damageland.sim.store.url_to_fs", refuse)
    with pytest.raises(DamagelandError, match=r"pip install 'damageland\[s3\]'"):
        as_store("s3://bucket/x")


def test_no_rights(server: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    """A server that refuses is quoted, with what to look at."""
    import s3fs

    async def refuse(self, method, *args, **kwargs):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", refuse)
    with pytest.raises(DamagelandError, match=r"cannot write s3://.*no rights \(Access Denied\).*credentials"):
        (as_store(f"s3://{BUCKET}/x") / "a").write(b"")


def test_file_urls_are_local(tmp_path: Path):
    """file:// and a path are the same folder; a stream of it is a plain file."""
    assert as_store(f"file://{tmp_path}").local == tmp_path == as_store(tmp_path).local
    (as_store(str(tmp_path)) / "a").write(b"1")
    with (as_store(f"file://{tmp_path}") / "a").open() as file:
        assert isinstance(file, io.BufferedReader)
