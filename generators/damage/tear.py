"""Tear: a ragged line from an edge, a seal or a fold, with a flap that curls and stays. Yields ``penetration``."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...sim.rays import Caster, build_caster, occluded
from ...sim.scene import Part
from ..coarse import coarse_product
from ..mesh import Sheet, face_areas, finish_sheet, mesh_edges, vertex_normals
from ..piercing.opening_area import bare_part, opening_area_mm2
from ..products.product import Product
from ..tearing.draws import Draws, draw_tear
from ..tearing.flap import Bend, bend_flap, lay_flap, settle, strain_of
from ..tearing.line import Outline, nearest_on_line
from ..tearing.look import dress, flute_material
from ..tearing.rim import PENETRATION, cut_tear, show_rim, square_round
from ..tearing.site import Site, draw_site, site_on
from ..tearing.slit import TearMesh
from ..tearing.stock import Tearing, tearable
from ..tearing.unfold import locate, spread
from .outcome import Outcome, UnsolvedError
from .subject import Subject

LIFTS = (1.0, 0.7, 0.45, 0.25, 0.1, 0.03)
"""A flap that would go through something is lifted less."""
MOST_STRAIN = 0.12
STRETCH = 0.3
"""How far rolling up may strain a flap that was not flat before the solver settles it."""
CLEAR_M = 0.0012
FLOOR_M = 0.0004


class TearConfig(BaseModel):
    """How items are torn. Strength scales the length, log-uniform, up to the longest that the place holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length_mm: tuple[float, float] = Field(
        default=(5.0, 150.0),
        description="length of the torn line at strength near 0 and at 1, along the surface, 2-400 mm",
    )
    edge_share: float = Field(
        default=0.78, ge=0, le=1, description="share that starts at an edge, a fold or a seal; the others in a face"
    )
    lift_share: tuple[float, float] = Field(
        default=(0.25, 1.0), description="how far flaps are lifted, of what their material allows"
    )
    lost_share: float = Field(default=0.12, ge=0, le=1, description="share whose flap is torn off and gone")
    inward_share: float = Field(default=0.12, ge=0, le=1, description="share whose flap is pushed in, not pulled out")
    raggedness: float = Field(default=1.0, ge=0, le=3, description="times the material's own")
    threshold_mm: float = Field(default=0.5, gt=0, description="a point moved further than this is labelled")

    @model_validator(mode="after")
    def _possible(self) -> "TearConfig":
        for name, (least, most) in {"length_mm": (2, 400), "lift_share": (0, 1)}.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ValueError(f"{name} is {low:g} to {high:g}; give a rising range within {least:g} to {most:g}")
        return self


def tear_applies(product: Product) -> bool:
    """Board, paper and film tear; tinplate, glass, ceramics, PET and rigid domes do not, though labels on them do."""
    return bool(tearable(product))


def tear(subject: Subject, config: TearConfig, strength: float, rng: np.random.Generator) -> Outcome:
    """Tear one of a product's sheets; strength 0 is the identity."""
    product = subject.product
    aimed = replace(subject, product=coarse_product(product))
    sheets = tearable(aimed.product)
    low, high = (mm / 1000 for mm in config.length_mm)
    rough = {k: _rougher(tearing, config.raggedness) for k, tearing in sheets.items()}
    site = draw_site(aimed, rough, (low, high), config.edge_share, rng)
    tearing = rough[site.sheet_index]
    site = site_on(subject, site, tearing, high)
    draws = draw_tear(
        tearing, rng, lift_share=config.lift_share, inward_share=config.inward_share, lost_share=config.lost_share
    )
    length = low * (site.longest_m / low) ** strength if strength > 0 else 0.0
    measures = {"length_mm": 0.0, "area_mm2": 0.0, "flap_area_mm2": 0.0}
    if strength > 0:
        product, measures = _torn(subject, config, site, tearing, draws, length)
    return Outcome(
        product=product,
        kind="penetration",
        generator="tear",
        parameters={
            "shape": site.design.shape,
            "from": site.kind,
            "sheet": subject.product.sheets[site.sheet_index].name,
            "ply": draws.ply and "slit" not in site.design.shape,
            "lost": draws.lost and "slit" not in site.design.shape,
            "longest_mm": 1000 * site.longest_m,
            "lift_deg": float(np.degrees(draws.lift_rad)),
            "strength": strength,
            **{f"site_{n}_mm": 1000 * float(v) for n, v in zip("xyz", site.at, strict=True)},
        },
        measures=measures,
        site=site.at,
    )


def _rougher(tearing: Tearing, share: float) -> Tearing:
    return replace(tearing, rough_mm=(share * tearing.rough_mm[0], share * tearing.rough_mm[1]))


def _torn(
    subject: Subject, config: TearConfig, site: Site, tearing: Tearing, draws: Draws, length: float
) -> tuple[Product, dict[str, float]]:
    product, index = subject.product, site.sheet_index
    outline, before = site.outline(length), product.sheets[index]
    slit = "slit" in site.design.shape
    mesh = cut_tear(before, site, outline, tearing, draws, slit=slit)
    flap_mm2 = 0.0 if slit else 1e6 * float(face_areas(mesh.laid.sheet.rest, mesh.laid.sheet.faces)[mesh.inside].sum())
    mesh = show_rim(mesh, site, outline, tearing, draws)
    extra: tuple[Sheet, ...] = ()
    gone: tuple[Part, ...] = ()
    area = 0.0
    if draws.ply and not slit:
        sheet, extra = _torn_ply(subject, mesh, site, outline, tearing, draws, config)
    else:
        sheet = _moved(subject, mesh, outline, draws, config, slit=slit)
        gone = _opening(sheet, mesh.inside & ~sheet.removed)
        area = _open_area(before, site, outline, sheet)
    sheets = (*product.sheets[:index], sheet, *product.sheets[index + 1 :], *extra)
    measures = {"length_mm": 1000 * outline.length_m, "area_mm2": area, "flap_area_mm2": flap_mm2}
    return replace(product, sheets=sheets, gone=(*product.gone, *gone)), measures


def _waved(mesh: TearMesh, outline: Outline, draws: Draws, flap: Bool[np.ndarray, " v"], *, slit: bool):
    """Lips: stretched into waves; a slit's lip is raised and drawn back, so that it gapes."""
    sheet, plane = mesh.laid.sheet, mesh.laid.plane
    points = sheet.vertices.copy()
    normals = vertex_normals(points, sheet.faces)
    known = np.zeros(len(points), bool)
    known[sheet.faces[mesh.laid.exact]] = True
    some = np.flatnonzero(known)
    distance, where = nearest_on_line(plane[some], outline.torn)
    length = outline.length_m
    end = np.clip(np.minimum(where, length - where) / (0.2 * length), 0, 1)
    side = flap[some].astype(int)
    wave = np.zeros(len(some))
    for k, cell in enumerate((0.011, 0.0045)):
        rows = [np.interp(where / cell, np.arange(120), draws.wave_noise[j, k]) for j in (0, 1)]
        wave += 0.5**k * np.where(side == 1, rows[1], rows[0])
    reach = min(0.007, 0.3 * length)
    fall = np.clip(1 - (distance / reach) ** 2, 0, 1) ** 2
    off = min(draws.wave_m, 0.04 * length) * (np.clip(wave, -1.1, 1.1) + 0.35) * fall * end
    if slit:
        reach = 0.32 * length
        fall = np.clip(1 - (distance / reach) ** 2, 0, 1) ** 2
        rise = min(draws.gape * length, 0.009) * np.sin(np.pi * np.clip(where / length, 0, 1)) ** 0.7 * fall
        off += np.where(side == 1, rise, -0.12 * rise)
        away = _across(points, normals, plane, some, outline)
        points[some] += (np.where(side == 1, 1.0, -0.35) * 0.35 * rise)[:, None] * away
    points[some] += off[:, None] * normals[some]
    return points


def _across(points, normals, plane, some, outline: Outline) -> Float[np.ndarray, "n 3"]:
    """At each vertex the unit vector along the surface that points across a slit, to the flap's side."""
    chord = outline.torn[-1] - outline.torn[0]
    over = np.array([-chord[1], chord[0]]) / np.linalg.norm(chord)
    if (outline.back.mean(axis=0) - outline.torn.mean(axis=0)) @ over < 0:
        over = -over
    flat = plane[some] - plane[some].mean(axis=0)
    weight = np.exp(-nearest_on_line(plane[some], outline.torn)[0] / 0.02)
    basis = np.concatenate([flat, np.ones((len(flat), 1))], axis=1)
    fit = np.linalg.lstsq(basis * weight[:, None], points[some] * weight[:, None], rcond=None)[0]
    way = over @ fit[:2]
    way = way - (normals[some] @ way)[:, None] * normals[some]
    return way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)


def _moved(
    subject: Subject, mesh: TearMesh, outline: Outline, draws: Draws, config: TearConfig, *, slit: bool
) -> Sheet:
    """Lift the flap (or take it away) and label what has moved."""
    sheet = mesh.laid.sheet
    flap = np.zeros(len(sheet.vertices), bool)
    flap[sheet.faces[mesh.inside]] = True
    if draws.lost and not slit:
        marks = sheet.marks.copy()
        marks[flap, PENETRATION] = np.maximum(marks[flap, PENETRATION], 2.0)
        points = _waved(mesh, outline, draws, flap, slit=False)
        points[flap] = sheet.vertices[flap]
        return _labelled(replace(sheet, marks=marks, removed=sheet.removed | mesh.inside), points, config)
    points = _waved(mesh, outline, draws, flap, slit=slit)
    if slit:
        moves = np.linalg.norm(points - sheet.vertices, axis=1) > 1e-5
        points = settle(points, sheet.vertices, sheet.faces[~sheet.removed], moves, bending=sheet.mechanics.bending,
                        up=subject.up, floor=_floor(subject, sheet.vertices[moves]))  # fmt: skip
    else:
        things = _obstacles(subject, sheet, mesh.inside)
        points = _lifted(subject, sheet, points, mesh.laid.plane, mesh.inside, outline, draws, things)
    return _labelled(sheet, points, config)


def _floor(subject: Subject, points: Float[np.ndarray, "n 3"]) -> float:
    """Height along ``subject.up`` [m] below which nothing goes: the tray, or where the lowest point was."""
    tray = FLOOR_M - float(subject.T_world_item[2, 3])
    return min(tray, float((points @ subject.up).min(initial=tray)))


def _labelled(sheet: Sheet, points: Float[np.ndarray, "v 3"], config: TearConfig) -> Sheet:
    marks = sheet.marks.copy()
    moved = 1000 * np.linalg.norm(points - sheet.vertices, axis=1)
    marks[:, PENETRATION] = np.maximum(marks[:, PENETRATION], moved / config.threshold_mm)
    return replace(sheet, vertices=points, marks=marks)


def _obstacles(subject: Subject, sheet: Sheet, inside: Bool[np.ndarray, " f"]) -> Caster:
    """What a flap cannot go through: the wall that stays, contents, and what is around; in the item frame."""
    parts = [bare_part(sheet.vertices, sheet.faces[~inside & ~sheet.removed])]
    parts += [bare_part(s.vertices, s.faces[~s.removed]) for s in subject.product.sheets if s.name != sheet.name]
    parts += [bare_part(part.vertices, part.faces) for part in subject.product.contents]
    parts += [bare_part(subject.to_item(part.vertices), part.faces) for part in subject.around]
    return build_caster(tuple(parts))


def _lifted(
    subject: Subject, sheet: Sheet, points, plane, inside: Bool[np.ndarray, " f"], outline: Outline, draws: Draws,
    things: Caster,
) -> Float[np.ndarray, "v 3"]:  # fmt: skip
    """Bend the flap as far as it goes without meeting anything."""
    faces = sheet.faces[inside]
    vertices = np.unique(faces)
    normals = vertex_normals(sheet.vertices, sheet.faces)
    flap = lay_flap(points, normals, plane, vertices, outline.hinge, draws.skew_rad)
    reach = float(flap.away.max(initial=0.0))
    height = min(0.03 * reach, 0.0012)
    dents = draws.dents * np.array([1, 1, 1, height])
    most = np.radians(205)
    lowest = _floor(subject, sheet.vertices[vertices])
    ways = [share * draws.lift_rad for share in (LIFTS if draws.lift_rad > 0 else LIFTS[:2])]
    if draws.lift_rad < 0:  # what cannot be pushed in is pulled out
        ways += [-2 * share * draws.lift_rad for share in LIFTS]
    for lift in ways:
        curl = draws.curl_per_m * abs(lift / draws.lift_rad)
        curl *= min(1.0, STRETCH / (abs(curl) * flap.off_m + 1e-9))  # what is not flat would stretch as it rolls up
        if abs(lift + curl * reach) > most:
            curl = np.sign(curl) * (most - abs(lift)) / reach
        bend = Bend(lift, min(draws.fold_m, 0.5 * reach + 1e-4), curl, draws.skew_rad, dents)
        bent = bend_flap(points, flap, bend)
        moves = np.zeros(len(points), bool)
        moves[flap.vertices[flap.free]] = True
        done = settle(bent, points, sheet.faces[~sheet.removed], moves, bending=sheet.mechanics.bending,
                      up=subject.up, floor=lowest)  # fmt: skip
        strain = np.abs(strain_of(done, points, faces))
        if np.quantile(strain, 0.98) < MOST_STRAIN and not _meets(
            done, sheet.vertices, faces, flap.away, vertices, things
        ):
            return done
    raise UnsolvedError(f"{subject.product.item_identifier}: the torn flap finds no way past what is around it.")


def _meets(done, before, faces, away, vertices, things: Caster) -> bool:
    """Whether sides of the flap's triangles, off the hinge, go through something."""
    edges, _ = mesh_edges(faces)
    moved = np.linalg.norm(done - before, axis=1)
    free = (moved[edges] > CLEAR_M).all(axis=1)
    a, b = done[edges[free, 0]], done[edges[free, 1]]
    if len(a) == 0:
        return False
    way = b - a
    return int(occluded(things, a + 0.05 * way, way, np.full(len(a), 0.9)).sum()) > 0.002 * len(a) + 1


def _opening(sheet: Sheet, inside: Bool[np.ndarray, " f"]) -> tuple[Part, ...]:
    """Where the flap was, for the amodal label: its faces that are no longer there."""
    moved = np.linalg.norm(sheet.vertices - sheet.rest, axis=1) > CLEAR_M
    left = inside & moved[sheet.faces].all(axis=1)
    if not left.any():
        return ()
    some = np.flatnonzero(left)
    keep = np.concatenate([some, np.flatnonzero(~inside & ~sheet.removed)[:1]])
    used, local = np.unique(sheet.faces[keep], return_inverse=True)
    bare = replace(
        sheet, name=f"{sheet.name} opening", vertices=sheet.vertices[used], rest=sheet.rest[used],
        faces=local.reshape(-1, 3), uv=sheet.uv[keep], material=sheet.material[keep], panel=sheet.panel[keep],
        marks=sheet.marks[used], removed=np.arange(len(keep)) < len(some),
    )  # fmt: skip
    gone = finish_sheet(bare)[1]
    return () if gone is None else (gone,)


def _open_area(before: Sheet, site: Site, outline: Outline, after: Sheet) -> float:
    """Open area [mm²] by rays through the sheet's former surface."""
    points = np.concatenate([outline.torn, outline.hinge])
    low, high = points.min(axis=0) - 0.003, points.max(axis=0) + 0.003
    cell = max(0.0003, float((high - low).max()) / 110)
    x, y = (np.arange(a + cell / 2, b, cell) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    face, weights = locate(site.unfolding.plane, before.faces, site.unfolding.exact, grid)
    on = face >= 0
    at = spread(before.vertices, before.faces, face[on], weights[on])
    normals = spread(vertex_normals(before.vertices, before.faces), before.faces, face[on], weights[on])
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    kept = after.faces[~after.removed]
    near = np.linalg.norm(after.rest[kept].mean(axis=1) - site.at, axis=1) < 2 * np.linalg.norm(high - low)
    return opening_area_mm2(
        at,
        normals,
        np.full(len(at), cell**2),
        after.vertices,
        kept[near],
        reach_m=max(0.002, after.thickness_mm / 2000),
    )


def _torn_ply(
    subject: Subject, mesh: TearMesh, site: Site, outline: Outline, tearing: Tearing, draws: Draws, config: TearConfig
) -> tuple[Sheet, tuple[Sheet, ...]]:
    """Only the outer ply is torn: it lifts as a sheet of its own, and the wall shows what is beneath."""
    sheet, plane, inside = mesh.laid.sheet, mesh.laid.plane, mesh.inside
    flap = np.unique(sheet.faces[inside])
    normals = vertex_normals(sheet.vertices, sheet.faces)
    across = np.array([-np.sin(site.grain_rad), np.cos(site.grain_rad)])
    low, extent = square_round(outline)
    rng = np.random.default_rng(draws.look + 1)
    wall = dress(sheet, inside, flute_material(tearing, extent, across, draws.pitch_m, rng), plane, low, extent)
    distance, _ = nearest_on_line(plane[flap], np.concatenate([outline.ring, outline.ring[:1]]))
    depth = 0.0003 * np.clip(distance / 0.0004, 0, 1)
    if tearing.grain:
        wave = np.cos(2 * np.pi * ((plane[flap] - low) @ across) / draws.pitch_m)
        depth = depth + 0.0005 * (1 - wave) * np.clip(distance / 0.002, 0, 1)
    points, marks = sheet.vertices.copy(), sheet.marks.copy()
    points[flap] -= depth[:, None] * normals[flap]
    marks[flap, PENETRATION] = np.maximum(marks[flap, PENETRATION], 1.0)
    wall = _labelled(replace(wall, marks=marks), points, config)
    if draws.lost:
        return wall, ()
    used, local = np.unique(sheet.faces[inside], return_inverse=True)
    inner = replace(wall.materials[-2], name="ply_inside", base_color=tearing.fibre, metallic=0.0, roughness=0.97)
    ply = replace(
        sheet, name=f"{sheet.name} torn ply", vertices=sheet.vertices[used],
        rest=sheet.rest[used], faces=local.reshape(-1, 3), uv=sheet.uv[inside], material=sheet.material[inside],
        panel=sheet.panel[inside], marks=sheet.marks[used], removed=np.zeros(int(inside.sum()), bool),
        materials=(*sheet.materials[:-2], inner, replace(inner, name="ply_edge")), thickness_mm=tearing.ply[1],
    )  # fmt: skip
    every = np.ones(len(ply.faces), bool)
    own = replace(mesh.laid, sheet=ply, plane=plane[used], side=mesh.laid.side[used])
    start = _waved(replace(mesh, laid=own, inside=every), outline, draws,
                   np.ones(len(used), bool), slit=False)  # fmt: skip
    start = start + 0.0001 * normals[used]  # off the wall beneath
    things = _obstacles(subject, sheet, inside)
    lifted = _lifted(
        subject, ply, start, plane[used], every, outline, replace(draws, lift_rad=abs(draws.lift_rad)), things
    )
    return wall, (_labelled(ply, lifted, config),)
