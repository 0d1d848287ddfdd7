"""Where data sets live: a local folder or any URL that fsspec knows, as one noun with whole files in it.

``Store`` is a folder, ``File`` one name in it. Under its name a file is whole, wherever it lies: locally it is written
beside its name, synced and renamed; an object store shows an object once its upload is complete; elsewhere (SFTP, SMB,
…) it is uploaded beside its name and renamed, which is as atomic as that server's rename.

Rights and addresses come from the environment, as each service's own tools take them (``AWS_PROFILE``,
``AWS_ENDPOINT_URL``, ``GOOGLE_APPLICATION_CREDENTIALS``, …), never from a recipe.
"""

import errno
import hashlib
import io
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from .errors import DamagelandError, StorageError
from .files import TEMPORARY, atomic_writer, create_exclusive, remove_temporaries, write_atomic

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "r2", "tos"})
"""Schemes whose uploads take their name when they are complete: these need no renaming (and have none)."""
EXTRAS = {"s3": "s3", "s3a": "s3"}
"""Schemes with an extra of ours: ``pip install 'damageland[s3]'``."""
READ_AHEAD = 4 * 2**20
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError")


@dataclass(frozen=True)
class Store:
    """A folder of plain files: a local one, or any that fsspec reaches. Small, and can be sent to other processes."""

    url: str
    """Path of a local folder, or a URL without a slash at its end. Made by ``as_store``."""

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> "File":
        """Return the file of this name, which need not exist; a name cannot lead out of the folder."""
        if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
            raise DamagelandError(f"{self.url}: {name!r} cannot name a file of this folder")
        return File(self, name)

    @property
    def name(self) -> str:
        """Last part of the path or URL."""
        return (self.url if self.local is None else str(self.local.resolve())).rpartition("/")[2]

    @property
    def scheme(self) -> str:
        """What stands before ``://``, of the innermost URL of a chain; ``file`` for a local folder."""
        return self.url.rpartition("::")[2].partition("://")[0] if "://" in self.url else "file"

    @property
    def local(self) -> Path | None:
        """The folder if it is a local one."""
        return Path(self.url) if self.scheme == "file" else None

    def subfolder(self, name: str) -> "Store":
        """Return a folder inside this one, which need not exist."""
        return Store((self / name).url)

    def make(self) -> None:
        """Make the folder, or see that the bucket is there and may be listed."""
        if self.local is not None:
            with _telling(self.url, "make the folder"):
                self.local.mkdir(parents=True, exist_ok=True)
            return
        with _telling(self.url, "reach") as (fs, path):
            if self.scheme in OBJECT_STORES:
                bucket = path.strip("/").partition("/")[0]
                if not fs.exists(bucket):
                    raise FileNotFoundError(f"there is no bucket {bucket!r}, or it is not yours to see")
            else:
                fs.makedirs(path, exist_ok=True)

    def names(self) -> list[str]:
        """Names of the files in the folder, in order, unfinished ones left out; none if there is no such folder."""
        return [name for name in self.sizes() if not name.endswith(TEMPORARY)]

    def sizes(self) -> dict[str, int]:
        """Size in bytes by name of every file in the folder, unfinished ones included, in order of names."""
        if self.local is not None:
            found = {p.name: p.stat().st_size for p in self.local.iterdir() if p.is_file()} if self.exists() else {}
            return dict(sorted(found.items()))
        with _telling(self.url, "list") as (fs, path):
            fs.invalidate_cache()
            try:
                entries = fs.ls(path, detail=True)
            except FileNotFoundError:
                return {}
        found = {e["name"].rpartition("/")[2]: int(e["size"] or 0) for e in entries if e["type"] == "file"}
        return dict(sorted((name, size) for name, size in found.items() if name))

    def exists(self) -> bool:
        """Whether the folder is there (an object store has no empty folders)."""
        if self.local is not None:
            return self.local.is_dir()
        with _telling(self.url, "look into") as (fs, path):
            fs.invalidate_cache()
            return bool(fs.isdir(path))

    def remove_temporaries(self) -> None:
        """Delete what killed writers left behind."""
        if self.local is not None:
            remove_temporaries(self.local)
        elif self.scheme not in OBJECT_STORES:  # which have none
            for name in self.sizes():
                if name.endswith(TEMPORARY):
                    (self / name).unlink()


Source = Store | Path | str
"""What functions take that read or write a data set; ``as_store`` makes it a Store."""


def as_store(source: Source) -> Store:
    """Make a Store of a path or URL. Nothing is looked at yet, but unknown schemes and missing packages are errors."""
    if isinstance(source, Store):
        return source
    text = str(source) if isinstance(source, Path) else source
    if isinstance(source, Path) or "://" not in text:
        return Store(str(Path(text)))
    if text.startswith(("file://", "local://")):
        return Store(str(Path("/" + text.partition("://")[2].lstrip("/"))))
    store = Store(text.rstrip("/"))
    if not text.rpartition("://")[2].strip("/"):
        raise DamagelandError(f"{text}: the URL names no folder; expected {store.scheme}://bucket/folder")
    with _telling(store.url, "use"):
        return store


@dataclass(frozen=True)
class File:
    """One name in a Store. The methods bear the names of ``pathlib.Path``'s, so that readers take either."""

    store: Store
    name: str

    def __str__(self) -> str:
        return self.url

    @property
    def url(self) -> str:
        """Path or URL."""
        return str(self.store.local / self.name) if self.store.local is not None else f"{self.store.url}/{self.name}"

    @property
    def local(self) -> Path | None:
        """The file's path if it is a local one."""
        return None if self.store.local is None else self.store.local / self.name

    def is_file(self) -> bool:
        """Whether it is there."""
        if self.local is not None:
            return self.local.is_file()
        with _telling(self.url, "look for") as (fs, path):
            fs.invalidate_cache()
            return bool(fs.isfile(path))

    def size(self) -> int:
        """Size in bytes; a missing file is an error."""
        with _telling(self.url, "look for") as (fs, path):
            fs.invalidate_cache()
            return int(fs.size(path) or 0)

    def read_bytes(self) -> bytes:
        """Read it whole; a missing file is an error."""
        with _telling(self.url, "read") as (fs, path):
            if self.local is not None:
                return self.local.read_bytes()
            return fs.cat_file(path)

    def read_range(self, offset: int, size: int) -> bytes:
        """Read ``size`` bytes from ``offset`` on, fewer where it ends; a missing file is an error."""
        if self.local is None:
            with _telling(self.url, "read") as (fs, path):
                return fs.cat_file(path, start=offset, end=offset + size)
        try:  # what a training loop does for every capture: without asking which file system this is
            with self.local.open("rb") as file:
                file.seek(offset)
                return file.read(size)
        except OSError as error:
            raise _told(self.url, "read", error) from error

    def read_text(self) -> str:
        """Read it whole as UTF-8; what is not is replaced, so that a damaged file can be reported."""
        return self.read_bytes().decode(errors="replace")

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Open it for reading from front to back; on a network that reads a few MiB ahead."""
        if mode != "rb":
            raise ValueError(f"files of a store are opened for reading only, not {mode!r}")
        with _telling(self.url, "read") as (fs, path):
            if self.local is not None:
                return self.local.open("rb")
            fs.invalidate_cache()
            return io.BufferedReader(fs.open(path, "rb", block_size=READ_AHEAD, cache_type="readahead"), READ_AHEAD)

    def sha256(self) -> str:
        """SHA-256 of its bytes, as 64 hexadecimal digits."""
        with _telling(self.url, "read"), self.open() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def write(self, content: bytes | str) -> None:
        """Write it whole, as readers see it; a local file that already holds these bytes is left untouched."""
        data = content.encode() if isinstance(content, str) else content
        with _telling(self.url, "write") as (fs, path):
            if self.local is not None:
                write_atomic(self.local, data)
            elif self.store.scheme in OBJECT_STORES:
                fs.pipe_file(path, data)
            else:
                _beside(fs, path, lambda temporary: fs.pipe_file(temporary, data))

    def publish(self, finished: Path) -> None:
        """Copy a finished local file to this name, whole as readers see it."""
        with _telling(self.url, "write") as (fs, path):
            if self.local is not None:
                with atomic_writer(self.local) as file, finished.open("rb") as source:
                    shutil.copyfileobj(source, file, 2**20)
            elif self.store.scheme in OBJECT_STORES:
                fs.put_file(str(finished), path)
            else:
                _beside(fs, path, lambda temporary: fs.put_file(str(finished), temporary))

    def create(self, content: str) -> bool:
        """Write it whole unless the name is taken; return whether it was free.

        Of several that try at once one wins, if the store honours exclusive creation: local folders, S3
        (``If-None-Match``), Google and Azure do. What does not is read back, which leaves a short race.
        """
        with _telling(self.url, "write") as (fs, path):
            if self.local is not None:
                return create_exclusive(self.local, content)
            try:
                fs.pipe_file(path, content.encode(), mode="create")
            except FileExistsError:
                return False
            except (TypeError, NotImplementedError, ValueError):  # a file system that knows no exclusive creation
                if fs.exists(path):
                    return False
                fs.pipe_file(path, content.encode())
            except OSError:
                fs.invalidate_cache()
                if fs.exists(path):  # S3 answers 409 to one of two that create at the same instant
                    return False
                raise
            return fs.cat_file(path) == content.encode()

    def unlink(self) -> None:
        """Delete it if it is there."""
        with _telling(self.url, "delete") as (fs, path):
            if self.local is not None:
                self.local.unlink(missing_ok=True)
                return
            with suppress(FileNotFoundError):
                fs.rm_file(path)
            fs.invalidate_cache()


def as_file(file: "File | Path | str") -> File:
    """Make a File of a path or URL of a file."""
    if isinstance(file, File):
        return file
    if isinstance(file, Path) or "://" not in file:
        path = Path(file)
        return as_store(path.parent) / path.name
    folder, _, name = file.rpartition("/")
    return as_store(folder) / name


def _beside(fs: Any, path: str, upload: Any) -> None:
    """Upload under another name, then rename: readers never see half a file."""
    temporary = f"{path}.{secrets.token_hex(4)}{TEMPORARY}"
    try:
        upload(temporary)
        fs.mv(temporary, path)
    except BaseException:
        with suppress(Exception):
            fs.rm_file(temporary)
        raise


@contextmanager
def _telling(url: str, doing: str) -> Iterator[tuple[Any, str]]:
    """Yield fsspec's file system and path of a URL; whatever goes wrong is told as one clear error.

    The file system is looked up each time: fsspec keeps one per process, which makes a Store safe to fork and to send.
    """
    try:
        yield (LocalFileSystem(), url) if Store(url).scheme == "file" else url_to_fs(url)
    except DamagelandError:
        raise
    except Exception as error:
        # Each service's client has exceptions of its own, so there is no narrower class to catch.
        raise _told(url, doing, error) from error


def _told(url: str, doing: str, error: Exception) -> StorageError:
    return StorageError(_explain(url, doing, error), final=_is_final(error))


def _is_final(error: Exception) -> bool:
    """Whether trying again cannot help: a full disk, missing rights or packages, a place that is not there."""
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return True
    lasting = (ImportError, ValueError, PermissionError, FileNotFoundError, NotADirectoryError)
    return isinstance(error, lasting) or type(error).__name__ in NO_CREDENTIALS


def _explain(url: str, doing: str, error: Exception) -> str:
    scheme = Store(url).scheme
    kind, text = type(error).__name__, str(error).strip() or type(error).__name__
    if isinstance(error, ImportError):
        package = f"pip install 'damageland[{EXTRAS[scheme]}]'" if scheme in EXTRAS else text
        return f"{url}: {scheme}:// needs a package that is not installed: {package}"
    if isinstance(error, ValueError) and "rotocol not known" in text:
        known = ", ".join(f"{name}://" for name in ("s3", "gs", "az", "sftp", "file"))
        return f"{url}: unknown scheme {scheme}://; expected a folder or one that fsspec knows: {known}, …"
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return (
            f"cannot {doing} {url}: the disk is full ({error.strerror}). Free some space and run the same command "
            "again: what is finished is kept"
        )
    if isinstance(error, PermissionError) or kind in NO_CREDENTIALS:
        return f"cannot {doing} {url}: no rights ({text}). Check the credentials in your environment, or whose it is"
    if isinstance(error, FileNotFoundError):
        return f"cannot {doing} {url}: it does not exist ({text})"
    return f"cannot {doing} {url}: {kind}: {text}"
