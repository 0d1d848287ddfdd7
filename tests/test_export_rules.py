"""An export is whole or absent, and every mistake is one clear error."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import fakes
import fsspec
import numpy as np
import pytest
from damageland.sim.capture import Capture
from damageland.sim.errors import DamagelandError
from damageland.sim.export.source import Selection
from damageland.sim.export.table import export
from damageland.sim.output import finish, record_shard
from damageland.sim.shards import shard_path, write_shard

ALL = Selection()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished set of three products, one for training and two for testing."""
    folder = tmp_path_factory.mktemp("made up")
    for k, split in enumerate(("train", "test", "test")):
        write_shard(shard_path(folder, k), fakes.fake_product(7, k, split=split))
        record_shard(shard_path(folder, k))
    finish(folder, 3)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_sources_may_lie_anywhere(source: Path, tmp_path: Path):
    """A data set behind a URL exports as a local one does."""
    memory = fsspec.filesystem("memory")
    for path in source.iterdir():
        if path.is_file():
            memory.pipe_file(f"/exports/{path.name}", path.read_bytes())
    export("folder", "memory://exports", tmp_path / "out", ALL)
    memory.rm("/exports", recursive=True)
    export("folder", source, tmp_path / "local", ALL)
    assert tree(tmp_path / "out") == tree(tmp_path / "local")


def test_a_killed_export_leaves_nothing_finished(source: Path, tmp_path: Path):
    """SIGKILL in the middle: no folder of that name; the same command then makes it whole and clears the rest away."""
    code = f"""
import os, signal
from pathlib import Path
from damageland.sim.export import target
from damageland.sim.export.source import Selection
from damageland.sim.export.table import export
write, left = target.Target.write, [7]
def deadly(self, name, data):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, name, data)
target.Target.write = deadly
export("folder", Path({str(source)!r}), Path({str(tmp_path / "out")!r}), Selection())
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert not (tmp_path / "out").exists() and any(tmp_path.iterdir())
    export("folder", source, tmp_path / "out", ALL)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert len(list(tmp_path.glob("out/*/*/*.jpg"))) == 18


def photographs(folder: Path, *, defect: bool | None = True, **changes) -> Path:
    """A finished set of one capture that is as bare as a photograph."""
    folder.mkdir()
    view = fakes.fake_view(np.random.default_rng(0), "photo")
    bare = replace(view, **(dict.fromkeys(("K", "T_world_cam", "depth", "item", "part", "damage")) | changes))
    capture = Capture("img_1", None, "real", (bare,), defect, defect, ("deformation",) * bool(defect), split="test")
    write_shard(shard_path(folder, 0), [capture])
    record_shard(shard_path(folder, 0))
    finish(folder, 1)
    return folder


def refused(source: Path, out: Path, name: str, selection: Selection = ALL) -> str:
    """The message of an export that must fail, and leave nothing."""
    beside = sorted(out.parent.iterdir()) if out.parent.is_dir() else None
    with pytest.raises(DamagelandError) as caught:
        export(name, source, out, selection)
    assert beside == (sorted(out.parent.iterdir()) if out.parent.is_dir() else None)
    return str(caught.value)


def test_mistakes_are_one_clear_error(source: Path, tmp_path: Path):
    """Each names what is wrong and what would be right, and nothing is left of the export."""
    out = tmp_path / "out"
    assert "expected one of kaputt, mvtec3d" in refused(source, out, "cocoo")
    assert "did you mean 'coco'" in refused(source, out, "cocoo")
    assert "has left, top; did you mean 'left'" in refused(source, out, "coco", Selection(cameras=("lfet",)))
    assert "--roles reference2" in refused(source, out, "coco", Selection(roles=("reference2",)))
    assert "--splits val: " in refused(source, out, "coco", Selection(splits=("val",)))
    empty = Selection(cameras=("left",), roles=("reference",), splits=("validation",))
    assert "no capture has the cameras, roles and splits" in refused(source, out, "yolo", empty)
    assert "camera without depth" in refused(source, out, "mvtec3d", Selection(cameras=("left",)))
    assert "holds no shard" in refused(tmp_path, out, "coco")
    assert "exports go to local folders" in refused(source, Path("s3://bucket/coco"), "coco")
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    assert "is there already" in refused(source, out, "coco") and (out / "thesis.tex").read_text() == "mine"
    assert "is there already" in refused(source, out / "thesis.tex", "coco")


def test_unfinished_sets_are_refused(tmp_path: Path):
    """Shards without checksums, or more of them than checksums name, are a run that did not end."""
    folder = tmp_path / "set"
    folder.mkdir()
    fakes.fake_shard(0, folder)
    assert "not a finished data set" in refused(folder, tmp_path / "out", "folder")
    record_shard(shard_path(folder, 0))
    finish(folder, 1)
    export("folder", folder, tmp_path / "out", ALL)
    fakes.fake_shard(1, folder)
    assert "names other shards" in refused(folder, tmp_path / "more", "folder")


def test_photographs_export_as_far_as_they_go(tmp_path: Path):
    """Without masks, depth or calibration only the plain folder is left; the error names what a format needs."""
    bare = photographs(tmp_path / "bare")
    for name, words in (
        ("coco", "no damage image"), ("yolo", "no damage image"), ("kaputt", "no item image"),
        ("mvtec3d", "without depth"), ("bop", "no item image"),
    ):  # fmt: skip
        assert words in refused(bare, tmp_path / "out", name), name
    item = np.ones((48, 64), np.uint8)
    assert "K or T_world_cam is unknown" in refused(photographs(tmp_path / "b", item=item), tmp_path / "out", "bop")
    posed = photographs(tmp_path / "c", item=item, K=np.eye(3), T_world_cam=np.eye(4))
    assert "how its item lies" in refused(posed, tmp_path / "out", "bop")
    unknown = photographs(tmp_path / "d", defect=None, damage=item)
    assert "1 views nobody said" in refused(unknown, tmp_path / "out", "folder")
    export("folder", bare, tmp_path / "out", ALL)
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.glob("out/test/*/*")] == [
        "out/test/deformation/img_1--photo.jpg"
    ]


def test_a_hostile_split_names_no_folder(tmp_path: Path):
    """What a capture says of itself never leads out of the export."""
    folder = tmp_path / "set"
    folder.mkdir()
    write_shard(shard_path(folder, 0), [replace(c, split="../../x") for c in fakes.fake_product(1, 0)])
    record_shard(shard_path(folder, 0))
    finish(folder, 1)
    assert "expected one of" in refused(folder, tmp_path / "out", "folder")


def test_a_missing_library_names_the_extra(source: Path, tmp_path: Path, monkeypatch):
    """Formats that need a library of their own say how to get it."""
    for name, module in (("coco", "pycocotools.mask"), ("mvtec3d", "tifffile")):
        monkeypatch.setitem(sys.modules, module, None)
        assert "pip install 'damageland[export]'" in refused(source, tmp_path / "out", name)
