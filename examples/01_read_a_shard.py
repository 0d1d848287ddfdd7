"""Read a shard without damageland: what you learn is that a shard is a plain tar of JPEG, PNG and JSON files.

Members that share the name up to the first dot belong to one capture: ``<capture_id>.json`` holds everything but
pixels, then come images per camera. Depth is uint16 in steps of 0.1 mm (0 = no return), so it must be read unchanged:
decoders that make "an image" of it cut it to 8 bits.

    python examples/01_read_a_shard.py runs/demo/shard-000012.tar
"""

import json
import sys

import cv2
import numpy as np
import webdataset as wds


def decode(data: bytes) -> np.ndarray:
    """Pixels as they were written: BGR for colour, 16 bits for depth."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def main(shard: str) -> None:
    for sample in wds.WebDataset(shard, shardshuffle=False):
        about = json.loads(sample["json"])
        camera = about["views"][0]["camera"]
        bgr, damage = decode(sample[f"{camera}.rgb.jpg"]), decode(sample[f"{camera}.damage.png"])

        told = f"{about['capture_id']}: {camera} {bgr.shape[1]}x{bgr.shape[0]}, defect {about['defect']}"
        told += f", {np.count_nonzero(damage)} damaged pixels"
        if f"{camera}.depth.png" in sample:
            metres = decode(sample[f"{camera}.depth.png"]) * 1e-4
            told += f", median depth {np.median(metres[metres > 0]):.3f} m"
        print(told)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
