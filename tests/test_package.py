"""The wheel holds every module and asset of the folders at the root, and works where nothing else of the project is."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("sim", "generators", "train", "evaluate", "studio", "assets")


def expected_files() -> set[str]:
    """Files of the package as they should lie in the wheel."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS, "cli.py"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    return {f"damageland/{name}" for name in listed if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel in this environment, without a network."""
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("damageland-*-py3-none-any.whl")
    return built


def test_wheel_holds_the_package_and_nothing_else(wheel: Path):
    """Every module, asset, template and typing marker is inside; tests, notes and runs are not."""
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not name.endswith("/")}
    package = {name for name in inside if not name.split("/")[0].endswith(".dist-info")}
    assert package == expected_files()
    for folder in FOLDERS[:-1]:
        assert f"damageland/{folder}/py.typed" in package
        assert f"damageland/{folder}/__init__.py" not in package, "the folders at the root are namespaces"
    for name in ("assets/recipes/demo.yaml", "assets/booths/demo.yaml", "evaluate/templates/report.html.j2", "cli.py"):
        assert f"damageland/{name}" in package


def test_wheel_says_what_it_needs(wheel: Path):
    """The metadata has the command, the licence, the extras, and no dependency without a lower bound."""
    with zipfile.ZipFile(wheel) as archive:
        (info,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        metadata = archive.read(f"{info}/METADATA").decode()
        entry = archive.read(f"{info}/entry_points.txt").decode()
    assert "damageland = damageland.cli:main" in entry
    assert "License-Expression: Apache-2.0" in metadata
    assert {line.split(": ")[1] for line in metadata.splitlines() if line.startswith("Provides-Extra: ")} >= {
        "render",
        "train",
    }
    needs = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
    assert needs and all("=" in line.split(";")[0] or "damageland" in line for line in needs)


def test_installed_wheel_works_elsewhere(wheel: Path, tmp_path: Path):
    """From another folder, with the wheel first on the path: recipes read their booth, all modules import from it."""
    target, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--target",
            str(target),
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    code = """
import importlib, pathlib, sys
import damageland.generators.recipe as recipe
root = pathlib.Path(sys.argv[1]) / "damageland"
assert pathlib.Path(recipe.__file__).is_relative_to(root), recipe.__file__
plan = recipe.read_plan(recipe.ASSETS / "recipes" / "demo.yaml")
assert recipe.ASSETS == root / "assets" and len(plan.booth.cameras) >= 3
for path in sorted(root.rglob("*.py")):
    name = ".".join(("damageland", *path.relative_to(root).with_suffix("").parts))
    module = importlib.import_module(name)
    assert pathlib.Path(module.__file__) == path, module.__file__
    loaded = set(sys.modules)
assert not {"bpy", "blenderproc", "open3d"} & loaded, "Blender is loaded only where it is used"
print(len(plan.recipe.products))
"""
    environment = {**os.environ, "PYTHONPATH": str(target)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 2
