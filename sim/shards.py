"""WebDataset shards (contract C3): captures to tar files and back.

A shard is a plain tar named ``shard-000000.tar``; each capture is a run of members that share the name up to the first
dot: ``<capture_id>.json`` with everything but pixels, then per camera ``.rgb.jpg``, ``.depth.png`` (uint16, 0.1 mm,
0 = no return), ``.item.png``, ``.part.png`` and ``.damage.png``. The same captures give the same bytes.
"""

import io
import json
import re
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import cv2
import numpy as np
import simplejpeg
from jaxtyping import Float, UInt16
from pydantic import BaseModel, ConfigDict, ValidationError, create_model, model_validator

from .capture import Capture, Role, View
from .errors import DamagelandError
from .files import atomic_writer
from .lens import COEFFICIENTS, PINHOLE, Lens
from .store import File, Source, as_store
from .tarstream import read_tar

FORMAT_VERSION = 3
"""Version of the JSON member; a reader refuses versions it does not know.

1 lacked ``T_world_item``; 1 and 2 lacked ``distortion``, for their cameras had none.
"""
DEPTH_UNIT_M = 1e-4
"""Metres per step of a depth PNG. Depth beyond 65535 steps (6.55 m) reads back as no return."""
LABELS = {"item": np.uint8, "part": np.uint16, "damage": np.uint8}
"""Label images and the type of their pixels (contract C2)."""
USTAR_NAME_BYTES = 100

_STEPS_PER_M = np.float32(round(1 / DEPTH_UNIT_M))
_NAME = re.compile(r"[A-Za-z0-9_-]+")


_Row3 = tuple[float, float, float]
_Row4 = tuple[float, float, float, float]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Distortion(_Strict):
    """Coefficients in OpenCV's order: k1 k2 p1 p2 k3 of ``brown_conrady``, k1 k2 k3 k4 of ``fisheye``."""

    model: Literal["brown_conrady", "fisheye"]
    coefficients: tuple[float, ...]

    @model_validator(mode="after")
    def _complete(self) -> "_Distortion":
        names = COEFFICIENTS[self.model]
        if len(self.coefficients) != len(names):
            raise ValueError(f"{self.model} has {len(names)} coefficients ({' '.join(names)})")
        return self


class _ViewHeader(_Strict):
    """A view in the JSON member: everything but pixels."""

    camera: str
    width: int
    height: int
    K: tuple[_Row3, _Row3, _Row3] | None
    T_world_cam: tuple[_Row4, _Row4, _Row4, _Row4] | None
    images: tuple[str, ...]
    distortion: _Distortion | None = None


_HINTS = get_type_hints(Capture)
_FIELDS = tuple(f.name for f in fields(Capture) if f.name != "views")
_Header: type[BaseModel] = create_model(  # of Capture's own fields, so that the two cannot drift apart
    "Capture",
    __base__=_Strict,
    **{name: (_HINTS[name], None if name == "T_world_item" else ...) for name in _FIELDS},  # pyright: ignore[reportCallIssue, reportArgumentType]
    format_version=(int, ...),
    views=(tuple[_ViewHeader, ...], ...),
)


# Names


def shard_name(k: int) -> str:
    """Name of shard number k."""
    return f"shard-{k:06d}.tar"


def shard_path(folder: Path, k: int) -> Path:
    """Path of shard number k in a local folder."""
    return folder / shard_name(k)


def shard_paths(source: Source) -> list[File]:
    """All shards of a data set, in order; one without any is an error. ``File.open`` streams one."""
    store = as_store(source)
    names = [name for name in store.names() if name.startswith("shard-") and name.endswith(".tar")]
    if not names:
        reason = "holds no shard-*.tar" if store.exists() else "does not exist or is not a folder"
        raise DamagelandError(f"{store} {reason}: name the folder that `damageland render --out` wrote")
    return [store / name for name in names]


def _require_name(kind: str, value: str) -> None:
    if not _NAME.fullmatch(value):
        raise DamagelandError(
            f"{kind} {value!r} cannot name a file of a shard: use letters, digits, '_' and '-' (a dot ends the key)"
        )


# One capture to members


def encode_capture(capture: Capture, *, jpeg_quality: int = 95) -> dict[str, bytes]:
    """Turn a capture into {member name: bytes}, the JSON first.

    JPEG keeps full colour resolution (4:4:4): a camera's own compression has been applied by the sensor model before.
    """
    _require_name("capture_id", capture.capture_id)
    cameras = [view.camera.casefold() for view in capture.views]
    if len(set(cameras)) < len(cameras):
        raise DamagelandError(f"capture {capture.capture_id}: two views bear the same camera name: {cameras}")
    header = json.dumps(describe_capture(capture), ensure_ascii=False, allow_nan=False, indent=1)
    members = {f"{capture.capture_id}.json": header.encode()}
    for view in capture.views:
        _require_name(f"capture {capture.capture_id}: camera", view.camera)
        for suffix, data in _encode_view(view, capture.capture_id, jpeg_quality).items():
            members[f"{capture.capture_id}.{view.camera}.{suffix}"] = data
    longest = max(members, key=len)
    if len(longest) > USTAR_NAME_BYTES:
        raise DamagelandError(f"member name {longest!r} has more than {USTAR_NAME_BYTES} letters: shorten capture_id")
    return members


def describe_capture(capture: Capture) -> dict[str, Any]:
    """Everything of a capture but its pixels, as plain JSON values in a fixed order of keys."""
    description: dict[str, Any] = {"format_version": FORMAT_VERSION}
    for name in _FIELDS:
        value = getattr(capture, name)
        if name == "damages":
            value = [asdict(damage) for damage in value]
        description[name] = _plain(value, f"capture {capture.capture_id}: {name}")
    description["views"] = [_describe_view(view) for view in capture.views]
    return description


def _describe_view(view: View) -> dict[str, Any]:
    present = [suffix for name, suffix in _SUFFIXES.items() if getattr(view, name) is not None]
    return {
        "camera": view.camera,
        "width": view.rgb.shape[1],
        "height": view.rgb.shape[0],
        "K": None if view.K is None else view.K.tolist(),
        "T_world_cam": None if view.T_world_cam is None else view.T_world_cam.tolist(),
        "distortion": describe_lens(view.lens),
        "images": present,
    }


def describe_lens(lens: Lens) -> dict[str, Any] | None:
    """A lens as it stands in JSON; None without distortion."""
    return None if lens == PINHOLE else {"model": lens.model, "coefficients": list(lens.coefficients)}


def _parse_lens(header: Any) -> Lens:
    if header is None:
        return PINHOLE
    plain = header if isinstance(header, Mapping) else header.model_dump()  # unchecked headers hold plain values
    return Lens(plain["model"], tuple(plain["coefficients"]))


_SUFFIXES = {"rgb": "rgb.jpg", "depth": "depth.png"} | {name: f"{name}.png" for name in LABELS}


def _plain(value: Any, where: str) -> Any:
    """Plain JSON values of nested mappings, sequences and numpy numbers; mappings sorted by key."""
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key], f"{where}.{key}") for key in sorted(value, key=str)}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(element, where) for element in value]
    if isinstance(value, float) and not np.isfinite(value):
        raise DamagelandError(f"{where} is {value}: every number of a capture must be finite; leave it out or use null")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise DamagelandError(f"{where} is a {type(value).__name__}: use numbers, strings, booleans, lists and mappings")


def _encode_view(view: View, capture_id: str, jpeg_quality: int) -> dict[str, bytes]:
    where = f"capture {capture_id}, camera {view.camera}"
    if view.rgb.dtype != np.uint8 or view.rgb.ndim != 3 or view.rgb.shape[2] != 3:
        raise DamagelandError(f"{where}: rgb is {view.rgb.dtype} of shape {view.rgb.shape}, expected uint8 (h, w, 3)")
    images = {name: getattr(view, name) for name in ("depth", *LABELS) if getattr(view, name) is not None}
    for name, image in images.items():
        if image.shape != view.rgb.shape[:2]:
            raise DamagelandError(
                f"{where}: rgb is {_size(view.rgb)} but {name} is {_size(image)}; all images of a view must be aligned"
            )
        if name in LABELS and image.dtype != LABELS[name]:
            raise DamagelandError(f"{where}: {name} has type {image.dtype}, expected {np.dtype(LABELS[name])}")
    rgb = np.ascontiguousarray(view.rgb)
    members = {"rgb.jpg": simplejpeg.encode_jpeg(rgb, jpeg_quality, "RGB", "444")}
    for name, image in images.items():
        members[f"{name}.png"] = _encode_png(quantise_depth(image, where) if name == "depth" else image)
    return members


def quantise_depth(depth: Float[np.ndarray, "h w"], where: str = "depth") -> UInt16[np.ndarray, "h w"]:
    """Depth [m] in steps of 0.1 mm; 0 where there is no return, not a number, or more than 6.5535 m."""
    if (depth < 0).any():
        raise DamagelandError(f"{where}: depth holds {np.nanmin(depth):g} m; expected metres > 0, and 0 for no return")
    steps = np.rint(np.nan_to_num(depth.astype(np.float64), nan=0.0, posinf=0.0) / DEPTH_UNIT_M)
    return np.where(steps <= np.iinfo(np.uint16).max, steps, 0).astype(np.uint16)


def _encode_png(image: np.ndarray) -> bytes:
    ok, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert ok
    return data.tobytes()


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


# Members to one capture


def decode_capture(members: Mapping[str, bytes]) -> Capture:
    """Turn the members of one sample back into a capture: exact but for JPEG loss and steps of 0.1 mm in depth.

    Sequences inside attributes, parameters and provenance come back as tuples.
    """
    name = _json_name(members)
    header, _ = _parse_header(name, members[name])
    views = tuple(_decode_view(header.capture_id, view, members) for view in header.views)
    values = {field: _frozen(getattr(header, field)) for field in _FIELDS if field != "damages"}
    damages = tuple(
        type(damage)(**{f.name: _frozen(getattr(damage, f.name)) for f in fields(damage)}) for damage in header.damages
    )
    return Capture(views=views, damages=damages, **values)


@dataclass(frozen=True)
class EncodedView:
    """A view whose images are still as they lie in the shard."""

    camera: str
    width: int
    height: int
    K: Sequence[Sequence[float]] | None
    T_world_cam: Sequence[Sequence[float]] | None
    lens: Lens
    images: Mapping[str, tuple[str, bytes]]
    """Name of the member and its bytes, by kind: rgb, depth, item, part, damage."""

    def decode(self, kind: str) -> np.ndarray:
        """Decode one image: rgb in sRGB, depth in metres, labels as they are."""
        name, data = self.images[kind]
        image = _decode_image(name, kind, data)
        self._check(name, image)
        return np.divide(image, _STEPS_PER_M, dtype=np.float32) if kind == "depth" else image

    def decode_into(self, kind: str, out: np.ndarray) -> None:
        """Decode one image into an array of its own size, where a batch wants it."""
        name, data = self.images[kind]
        if not name.endswith(".jpg"):
            image = _decode_image(name, kind, data)
            self._check(name, image)
            if kind == "depth":
                np.divide(image, _STEPS_PER_M, out=out, dtype=np.float32)
            else:
                out[...] = image
            return
        try:
            self._check(name, simplejpeg.decode_jpeg(data, "RGB", buffer=out))
        except ValueError as error:
            raise DamagelandError(f"{name} is not a readable image of {out.shape[1]}x{out.shape[0]}: {error}") from None

    def _check(self, name: str, image: np.ndarray) -> None:
        if image.shape[:2] != (self.height, self.width):
            raise DamagelandError(
                f"{name} is {_size(image)} but the capture's JSON says {self.height}x{self.width}; "
                "all images of a view must be aligned"
            )


def encoded_views(members: Mapping[str, bytes], *, cameras: Collection[str] | None = None) -> tuple[EncodedView, ...]:
    """Find the views of one sample among its members, for readers that have all else from the manifest.

    Faster than ``decode_capture``, which checks the whole JSON: a training loop trusts what ``check`` has passed.
    """
    name = _json_name(members)
    plain = _parse_json(name, members[name])
    try:
        headers = [_ViewHeader.model_construct(**view) for view in plain["views"]]
        wanted = [header for header in headers if cameras is None or header.camera in cameras]
        return tuple(_encoded(name.removesuffix(".json"), header, members) for header in wanted)
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagelandError(f"{name} is not the JSON of a capture ({error}); the shard is damaged") from None


def _json_name(members: Mapping[str, bytes]) -> str:
    name = next((name for name in members if name.endswith(".json") and name.count(".") == 1), None)
    if name is None:
        raise DamagelandError(f"a sample has no <capture_id>.json member, only {sorted(members)}")
    return name


def _parse_json(name: str, data: bytes) -> dict[str, Any]:
    """Read the JSON member, of a version that we know."""
    try:
        plain = json.loads(data)
        version = plain["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagelandError(f"{name} is not the JSON of a capture ({error}); the shard is damaged") from None
    if version not in range(1, FORMAT_VERSION + 1):
        raise DamagelandError(
            f"{name} has format_version {version!r}, but this damageland reads 1 to {FORMAT_VERSION}: update damageland"
        )
    return plain


def _parse_header(name: str, data: bytes) -> tuple[Any, dict[str, Any]]:
    """Check the JSON member and return it as a model with Capture's fields, and as it is."""
    plain = _parse_json(name, data)
    try:
        header: Any = _Header.model_validate_json(data)
    except ValidationError as error:
        raise DamagelandError(f"{name} does not describe a capture: {error}") from None
    if f"{header.capture_id}.json" != name:
        raise DamagelandError(f"{name} describes capture {header.capture_id!r}: name and capture_id must agree")
    return header, plain


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _frozen(element) for key, element in value.items()}
    return tuple(_frozen(element) for element in value) if isinstance(value, list | tuple) else value


def _encoded(capture_id: str, header: _ViewHeader, members: Mapping[str, bytes]) -> EncodedView:
    images: dict[str, tuple[str, bytes]] = {}
    for suffix in header.images:
        name = f"{capture_id}.{header.camera}.{suffix}"
        if name not in members:
            raise DamagelandError(f"{name} is missing although {capture_id}.json lists it; the shard is incomplete")
        images[suffix.split(".")[0]] = (name, members[name])
    if "rgb" not in images:
        raise DamagelandError(f"{capture_id}.json lists no rgb image for camera {header.camera}")
    lens = _parse_lens(header.distortion)
    return EncodedView(header.camera, header.width, header.height, header.K, header.T_world_cam, lens, images)


def _decode_view(capture_id: str, header: _ViewHeader, members: Mapping[str, bytes]) -> View:
    encoded = _encoded(capture_id, header, members)
    images = {kind: encoded.decode(kind) for kind in encoded.images}
    K, T = (None if rows is None else np.array(rows, dtype=np.float64) for rows in (header.K, header.T_world_cam))
    return View(camera=header.camera, K=K, T_world_cam=T, lens=encoded.lens, **images)  # pyright: ignore[reportArgumentType]


def _decode_image(name: str, kind: str, data: bytes) -> np.ndarray:
    expected = {"rgb": np.uint8, "depth": np.uint16, **LABELS}
    if kind not in expected:
        raise DamagelandError(f"{name}: unknown kind of image {kind!r}, expected one of {sorted(expected)}")
    try:
        if name.endswith(".jpg"):
            return simplejpeg.decode_jpeg(data, "RGB")
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (ValueError, cv2.error) as error:
        raise DamagelandError(f"{name} is not a readable image: {error}") from None
    if image is None:
        raise DamagelandError(f"{name} is not a readable image; the shard is damaged, render it again")
    channels = (3,) if kind == "rgb" else ()
    if image.dtype != expected[kind] or image.shape[2:] != channels:
        raise DamagelandError(
            f"{name} holds {image.dtype} pixels of shape {image.shape}, expected {np.dtype(expected[kind])}"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if kind == "rgb" else image


# Tar files


def write_shard(
    path: Path, captures: Iterable[Capture], *, jpeg_quality: int = 95, on_capture: Callable[[], None] = lambda: None
) -> None:
    """Write captures as one tar, whole or not at all; calls ``on_capture`` after each, for progress.

    Owner, date and order are fixed, so equal captures give equal bytes.
    """
    seen: set[str] = set()
    with atomic_writer(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for capture in captures:
            if capture.capture_id in seen:
                raise DamagelandError(f"{path}: capture_id {capture.capture_id} comes twice; ids must be unique")
            seen.add(capture.capture_id)
            for name, data in encode_capture(capture, jpeg_quality=jpeg_quality).items():
                info = tarfile.TarInfo(name)  # date 0, owner 0, mode 0644
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            on_capture()


def read_shard(path: File | Path) -> Iterator[Capture]:
    """Read the captures of one tar in order; a damaged, truncated or hostile tar is an error, never fewer captures."""
    for members in read_members(path):
        yield _decode(path, members)


def read_headers(path: File | Path) -> Iterator[dict[str, Any]]:
    """Read everything but pixels of each capture of one tar, as ``describe_capture`` gives it, without decoding."""
    for members in read_members(path, headers_only=True):
        yield header_of(path, members)


def read_captures(
    source: Source, *, split: str | None = None, roles: Collection[str] | None = None
) -> Iterator[Capture]:
    """Read the captures of all shards of a data set in order, only those of a split and of some roles if given."""
    unknown = set(roles or ()) - set(get_args(Role))
    if unknown:
        raise DamagelandError(f"unknown roles {sorted(unknown)}, expected some of {get_args(Role)}")
    for path in shard_paths(source):
        for members in read_members(path):
            header = header_of(path, members)
            if (split is None or header["split"] == split) and (roles is None or header["role"] in roles):
                yield _decode(path, members)


def _decode(path: File | Path, members: Mapping[str, bytes]) -> Capture:
    try:
        return decode_capture(members)
    except DamagelandError as error:
        raise DamagelandError(f"{path}: {error}") from None


def header_of(path: File | Path, members: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the checked JSON of one sample, which ``path`` holds."""
    name = next(iter(members)).partition(".")[0] + ".json"
    if name not in members:
        raise DamagelandError(f"{path}: a sample has no {name}, only {sorted(members)}")
    try:
        return _parse_header(name, members[name])[1]
    except DamagelandError as error:
        raise DamagelandError(f"{path}: {error}") from None


class Sample(dict[str, bytes]):
    """The members of one capture by name, and the bytes of the tar in which they lie."""

    offset: int = 0
    size: int = 0

    @property
    def span(self) -> tuple[int, int]:
        """First byte and number of bytes."""
        return self.offset, self.size


def read_members(path: File | Path, *, headers_only: bool = False, digest: Any = None) -> Iterator[Sample]:
    """Read the raw members of each capture, grouped as WebDataset does: by the name up to the first dot.

    With ``headers_only`` images are skipped and come as empty bytes. ``digest`` is a hash of hashlib that is fed
    the whole file on the way.
    """
    key, sample, seen, end = "", Sample(), set[str](), 0
    for name, data, member_end in read_tar(path, headers_only=headers_only, digest=digest):
        new_key = name.partition(".")[0]
        if new_key != key:
            if sample:
                yield sample
            sample = Sample()
            sample.offset = end
        if (new_key != key and new_key in seen) or name in sample:
            raise DamagelandError(f"{path}: {name} comes twice or apart from the rest of its capture")
        key, end = new_key, member_end
        seen.add(key)
        sample[name] = data
        sample.size = end - sample.offset
    if sample:
        yield sample
