"""What is checked in a shard and a manifest. ``output.inspect`` puts it together for a whole data set."""

import hashlib
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import simplejpeg

from .capture import Capture, View
from .errors import DamagelandError
from .manifest import Row, capture_row, csv_agrees, pc, rows_of
from .scene import KINDS, SURFACES
from .shards import decode_capture, header_of, read_members
from .store import File, Source

PNG_KINDS = {"rgb": (8, 2), "depth": (16, 0), "item": (8, 0), "part": (16, 0), "damage": (8, 0)}
"""Bits per channel and colour type of each image as PNG: 2 is RGB, 0 is one channel."""
SAMPLED_CAPTURES = 2
"""Of each shard that is checked without pixels, so many are decoded to tell how long the full check would take."""


@dataclass(frozen=True)
class ShardReport:
    """What a look at one shard found."""

    digest: str
    """SHA-256 of the file; empty if it could not be read to its end."""
    rows: tuple[Row, ...]
    """Of the manifest, as the shard gives them."""
    problems: tuple[str, ...]
    decode_s: float
    """Time to decode and check one capture's pixels, if that was measured."""


def check_shard(file: File, *, pixels: bool, time_pixels: bool = False) -> ShardReport:
    """Read a shard once from front to back: its checksum, rows, headers, sizes, and with ``pixels`` every image."""
    digest, rows, problems, decode_s = hashlib.sha256(), list[Row](), list[str](), list[float]()
    try:
        for members in read_members(file, digest=digest):
            header = header_of(file, members)
            rows.append(capture_row(header, file.name, members.span))
            found = check_header(header) + check_image_headers(header, members)
            if not found and (pixels or (time_pixels and len(decode_s) < SAMPLED_CAPTURES)):
                start = time.perf_counter()
                found = check_capture(decode_capture(members))
                decode_s.append(time.perf_counter() - start)
            problems += [f"{file.name}: capture {header['capture_id']}: {text}" for text in found]
    except DamagelandError as error:
        return ShardReport("", tuple(rows), (*problems, str(error)), 0.0)
    mean = sum(decode_s) / len(decode_s) if decode_s else 0.0
    return ShardReport(digest.hexdigest(), tuple(rows), tuple(problems), mean)


def check_header(header: Mapping[str, Any]) -> list[str]:
    """Problems of a capture's JSON beyond its form: numbers out of range, labels that contradict each other."""
    problems = []
    if header["major_defect"] and header["defect"] is False:
        problems.append("is labelled major_defect but not defect")
    if header["origin"] == "synthetic" and bool(header["defect_types"]) != bool(header["defect"]):
        problems.append(f"has defect {header['defect']}, but defect_types {header['defect_types']}")
    unknown = sorted(set(header["defect_types"]) - set(KINDS))
    if unknown:
        problems.append(f"has unknown defect_types {unknown}")
    for damage in header["damages"]:
        odd = {name: share for name, share in damage["visible_fraction"].items() if not 0 <= share <= 1}
        if odd:
            problems.append(f"has a visible_fraction outside 0 to 1: {odd}")
    for view in header["views"]:
        problems += _check_camera(view)
    return problems


def _check_camera(view: Mapping[str, Any]) -> list[str]:
    problems = []
    if view["width"] < 1 or view["height"] < 1:
        problems.append(f"camera {view['camera']} has {view['width']}x{view['height']} pixels")
    if view["K"] is not None and not (view["K"][0][0] > 0 and view["K"][1][1] > 0):
        problems.append(f"K of camera {view['camera']} has no positive focal length")
    if view["T_world_cam"] is not None:
        R = np.array(view["T_world_cam"])[:3, :3]
        if abs(R @ R.T - np.eye(3)).max() > 1e-6 or np.linalg.det(R) < 0:
            problems.append(f"T_world_cam of camera {view['camera']} is no rotation and shift")
    return problems


def check_image_headers(header: Mapping[str, Any], members: Mapping[str, bytes]) -> list[str]:
    """Problems that images show without being decoded: missing, cut short, of another size or type than their view."""
    problems = []
    listed = {f"{header['capture_id']}.json"}
    for view in header["views"]:
        for suffix in view["images"]:
            name = f"{header['capture_id']}.{view['camera']}.{suffix}"
            listed.add(name)
            problem = _check_image(members.get(name), suffix, (view["width"], view["height"]))
            if problem:
                problems.append(f"{name} {problem}")
    surplus = sorted(set(members) - listed)
    return problems + [f"has members that its JSON does not list: {surplus}"] * bool(surplus)


def _check_image(data: bytes | None, suffix: str, size: tuple[int, int]) -> str:
    kind, _, form = suffix.partition(".")
    if data is None:
        return "is missing although the JSON lists it"
    if form == "jpg":
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        except ValueError as error:
            return f"is not a readable image: {error}"
        whole = data.endswith(b"\xff\xd9")
    else:
        if not data.startswith(b"\x89PNG\r\n\x1a\n") or data[12:16] != b"IHDR" or len(data) < 33:
            return "is not a readable image"
        width, height, bits, colour = struct.unpack(">IIBB", data[16:26])
        whole = data.endswith(b"IEND\xae\x42\x60\x82")
        if (bits, colour) != PNG_KINDS.get(kind, (bits, colour)):
            return f"has {bits} bits and colour type {colour}, expected {PNG_KINDS[kind]}"
    if not whole:
        return "is cut short"
    if (width, height) != size:
        return f"is {width}x{height}, but its view {size[0]}x{size[1]}: all images of a view must be aligned"
    return ""


def check_capture(capture: Capture) -> list[str]:
    """Problems of one capture's labels and images."""
    problems = [text for view in capture.views for text in _check_view(view)]
    if not capture.views:
        problems.append("has no views")
    labelled = [view.damage for view in capture.views if view.damage is not None]
    if capture.origin != "synthetic" or not labelled:
        return problems
    bits = int(np.bitwise_or.reduce([np.bitwise_or.reduce(image, axis=None) for image in labelled]))
    shown = {kind for i, kind in enumerate(KINDS) if bits >> i & 1}
    if capture.defect and not set(capture.defect_types) <= shown:
        problems.append(f"is labelled {capture.defect_types}, but its damage images show {sorted(shown)}")
    if capture.role != "query" and (shown or capture.defect):
        problems.append(f"is a pristine {capture.role}, but shows damage {sorted(shown)}")
    return problems


def _check_view(view: View) -> list[str]:
    problems = []
    for name in ("depth", "item", "part", "damage"):
        image = getattr(view, name)
        if image is not None and image.shape != view.rgb.shape[:2]:
            problems.append(f"{name} of camera {view.camera} has shape {image.shape}, rgb {view.rgb.shape[:2]}")
    if view.damage is not None and view.damage.max(initial=0) >= 1 << len(KINDS):
        problems.append(f"damage of camera {view.camera} has bits beyond the {len(KINDS)} kinds")
    if view.part is not None and (view.part % 8).max(initial=0) >= len(SURFACES):
        problems.append(f"part of camera {view.camera} names a surface beyond {SURFACES}")
    if view.rgb.size and view.rgb.min() == view.rgb.max():
        problems.append(f"rgb of camera {view.camera} is one flat colour")
    return problems


def check_manifest(source: Source, table: pa.Table, recorded: pa.Table) -> list[str]:
    """Where the recorded manifest disagrees with the rows that the shards give."""
    problems = []
    if table.num_rows != recorded.num_rows:
        problems.append(f"manifest.parquet has {recorded.num_rows} rows, the shards hold {table.num_rows} captures")
    if not table.equals(recorded):
        for row, other in zip(rows_of(table), rows_of(recorded), strict=False):
            wrong = [name for name, value in other.items() if row.get(name) != value]
            if wrong:
                problems.append(f"manifest.parquet disagrees with capture {row['capture_id']} in {wrong}")
    return problems if csv_agrees(source) else [*problems, "manifest.csv and manifest.parquet have different rows"]


def check_links(table: pa.Table) -> list[str]:
    """Twins and references that are not in the set, or show another product."""
    items = table["item_identifier"].combine_chunks()
    references = pc.split_pattern(table["reference_ids"].combine_chunks(), ",")
    from_row = np.concatenate([np.arange(table.num_rows), pc.list_parent_indices(references).to_numpy()])
    links = pa.chunked_array([table["twin_id"].combine_chunks(), pc.list_flatten(references)]).combine_chunks()
    named = pc.not_equal(pc.fill_null(links, ""), "")
    from_row, links = from_row[named.to_numpy(zero_copy_only=False)], links.filter(named)
    to_row = pc.index_in(links, value_set=table["capture_id"].combine_chunks())
    other = pc.not_equal(items.take(to_row), items.take(pa.array(from_row)))
    problems = []
    for k in np.flatnonzero(pc.fill_null(other, True).to_numpy(zero_copy_only=False)):
        capture, link = table["capture_id"][int(from_row[k])].as_py(), links[int(k)].as_py()
        what = "is not in this set" if to_row[int(k)].as_py() is None else "shows another product"
        problems.append(f"capture {capture} links to {link}, which {what}")
    return problems
