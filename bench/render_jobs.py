"""The pieces of work of ``bench_render.py``, each in a process of its own, so that CPU seconds are its own too.

A piece leaves its pictures and figures in a file of the bench's folder; a piece whose file is there is not done again.
"""

import hashlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import types
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Job:
    """One piece of work, and the name of its file."""

    kind: str
    """ours, stock, reference, preview, truth, mitsuba or memory."""
    scene: str
    side_px: int
    views: int
    samples: int = 0
    """0: the program's own default."""
    denoise: bool = True
    around: int = 0
    """Ours: samples away from the item; 0 is as many as there."""
    noise: float = 0.0
    """Ours: at which a pixel by the item takes no more samples."""
    paths: tuple[int, ...] = ()
    """Limits of bounces for a reference: diffuse, glossy, all, transparent; none are BlenderProc's own."""
    view: int = 0
    seed: int = 0
    """View and seed of a piece of a reference."""

    def file(self, keep: Path) -> Path:
        """Its results. What it depends on is in the name: a change of ours leaves no stale figure of ours."""
        ours = self.kind in ("ours", "preview", "truth", "memory")
        depends = [HERE / "render_scene.py", *(sorted((HERE.parent / "sim").glob("*.py")) if ours else [])]
        depends += [HERE / "stock_blenderproc.py"] if self.kind in ("stock", "reference") else []
        digest = hashlib.sha256(json.dumps(asdict(self)).encode())
        for path in depends:
            digest.update(path.read_bytes())
        return keep / f"{self.kind}-{self.scene}-{digest.hexdigest()[:12]}.npz"


def cpu_seconds() -> float:
    """Of this process, all its threads."""
    times = os.times()
    return times.user + times.system


def do_apart(job: Job, keep: Path) -> Path:
    """Do a job in a process of its own, if its file is not there."""
    path = job.file(keep)
    if not path.is_file():
        command = [sys.executable, str(Path(__file__).resolve()), json.dumps(asdict(job)), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        if done.returncode or not path.is_file():
            sys.exit(f"{job} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return path


# ---- In the process of a job --------------------------------------------------------------------------------------


def ours(job: Job) -> dict[str, np.ndarray]:
    """What a worker does for a capture: colour, truth, sensors, the files' bytes; and normals, as stock has them."""
    from damageland.sim.cycles import cycles_colour
    from damageland.sim.truth import trace_truth
    from render_scene import bench_scene

    scene, booth = bench_scene(job.scene, views=job.views, side_px=job.side_px)
    tiny = bench_scene(job.scene, views=1, side_px=16)[1]
    cycles_colour([scene], tiny, samples=1, seed=0)  # starts Blender
    start = cpu_seconds()
    how = {"around": job.around or None, "noise": job.noise, "denoise": job.denoise}
    colour = cycles_colour([scene], booth, samples=job.samples, seed=1, **how)[0]
    coloured = cpu_seconds()
    truth = trace_truth(scene, booth)
    traced = cpu_seconds()
    written = encode(colour, truth, booth)
    end = cpu_seconds()
    pictures = {f"picture_{k}": colour[camera.name] for k, camera in enumerate(booth.cameras)}
    return pictures | {
        "cpu_s": np.array(end - start),
        "truth_s": np.array(traced - coloured),
        "encode_s": np.array(end - traced),
        "bytes": np.array(written),
    }


def encode(colour, truth, booth) -> int:
    """Record and encode every view; returns how many bytes."""
    import cv2
    from damageland.sim.capture import Capture, View
    from damageland.sim.depth import record_depth
    from damageland.sim.seed import generator_for
    from damageland.sim.sensor import record_colour
    from damageland.sim.shards import encode_capture

    views, size = [], 0
    for camera in booth.cameras:
        exact = truth[camera.name]
        rgb = record_colour(colour[camera.name], camera, 1.0, generator_for(0, 0, f"colour noise {camera.name}"))
        depth = record_depth(exact, camera, generator_for(0, 0, f"depth noise {camera.name}"))
        labels = (exact.item, exact.part, exact.damage)
        views.append(View(camera.name, rgb, camera.K, camera.T_world_cam, depth, *labels))
        normals = np.round((exact.normal + 1) * 32767.5).astype(np.uint16)
        size += len(cv2.imencode(".png", normals, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])
    capture = Capture("bench", "bench", "synthetic", tuple(views), False, False, ())
    return size + sum(len(data) for data in encode_capture(capture).values())


def stock(job: Job) -> dict[str, np.ndarray]:
    """The stock script in this interpreter, from its first call to its last file."""
    from damageland.sim.cycles import _start_blender
    from render_scene import bench_scene, hand_over

    blender = _start_blender()
    stand_in(blender)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hand_over(*bench_scene(job.scene, views=job.views, side_px=job.side_px), folder)
        sys.argv = ["stock_blenderproc.py", name, str(folder / "out"), *options(job)]
        start = cpu_seconds()
        data = runpy.run_path(str(HERE / "stock_blenderproc.py"))["data"]
        end = cpu_seconds()
    return {f"picture_{k}": picture for k, picture in enumerate(data["colors"])} | {"cpu_s": np.array(end - start)}


def options(job: Job) -> list[str]:
    """The job in the stock script's words."""
    words = ["--samples", str(job.samples)] if job.samples else []
    words += ["--bounces", *map(str, job.paths)] if job.paths else []
    return words + (["--reference", str(job.seed), "--view", str(job.view)] if job.kind == "reference" else [])


def stand_in(blender) -> None:
    """Let the stock script run outside Blender's own Python.

    ``init`` sets a language that the wheel lacks, BlenderProc reads EXR through OpenCV, whose wheel has no EXR, and it
    writes strings by a name that NumPy 2 has dropped.
    """
    bpy, bproc = blender.bpy, blender.bproc
    from blenderproc.python.renderer import RendererUtility
    from blenderproc.python.utility import BlenderUtility
    from blenderproc.python.utility.Initializer import _Initializer

    def init() -> None:
        bproc.clean_up(clean_up_camera=True)
        RendererUtility.set_render_devices(use_only_cpu=True)
        _Initializer.set_default_parameters()

    def imread(path: str, **_: object) -> np.ndarray:
        image = bpy.data.images.load(path)
        if not path.endswith(".exr"):
            image.colorspace_settings.name = "Non-Color"
        rgba = np.zeros((image.size[1], image.size[0], 4), np.float32)
        image.pixels.foreach_get(rgba.reshape(-1))
        bpy.data.images.remove(image)
        return rgba[::-1] if path.endswith(".exr") else np.round(255 * rgba[::-1]).astype(np.uint8)

    bproc.init = init
    np.__dict__.setdefault("string_", np.bytes_)
    BlenderUtility.imageio = types.SimpleNamespace(v3=types.SimpleNamespace(imread=imread))


def fast(job: Job) -> dict[str, np.ndarray]:
    """Preview, truth, Mitsuba or memory."""
    import render_fast
    from render_scene import bench_scene

    if job.kind == "memory":
        return render_fast.memory(job.samples)
    scene, booth = bench_scene(job.scene, views=job.views, side_px=job.side_px)
    if job.kind == "truth":
        return render_fast.truth(scene, booth, cpu_seconds)
    work = render_fast.preview if job.kind == "preview" else render_fast.mitsuba
    return work(scene, booth, job.samples, cpu_seconds)


def main() -> None:
    fields = json.loads(sys.argv[1])
    job, path = Job(**(fields | {"paths": tuple(fields["paths"])})), Path(sys.argv[2])
    result = {"ours": ours, "stock": stock, "reference": stock}.get(job.kind, fast)(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(file, **result)
    partial.rename(path)


if __name__ == "__main__":
    main()
