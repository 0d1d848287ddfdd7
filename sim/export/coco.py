"""COCO instances: one JSON per split, masks as run lengths, one annotation per kind and view."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, get_args

import numpy as np

from ..capture import Capture, Severity
from ..scene import KINDS, Kind, kind_bit
from .source import DataSet, Shot
from .target import Records, Target, need

NAME = "coco"
AMODAL: tuple[Kind, ...] = ("penetration", "missing_unit")
"""Kinds whose mask may lie, in part or in whole, where a lost surface would be seen."""
SEVERITIES: tuple[str, ...] = get_args(Severity)


def export_coco(data: DataSet, target: Target) -> None:
    """Write ``images/<split>`` and ``annotations/instances_<split>.json``."""
    masks = need("pycocotools.mask", NAME)
    splits: dict[str, tuple[Records, Records]] = {}
    with ExitStack() as files:
        for shot in data.shots():
            if shot.split not in splits:
                folder = target.path(f"annotations/{shot.split}")
                made = (Records(folder.with_suffix(".images")), Records(folder.with_suffix(".annotations")))
                files.callback(made[0].file.close)
                files.callback(made[1].file.close)
                splits[shot.split] = made
            images, annotations = splits[shot.split]
            for annotation in annotate(shot, masks):
                annotations.add(annotation)
            images.add(describe_image(shot))
            target.write(f"images/{shot.split}/{shot.name}.jpg", shot.jpeg())
            target.views[shot.split] += 1
        for split, (images, annotations) in splits.items():
            _assemble(data, target, split, images, annotations)


def describe_image(shot: Shot) -> dict[str, Any]:
    """COCO's image record, and what we know beside it."""
    capture, label = shot.capture, shot.label
    width, height = shot.size
    return {
        "id": shot.image_id,
        "file_name": f"{shot.name}.jpg",
        "width": width,
        "height": height,
        "license": 1,
        "capture_id": capture.capture_id,
        "camera": shot.view.camera,
        "role": capture.role,
        "item_identifier": capture.item_identifier,
        "item_material": capture.item_material,
        "defect": label.defect,
        "twin_id": capture.twin_id,
        "reference_ids": list(capture.reference_ids),
    }


def annotate(shot: Shot, masks: Any) -> Iterator[dict[str, Any]]:
    """One annotation for each kind in the damage image; its mask is that bit of the image, to the pixel."""
    damage = shot.damage(NAME)
    for position, kind in enumerate(KINDS):
        mask = (damage & kind_bit(kind)) > 0
        if mask.any():
            code = masks.encode(np.asfortranarray(mask, dtype=np.uint8))
            yield {
                "id": shot.image_id * len(KINDS) + position,
                "image_id": shot.image_id,
                "category_id": position + 1,
                "segmentation": {"size": list(code["size"]), "counts": code["counts"].decode("ascii")},
                "area": int(mask.sum()),
                "bbox": [float(v) for v in masks.toBbox(code)],
                "iscrowd": 0,
                "amodal": kind in AMODAL,
                **_judged(shot.capture, kind),
            }


def _judged(capture: Capture, kind: Kind) -> dict[str, Any]:
    """Worst severity among a capture's damages of a kind; None where nobody judged."""
    found = [damage for damage in capture.damages if damage.kind == kind]
    severity = max((damage.severity for damage in found), key=SEVERITIES.index, default=None)
    return {"severity": severity, "tolerable": all(d.tolerable for d in found) if found else None}


def _assemble(data: DataSet, target: Target, split: str, images: Records, annotations: Records) -> None:
    head: Mapping[str, Any] = {
        "info": {"description": f"{data.name}, {split}: rendered by damageland", "version": data.fingerprint},
        "licenses": [{"id": 1, "name": data.licence, "url": ""}],
        "categories": [
            {"id": number, "name": kind, "supercategory": "damage"} for number, kind in enumerate(KINDS, start=1)
        ],
    }
    with target.path(f"annotations/instances_{split}.json").open("x", encoding="utf-8") as file:
        file.write(json.dumps(head, ensure_ascii=False)[:-1] + ',\n"images": ')
        images.pour(file)
        file.write(',\n"annotations": ')
        annotations.pour(file)
        file.write("}\n")
