"""Photoreal colour: BlenderProc on Blender's Cycles. The only file that imports ``bpy``, and only when it is called.

Blender keeps one scene per process and grows over long sessions: call this in worker processes that are recycled.
Labels and depth never come from here: see ``truth``.
"""

import atexit
import contextlib
import ctypes
import functools
import hashlib
import importlib
import importlib.util
import os
import re
import sys
import tempfile
import time
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Float32, Num

from .booth import AreaLight, Booth
from .camera import Camera, straighten
from .errors import DamagelandError
from .scene import Material, Part, Scene
from .system import installation_hint, missing_system_libraries
from .window import Window, paste, window_of
from .world import F0

__all__ = ["CyclesTiming", "cycles_colour", "missing_system_libraries"]

BLENDER, BLENDERPROC = "4.2", "2.8.0"

UNDECLARED = ("git", "imageio", "png", "skimage", "trimesh")
"""BlenderProc imports these at its top without declaring them: it installs them into its own Blender. Nothing that is
called here needs them."""

MAX_BOUNCES, DIFFUSE_BOUNCES, GLOSSY_BOUNCES = 4, 2, 3
CLEAR_BOUNCES = 16
"""Clear faces that a path may go through, shadow rays too."""

ADAPTIVE_FROM = 16
"""Samples before a pixel may be told done. Cycles' own choice (52 at a noise of 0.02) leaves little to save: a tin's
picture of up to 96 samples came 0.6 dB nearer than one of 64 for the same time."""


@dataclass(frozen=True)
class CyclesTiming:
    """Where the seconds of one scene went, summed over its cameras. The booth is charged to the first scene."""

    build_s: float
    """Blender's meshes and images, made by us."""
    sync_s: float
    """Cycles taking them over and building its ray tree."""
    samples_s: float
    denoise_s: float
    read_s: float
    """Getting the float picture out of Blender."""


def cycles_colour(
    scenes: Sequence[Scene],
    booth: Booth,
    *,
    samples: int,
    seed: int,
    around: int | None = None,
    noise: float = 0.0,
    threads: int = 1,
    denoise: bool = True,
    timings: list[CyclesTiming] | None = None,
) -> list[dict[str, Float32[np.ndarray, "_ _ 3"]]]:
    """Return linear RGB radiance [W / (m² sr)], shape [height, width, 3], by camera name: one dict per scene.

    The scenes share the booth, which is built once; a part that is the same object in two scenes is built once too.
    ``samples`` is paths per pixel; with ``around``, only in the window of each picture in which the scenes' parts are,
    and so many are taken elsewhere. Above 0, ``noise`` is Cycles' threshold at which a pixel there takes no more.
    The same ``seed`` gives the scenes the same noise. ``denoise``
    takes a third off the RMS error at 16 samples (tried on a tin) for a twentieth of the time; the outermost pixels
    may keep a cast.
    ``timings`` is appended to, and makes each view be rendered twice. Area lights light the scene and are seen in
    mirrors, but not by the camera itself; the environment is seen by both.
    """
    if samples < 1 or threads < 1 or (around is not None and around < 1):
        raise DamagelandError(
            f"cycles needs at least 1 sample and 1 thread, got samples={samples}, around={around}, threads={threads}."
        )
    effort = _Effort(tuple(scenes), samples, samples if around is None else min(around, samples), noise)
    timed, blender = timings is not None, _start_blender()
    with _stdout_to_file() as log, tempfile.TemporaryDirectory(prefix="damageland-") as folder:
        start = time.perf_counter()
        try:
            _set_renderer(blender, booth, seed=seed, threads=threads, denoise=denoise)
            builder = _Builder(blender)
            _build_world(blender, booth.environment)
            for light in booth.lights:
                _build_light(blender, light)
            pictures = []
            for scene in scenes:
                builder.show((*booth.parts, *scene.parts))
                clear = any(m.transmission > 0 for part in (*booth.parts, *scene.parts) for m in part.materials)
                build_s = time.perf_counter() - start
                views, shots = {}, []
                for camera in booth.cameras:
                    log.clear()
                    views[camera.name], shot = _shoot(
                        blender, camera, replace(effort, clear=clear), Path(folder) / "view.exr", log, timed
                    )
                    shots.append(shot)
                pictures.append(views)
                if timings is not None:
                    timings.append(CyclesTiming(build_s, *np.sum(shots, axis=0).tolist()))
                start = time.perf_counter()
        finally:
            blender.bproc.clean_up(clean_up_camera=True)
    return pictures


# ---- Blender and BlenderProc in a plain interpreter ------------------------------------------------------------------


@dataclass(frozen=True)
class _Blender:
    """The lazily imported modules; they have no types."""

    bpy: Any
    bproc: Any


@functools.cache
def _start_blender() -> _Blender:
    """Import ``bpy`` and BlenderProc and do the steps of BlenderProc's ``init``, but for the language.

    ``init`` sets the language to en_US, which Blender's wheel does not have (it raises).
    """
    bpy = _import_bpy()
    with _stdout_to_file():
        bproc = _import_blenderproc()
        from blenderproc.python.renderer import RendererUtility
        from blenderproc.python.utility.Initializer import _Initializer

        # A user's own Blender start-up file and preferences must not change a picture.
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bproc.clean_up(clean_up_camera=True)
        RendererUtility.set_render_devices(use_only_cpu=True)
        _Initializer.set_default_parameters()
    return _Blender(bpy, bproc)


def _import_bpy() -> Any:
    missing = missing_system_libraries()
    if missing:
        raise DamagelandError(installation_hint(missing))
    if "bpy" not in sys.modules:
        # A spawned worker inherits the path of a parent that runs Blender, whose script folders hold another ``bpy``.
        sys.path[:] = [entry for entry in sys.path if f"/bpy/{BLENDER}/scripts" not in Path(entry).as_posix()]
    try:
        bpy: Any = importlib.import_module("bpy")
    except ImportError as error:
        raise DamagelandError(
            f"The cycles renderer needs Blender {BLENDER} as a Python module ({error}): use Python 3.11 and "
            "`pip install damageland[render]`, or choose the renderer `preview`."
        ) from error
    if not bpy.app.version_string.startswith(f"{BLENDER}."):
        raise DamagelandError(
            f"The cycles renderer needs Blender {BLENDER}, but bpy is {bpy.app.version_string}: "
            "`pip install damageland[render]`."
        )
    _leave_without_destructors()
    return bpy


def _leave_without_destructors() -> None:
    """Make the process end after Python has ended, with its exit status, but before Blender's static destructors.

    Those call into Python, which is gone by then: an otherwise good process would end with a segmentation fault.
    """
    libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    if libc is not None and hasattr(libc, "on_exit"):
        # Handlers run last in, first out: this one, registered after the import of bpy, comes before Blender's.
        libc.on_exit(ctypes.cast(libc._exit, ctypes.c_void_p), None)
        atexit.register(_flush_c)


def _import_blenderproc() -> Any:
    """Import BlenderProc, which expects to be inside Blender's own Python.

    Its ``__init__`` does nothing useful without the environment variable; with it, it removes the first entry of its
    parent folder (site-packages) from ``sys.path``, forgets PYTHONPATH, and has SetupUtility install packages by pip.
    """
    spec = importlib.util.find_spec("blenderproc")
    if spec is None or spec.origin is None:
        raise DamagelandError(f"The cycles renderer needs BlenderProc {BLENDERPROC}: `pip install damageland[render]`.")
    path, environment = list(sys.path), dict(os.environ)
    stand_ins = {name: _StandIn(name) for name in UNDECLARED if importlib.util.find_spec(name) is None}
    setup = _StandIn("blenderproc.python.utility.SetupUtility")
    setup.__dict__["SetupUtility"] = types.SimpleNamespace(setup=lambda packages: packages)
    os.environ["INSIDE_OF_THE_INTERNAL_BLENDER_PYTHON_ENVIRONMENT"] = "1"
    sys.path.append(str(Path(spec.origin).parents[1]))  # a second entry, which survives the removal of the first
    sys.modules.update(stand_ins | {setup.__name__: setup})
    try:
        import blenderproc
        from blenderproc.version import __version__ as version
    finally:
        sys.path[:] = path
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in environment.items() if name == "PYTHONPATH"})
        for name in stand_ins:  # so that nobody else mistakes them for the real ones
            del sys.modules[name]
    if version != BLENDERPROC:
        raise DamagelandError(
            f"The cycles renderer mends BlenderProc {BLENDERPROC} and no other, but {version} is installed: "
            "`pip install damageland[render]`."
        )
    return blenderproc


class _StandIn(types.ModuleType):
    """A module whose every public name is an empty class: enough for imports and annotations, useless if called."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Log:
    """What was written to the standard output's file descriptor meanwhile."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def clear(self) -> None:
        _flush_c()
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)

    def text(self) -> str:
        _flush_c()
        return os.pread(self._descriptor, 2**24, 0).decode(errors="replace")


@contextlib.contextmanager
def _stdout_to_file() -> Iterator[_Log]:
    """Send Blender's chatter (written by C and by Python) to a temporary file; exceptions pass as ever."""
    with tempfile.TemporaryFile(buffering=0) as file, contextlib.redirect_stdout(None):
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
        _flush_c()
        kept = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            yield _Log(file.fileno())
        finally:
            _flush_c()  # else the rest of the chatter would come out after all
            os.dup2(kept, 1)
            os.close(kept)


def _flush_c() -> None:
    """Flush the buffers of C's standard library, which are not Python's."""
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)


# ---- The scene ------------------------------------------------------------------------------------------------------


class _Builder:
    """Keeps Blender's objects, materials and images of one call, so that a twin uploads only what differs."""

    def __init__(self, blender: _Blender) -> None:
        self.bpy = blender.bpy
        self.objects: dict[int, tuple[Part, Any]] = {}
        self.materials: dict[tuple[Any, ...], Any] = {}
        self.images: dict[tuple[Any, ...], Any] = {}

    def show(self, parts: Sequence[Part]) -> None:
        """Make the parts, and no other, stand in Blender's scene. Parts are told apart by identity."""
        wanted = {id(part) for part in parts}
        for key in [key for key in self.objects if key not in wanted]:
            mesh = self.objects.pop(key)[1].data
            self.bpy.data.meshes.remove(mesh)  # and with it the object
        for part in parts:
            if id(part) not in self.objects and len(part.faces):
                self.objects[id(part)] = part, self._object(part)

    def _object(self, part: Part) -> Any:
        mesh = _build_mesh(self.bpy, part)
        for material in part.materials:
            mesh.materials.append(self._material(material))
        thing = self.bpy.data.objects.new(part.name, mesh)
        self.bpy.context.scene.collection.objects.link(thing)
        return thing

    def _material(self, material: Material) -> Any:
        """Return glTF's metallic-roughness model on the Principled shader."""
        colour = self._image(material.base_color_texture, "sRGB")
        rough = self._image(material.metallic_roughness_texture, "Non-Color")
        key = (material.base_color, material.metallic, material.roughness, material.transmission, colour, rough)
        if key not in self.materials:
            self.materials[key] = _build_material(self.bpy, material, colour, rough)
        return self.materials[key]

    def _image(self, pixels: np.ndarray | None, space: str) -> Any:
        """Return the image with this content, uploaded once."""
        if pixels is None:
            return None
        pixels = np.ascontiguousarray(pixels)
        key = (space, pixels.shape, hashlib.blake2b(pixels.tobytes(), digest_size=16).digest())
        if key not in self.images:
            self.images[key] = _build_image(self.bpy, pixels / np.float32(255), space, is_float=False)
        return self.images[key]


def _build_mesh(bpy: Any, part: Part) -> Any:
    """Return Blender's mesh of a part; faces that use a vertex twice, which Blender cannot hold, are left out."""
    a, b, c = part.faces.T
    kept = (a != b) & (b != c) & (c != a)
    faces = part.faces[kept]
    mesh = bpy.data.meshes.new(part.name)
    mesh.vertices.add(len(part.vertices))
    mesh.vertices.foreach_set("co", part.vertices.astype(np.float32).ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.astype(np.int32).ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    mesh.polygons.foreach_set("material_index", part.material[kept].astype(np.int32))
    uv = mesh.uv_layers.new(name="uv", do_init=False)
    uv.data.foreach_set("uv", part.uv[kept].astype(np.float32).ravel())
    mesh.update(calc_edges=True)
    # Blender cuts the mesh where neighbouring corners disagree, so that hard edges stay hard.
    mesh.normals_split_custom_set(part.normals[kept].reshape(-1, 3).astype(np.float32))
    return mesh


def _build_material(bpy: Any, material: Material, colour: Any, rough: Any) -> Any:
    result = bpy.data.materials.new(material.name)
    result.use_nodes = True
    nodes, links = result.node_tree.nodes, result.node_tree.links
    shader = nodes["Principled BSDF"]
    shader.inputs["IOR"].default_value = 1.5  # glTF's dielectric
    shader.inputs["Base Color"].default_value = (*material.base_color, 1.0)
    shader.inputs["Metallic"].default_value = material.metallic
    shader.inputs["Roughness"].default_value = material.roughness
    if colour is not None:
        texture = nodes.new("ShaderNodeTexImage")
        texture.image = colour
        mix = nodes.new("ShaderNodeVectorMath")
        mix.operation = "MULTIPLY"
        mix.inputs[1].default_value = material.base_color
        links.new(texture.outputs["Color"], mix.inputs[0])
        links.new(mix.outputs[0], shader.inputs["Base Color"])
    if rough is not None:
        texture, split = nodes.new("ShaderNodeTexImage"), nodes.new("ShaderNodeSeparateColor")
        texture.image = rough
        links.new(texture.outputs["Color"], split.inputs[0])
        for channel, name in (("Green", "Roughness"), ("Blue", "Metallic")):
            factor = nodes.new("ShaderNodeMath")
            factor.operation = "MULTIPLY"
            factor.inputs[1].default_value = shader.inputs[name].default_value
            links.new(split.outputs[channel], factor.inputs[0])
            links.new(factor.outputs[0], shader.inputs[name])
    if material.transmission > 0:
        _make_clear(nodes, links, shader, material.transmission)
    return result


def _make_clear(nodes: Any, links: Any, shader: Any, transmission: float) -> None:
    """Let light straight through a face, with gloss on top where it comes in; ``world.passed`` says the same.

    Both renderers give each face of a wall the square root of what the wall passes. Principled's own transmission is
    of no use here: it works as a lens, and its shadows are black.
    """

    def node(kind: str, *inputs: Any, operation: str | None = None) -> Any:
        """Add a node; inputs are sockets, or values."""
        made = nodes.new(f"ShaderNode{kind}")
        if operation is not None:
            made.operation = operation
        for socket, value in zip(made.inputs, inputs, strict=False):
            if hasattr(value, "is_output"):
                links.new(value, socket)
            else:
                socket.default_value = value
        return made.outputs[0]

    def math(operation: str, *inputs: Any) -> Any:
        return node("Math", *inputs, operation=operation)

    base, metallic, roughness = (
        socket.links[0].from_socket if socket.is_linked else socket.default_value
        for socket in (shader.inputs[name] for name in ("Base Color", "Metallic", "Roughness"))
    )
    view = nodes.new("ShaderNodeNewGeometry").outputs
    dot = nodes.new("ShaderNodeVectorMath")
    dot.operation = "DOT_PRODUCT"
    links.new(view["Normal"], dot.inputs[0])
    links.new(view["Incoming"], dot.inputs[1])
    cosine = math("ABSOLUTE", dot.outputs["Value"])
    # Schlick's formula: Blender's Fresnel nodes mirror all light that leaves a wall aslant, as glass without end does.
    rise = math("SUBTRACT", math("MAXIMUM", math("SUBTRACT", 1.0, roughness), F0), F0)
    schlick = math("MULTIPLY_ADD", math("POWER", math("SUBTRACT", 1.0, cosine), 5.0), rise, F0)
    mirrored = math("MULTIPLY", schlick, math("SUBTRACT", 1.0, view["Backfacing"]))
    through = node("BsdfTransparent", node("Gamma", base, 0.5))
    gloss = node("BsdfGlossy", (1.0, 1.0, 1.0, 1.0), roughness)
    share = math("MULTIPLY", transmission**0.5, math("SUBTRACT", 1.0, metallic))
    clear = node("MixShader", share, shader.outputs[0], node("MixShader", mirrored, through, gloss))
    links.new(clear, nodes["Material Output"].inputs["Surface"])


def _build_image(bpy: Any, rgb: Num[np.ndarray, "h w 3"], space: str, *, is_float: bool) -> Any:
    """Upload a picture whose row 0 is the top; Blender's row 0 is the bottom."""
    height, width = rgb.shape[:2]
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = rgb[::-1]
    image = bpy.data.images.new("picture", width, height, float_buffer=is_float)
    image.colorspace_settings.name = space
    image.alpha_mode = "NONE"
    image.pixels.foreach_set(rgba.ravel())
    image.update()
    return image


def _build_world(blender: _Blender, environment: Float[np.ndarray, "he we 3"]) -> None:
    """Light the scene by the environment, which cameras and mirrors see.

    Blender's latitude-longitude map runs the other way round: its azimuth falls as the column grows.
    """
    bpy = blender.bpy
    world = bpy.context.scene.world
    world.use_nodes = True
    nodes = world.node_tree.nodes
    texture = nodes.new("ShaderNodeTexEnvironment")
    texture.image = _build_image(bpy, environment[:, ::-1], "Non-Color", is_float=True)
    world.node_tree.links.new(texture.outputs["Color"], nodes["Background"].inputs["Color"])
    world.cycles.sampling_method = "MANUAL"  # of the importance map: no finer than the picture, for speed
    world.cycles.sample_map_resolution = int(np.clip(environment.shape[1], 16, 1024))


def _build_light(blender: _Blender, light: AreaLight) -> None:
    """Add a one-sided Lambertian rectangle; its power is pi * area * radiance."""
    strength = max(light.radiance)
    if strength <= 0:
        return
    width, height = light.size_m
    lamp = blender.bproc.types.Light(light_type="AREA")
    lamp.blender_obj.data.shape = "RECTANGLE"
    lamp.blender_obj.data.size, lamp.blender_obj.data.size_y = width, height
    lamp.set_energy(float(np.pi * width * height * strength))
    lamp.set_color([channel / strength for channel in light.radiance])
    lamp.set_local2world_mat(light.T_world_light)


# ---- The picture ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Effort:
    """How many samples are taken where."""

    scenes: tuple[Scene, ...]
    samples: int
    around: int
    noise: float
    clear: bool = False
    """Whether there are clear walls."""


def _set_renderer(blender: _Blender, booth: Booth, *, seed: int, threads: int, denoise: bool) -> None:
    renderer, scene = blender.bproc.renderer, blender.bpy.context.scene
    renderer.set_cpu_threads(threads)
    renderer.set_light_bounces(
        diffuse_bounces=DIFFUSE_BOUNCES,
        glossy_bounces=GLOSSY_BOUNCES,
        max_bounces=MAX_BOUNCES,
        transparent_max_bounces=CLEAR_BOUNCES,
    )
    renderer.set_output_format("OPEN_EXR", 32, enable_transparency=False, view_transform="Raw")
    renderer.set_denoiser(None)  # BlenderProc's own runs in the compositor, which costs a second pass over the picture
    scene.use_nodes = scene.render.use_compositing = scene.render.use_sequencer = False
    scene.render.image_settings.exr_codec = "NONE"
    cycles = scene.cycles
    cycles.seed = seed % 2**31
    brightest = max([float(booth.environment.max()), *(max(light.radiance) for light in booth.lights)])
    cycles.sample_clamp_indirect = max(brightest, 1e-6)
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.use_denoising = blender.bpy.context.view_layer.cycles.use_denoising = denoise
    cycles.denoiser, cycles.denoising_input_passes = "OPENIMAGEDENOISE", "RGB_ALBEDO_NORMAL"
    # Half a dB at the same price where several lamps and windows shine; BlenderProc's defaults turn it off.
    cycles.use_light_tree = True
    cycles.adaptive_min_samples = ADAPTIVE_FROM
    cycles.use_auto_tile = False
    # Kept data is found again by name and address, so a picture of the call before can turn up in this one; it saves
    # some 10 ms per view.
    scene.render.use_persistent_data = False


Seconds = tuple[float, float, float, float]
"""Of taking over, samples, denoising and reading."""


def _shoot(
    blender: _Blender, camera: Camera, effort: _Effort, path: Path, log: "_Log", timed: bool
) -> tuple[Float32[np.ndarray, "h w 3"], Seconds]:
    """Return the radiance that the camera sees through its lens, and the seconds that it took."""
    if camera.lens.model == "pinhole":
        return _shoot_straight(blender, camera, effort, path, log, timed)
    straight = straighten(camera)
    wide, seconds = _shoot_straight(blender, straight.camera, effort, path, log, timed)
    u, v = straight.u.astype(np.float32), straight.v.astype(np.float32)
    bent = cv2.remap(wide, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(bent, np.float32), seconds


def _shoot_straight(
    blender: _Blender, camera: Camera, effort: _Effort, path: Path, log: "_Log", timed: bool
) -> tuple[Float32[np.ndarray, "h w 3"], Seconds]:
    """Return the radiance that a pinhole camera sees: the whole picture, and over it the window with the items."""
    bpy = blender.bpy
    # BlenderProc counts pixel centres at whole numbers, we at +0.5.
    K = camera.K - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    blender.bproc.camera.set_intrinsics_from_K_matrix(K, camera.width, camera.height, clip_start=1e-3, clip_end=100.0)
    bpy.context.scene.camera.matrix_world = (camera.T_world_cam @ np.diag([1.0, -1.0, -1.0, 1.0])).T.tolist()
    bpy.context.scene.render.filepath = str(path)
    whole = Window(0, 0, camera.width, camera.height)
    cycles = bpy.context.scene.cycles
    cycles.denoising_quality, cycles.denoising_prefilter = "FAST", "ACCURATE" if effort.clear else "NONE"
    window = window_of(effort.scenes, camera) if effort.around < effort.samples else None
    if window is None:
        return _render(blender, camera, whole, effort.samples, effort.noise, path, log, timed)
    # Adaptive sampling is told by the noise of few samples what is even, and errs where most are spent: not around.
    cycles.denoising_prefilter = "NONE"
    around, first = _render(blender, camera, whole, effort.around, 0.0, path, log, timed)
    cycles.denoising_quality, cycles.denoising_prefilter = "HIGH", "ACCURATE" if effort.clear else "NONE"
    inside, second = _render(blender, camera, window, effort.samples, effort.noise, path, log, timed)
    a, b, c, d = (one + two for one, two in zip(first, second, strict=True))
    return paste(around, inside, window), (a, b, c, d)


def _render(
    blender: _Blender, camera: Camera, window: Window, samples: int, noise: float, path: Path, log: "_Log", timed: bool
) -> tuple[Float32[np.ndarray, "h w 3"], Seconds]:
    """Return a window of the picture, and the seconds that it took."""
    bpy = blender.bpy
    blender.bproc.renderer.set_max_amount_of_samples(samples)
    blender.bproc.renderer.set_noise_threshold(noise)
    render = bpy.context.scene.render
    render.use_border = render.use_crop_to_border = True
    # Blender cuts to whole pixels: a quarter more keeps rounding from losing one. Its rows count from below.
    render.border_min_x, render.border_max_x = ((n + 0.25) / camera.width for n in (window.left, window.right))
    render.border_min_y, render.border_max_y = (
        (camera.height - n + 0.25) / camera.height for n in (window.bottom, window.top)
    )
    start = time.perf_counter()
    bpy.ops.render.render(write_still=True)
    rendered = time.perf_counter()
    pixels = _read_exr(bpy, path, window.bottom - window.top, window.right - window.left)
    if not timed:
        return pixels, (0.0, 0.0, 0.0, 0.0)
    read_s, total_s, sync_s = time.perf_counter() - rendered, rendered - start, _sync_seconds(log.text())
    log.clear()
    # Cycles does not tell how long its denoiser took: render once more without.
    cycles = bpy.context.scene.cycles
    denoise, cycles.use_denoising = cycles.use_denoising, False
    start = time.perf_counter()
    bpy.ops.render.render(write_still=True)
    plain_s = time.perf_counter() - start
    cycles.use_denoising = denoise
    samples_s = plain_s - _sync_seconds(log.text())
    log.clear()
    return pixels, (sync_s, samples_s, max(total_s - plain_s, 0.0) if denoise else 0.0, read_s)


def _read_exr(bpy: Any, path: Path, height: int, width: int) -> Float32[np.ndarray, "h w 3"]:
    """Read a picture through Blender, the one EXR reader that is sure to be there."""
    image = bpy.data.images.load(str(path))
    rgba = np.zeros((height, width, 4), np.float32)
    image.pixels.foreach_get(rgba.reshape(-1))
    bpy.data.images.remove(image)
    return rgba[::-1, :, :3].copy()


def _sync_seconds(log: str) -> float:
    """Return the seconds before the first sample, from Cycles's progress lines, as 10 ms steps."""
    match = re.search(r"Time:(\d+):(\d+\.\d+) .*Sample 0/", log)
    return 60 * int(match[1]) + float(match[2]) if match else 0.0
