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


def main(shard: str) -> None:
    # The five lines: any camera, any image, by its key.
    for sample in wds.WebDataset(shard, shardshuffle=False):
        about = json.loads(sample["json"])
        camera = about["views"][0]["camera"]
        rgb = cv2.imdecode(np.frombuffer(sample[f"{camera}.rgb.jpg"], np.uint8), cv2.IMREAD_COLOR)
        damage = cv2.imdecode(np.frombuffer(sample[f"{camera}.damage.png"], np.uint8), cv2.IMREAD_UNCHANGED)

        told = f"{about['capture_id']}: {camera} {rgb.shape[1]}x{rgb.shape[0]}, defect {about['defect']}"
        told += f", {np.count_nonzero(damage)} damaged pixels"
        if f"{camera}.depth.png" in sample:
            steps = cv2.imdecode(np.frombuffer(sample[f"{camera}.depth.png"], np.uint8), cv2.IMREAD_UNCHANGED)
            metres = steps * 1e-4
            told += f", median depth {np.median(metres[steps > 0]):.3f} m"
        print(told)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
