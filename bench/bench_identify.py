"""Which product is this: right at first, among five, and strangers called unknown, for several ways of looking.

--data takes a rendered set with references (``damageland render assets/recipes/references.yaml``), --real folders of
photographs of known products. Each way is one process of its own when --only names it, so that a run can be cut.
"""

import argparse
import time
from pathlib import Path

from damageland.studio.identify import identify_set, interval, measure
from damageland.train.identify import describe_threshold, make_eye

WAYS = ("keypoints", "colours", "plain")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=None)
    parser.add_argument("--real", nargs="*", default=[])
    parser.add_argument("--only", nargs="*", default=WAYS, help="keypoints, colours, plain, or a network of timm")
    parser.add_argument("--weights", type=Path, default=None, help="of that network")
    parser.add_argument("--budget", type=float, default=0.05)
    options = parser.parse_args()
    print(
        "set, way | captures, products | first | first five | named, right | named, wrong | strangers named | ms each"
    )
    for source in [*([options.data] if options.data else []), *options.real]:
        for way in options.only:
            started = time.process_time()
            found = identify_set(source, None, eye=make_eye(way, options.weights), budget=options.budget)
            spent = 1000 * (time.process_time() - started) / max(len(found.rows), 1)
            told = measure(found)
            if told is None:
                print(f"{source}, {way}: no product on record is in the gallery")
                continue
            rates = (told.top1, told.top5, told.named, told.misnamed, told.strangers_named)
            cells = [f"{Path(source).name}, {way}", f"{told.captures}, {told.products}", *map(interval, rates)]
            print(" | ".join([*cells, f"{spent:.0f}"]), flush=True)
            print(f"  {describe_threshold(found.threshold)}")


if __name__ == "__main__":
    main()
