"""A plain folder of pictures: ``<split>/<good or kind>/``, and a table."""

from contextlib import closing

from .source import DataSet
from .target import Table, Target

NAME = "folder"
COLUMNS = (
    "file", "split", "label", "defect", "major_defect", "defect_types", "capture_id", "camera", "role",
    "item_identifier", "item_material", "twin_id", "reference_ids",
)  # fmt: skip


def export_folder(data: DataSet, target: Target) -> None:
    """Write ``<split>/<good|kind|combined>/<capture>--<camera>.jpg`` and ``captures.csv``."""
    with closing(Table(target.path("captures.csv"), COLUMNS)) as table:
        for shot in data.shots():
            capture, label = shot.capture, shot.label
            if label.folder is None:
                target.left_out[TRACE if label.trace else UNLABELLED] += 1
                continue
            name = f"{shot.split}/{label.folder}/{shot.name}.jpg"
            target.write(name, shot.jpeg())
            target.views[shot.split] += 1
            table.add(
                {
                    "file": name,
                    "split": shot.split,
                    "label": label.folder,
                    "defect": label.defect,
                    "major_defect": label.major,
                    "defect_types": ",".join(label.kinds),
                    "capture_id": capture.capture_id,
                    "camera": shot.view.camera,
                    "role": capture.role,
                    "item_identifier": capture.item_identifier,
                    "item_material": capture.item_material,
                    "twin_id": capture.twin_id,
                    "reference_ids": ",".join(capture.reference_ids),
                }
            )


TRACE = "show only a trace of a damage that another camera sees"
UNLABELLED = "nobody said whether they show damage"
