import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path

import cv2
import fakes
import fsspec
import numpy as np
import pytest
from damageland.evaluate.conclusions import NOT_MEASURED, confounded, interval
from damageland.evaluate.cues import CUES, cue_border, cue_edges, cue_luminance, estimate_cue
from damageland.evaluate.folder import QUERY_COLUMNS, find_sets, read_folder
from damageland.evaluate.measure import METRICS, estimate_margin, measure_set
from damageland.evaluate.metrics import (
    Estimate,
    alarms_per_find,
    auroc_resampled,
    average_precision_resampled,
    draw_resamples,
    estimate,
    estimate_rate,
    recall_at_fpr,
    recall_at_fpr_resampled,
    resampled,
)
from damageland.evaluate.results import ScoredRow
from damageland.evaluate.run import evaluate, evaluate_scorer
from damageland.sim.capture import Capture
from damageland.sim.errors import DamagelandError
from damageland.sim.scene import KINDS, kind_bit
from damageland.sim.seed import generator_for
from damageland.sim.shards import shard_path, write_shard
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

THRESHOLD = {
    "value": 0.6,
    "fpr_budget": 0.01,
    "delta": 0.05,
    "negatives": 40,
    "negatives_needed": 299,
    "exceedances": 0,
    "certified": False,
}
INFO = {"thresholds": {"rgb": THRESHOLD, "rgbd": THRESHOLD}, "trained_on": {"products": [], "real_capture_ids": []}}
LOG = {"stage": ["detect"] * 9, "step": [str(i) for i in range(9)], "loss": [f"{1 / (1 + i)}" for i in range(9)]}


# Made-up folders of "photographs"


def photograph(seed: int, *, size: tuple[int, int] = (40, 60), brightness: float = 110) -> np.ndarray:
    """A smooth picture with some noise, uint8 (h, w, 3)."""
    rng = generator_for(seed, 0, "photograph")
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    shade = brightness + 30 * np.sin(columns / 11 + rng.uniform(0, 6)) + 10 * np.cos(rows / 7)
    return np.clip(shade[..., None] + rng.normal(0, 4, (*size, 3)), 0, 255).astype(np.uint8)


def write_set(folder: Path, rows: Sequence[dict[str, str]], *, columns: Sequence[str] | None = None) -> Path:
    """Write query.csv and a picture for every row that names one which is not there yet."""
    names = list(columns or dict.fromkeys([*QUERY_COLUMNS, *(name for row in rows for name in row)]))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "query.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    for number, row in enumerate(rows):
        path = folder / (row.get("query_image") or "none")
        if path.suffix in (".png", ".jpg") and not path.exists() and ".." not in path.parts:
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), photograph(number)[..., ::-1])
    return folder


def row(name: str, defect: str = "False", **more: str) -> dict[str, str]:
    """A row of query.csv."""
    return {"capture_id": name, "defect": defect, "major_defect": "", "query_image": f"image/{name}.png"} | more


def real_set(folder: Path, *, damaged: int = 12, intact: int = 12) -> Path:
    """A set with groups of two rows and one session per class."""
    rows = [
        row(f"d{i}", "True", major_defect=str(i % 2 == 0), group=f"gd{i // 2}", session="a") for i in range(damaged)
    ]
    rows += [row(f"i{i}", group=f"gi{i // 2}", session="b") for i in range(intact)]
    return write_set(folder, rows)


def refused(folder: Path) -> str:
    """Text of the error that reading a folder must raise."""
    with pytest.raises(DamagelandError) as caught:
        list(read_folder(folder))
    return str(caught.value)


# The folder adapter


def test_folder_reads_what_was_written(tmp_path: Path) -> None:
    """Every field, pixel, depth step and mask of a folder arrives in its capture, unknown ones as None."""
    rows = [
        row(
            "a",
            "1",
            major_defect="true",
            defect_types="penetration, spillage",
            query_depth="a.png",
            damage_mask="m.png",
        )
        | {"item_identifier": "P", "item_material": "cardboard", "group": "g", "session": "s"},
        row("b", "", defect_types="['deformation']"),
    ]
    depth = generator_for(1, 0, "depth").integers(0, 65536, (40, 60), dtype=np.uint16)
    mask = (generator_for(1, 0, "mask").random((40, 60)) < 0.1).astype(np.uint8)  # looks black: 1, not 255
    write_set(tmp_path, rows)
    cv2.imwrite(str(tmp_path / "a.png"), depth)
    cv2.imwrite(str(tmp_path / "m.png"), mask)
    a, b = read_folder(tmp_path)
    assert (a.defect, a.major_defect, a.defect_types) == (True, True, ("penetration", "spillage"))
    assert (a.item_identifier, a.item_material, a.group, a.session, a.origin) == ("P", "cardboard", "g", "s", "real")
    assert np.array_equal(photograph(0), a.views[0].rgb)
    assert a.views[0].depth is not None and a.views[0].damage is not None
    np.testing.assert_allclose(a.views[0].depth, depth * 1e-4, rtol=1e-6)
    assert np.array_equal(a.views[0].damage, mask * (kind_bit("penetration") | kind_bit("spillage")))
    assert (b.defect, b.major_defect, b.group, b.views[0].depth, b.views[0].damage) == (None,) * 5
    assert b.defect_types == ("deformation",)


def test_folder_turns_a_photograph_upright(tmp_path: Path) -> None:
    """A JPEG that says in its EXIF block that it lies on its side arrives as a person would see it."""
    write_set(tmp_path, [row("a", query_image="a.jpg")])
    jpeg = cv2.imencode(".jpg", photograph(0))[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6: turn right
    block = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + block + jpeg[2:])
    (capture,) = read_folder(tmp_path)
    assert capture.views[0].rgb.shape == (60, 40, 3)


def test_folder_links_references_to_queries(tmp_path: Path) -> None:
    """Rows of reference.csv become pristine captures with role reference, named by the queries of their product."""
    write_set(tmp_path, [row("a", item_identifier="P"), row("b", item_identifier="Q")])
    (tmp_path / "reference.csv").write_text("item_identifier,reference_image\nP,image/a.png\nP,image/b.png\n")
    a, b, *references = read_folder(tmp_path)
    assert [reference.capture_id for reference in references] == list(a.reference_ids)
    assert (len(references), b.reference_ids) == (2, ())
    assert all(r.role == "reference" and r.defect is False and r.item_identifier == "P" for r in references)


BAD_TABLES = {
    "label": (row("a", "maybe"), ["query.csv, line 2", "defect", "'maybe'"]),
    "number": (row("a", "2"), ["query.csv, line 2", "'2'"]),
    "major": (row("a", "False", major_defect="True"), ["line 2", "major_defect"]),
    "kind": (row("a", "True", defect_types="deformaton"), ["line 2", "deformaton", "did you mean deformation"]),
    "list": (row("a", "True", defect_types="[deformation"), ["line 2", "[deformation"]),
    "missing": (row("a", query_image="image/none"), ["line 2", "query_image", "image/none", "does not exist"]),
    "depth": (row("a", query_depth="none.png"), ["line 2", "query_depth", "none.png"]),
    "escape": (row("a", query_image="../secret.png"), ["line 2", "../secret.png", "leads out"]),
    "absolute": (row("a", query_image="/etc/hostname"), ["line 2", "/etc/hostname", "leads out"]),
    "empty": (row("a", query_image=""), ["line 2", "query_image", "empty"]),
    "nameless": (row("", query_image="image/a.png"), ["line 2", "capture_id is empty"]),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_folder_refuses_a_bad_row(case: str, tmp_path: Path) -> None:
    """Each mistake in a row is one error that names file, line and value, before any capture is yielded."""
    bad, expected = BAD_TABLES[case]
    (tmp_path / "secret.png").write_bytes(b"x")
    write_set(tmp_path / "set", [bad])
    with pytest.raises(DamagelandError) as caught:
        read_folder(tmp_path / "set")  # the call itself, not the first capture
    for part in expected:
        assert part in str(caught.value)


def test_folder_refuses_links_that_lead_out(tmp_path: Path) -> None:
    """A symbolic link inside the folder is no way out of it."""
    cv2.imwrite(str(tmp_path / "secret.png"), photograph(0))
    folder = write_set(tmp_path / "set", [row("b"), row("a", query_image="link/secret.png")][:1])
    (folder / "link").symlink_to(tmp_path)
    write_set(folder, [row("a", query_image="link/secret.png")])
    assert "leads out" in refused(folder)


def test_folder_refuses_duplicates_columns_and_emptiness(tmp_path: Path) -> None:
    """A capture_id used twice, a missing column, a ragged row, a table without rows and no table are told apart."""
    duplicate = refused(write_set(tmp_path / "a", [row("x"), row("y"), row("x")]))
    assert all(part in duplicate for part in ("line 4", "'x'", "line 2"))
    columns = [name for name in QUERY_COLUMNS if name != "major_defect"]
    assert "major_defect" in refused(write_set(tmp_path / "b", [row("x")], columns=columns))
    assert "no rows" in refused(write_set(tmp_path / "c", []))
    (tmp_path / "d").mkdir()
    assert "query.csv" in refused(tmp_path / "d")
    ragged = write_set(tmp_path / "e", [row("x")])
    with (ragged / "query.csv").open("a") as file:
        file.write("y,,\n")
    assert "line 3: 3 fields" in refused(ragged)
    (ragged / "query.csv").write_bytes(b"capture_id,\xff\xfe")
    assert "UTF-8" in refused(ragged)


def test_folder_refuses_bad_images(tmp_path: Path) -> None:
    """Text named .png, a picture cut short, depth of another size or type and a mask on an intact item are errors."""
    folder = write_set(tmp_path / "text", [row("a")])
    (folder / "image/a.png").write_text("no picture")
    assert "image/a.png" in refused(folder)
    (folder / "image/a.png").write_bytes(cv2.imencode(".jpg", photograph(0))[1].tobytes()[:-200])
    assert "not a readable image" in refused(folder)
    (folder / "image/a.png").write_bytes(b"")
    assert "image/a.png" in refused(folder)

    folder = write_set(tmp_path / "depth", [row("a", query_depth="d.png")])
    cv2.imwrite(str(folder / "d.png"), np.zeros((40, 61), np.uint16))
    text = refused(folder)
    assert all(part in text for part in ("60x40", "61x40", "capture a"))
    cv2.imwrite(str(folder / "d.png"), np.zeros((40, 60), np.uint8))
    assert "uint16" in refused(folder)

    folder = write_set(tmp_path / "mask", [row("a", damage_mask="m.png")])
    cv2.imwrite(str(folder / "m.png"), np.ones((40, 60), np.uint8))
    assert "defect is False" in refused(folder)


def test_folder_mask_without_kinds_sets_every_bit(tmp_path: Path) -> None:
    """Damage of unknown kind bears every bit, and an opaque alpha channel marks nothing."""
    folder = write_set(tmp_path, [row("a", "True", damage_mask="m.png")])
    mask = np.zeros((40, 60, 4), np.uint8)
    mask[..., 3] = 255
    mask[3, 4, 1] = 7
    cv2.imwrite(str(folder / "m.png"), mask)
    (capture,) = read_folder(folder)
    damage = capture.views[0].damage
    assert damage is not None and damage[3, 4] == 2 ** len(KINDS) - 1 and np.count_nonzero(damage) == 1


def test_find_sets_goes_one_level_down(tmp_path: Path) -> None:
    """A set is found as itself, several below their folder in order, and nothing is an error that says what to give."""
    for name in ("b", "a"):
        write_set(tmp_path / name, [row("x")])
    assert find_sets(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert find_sets(tmp_path / "a") == [tmp_path / "a"]
    for nothing in (tmp_path / "a" / "image", tmp_path / "none"):
        with pytest.raises(DamagelandError, match=r"query\.csv"):
            find_sets(nothing)


# Metrics


def tied_scores(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties that lean towards the labels."""
    rng = generator_for(seed, 0, "scores")
    positive = rng.random(n) < 0.4
    return np.round(rng.normal(positive * 0.8, 1), 1), positive


@pytest.mark.parametrize("seed", range(5))
def test_resampled_metrics_are_sklearns_on_the_drawn_rows(seed: int) -> None:
    """A resample's value is what scikit-learn says of the rows that were drawn, each as often as it was drawn."""
    scores, positive = tied_scores(seed)
    resamples = draw_resamples([str(i // 3) for i in range(len(scores))], generator_for(seed, 1, "x"), count=30)
    drawn = [np.repeat(np.arange(len(scores)), count[resamples.group_of_row]) for count in resamples.counts]
    ap = resampled(average_precision_resampled, scores, positive, resamples)
    auc = resampled(auroc_resampled, scores, positive, resamples)
    recall = resampled(recall_at_fpr_resampled, scores, positive, resamples)
    for i, rows in enumerate(drawn):
        assert ap[i] == pytest.approx(average_precision_score(positive[rows], scores[rows]))
        assert auc[i] == pytest.approx(roc_auc_score(positive[rows], scores[rows]))
        fpr, tpr, _ = roc_curve(positive[rows], scores[rows], drop_intermediate=False)
        assert recall[i] == pytest.approx(tpr[fpr <= 0.01].max())


def test_recall_at_fpr_by_hand() -> None:
    """With 100 intact captures one false alarm is allowed, and the second is not."""
    scores = np.concatenate([[0.95, 0.85, 0.75], [0.9, 0.8], np.linspace(0, 0.5, 98)])
    positive = np.arange(len(scores)) < 3
    assert recall_at_fpr(scores, positive) == pytest.approx(2 / 3)
    assert recall_at_fpr(scores, positive, budget=0.0) == pytest.approx(1 / 3)


def scored(score: float, defect: bool | None, group: str, **more) -> ScoredRow:
    """A row as if a model had scored it."""
    values = {"major_defect": defect, "severity": None, "kinds": (), "family": None, "session": None} | more
    cues = dict.fromkeys(CUES, score)
    return ScoredRow(
        capture_id=group,
        score=score,
        alarm=score > 0.5,
        modality="rgb",
        defect=defect,
        group=group,
        cues=cues,
        **values,
    )


def test_ap_major_leaves_minor_damage_out() -> None:
    """Minor damage below every intact capture lowers AP_any and leaves AP_major at 1."""
    rows = [scored(0.9, True, "a"), scored(0.8, True, "b"), scored(0.4, False, "c"), scored(0.3, False, "d")]
    rows += [scored(0.1, True, "e", major_defect=False), scored(0.99, None, "f")]
    metrics = measure_set("s", "real", rows, seed=0).metrics
    assert metrics["AP_major"].value == pytest.approx(1)
    assert metrics["AP_any"].value == pytest.approx((1 + 1 + 3 / 5) / 3)
    assert metrics["AUROC"].value == pytest.approx(4 / 6)
    assert metrics["false_alarm_rate"].value == 0


def test_bootstrap_by_group_is_not_fooled_by_copies() -> None:
    """Copies within a group change nothing; pretending that they are independent shrinks the interval."""
    scores, positive = tied_scores(3)
    groups = [str(i) for i in range(len(scores))]

    def interval_of(copies: int, names: list[str]) -> tuple[float, float]:
        resamples = draw_resamples(names, generator_for(0, 0, "copies"))
        result = estimate("AUROC", np.tile(scores, copies), np.tile(positive, copies), resamples)
        assert result.low is not None and result.high is not None
        return result.low, result.high

    once = interval_of(1, groups)
    assert interval_of(8, groups * 8) == pytest.approx(once)
    low, high = interval_of(8, [f"{name}-{i}" for i in range(8) for name in groups])
    assert high - low < 0.5 * (once[1] - once[0])


def test_bootstrap_is_repeatable_and_depends_on_the_seed() -> None:
    """The same seed gives the same interval, another seed another, and the value does not depend on it."""
    scores, positive = tied_scores(4)
    scores = 1 / (1 + np.exp(-scores))
    rows = [scored(float(s), bool(p), str(i)) for i, (s, p) in enumerate(zip(scores, positive, strict=True))]
    first, again, other = (measure_set("s", "real", rows, seed=seed).metrics["AUROC"] for seed in (1, 1, 2))
    assert first == again
    assert first.value == other.value and first.low != other.low


def test_undefined_metrics_are_none() -> None:
    """Without damaged, without intact, without labelled rows: None; with one group of a class: a value, no interval."""
    intact = [scored(i / 10, False, str(i)) for i in range(5)]
    metrics = measure_set("s", "real", intact, seed=0).metrics
    assert set(metrics) == set(METRICS)
    undefined = [name for name in METRICS if metrics[name].value is None]
    assert set(undefined) == set(METRICS) - {"false_alarm_rate"}
    damaged = [scored(i / 10, True, str(i)) for i in range(5)]
    metrics = measure_set("s", "real", damaged, seed=0).metrics
    assert {"recall"} == {name for name in METRICS if metrics[name].value is not None}
    for nothing in ([], [scored(0.3, None, "x")]):
        assert all(m == Estimate(None) for m in measure_set("s", "real", nothing, seed=0).metrics.values())
    lonely = measure_set("s", "real", [*intact, scored(0.9, True, "d")], seed=0).metrics["AUROC"]
    assert lonely == Estimate(1.0)


def test_resamples_that_lose_a_class_are_skipped_and_counted() -> None:
    """With two damaged groups among ten, about (8/10)^10 of the resamples have none; the rest give the interval."""
    rows = [scored(0.1 * i, i >= 8, str(i)) for i in range(10)]
    result = measure_set("s", "real", rows, seed=0).metrics["AUROC"]
    assert 0.08 < result.skipped / 2000 < 0.14
    assert result.low is not None


def test_a_rate_of_zero_has_the_exact_upper_limit() -> None:
    """No alarm in 20 groups leaves rates up to 16.8 % possible (Clopper-Pearson); more rows in a group add nothing."""
    groups = [str(i % 20) for i in range(60)]
    resamples = draw_resamples(groups, generator_for(0, 0, "rate"))
    result = estimate_rate(np.zeros(60, bool), groups, resamples)
    assert (result.value, result.low) == (0.0, 0.0)
    assert result.high == pytest.approx(1 - 0.025 ** (1 / 20))
    half = estimate_rate(np.arange(60) % 20 < 10, groups, resamples)
    assert half.value == 0.5 and half.low is not None and 0.2 < half.low < 0.35


def test_alarms_per_find_at_one_in_a_thousand() -> None:
    """Recall 0.7 at 1 % false alarms gives about 14 false alarms for each find, and none found gives infinity."""
    assert alarms_per_find(false_alarm_rate=0.01, recall=0.7) == pytest.approx(0.01 * 0.999 / (0.7 * 0.001))
    assert alarms_per_find(false_alarm_rate=0.01, recall=0.0) == np.inf


def test_cues_measure_what_they_say() -> None:
    """Luminance sees the whole picture, border only the frame, edges only steps; none minds which way is up."""
    picture = np.full((100, 200, 3), 40, np.uint8)
    picture[30:70, 60:140] = 240
    assert cue_border(picture) == pytest.approx(40)
    assert cue_luminance(picture) == pytest.approx(40 + 200 * 0.16, abs=0.5)
    assert cue_edges(np.full((50, 50, 3), 200, np.uint8)) == 0 < cue_edges(picture) < 0.1
    for cue in CUES.values():
        assert cue(picture[::-1, ::-1].copy()) == pytest.approx(cue(picture))


def test_cue_direction_suits_the_rows() -> None:
    """A cue and its negative have the same AUROC, never below one half, and a margin compares on the same resamples."""
    scores, positive = tied_scores(5)
    resamples = draw_resamples([str(i) for i in range(len(scores))], generator_for(0, 0, "cue"))
    up, down = (estimate_cue(sign * scores, positive, resamples) for sign in (1, -1))
    assert up == down and up.value is not None and up.value >= 0.5
    assert estimate_margin(scores, scores, positive, resamples) == Estimate(0.0, 0.0, 0.0)


def test_confounding_is_computed_from_sessions() -> None:
    """One session that holds both classes lifts the warning; a set without sessions or with one class gives none."""
    a, b = scored(0.1, True, "a", session="1"), scored(0.2, False, "b", session="2")
    assert confounded([a, b])
    assert not confounded([a, b, scored(0.1, False, "c", session="1")])
    assert not confounded([a]) and not confounded([scored(0.1, True, "a"), scored(0.2, False, "b")])


# The whole evaluation


@dataclass(frozen=True)
class FakePrediction:
    """What evaluate asks of a prediction, and no more."""

    capture_id: str
    score: float
    alarm: bool
    cameras: tuple[str, ...]
    view_scores: tuple[float, ...]
    masks: tuple[np.ndarray, ...]
    modality: str = "rgb"


def noisy_scorer(capture: Capture) -> FakePrediction:
    """A model that looks at the label and is sometimes wrong all the same."""
    rng = generator_for(0, sum(capture.capture_id.encode()), "score")
    score = float(np.clip(0.3 + 0.4 * bool(capture.defect) + rng.normal(0, 0.12), 0, 1))
    return FakePrediction(
        capture_id=capture.capture_id,
        score=score,
        alarm=score > THRESHOLD["value"],
        cameras=tuple(view.camera for view in capture.views),
        view_scores=(score,) * len(capture.views),
        masks=tuple(np.full(view.rgb.shape[:2], score, np.float32) for view in capture.views),
    )


def synthetic_data(folder: Path, products: int = 12) -> Path:
    """A rendered data set of fakes, all of it test split."""
    folder.mkdir()
    write_shard(shard_path(folder, 0), [c for i in range(products) for c in fakes.fake_product(1, i, split="test")])
    return folder


def text_of(report: Path) -> str:
    """What a reader sees of a report, spaces collapsed."""
    html = re.sub(r"<style>.*?</style>|data:[^\"]*", "", report.read_text(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", html)))


def test_evaluate_writes_metrics_predictions_and_report(tmp_path: Path) -> None:
    """All three outputs agree with one another and with the model, and the report needs nothing but itself."""
    real, data = real_set(tmp_path / "real" / "cans"), synthetic_data(tmp_path / "data")
    write_set(tmp_path / "real" / "shelf", [row(f"s{i}", group=str(i)) for i in range(6)])
    out = tmp_path / "out"
    report = evaluate_scorer(
        noisy_scorer, INFO, real=[tmp_path / "real"], data=data, out=out, log=LOG, progress=False, seed=3
    )
    metrics = json.loads((out / "metrics.json").read_text())
    assert list(metrics) == ["synthetic_test", "cans", "shelf"]
    for measured in metrics.values():
        assert tuple(measured) == METRICS
        assert all(set(entry) == {"value", "low", "high"} for entry in measured.values())
    assert metrics["shelf"]["AUROC"] == {"value": None, "low": None, "high": None}

    with (out / "predictions" / "cans.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["capture_id", "pred"]
    truth = {capture.capture_id: capture.defect for capture in read_folder(real)}
    assert [r["capture_id"] for r in rows] == list(truth)
    predicted = np.array([float(r["pred"]) for r in rows])
    assert metrics["cans"]["AUROC"]["value"] == pytest.approx(roc_auc_score(list(truth.values()), predicted))
    assert metrics["cans"]["false_alarm_rate"]["value"] == pytest.approx((predicted[12:] > 0.6).mean())

    html, text = report.read_text(), text_of(report)
    assert not re.search(r"https?:|//[a-z]|<script|<link|@import|url\([^#]", re.sub(r'="data:[^"]*"', "", html))
    for entry in (entry for measured in metrics.values() for entry in measured.values() if entry["low"] is not None):
        assert f"{entry['value']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]" in text
    assert html.count("<svg") == 5 + 1  # two figures for each set with both classes, one for the other, one curve
    assert "Confounded" in text and NOT_MEASURED not in text
    assert not list(out.rglob("*.tmp"))


def test_evaluate_takes_a_trained_model(tmp_path: Path) -> None:
    """The real way through: a trained model's folder, rendered data on a URL and photographs, to one report."""
    from damageland.train.config import TrainConfig
    from damageland.train.loop import train

    data = tmp_path / "data"
    data.mkdir()
    for k, split in enumerate(("train", "validation", "test")):
        write_shard(shard_path(data, k), [c for i in range(4) for c in fakes.fake_product(k, 10 * k + i, split=split)])
    url = f"memory://{tmp_path.name}/data"
    fsspec.filesystem("memory").put(str(data), url, recursive=True)
    sizes = {"frame_px": 48, "crop_px": 32, "locate_px": 32, "width": 8, "threads": 1}
    model = train(
        [url], TrainConfig(steps=2, locate_steps=2, pairs=2, unpaired=1, **sizes), tmp_path / "m", progress=False
    )
    real = real_set(tmp_path / "cans", damaged=4, intact=4)
    report = evaluate(model, real=[real], data=url, out=tmp_path / "out", progress=False)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert set(metrics) == {"synthetic_test", "cans"}
    assert 0 <= metrics["synthetic_test"]["AUROC"]["value"] <= 1
    text = text_of(report)
    assert "Cannot certify a false-alarm rate" in text and "trained on" not in text.split("Provenance")[0]


def test_evaluate_repeats(tmp_path: Path) -> None:
    """The same model, data and seed give the same bytes of metrics and predictions."""
    real = real_set(tmp_path / "cans")
    for name in ("one", "two"):
        evaluate_scorer(noisy_scorer, INFO, real=[real], data=None, out=tmp_path / name, progress=False)
    for name in ("metrics.json", "predictions/cans.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_report_says_what_was_not_measured(tmp_path: Path) -> None:
    """Without real captures the report says so; without rendered data, and without curves, it says that."""
    data = synthetic_data(tmp_path / "data")
    text = text_of(evaluate_scorer(noisy_scorer, INFO, real=[], data=data, out=tmp_path / "a", progress=False))
    assert NOT_MEASURED in text and "36 captures of 12 products were rendered with preview: 12 damaged" in text
    real = real_set(tmp_path / "cans")
    text = text_of(evaluate_scorer(noisy_scorer, INFO, real=[real], data=None, out=tmp_path / "b", progress=False))
    assert "No rendered data set was given" in text and "no curves" in text and NOT_MEASURED not in text


def test_report_wording_follows_the_numbers(tmp_path: Path) -> None:
    """A perfect model is said to beat the cues, a constant one not, and a set of three groups gets no verdict."""

    def judged(value_damaged: float, damaged: int = 40, intact: int = 40) -> str:
        def scorer(capture: Capture) -> FakePrediction:
            score = value_damaged if capture.defect else 0.2
            return replace(noisy_scorer(capture), score=score, alarm=score > 0.6)

        folder = tmp_path / f"set{value_damaged}{damaged}"
        real_set(folder, damaged=damaged, intact=intact)
        out = tmp_path / f"out{value_damaged}{damaged}"
        return text_of(evaluate_scorer(scorer, INFO, real=[folder], data=None, out=out, progress=False))

    assert "something of what was learned transferred" in judged(0.9)
    constant = judged(0.2)
    assert "something of what was learned transferred" not in constant
    assert "cannot be concluded" in constant or "worse than" in constant
    assert "too small to judge" in judged(0.9, damaged=6, intact=20)


def test_rows_that_were_trained_on_are_called_out(tmp_path: Path) -> None:
    """A set that shares captures with the training data is said to be no test."""
    real = real_set(tmp_path / "cans")
    info = INFO | {"trained_on": {"real_capture_ids": ["d1", "i3"], "products": ["P000"]}}
    text = text_of(evaluate_scorer(noisy_scorer, info, real=[real], data=None, out=tmp_path / "out", progress=False))
    assert "2 rows of this set were trained on, so this is no test" in text


def test_evaluate_refuses_before_it_writes(tmp_path: Path) -> None:
    """Nothing to evaluate on, two sets of one name, a bad table in the last set and a bad score leave no output."""
    out, good = tmp_path / "out", real_set(tmp_path / "x" / "cans")
    bad = write_set(tmp_path / "bad", [row("a", "maybe")])
    calls: list[str] = []

    def counting(capture: Capture) -> FakePrediction:
        calls.append(capture.capture_id)
        return noisy_scorer(capture)

    def refused_run(scorer, real: list[Path]) -> str:
        with pytest.raises(DamagelandError) as caught:
            evaluate_scorer(scorer, INFO, real=real, data=None, out=out, progress=False)
        return str(caught.value)

    assert "nothing to evaluate" in refused_run(counting, [])
    assert "'cans'" in refused_run(counting, [good, real_set(tmp_path / "y" / "cans")])
    assert "'maybe'" in refused_run(counting, [good, bad])
    assert not calls
    assert "[0, 1]" in refused_run(lambda capture: replace(noisy_scorer(capture), score=1.5), [good])
    assert not out.exists()


def test_interval_is_written_one_way() -> None:
    """Values, intervals and gaps have one form everywhere."""
    assert interval(Estimate(0.5, 0.25, 0.75)) == "0.500 [0.250, 0.750]"
    assert interval(Estimate(0.5)) == "0.500" and interval(Estimate(None)) == "–"
