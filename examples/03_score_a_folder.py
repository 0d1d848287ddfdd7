"""Score a folder of real captures: what you learn is how to use a trained model from Python.

The folder holds ``query.csv`` and the images it names (docs/real-captures.md); labels may be empty, since scoring needs
none. Each capture gets a score between 0 and 1, an alarm if the score is above the threshold that was fixed on rendered
captures, and a damage mask per view. ``damageland evaluate`` does the same and measures.

    python examples/03_score_a_folder.py runs/demo/model photos/tins masks/
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from damageland.evaluate.folder import read_folder
from damageland.train.predict import load_model, predict


def main(model_folder: str, photos: str, masks: str | None = None) -> None:
    model = load_model(Path(model_folder))
    print("capture_id,pred,alarm")
    for capture in read_folder(Path(photos)):
        prediction = predict(model, capture)
        print(f"{capture.capture_id},{prediction.score:.4f},{prediction.alarm}")
        if masks is not None:
            Path(masks).mkdir(parents=True, exist_ok=True)
            heat = (prediction.masks[0] * 255).astype(np.uint8)
            cv2.imwrite(str(Path(masks) / f"{capture.capture_id}.png"), heat)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
