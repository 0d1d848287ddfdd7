"""Render the README's sheet of damages: ``python docs/make_damages.py`` (needs the render extra, some ten minutes).

Each row is one damage on two packages: the sound twin, a minor and a major one, from the same camera under the same
light. ``--row`` and ``--side`` draw single rows smaller, to choose seeds from.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from damageland.generators.contact import draw_products, photograph
from damageland.generators.damage.outcome import Outcome, SeverityRules, judge
from damageland.generators.damage.subject import Subject
from damageland.generators.damagesheet import faced, placed
from damageland.generators.mishap import aim
from damageland.sim.booth import Camera, look_at
from damageland.sim.capture import Severity
from damageland.sim.scene import Scene

PICTURE = Path(__file__).resolve().parent / "pictures" / "damages.jpg"
SIDE, SAMPLES, QUALITY = 256, 24, 85
AZIMUTH_DEG, HFOV = 18.0, 0.25
RULES = SeverityRules()


@dataclass(frozen=True)
class Cell:
    """One package and what befalls it, chosen by eye among the first seeds."""

    damage: str
    family: str
    number: int = 0
    seed: int = 0
    zoom: float = 1.0
    """1 shows the whole package; less comes closer to the damage."""
    severities: tuple[Severity, Severity] = ("minor", "major")
    strengths: tuple[float, float] | None = None
    """Instead of severities: whatever is missing of a set is major."""
    elevation_deg: float = 32.0


ROWS = (
    (Cell("crush", "tin", 2, 1, 0.9), Cell("crush", "corrugated_shipper", 1, 3, 0.6)),
    (Cell("tear", "corrugated_shipper", 0, 0, 0.22), Cell("tear", "poly_mailer", 0, 2, 0.22)),
    (Cell("hole", "folding_carton", 2, 2, 0.55), Cell("hole", "tin", 0, 0, 0.5)),
    (Cell("spill", "folding_carton", 2, 2, 0.7), Cell("spill", "glass_jar", 2, 2, 0.8)),
    (Cell("deconstruct", "blister_pack", 1, 1, 0.62), Cell("deconstruct", "folding_carton", 1, 5)),
    (Cell("open", "tin", 1, 0, 0.9), Cell("open", "corrugated_shipper", 0, 7, 0.85)),
    (
        Cell("missing", "blister_pack", 0, 0, 0.65, strengths=(0.2, 0.9)),
        Cell("missing", "multipack", 0, 0, strengths=(0.2, 0.9)),
    ),
    (Cell("scuff", "tin", 2, 0, 0.9), Cell("scuff", "folding_carton", 2, 0, 0.7)),
)


def outcomes_of(cell: Cell) -> tuple[Scene, list[tuple[Scene, Outcome]], np.ndarray]:
    """The sound package, the damaged ones, and the damage's place, as they lie."""
    product = replace(draw_products(cell.family, cell.number + 1, seed=0)[-1], lookalikes=())
    T, found = np.eye(4), []
    for k in (1, 0):
        done = _aimed(cell, Subject(product, T), k)
        if not found:  # the place that is struck hardest faces the camera
            T = faced(product, done.site)
            done = _aimed(cell, Subject(product, T), k)
        found.insert(0, (placed(done.product, T), done))
    site = found[-1][1].site
    at = placed(product, T)
    middle = np.concatenate([part.vertices for part in at.parts]).mean(axis=0)
    return at, found, middle if site is None else T[:3, :3] @ site + T[:3, 3]


def _aimed(cell: Cell, subject: Subject, k: int) -> Outcome:
    severity, strength = cell.severities[k], cell.strengths
    within = (0.02, 1.0) if strength is None else (strength[k], strength[k])
    return aim(cell.damage, subject, {}, within, severity, rules=RULES, seed=(cell.seed, 0, cell.damage))


def camera_for(cell: Cell, scenes: list[Scene], site: np.ndarray, side: int) -> Camera:
    """See all scenes whole, or come closer to the damage."""
    points = np.concatenate([part.vertices for scene in scenes for part in scene.parts])
    low, high = points.min(axis=0), points.max(axis=0)
    aim_at = site + cell.zoom * ((low + high) / 2 - site)
    a, e = np.radians(AZIMUTH_DEG), np.radians(cell.elevation_deg)
    way = np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])
    pose = look_at(aim_at + 1.1 * cell.zoom * float(np.linalg.norm(high - low)) / HFOV * way, aim_at)
    K = np.array([[side / HFOV, 0, side / 2], [0, side / HFOV, side / 2], [0, 0, 1.0]])
    return Camera("sheet", side, side, K, pose, (1.0, 1.0, 1.0), 0.9, 0.001, 0.0, 95)


def _lettered(picture: np.ndarray, text: str) -> np.ndarray:
    strip = np.full((22, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, text, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (50, 50, 50), 1, cv2.LINE_AA)
    framed = cv2.copyMakeBorder(picture, 2, 0, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    return np.concatenate([framed, cv2.copyMakeBorder(strip, 0, 0, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))])


def draw_cell(cell: Cell, side: int, samples: int) -> np.ndarray:
    """Twin, minor and major side by side."""
    sound, found, site = outcomes_of(cell)
    scenes = [sound, *(scene for scene, _ in found)]
    camera = camera_for(cell, scenes, site, side)
    texts = [f"{cell.family.replace('_', ' ')}: sound twin"]
    texts += [f"{cell.damage}, {judge(RULES, done).severity}" for _, done in found]
    shots = [photograph(scene, camera, samples=samples, photoreal=True) for scene in scenes]
    return np.concatenate([_lettered(shot, text) for shot, text in zip(shots, texts, strict=True)], axis=1)


def main() -> None:
    """Write the sheet, or single rows of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--row", type=int, action="append", help="only this row (from 0); may be given again")
    parser.add_argument("--side", type=int, default=SIDE, help="pixels of one picture")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="rays per pixel")
    parser.add_argument("--out", type=Path, default=PICTURE)
    given = parser.parse_args()
    chosen = [ROWS[k] for k in given.row] if given.row else ROWS
    rows = [np.concatenate([draw_cell(cell, given.side, given.samples) for cell in row], axis=1) for row in chosen]
    picture = np.ascontiguousarray(np.concatenate(rows))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_bytes(simplejpeg.encode_jpeg(picture, QUALITY, "RGB", "420"))
    print(f"{given.out}: {picture.shape[1]} x {picture.shape[0]} pixels, {given.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
