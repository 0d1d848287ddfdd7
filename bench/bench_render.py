"""Renderers against a stock BlenderProc script and an established rasteriser: ``make bench-render``.

Box and tin, four labelled views (colour, depth, normals, segmentation) at 512². CPU seconds are a process's own,
without the start of Blender; quality is PSNR and SSIM of the sRGB picture to a reference of many samples with the same
limits of bounces. Ours and the stock script have different limits by default (BlenderProc follows no reflection in a
mirror), so each has a reference of its own, both rendered by the stock script.

With ``--keep DIR`` every piece is kept and done once; ``--minutes`` ends early, and the same command goes on later.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from damageland.sim import cycles
from render_jobs import Job, do_apart
from render_scene import NAMES
from rich.console import Console
from rich.table import Table
from skimage.metrics import structural_similarity

OURS = ((16, 16, 0.0), (24, 4, 0.0), (48, 4, 0.0), (64, 4, 0.02), (96, 4, 0.02), (128, 4, 0.01), (256, 8, 0.005))
"""Samples by the item, samples elsewhere, and the noise at which a pixel by the item takes no more."""
TYPICAL, LEAST = (48, 4, 0.0), (2, 1, 0.0)
"""Settings from which it is told what share of the time is not Cycles' own."""
CHUNK = 128
"""Samples of one piece of a reference."""
PATHS = (cycles.DIFFUSE_BOUNCES, cycles.GLOSSY_BOUNCES, cycles.MAX_BOUNCES, cycles.CLEAR_BOUNCES)


Setting = tuple[int, int, float]


@dataclass(frozen=True)
class Options:
    """How much is rendered."""

    keep: Path
    scenes: tuple[str, ...]
    side_px: int
    views: int
    samples: int
    """Of a reference."""
    equal: int
    """Sample count at which ours and stock are compared."""
    ours: tuple[Setting, ...]
    memory: int
    """Scenes that a worker makes."""


@dataclass(frozen=True)
class Row:
    """What one renderer does: means over scenes and views."""

    name: str
    cpu_s: float
    """Per view."""
    psnr_db: float
    ssim: float


def our_job(o: Options, scene: str, setting: Setting, *, denoise: bool = True) -> Job:
    samples, around, noise = setting
    return Job("ours", scene, o.side_px, o.views, samples, denoise, 0 if around == samples else around, noise)


def even(o: Options) -> Setting:
    """As many samples everywhere as the stock script is given."""
    return o.equal, o.equal, 0.0


def stock_job(o: Options, scene: str, samples: int) -> Job:
    return Job("stock", scene, o.side_px, o.views, samples)


def reference_jobs(o: Options, scene: str, paths: tuple[int, ...], view: int) -> list[Job]:
    chunks = max(2, -(-o.samples // CHUNK))
    return [
        Job("reference", scene, o.side_px, o.views, CHUNK, paths=paths, view=view, seed=1 + seed)
        for seed in range(chunks)
    ]


PREVIEW = 4
"""Samples of the preview, as recipes have it."""
MITSUBA = (1, 4)
"""Samples of Mitsuba: its time grows with them in a straight line, and its noise falls with their square root."""
CORES = 2


def fast_jobs(o: Options, scene: str) -> dict[str, Job]:
    """Preview, truth, and Mitsuba where it is installed."""
    jobs = {"truth": Job("truth", scene, o.side_px, o.views)}
    jobs |= {f"preview {n}": Job("preview", scene, o.side_px, o.views, n) for n in (1, PREVIEW)}
    if importlib.util.find_spec("mitsuba") is not None:
        jobs |= {f"mitsuba {n}": Job("mitsuba", scene, o.side_px, o.views, n) for n in MITSUBA}
    return jobs


SETTLED = 30
"""Scenes after which a worker's memory should grow no more."""


def memory_job(o: Options) -> Job:
    return Job("memory", "all", 32, 2, o.memory)


def all_jobs(o: Options) -> Iterator[Job]:
    """Every piece, in an order in which a run that ends early can show something."""
    for scene in o.scenes:
        yield from fast_jobs(o, scene).values()
    yield memory_job(o)
    for scene in o.scenes:
        yield stock_job(o, scene, 0)
        yield stock_job(o, scene, o.equal)
        for setting in o.ours:
            yield our_job(o, scene, setting)
        yield our_job(o, scene, even(o), denoise=False)
        yield our_job(o, scene, (1, 1, 0.0), denoise=False)
        yield our_job(o, scene, LEAST, denoise=False)
    lists = [
        reference_jobs(o, scene, paths, view) for view in range(o.views) for scene in o.scenes for paths in (PATHS, ())
    ]
    for pieces in zip(*lists, strict=True):
        yield from pieces


# ---- Quality ------------------------------------------------------------------------------------------------------


def srgb(linear: np.ndarray) -> np.ndarray:
    """As a picture of 8 bits, from 0 to 1."""
    x = np.clip(linear, 0, 1)
    return np.round(255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)) / 255


def reference(o: Options, scene: str, paths: tuple[int, ...], view: int) -> tuple[np.ndarray, float]:
    """The mean of a reference's pieces, and how far it may be from the truth itself [dB], from its two halves."""
    pieces = [np.load(job.file(o.keep))["picture_0"][..., :3] for job in reference_jobs(o, scene, paths, view)]
    halves = srgb(np.mean(pieces[::2], axis=0)), srgb(np.mean(pieces[1::2], axis=0))
    return srgb(np.mean(pieces, axis=0)), psnr(*halves) + 10 * np.log10(4)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(max(np.mean((a - b) ** 2), 1e-10)))


def quality(o: Options, job: Job, paths: tuple[int, ...]) -> tuple[float, float]:
    """Mean PSNR and SSIM of a job's views."""
    result, values = np.load(job.file(o.keep)), []
    for view in range(o.views):
        picture = result[f"picture_{view}"][..., :3]
        shown = picture / 255 if picture.dtype == np.uint8 else srgb(picture)
        wanted = reference(o, job.scene, paths, view)[0]
        values.append((psnr(shown, wanted), structural_similarity(wanted, shown, channel_axis=2, data_range=1.0)))
    return tuple(np.mean(values, axis=0))


def row(o: Options, name: str, jobs: list[Job], paths: tuple[int, ...]) -> Row:
    cpu_s = [float(np.load(job.file(o.keep))["cpu_s"]) / o.views for job in jobs]
    found = np.mean([quality(o, job, paths) for job in jobs], axis=0)
    return Row(name, float(np.mean(cpu_s)), float(found[0]), float(found[1]))


# ---- The table ----------------------------------------------------------------------------------------------------


def outside(o: Options) -> float:
    """Share of our time outside Cycles' sampling kernels and its denoiser, with samples where the item is.

    What a sample costs is the slope over even ones. The least that can be asked for with a window, one sample around
    and two in it, has all that is not kernels; its own samples, at most three, are taken off as two.
    """
    shares = []
    for scene in o.scenes:
        full, least, plain, single = (
            float(np.load(our_job(o, scene, setting, denoise=denoise).file(o.keep))["cpu_s"])
            for setting, denoise in ((TYPICAL, True), (LEAST, False), (even(o), False), ((1, 1, 0.0), False))
        )
        one = max(plain - single, 0.0) / (o.equal - 1)
        shares.append((least - 2 * one) / full)
    return float(np.mean(shares))


def told(setting: Setting) -> str:
    samples, around, noise = setting
    where = "everywhere" if around == samples else f"by the item, {around} elsewhere"
    return f"ours, {samples} samples {where}" + (f", until noise is {noise:g}" if noise else "")


def report(o: Options, console: Console) -> None:
    stock = row(o, "stock, its defaults", [stock_job(o, s, 0) for s in o.scenes], ())
    equal = row(o, f"stock, {o.equal} samples", [stock_job(o, s, o.equal) for s in o.scenes], ())
    ours = {k: row(o, told(k), [our_job(o, s, k) for s in o.scenes], PATHS) for k in o.ours}
    table = Table(
        "", "CPU s / view", "PSNR", "SSIM", "views per CPU s over stock", title=f"{o.side_px} px, {o.views} views each"
    )
    for r in (stock, equal, *ours.values()):
        times = f"{stock.cpu_s / r.cpu_s:.1f} ×"
        table.add_row(r.name, f"{r.cpu_s:.2f}", f"{r.psnr_db:.1f} dB", f"{r.ssim:.4f}", times)
    console.print(table)

    def best(good: Callable[[Row], bool]) -> str:
        fit = [r for r in ours.values() if good(r)]
        return f"{stock.cpu_s / min(r.cpu_s for r in fit):.1f} ×" if fit else "none of ours does"

    known = [reference(o, s, p, v)[1] for s in o.scenes for p in (PATHS, ()) for v in range(o.views)]
    samples = CHUNK * len(reference_jobs(o, o.scenes[0], (), 0))
    console.print(f"references: {samples} samples, {min(known):.1f} dB or more from the truth by their own noise")
    console.print(f"ours at 45 dB and SSIM 0.995 (aim 10 ×): {best(lambda r: r.psnr_db >= 45 and r.ssim >= 0.995)}")
    console.print(f"ours within 0.5 dB of stock (aim 4 ×): {best(lambda r: r.psnr_db >= stock.psnr_db - 0.5)}")
    console.print(f"at {o.equal} samples each (aim 1.5 ×): {equal.cpu_s / ours[even(o)].cpu_s:.1f} ×")
    console.print(f"of our time outside Cycles' kernels and denoiser (aim 10 %): {100 * outside(o):.0f} %")


def report_fast(o: Options, console: Console) -> None:
    """Views per second on two cores, one worker each, from CPU seconds; and the memory of a worker."""
    table = Table("", "CPU s / view", f"views / s on {CORES} cores", "noise", title=f"{o.side_px} px, {o.views} views")
    found = {
        name: np.mean([_fast(o, fast_jobs(o, scene)[name]) for scene in o.scenes], axis=0)
        for name in fast_jobs(o, o.scenes[0])
    }
    for name, (cpu_s, noise) in found.items():
        table.add_row(name, f"{cpu_s:.3f}", f"{CORES / cpu_s:.1f}", f"{noise:.4f}" if noise else "")
    console.print(table)
    few, many = (f"mitsuba {n}" for n in MITSUBA)
    if few in found:
        cpu_s, noise = found[f"preview {PREVIEW}"]
        needed = MITSUBA[1] * (found[many][1] / noise) ** 2
        slope = (found[many][0] - found[few][0]) / (MITSUBA[1] - MITSUBA[0])
        matched = found[few][0] + slope * (needed - MITSUBA[0])
        console.print(
            f"preview against Mitsuba (scalar_rgb, {needed:.1f} samples for the same noise; aim 3 ×): "
            f"{matched / cpu_s:.1f} ×"
        )
    else:
        console.print("Mitsuba is not installed (pip install mitsuba): no comparison with it")
    held = np.load(memory_job(o).file(o.keep))["held"]
    grown = 100 * (held[-1] / held[SETTLED - 1] - 1)
    console.print(f"memory of a worker from scene {SETTLED} to scene {len(held)} (aim 5 %): {grown:+.1f} %")


def _fast(o: Options, job: Job) -> tuple[float, float]:
    """CPU seconds per view, and the noise of a pixel: the spread between two seeds."""
    result = np.load(job.file(o.keep))
    noise = 0.0
    if "picture_1" in result:
        a, b = (srgb(result[f"picture_{k}"][..., :3]) for k in (0, 1))
        noise = float(np.sqrt(np.mean((a - b) ** 2) / 2))
    return float(result["cpu_s"]) / o.views, noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--keep", type=Path, required=True, help="folder of finished pieces")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no new piece after so long")
    parser.add_argument("--scenes", nargs="+", default=list(NAMES), choices=NAMES)
    parser.add_argument("--views", type=int, default=4, choices=range(1, 5))
    parser.add_argument("--side-px", type=int, default=512)
    parser.add_argument("--reference-samples", type=int, default=4096)
    parser.add_argument("--equal", type=int, default=16, help="sample count at which both are compared")
    parser.add_argument("--memory-scenes", type=int, default=300, help="scenes that one worker makes, 31 or more")
    a = parser.parse_args()
    settings = tuple(dict.fromkeys([(a.equal, a.equal, 0.0), *OURS]))
    o = Options(a.keep, tuple(a.scenes), a.side_px, a.views, a.reference_samples, a.equal, settings, a.memory_scenes)
    console, jobs, start = Console(highlight=False), list(all_jobs(o)), time.monotonic()
    for done, job in enumerate(jobs):
        if time.monotonic() - start > 60 * a.minutes:
            console.print(f"{done} of {len(jobs)} pieces are done; the same command goes on.")
            sys.exit(0)
        do_apart(job, o.keep)
    report_fast(o, console)
    report(o, console)


if __name__ == "__main__":
    main()
