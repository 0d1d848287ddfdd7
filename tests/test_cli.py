"""The one door: every mistake of a user ends with code 2, one message that names it, no traceback, nothing written."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from damageland import cli
from damageland.generators.damage.table import DAMAGES
from damageland.generators.products.catalogue import FAMILIES
from damageland.sim.output import claim_output

RECIPE = {
    "name": "small",
    "captures": 1,
    "booth": "booth.yaml",
    "products": [{"family": "tin", "count": 1}],
    "damages": [{"generator": "crush"}],
}
BOOTH = {
    "name": "small",
    "cameras": [
        {
            "name": "a",
            "width": 32,
            "height": 32,
            "hfov_deg": 40,
            "azimuth_deg": 0,
            "elevation_deg": 20,
            "distance_mm": 400,
        }
    ],
}
QUERY = "capture_id,item_identifier,item_material,defect,major_defect,defect_types,query_image,query_depth\n"
FOLDER_ROW = "a,p,other,True,False,deformation,a.png,\n"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the command line in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["damageland", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must be refused; return the one message on the standard error."""
    assert run(monkeypatch, *arguments) == 2
    told = capsys.readouterr()
    assert [line.startswith("damageland: ") for line in told.err.splitlines()].count(True) == 1
    assert told.err.startswith("damageland: ")
    assert "Traceback" not in told.err + told.out and told.out == ""
    return told.err


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def write_recipe(folder: Path, *, recipe: dict | None = None, booth: dict | None = None) -> Path:
    (folder / "booth.yaml").write_text(yaml.safe_dump(BOOTH | (booth or {})))
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE | (recipe or {})))
    return path


CAMERA = BOOTH["cameras"][0]
BAD_RECIPES = {
    "unknown key": ({"capturs": 9}, {}, ["recipe.yaml", "capturs", "unknown key", "'captures'"]),
    "out of range": ({"damaged_share": 1.5}, {}, ["recipe.yaml", "damaged_share", "less than or equal to 1", "1.5"]),
    "not a number": ({"captures": "many"}, {}, ["recipe.yaml", "captures", "integer", "many"]),
    "strength": ({"damages": [{"generator": "hole", "strength": [0.5, 2]}]}, {}, ["strength", "between 0 and 1"]),
    "unknown family": ({"products": [{"family": "tinn", "count": 1}]}, {}, ["family", "'tinn'", *FAMILIES]),
    "unknown generator": ({"damages": [{"generator": "crunch"}]}, {}, ["generator", "'crunch'", *DAMAGES]),
    "key in a product's config": (
        {"products": [{"family": "tin", "count": 1, "config": {"radius_m": [1, 2]}}]},
        {},
        ["products.0", "config of tin", "radius_m", "did you mean 'radius_mm'"],
    ),
    "value in a damage's config": (
        {"damages": [{"generator": "crush", "config": {"push_mm": -3}}]},
        {},
        ["damages.0", "config of crush", "push_mm", "greater than 0", "-3"],
    ),
    "no products": ({"products": []}, {}, ["products", "at least 1"]),
    "name": ({"name": "Small Set"}, {}, ["name", "Small Set"]),
    "no such booth": ({"booth": "nowhere"}, {}, ["recipe.yaml", "'nowhere'", "demo"]),
    "booth: unknown key": (
        {},
        {"cameras": [CAMERA | {"azimut_deg": 3}]},
        ["booth.yaml", "azimut_deg", "'azimuth_deg'"],
    ),
    "booth: range": ({}, {"cameras": [CAMERA | {"hfov_deg": [50, 40]}]}, ["booth.yaml", "hfov_deg", "50", "40"]),
    "booth: same name": ({}, {"cameras": [CAMERA, CAMERA]}, ["booth.yaml", "names must differ"]),
}


@pytest.mark.parametrize("case", BAD_RECIPES)
def test_mistakes_in_a_recipe(case: str, tmp_path: Path, monkeypatch, capsys):
    """Each is found before any work and named with its file, path and value; no output folder appears."""
    recipe, booth, words = BAD_RECIPES[case]
    path = write_recipe(tmp_path, recipe=recipe, booth=booth)
    message = refused(monkeypatch, capsys, "render", path, "--out", tmp_path / "out")
    for word in words:
        assert word in message, (word, message)
    assert not (tmp_path / "out").exists()


def test_all_mistakes_at_once(tmp_path: Path, monkeypatch, capsys):
    """Three mistakes in one file are three lines of one message."""
    path = write_recipe(tmp_path, recipe={"captures": 0, "seed": -1, "cycle_share": 1})
    message = refused(monkeypatch, capsys, "render", path, "--out", tmp_path / "out")
    assert "3 mistake(s)" in message
    assert all(word in message for word in ("captures", "seed", "'cycles_share'"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["no such file"]),
        (b"captures: [1, 2", ["not valid YAML", "line 1"]),
        (b"- a\n- b\n", ["expected a mapping", "list"]),
        (b"name: \xff\xfe", ["cannot be read as text"]),
        (b"", ["expected a mapping"]),
    ],
)
def test_unreadable_recipe(content: bytes | None, words: list[str], tmp_path: Path, monkeypatch, capsys):
    """Missing, broken, binary and empty files are each told apart."""
    path = tmp_path / "recipe.yaml"
    if content is not None:
        path.write_bytes(content)
    message = refused(monkeypatch, capsys, "render", path, "--out", tmp_path / "out")
    assert str(path) in message and all(word in message for word in words), message
    assert not (tmp_path / "out").exists()


def test_folder_of_another_run_is_left_alone(tmp_path: Path, monkeypatch, capsys):
    """A folder with another recipe's lock, or with files of somebody else, is refused and not touched."""
    path = write_recipe(tmp_path)
    other, foreign = tmp_path / "other", tmp_path / "foreign"
    claim_output(other, "name: other\nseed: 3\n")
    foreign.mkdir()
    (foreign / "holiday.jpg").write_bytes(b"x")
    before = tree(tmp_path)
    message = refused(monkeypatch, capsys, "render", path, "--out", other)
    assert (
        str(other) in message and "another recipe" in message and "name: 'other' in the folder, 'small' now" in message
    )
    message = refused(monkeypatch, capsys, "render", path, "--out", foreign)
    assert str(foreign) in message and "holiday.jpg" in message
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shard", 7], ["--shard 7", "0 to 0"]),
        (["--shard", -1], ["--shard -1"]),
        (["--workers", 0], ["--workers 0"]),
        (["--shard-env", "NO_SUCH_TASK"], ["--shard-env NO_SUCH_TASK", "is not set"]),
        (["--shard-env", "PATH"], ["--shard-env PATH", "expected the number of a shard"]),
        (["--shard-env", "PATH", "--shard", 0], ["give one of them"]),
        (["--gpus-per-task", 1], ["--gpus-per-task", "--engine ray"]),
        (["--out", "gopher://hole/x"], ["unknown scheme gopher://", "s3://"]),
    ],
)
def test_numbers_on_the_command_line(arguments: list, words: list[str], tmp_path: Path, monkeypatch, capsys):
    """A shard that the recipe does not have and no workers are refused before anything is written."""
    path = write_recipe(tmp_path)
    out = [] if "--out" in arguments else ["--out", tmp_path / "out"]
    message = refused(monkeypatch, capsys, "render", path, *out, *arguments)
    assert all(word in message for word in words), message
    assert not (tmp_path / "out").exists()


# Real folders


def write_set(folder: Path, rows: str, *, header: str = QUERY) -> Path:
    """A folder with two pictures, a depth image of another size, a file that is no image, and a table."""
    folder.mkdir()
    picture = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), picture)
    cv2.imwrite(str(folder / "small.png"), np.full((15, 20), 900, np.uint16))
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:40])
    (folder / "query.csv").write_text(header + rows)
    return folder


BAD_SETS = {
    "labels": ("a,p,other,maybe,False,deformation,a.png,\n", ["query.csv, line 2", "defect", "'maybe'", "True, False"]),
    "twice": (FOLDER_ROW + FOLDER_ROW.replace("a.png", "b.png"), ["query.csv, line 3", "'a'", "line 2", "unique"]),
    "missing image": ("a,p,other,True,False,,nowhere.png,\n", ["query.csv, line 2", "nowhere.png", "does not exist"]),
    "unreadable": ("a,p,other,True,False,,broken.png,\n", ["broken.png", "not a readable image"]),
    "sizes": ("a,p,other,True,False,,a.png,small.png\n", ["capture a", "a.png", "40x30", "small.png", "20x15"]),
    "outside": ("a,p,other,True,False,,../a.png,\n", ["query.csv, line 2", "../a.png", "leads out"]),
    "kind": (
        "a,p,other,True,False,deformatoin,a.png,\n",
        ["query.csv, line 2", "deformatoin", "did you mean deformation"],
    ),
    "empty": ("", ["query.csv", "no rows"]),
}


@pytest.mark.parametrize("case", BAD_SETS)
def test_mistakes_in_a_real_folder(case: str, tmp_path: Path, monkeypatch, capsys):
    """Each is named with table, line and value, and no model is begun."""
    rows, words = BAD_SETS[case]
    folder = write_set(tmp_path / "real", rows)
    message = refused(monkeypatch, capsys, "train", tmp_path, "--real", folder, "--out", tmp_path / "model")
    assert all(word in message for word in words), message
    assert not (tmp_path / "model").exists()


def test_real_folder_without_its_table(tmp_path: Path, monkeypatch, capsys):
    """No query.csv, no such folder, and a table without a column are each told apart."""
    folder = write_set(tmp_path / "real", FOLDER_ROW)
    arguments = ("train", tmp_path, "--out", tmp_path / "model", "--real")
    (folder / "query.csv").write_text("capture_id,query_image\na,a.png\n")
    message = refused(monkeypatch, capsys, *arguments, folder)
    assert "query.csv, line 1" in message and "missing column(s)" in message and "major_defect" in message
    (folder / "query.csv").unlink()
    message = refused(monkeypatch, capsys, *arguments, folder)
    assert str(folder) in message and "holds no query.csv" in message
    message = refused(monkeypatch, capsys, *arguments, tmp_path / "gone")
    assert str(tmp_path / "gone") in message and "not a folder" in message
    assert not (tmp_path / "model").exists()


def test_missing_model_and_missing_data(tmp_path: Path, monkeypatch, capsys):
    """A model folder without a model, and a data folder without shards, are named; no report is begun."""
    message = refused(
        monkeypatch, capsys, "evaluate", "--model", tmp_path, "--data", tmp_path, "--out", tmp_path / "report"
    )
    assert str(tmp_path) in message and "--model" in message
    message = refused(monkeypatch, capsys, "train", tmp_path / "none", "--out", tmp_path / "model")
    assert str(tmp_path / "none") in message
    message = refused(monkeypatch, capsys, "check", tmp_path / "none")
    assert str(tmp_path / "none") in message
    assert list(tmp_path.iterdir()) == []


# Help, and the whole way


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_teaches(command: str, monkeypatch, capsys):
    """Every command's help has an example that begins as one types it, and explains each of its options."""
    assert run(monkeypatch, command, "--help") == 0
    text = capsys.readouterr().out
    assert f"Example: damageland {command} " in " ".join(text.split())
    assert "usage:" in text
    function = cli.COMMANDS[command]
    for name in inspect.signature(function).parameters:
        assert f"\n        {name}: " in (function.__doc__ or ""), f"{name} is not explained"


def test_help_names_every_command(monkeypatch, capsys):
    """The door itself lists all commands; an unknown one is refused with the list."""
    assert run(monkeypatch, "--help") == 0
    text = capsys.readouterr().out
    assert all(command in text for command in cli.COMMANDS)
    assert run(monkeypatch, "rendr") == 2
    assert "render" in capsys.readouterr().err


def test_render_then_check_then_render_again(tmp_path: Path):
    """As a user runs it: render, check, render again (nothing to do), break a file, check refuses."""
    path, out = write_recipe(tmp_path), tmp_path / "out"
    command = [str(Path(sys.executable).with_name("damageland"))]
    inputs = sorted(p.name for p in tmp_path.iterdir())

    def type_in(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)

    rehearsal = type_in("render", path, "--out", out, "--dry-run")
    assert rehearsal.returncode == 0 and not out.exists() and sorted(p.name for p in tmp_path.iterdir()) == inputs
    assert "1 captures" in rehearsal.stdout and "1 references" in rehearsal.stdout and "in 1 shards" in rehearsal.stdout
    first = type_in("render", path, "--out", out, "--workers", 1, "--log", tmp_path / "run.jsonl")
    assert first.returncode == 0, first.stderr
    assert "1 shards, 1 rendered now" in first.stdout and f"damageland check {out}" in first.stdout
    events = [json.loads(line)["event"] for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert events[0] == "start" and events[-1] == "end" and "shard made" in events
    before = tree(out)
    again = type_in("render", path, "--out", out)
    assert again.returncode == 0 and "0 rendered now" in again.stdout and tree(out) == before
    checked = type_in("check", out)
    assert checked.returncode == 0 and "with --pixels it takes about" in checked.stdout
    (out / "manifest.csv").write_text("capture_id\n")
    broken = type_in("check", out)
    assert broken.returncode == 2 and "manifest.csv" in broken.stderr and "Traceback" not in broken.stderr


# Contact sheets


def test_preview_draws_a_row_per_family(tmp_path: Path, monkeypatch, capsys):
    """The sheet is a picture with something on it, written whole."""
    sheet = tmp_path / "sheet.png"
    small = ["--count", "2", "--width-px", "120", "--samples", "1", "--families", "tin", "book"]
    monkeypatch.setattr(sys, "argv", ["damageland", "preview", "products", "--out", str(sheet), *small])
    cli.main()
    picture = cv2.imread(str(sheet))
    assert picture is not None and picture.shape[1] == 240 and picture.std() > 20
    assert "2 families" in capsys.readouterr().out and sorted(p.name for p in tmp_path.iterdir()) == ["sheet.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--families", "tinn"], ["tinn", "expected some of", "tin"]),
        (["--out", "sheet.gif"], ["sheet.gif", ".png"]),
        (["--out", "nowhere/sheet.png"], ["no folder nowhere"]),
        (["--count", "0"], ["--count 0", "at least 1"]),
        (["--width-px", "8"], ["--width-px 8"]),
    ],
)
def test_mistakes_in_a_preview(arguments: list[str], words: list[str], tmp_path: Path, monkeypatch, capsys):
    """A sheet that cannot be drawn is refused before any work."""
    monkeypatch.chdir(tmp_path)
    given = arguments if "--out" in arguments else [*arguments, "--out", "sheet.png"]
    told = refused(monkeypatch, capsys, "preview", "products", *given)
    assert all(word in told for word in words), told
    assert not list(tmp_path.iterdir())
