"""Prediction files of any model, scored without it."""

import csv
import json
from pathlib import Path

import cv2
import data_real as real
import fakes
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from damageland import cli
from damageland.evaluate.score import score
from damageland.sim.errors import DamagelandError
from damageland.sim.output import claim_output, finish, record_shard
from damageland.sim.seed import generator_for
from damageland.sim.shards import shard_path, write_shard
from scenes import tiny_plan
from sklearn.metrics import average_precision_score, roc_auc_score

COUNT = 40


def photos(folder: Path) -> Path:
    """A set in our own layout: every other one of 40 damaged, with masks, two photographs to a group."""
    rows = [["capture_id", "item_identifier", "item_material", "defect", "major_defect", "defect_types", "query_image",
             "damage_mask", "group"]]  # fmt: skip
    for i in range(COUNT):
        damaged = i % 2 == 0
        real.save(folder / f"{i}.png", real.draw(i, damaged=damaged))
        real.save(folder / f"{i}m.png", real.mark(damaged))
        kinds = "deformation" if damaged else ""
        rows.append([f"c{i}", "", "", str(damaged), str(i % 4 == 0), kinds, f"{i}.png", f"{i}m.png", f"g{i // 2}"])
    real.save_csv(folder / "query.csv", rows)
    return folder


def preds(seed: int, lead: float) -> list[float]:
    """Scores to six digits, as files have them: damaged ones lead by so much."""
    noise = generator_for(seed, 0, "preds").uniform(0, 0.5, COUNT)
    return [round(float(noise[i] + lead * (i % 2 == 0)), 6) for i in range(COUNT)]


def write_csv(path: Path, values: list[float] | list[str], **columns: list[str]) -> Path:
    header = ["capture_id", "pred", *columns]
    real.save_csv(path, [header, *([f"c{i}", str(v), *(c[i] for c in columns.values())] for i, v in enumerate(values))])
    return path


def test_csv_and_parquet_twins_score_alike(tmp_path: Path) -> None:
    """The same scores in either form give the same figures, which are scikit-learn's, in any order of rows."""
    truth, values = photos(tmp_path / "photos"), preds(1, 0.2)
    one = write_csv(tmp_path / "one.csv", values)
    rows = [{"capture_id": f"c{i}", "pred": v, "remark": "left alone"} for i, v in enumerate(values)]
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows[::-1]), tmp_path / "two.parquet")
    left, right = score([one, tmp_path / "two.parquet"], truth, progress=False, threshold=0.4)
    assert left.metrics == right.metrics
    damaged = [i % 2 == 0 for i in range(COUNT)]
    assert left.metrics["AUROC"].value == pytest.approx(roc_auc_score(damaged, values))
    assert left.metrics["AP_any"].value == pytest.approx(average_precision_score(damaged, values))
    assert left.recall.value == np.mean([v > 0.4 for v in values[::2]])
    same = next(other for other in left.comparisons if other.other == "two")
    assert (same.difference.value, same.p) == (0, 1)


def test_masks_beside_the_table_are_measured(tmp_path: Path) -> None:
    """Perfect masks have AUPRO 1 and F1 1, in 8 and 16 bits; without the column there are no figures of masks."""
    truth = photos(tmp_path / "photos")
    names = [f"masks/{i}.png" for i in range(COUNT)]
    for i, name in enumerate(names):
        real.save(
            tmp_path / name, real.mark(i % 2 == 0).astype((np.uint8, np.uint16)[i % 4 == 0]) * (255, 65535)[i % 4 == 0]
        )
    values = preds(1, 0.2)
    masked, plain = score(
        [write_csv(tmp_path / "masked.csv", values, mask=names), write_csv(tmp_path / "plain.csv", values)],
        truth,
        progress=False,
    )
    assert [masked.metrics[m].value for m in ("AUPRO_0.3", "pixel_F1")] == pytest.approx([1, 1], abs=1e-4)
    assert plain.metrics["AUPRO_0.3"].value is None and plain.metrics["false_alarm_rate"].value is None
    cv2.imwrite(str(tmp_path / "masks/6.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(DamagelandError, match=r"capture c6.*shape \(4, 4\)"):
        score([tmp_path / "masked.csv"], truth, progress=False)


def test_scores_of_kinds_are_measured_one_against_the_rest(tmp_path: Path) -> None:
    """A column named as a kind is held against whether a capture shows it; a kind's score out of range is refused."""
    truth = photos(tmp_path / "photos")
    dents = [str(round(0.9 if i % 2 == 0 and i != 4 else 0.1 + i / 1000, 3)) for i in range(COUNT)]
    file = write_csv(tmp_path / "mine.csv", preds(1, 0.2), deformation=dents)
    (result,) = score([file], truth, out=tmp_path / "out", progress=False)
    (dent,) = result.kinds
    shown = [i % 2 == 0 for i in range(COUNT)]
    assert (dent.kind, dent.shown, dent.others) == ("deformation", 20, 20)
    assert dent.auroc.value == pytest.approx(roc_auc_score(shown, np.array(dents, float)))
    assert (tmp_path / "out/kinds.csv").read_text().startswith("set,kind,shown,others,AP,")
    write_csv(file, preds(1, 0.2), deformation=["2"] * COUNT)
    with pytest.raises(DamagelandError, match="line 2: deformation is '2'"):
        score([file], truth, progress=False)


def test_a_better_model_is_told_from_a_worse_one(tmp_path: Path) -> None:
    """Files are compared with one another by bootstrap, DeLong and Holm, and each sign is the other's opposite."""
    truth = photos(tmp_path / "photos")
    files = [write_csv(tmp_path / f"{name}.csv", preds(3, lead)) for name, lead in (("good", 0.35), ("bad", 0.02))]
    good, bad = score(files, truth, progress=False)
    ahead = next(other for other in good.comparisons if other.other == "bad")
    behind = next(other for other in bad.comparisons if other.other == "good")
    assert ahead.difference.low > 0 and ahead.p < ahead.adjusted < 0.01
    assert (behind.difference.value, behind.p) == pytest.approx((-ahead.difference.value, ahead.p))


def test_the_command_prints_and_writes(tmp_path: Path, monkeypatch, capsys) -> None:
    """One call prints the figures, says why some are missing, and leaves the same in files."""
    truth, out = photos(tmp_path / "photos"), tmp_path / "out"
    file = write_csv(tmp_path / "mine.csv", preds(1, 0.2))
    monkeypatch.setattr("sys.argv", ["damageland", "score", str(file), "--truth", str(truth), "--out", str(out)])
    cli.main()
    told = capsys.readouterr().out
    metrics = json.loads((out / "metrics.json").read_text())["mine"]
    assert f"AUROC {metrics['AUROC']['value']:.3f} [" in " ".join(told.split())
    assert "cannot be stated: 20 independent intact groups, 1 % takes 100" in told
    assert metrics["recall_at_fpr_0.01"]["value"] is None
    html = (out / "report.html").read_text()
    assert "cannot be stated" in html and "unknown here" in html
    assert "Calibration error" in html and "AUPRO" not in html  # no masks, no line for them
    parts = list(csv.DictReader((out / "parts.csv").open()))
    assert [part["part"] for part in parts] == ["major", "minor", "deformation"]
    assert {row["against"] for row in csv.DictReader((out / "comparisons.csv").open())} == {
        "cue_luminance", "cue_border", "cue_edges"}  # fmt: skip


def test_rendered_data_is_truth_too(tmp_path: Path) -> None:
    """Queries and twins of a split are scored, by the manifest; references need no row, and count as strange."""
    out = tmp_path / "set"
    claim_output(out, tiny_plan(size=48, captures=1).lock)
    captures = [c for i in range(6) for c in fakes.fake_product(1, i, split="test")]
    write_shard(shard_path(out, 0), captures)
    record_shard(shard_path(out, 0))
    finish(out, 1)
    scored = [c for c in captures if c.role != "reference"]
    file = tmp_path / "mine.csv"
    real.save_csv(file, [["capture_id", "pred"], *([c.capture_id, str(0.2 + 0.6 * bool(c.defect))] for c in scored)])
    (result,) = score([file], out, progress=False)
    assert (result.origin, len(result.rows), result.metrics["AUROC"].value) == ("synthetic", 12, 1)
    with file.open("a") as table:
        table.write(f"{captures[2].capture_id},0.5\n")
    with pytest.raises(DamagelandError, match=f"1 rows name no capture.*{captures[2].capture_id}"):
        score([file], out, progress=False)
    with pytest.raises(DamagelandError, match="no captures of split 'train'"):
        score([file], out, split="train", progress=False)


BAD = {
    "missing": ("c0,0.5\n", ["39 of 40 captures", "c1, c2, c3, c4, c5 …"]),
    "duplicate": ("c0,0.5\nc1,0.2\nc0,0.5\n", ["line 4", "'c0'", "line 2"]),
    "above": ("c0,1.5\n", ["line 2", "'1.5'", "[0, 1]"]),
    "NaN": ("c0,nan\n", ["line 2", "'nan'"]),
    "text": ("c0,high\n", ["line 2", "'high'"]),
    "empty": ("c0,\n", ["line 2", "''"]),
    "nameless": (",0.5\n", ["line 2", "capture_id is empty"]),
    "no rows": ("", ["has no rows"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_clear_error(case: str, tmp_path: Path) -> None:
    """Missing, double and impossible rows are told with file, line and value, before a picture is read."""
    rows, expected = BAD[case]
    truth = photos(tmp_path / "photos")
    (truth / "0.png").write_text("no picture")
    file = tmp_path / "mine.csv"
    file.write_text("capture_id,pred\n" + rows)
    with pytest.raises(DamagelandError) as caught:
        score([file], truth, out=tmp_path / "out", progress=False)
    assert all(part in str(caught.value) for part in ("mine.csv", *expected)), caught.value
    assert not (tmp_path / "out").exists()


def test_bad_files_as_a_whole(tmp_path: Path) -> None:
    """A missing column, a name of no table, torn parquet, rows of another set, two of one name, several sets."""
    truth = photos(tmp_path / "above" / "photos")
    photos(tmp_path / "above" / "more")
    good = write_csv(tmp_path / "good.csv", preds(1, 0.2))

    def refused(*files: Path, of: Path = truth) -> str:
        with pytest.raises(DamagelandError) as caught:
            score(files, of, progress=False)
        return str(caught.value)

    (tmp_path / "a.csv").write_text("capture_id,score\nc0,1\n")
    (tmp_path / "b.parquet").write_bytes(good.read_bytes())
    assert "missing column(s) pred" in refused(tmp_path / "a.csv")
    assert "b.parquet is not a readable parquet" in refused(tmp_path / "b.parquet")
    assert "ends in .csv or .parquet" in refused(tmp_path / "c.txt")
    assert "c.csv does not exist" in refused(tmp_path / "c.csv")
    write_csv(tmp_path / "long.csv", [*preds(1, 0.2), 0.5])
    assert "1 rows name no capture" in refused(tmp_path / "long.csv") and "c40" in refused(tmp_path / "long.csv")
    (tmp_path / "x").mkdir()
    assert "two prediction files are named 'good'" in refused(good, write_csv(tmp_path / "x" / "good.csv", [0.5]))
    assert "holds 2 sets" in refused(good, of=tmp_path / "above")
    assert "no prediction file" in refused()
