"""Compiled steps of the plastic shell: folds, edges, contacts, lost volume, and what is still in motion.

Only + - * / and square roots, in a fixed order, so that results repeat to the bit. Kernels call none of another file:
numba's cache would not notice that it has changed.
"""

from typing import no_type_check

import numba as nb
import numpy as np

CAP = 0.1
"""One fold moves its corners by at most this share of the spacing at a time."""
SWELL = 0.01
"""What presses from inside moves the wall by at most this share of the spacing per step."""
STRAIN = 0.02
"""Edges that are strained more than this are too many to push on."""
RINGS = 3
"""Rings of edges that a push may travel before it is looked up again what moves."""


@nb.njit(cache=True)
@no_type_check  # numba compiles these as they are: no checks may be wrapped around them in tests
def _fold(x, fold, g, gradient):
    """Signed 2 sin(θ/2) of a fold, cos(θ/2), and dθ/dx in ``g`` (4, 3); ok is False for a degenerate triangle."""
    i, j, k, n = fold[0], fold[1], fold[2], fold[3]
    ex, ey, ez = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
    ax, ay, az = x[k, 0] - x[i, 0], x[k, 1] - x[i, 1], x[k, 2] - x[i, 2]
    bx, by, bz = x[n, 0] - x[i, 0], x[n, 1] - x[i, 1], x[n, 2] - x[i, 2]
    px, py, pz = ey * az - ez * ay, ez * ax - ex * az, ex * ay - ey * ax
    qx, qy, qz = by * ez - bz * ey, bz * ex - bx * ez, bx * ey - by * ex
    pp, qq, ee = px * px + py * py + pz * pz, qx * qx + qy * qy + qz * qz, ex * ex + ey * ey + ez * ez
    if pp < 1e-24 or qq < 1e-24 or ee < 1e-16:
        return 0.0, 1.0, False
    rp, rq = 1.0 / np.sqrt(pp), 1.0 / np.sqrt(qq)
    ux, uy, uz, vx, vy, vz = px * rp, py * rp, pz * rp, qx * rq, qy * rq, qz * rq
    dx, dy, dz = vx - ux, vy - uy, vz - uz
    dd = dx * dx + dy * dy + dz * dz
    s = np.sqrt(dd)
    if (uy * vz - uz * vy) * ex + (uz * vx - ux * vz) * ey + (ux * vy - uy * vx) * ez < 0:
        s = -s
    if not gradient:
        return s, 1.0, True
    c = np.sqrt(max(0.0, 1 - 0.25 * dd))
    length = np.sqrt(ee)
    fp, fq = -length / pp, -length / qq
    tk, tl = (ax * ex + ay * ey + az * ez) / ee, (bx * ex + by * ey + bz * ez) / ee
    g[2, 0], g[2, 1], g[2, 2] = fp * px, fp * py, fp * pz
    g[3, 0], g[3, 1], g[3, 2] = fq * qx, fq * qy, fq * qz
    for m in range(3):
        g[1, m] = -tk * g[2, m] - tl * g[3, m]
        g[0, m] = -(1 - tk) * g[2, m] - (1 - tl) * g[3, m]
    return s, c, True


@nb.njit(cache=True)
@no_type_check
def all_folds(x, folds):
    """2 sin(θ/2) of every fold."""
    out, g = np.zeros(len(folds)), np.zeros((4, 3))
    for h in range(len(folds)):
        out[h] = _fold(x, folds[h], g, False)[0]
    return out


@nb.njit(cache=True)
@no_type_check
def _relax_folds(p, w, folds, chosen, count, rest, weight, haste, cap, g):
    for n in range(count):
        h = chosen[n]
        s, c, ok = _fold(p, folds[h], g, True)
        if not ok:
            continue
        miss = (s - rest[h]) / max(c, 0.25)
        total = 0.0
        for k in range(4):
            total += w[folds[h, k]] * (g[k, 0] * g[k, 0] + g[k, 1] * g[k, 1] + g[k, 2] * g[k, 2])
        if total < 1e-20:
            continue
        step = -miss / total * min(1.0, haste * weight[h])
        largest = 0.0
        for k in range(4):
            largest = max(largest, g[k, 0] * g[k, 0] + g[k, 1] * g[k, 1] + g[k, 2] * g[k, 2])
        far = abs(step) * np.sqrt(largest)
        if far > cap:  # a sliver's fold could fling its corners away
            step *= cap / far
        for k in range(4):
            v = folds[h, k]
            for m in range(3):
                p[v, m] += w[v] * step * g[k, m]


@nb.njit(cache=True)
@no_type_check
def _relax_edges(p, w, edges, chosen, count, length):
    for n in range(count):
        e = chosen[n]
        i, j = edges[e, 0], edges[e, 1]
        total = w[i] + w[j]
        dx, dy, dz = p[j, 0] - p[i, 0], p[j, 1] - p[i, 1], p[j, 2] - p[i, 2]
        now = np.sqrt(dx * dx + dy * dy + dz * dz)
        if now < 1e-12:
            continue
        f = (now - length[e]) / (now * total)
        fi, fj = w[i] * f, w[j] * f
        p[i, 0] += fi * dx
        p[i, 1] += fi * dy
        p[i, 2] += fi * dz
        p[j, 0] -= fj * dx
        p[j, 1] -= fj * dy
        p[j, 2] -= fj * dz


@nb.njit(cache=True)
@no_type_check
def _push_out(p, x, v, nx, ny, nz, depth, friction):
    """Move vertex v out along a unit normal and damp how it slides."""
    p[v, 0] += depth * nx
    p[v, 1] += depth * ny
    p[v, 2] += depth * nz
    sx, sy, sz = p[v, 0] - x[v, 0], p[v, 1] - x[v, 1], p[v, 2] - x[v, 2]
    along = sx * nx + sy * ny + sz * nz
    p[v, 0] -= friction * (sx - along * nx)
    p[v, 1] -= friction * (sy - along * ny)
    p[v, 2] -= friction * (sz - along * nz)


@nb.njit(cache=True)
@no_type_check
def _reach_of_tool(p, v, tool, is_plane, out):
    """Distance of a vertex from the tool's surface (bar: its axis), negative beyond a plane; ``out`` leads away."""
    if is_plane:
        out[0], out[1], out[2] = -tool[0], -tool[1], -tool[2]
        return tool[3] - p[v, 0] * tool[0] - p[v, 1] * tool[1] - p[v, 2] * tool[2]
    bx, by, bz = tool[3] - tool[0], tool[4] - tool[1], tool[5] - tool[2]
    bb = bx * bx + by * by + bz * bz
    t = 0.0
    if bb > 1e-16:
        t = ((p[v, 0] - tool[0]) * bx + (p[v, 1] - tool[1]) * by + (p[v, 2] - tool[2]) * bz) / bb
        t = min(max(t, 0.0), 1.0)
    dx, dy, dz = p[v, 0] - tool[0] - t * bx, p[v, 1] - tool[1] - t * by, p[v, 2] - tool[2] - t * bz
    d = np.sqrt(dx * dx + dy * dy + dz * dz)
    scale = 1.0 / max(d, 1e-9)
    out[0], out[1], out[2] = dx * scale, dy * scale, dz * scale
    return d


@nb.njit(cache=True)
@no_type_check
def _contacts(p, x, w, chosen, count, tool, is_plane, radius, here, cores, floor, friction, out):
    """The contents (boxes) from inside, the tool from outside while it is here, and the tray from below."""
    for n in range(count):
        v = chosen[n]
        for k in range(len(cores)):
            nearest, axis, side = 1e9, -1, 0.0
            for m in range(3):
                low, high = p[v, m] - cores[k, 0, m], cores[k, 1, m] - p[v, m]
                if low <= 0 or high <= 0:
                    axis = -1
                    break
                if low < nearest:
                    nearest, axis, side = low, m, -1.0
                if high < nearest:
                    nearest, axis, side = high, m, 1.0
            if axis >= 0:
                p[v, axis] += side * nearest
        if here:
            d = radius - _reach_of_tool(p, v, tool, is_plane, out)
            if d > 0:
                _push_out(p, x, v, out[0], out[1], out[2], d, friction)
        d = floor[3] - floor[0] * p[v, 0] - floor[1] * p[v, 1] - floor[2] * p[v, 2]
        if d > 0:
            _push_out(p, x, v, floor[0], floor[1], floor[2], d, friction)


@nb.njit(cache=True)
@no_type_check
def _volume(x, faces, g):
    """Volume inside a closed mesh and 6 dV/dx in ``g`` (v, 3)."""
    g[:] = 0
    total = 0.0
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az, bx, by, bz = x[a, 0], x[a, 1], x[a, 2], x[b, 0], x[b, 1], x[b, 2]
        cx, cy, cz = x[c, 0], x[c, 1], x[c, 2]
        px, py, pz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        total += ax * px + ay * py + az * pz
        g[a, 0] += px
        g[a, 1] += py
        g[a, 2] += pz
        g[b, 0] += cy * az - cz * ay
        g[b, 1] += cz * ax - cx * az
        g[b, 2] += cx * ay - cy * ax
        g[c, 0] += ay * bz - az * by
        g[c, 1] += az * bx - ax * bz
        g[c, 2] += ax * by - ay * bx
    return total / 6


@nb.njit(cache=True)
@no_type_check
def _refill(p, w, awake, faces, least, cap, g):
    """Push the wall out as the contents do until it holds the least volume again; returns what was missing."""
    short = least - _volume(p, faces, g)
    if short <= 0:
        return short
    total, largest = 0.0, 0.0
    for v in range(len(p)):
        if awake[v]:
            square = g[v, 0] * g[v, 0] + g[v, 1] * g[v, 1] + g[v, 2] * g[v, 2]
            total += w[v] * square
            largest = max(largest, square)
    if total > 0:
        step = min(6 * short / total, cap / np.sqrt(largest))
        for v in range(len(p)):
            if awake[v]:
                for m in range(3):
                    p[v, m] += w[v] * step * g[v, m]
    return short


@nb.njit(cache=True)
@no_type_check
def _miss(x, edges, length, e):
    """How far an edge is from its length [m]."""
    now = 0.0
    for m in range(3):
        now += (x[edges[e, 1], m] - x[edges[e, 0], m]) ** 2
    return abs(np.sqrt(now) - length[e])


@nb.njit(cache=True)
@no_type_check
def look(x, seen, before, mobility, w, edges, struts, length, folds, tool, is_plane, radius, here, still, margin,
         awake, moving, lists, counts, out):  # fmt: skip
    """Find what is in motion or soon will be: vertices, edges and folds (in their fixed order); the rest is held."""
    for v in range(len(x)):
        away = 0.0
        for m in range(3):
            away += (x[v, m] - seen[v, m]) ** 2
        moving[v] = away > still * still
        if here and not moving[v]:
            moving[v] = _reach_of_tool(x, v, tool, is_plane, out) < radius + margin
    seen[:] = x
    for e in range(struts, len(edges)):  # what is torn at gives way
        if _miss(x, edges, length, e) > STRAIN * length[e]:
            moving[edges[e, 0]] = True
            moving[edges[e, 1]] = True
    awake[:] = moving
    for _ in range(RINGS):  # a push travels some rings of edges before the next look
        for e in range(len(edges)):
            i, j = edges[e, 0], edges[e, 1]
            if moving[i] or moving[j]:
                awake[i] = True
                awake[j] = True
        moving[:] = awake
    counts[:] = 0
    for v in range(len(x)):
        awake[v] = awake[v] and mobility[v] > 0
        w[v] = mobility[v] if awake[v] else 0.0
        if awake[v]:
            lists[0, counts[0]] = v
            counts[0] += 1
        else:
            before[v] = x[v]
    for e in range(len(edges)):
        if awake[edges[e, 0]] or awake[edges[e, 1]]:
            lists[1, counts[1]] = e
            counts[1] += 1
    for h in range(len(folds)):
        if awake[folds[h, 0]] or awake[folds[h, 1]] or awake[folds[h, 2]] or awake[folds[h, 3]]:
            lists[2, counts[2]] = h
            counts[2] += 1


@nb.njit(cache=True)
@no_type_check
def _yield_folds(p, folds, chosen, count, rest, weight, limit, softening, rate, angle, g):
    """What is bent beyond its limit keeps the excess, and weakens."""
    for n in range(count):
        h = chosen[n]
        miss = _fold(p, folds[h], g, False)[0] - rest[h]
        excess = rate * (abs(miss) - limit[h])
        if excess > 0:
            rest[h] += excess if miss > 0 else -excess
            weight[h] /= 1 + softening * excess
            angle[h] += excess


@nb.njit(cache=True)
@no_type_check
def _yield_struts(p, edges, chosen, count, struts, length, limit):
    """Struts come first in the list of edges: the mesh's own edges have the last word."""
    for n in range(count):
        e = chosen[n]
        if e < struts:
            now = 0.0
            for m in range(3):
                now += (p[edges[e, 1], m] - p[edges[e, 0], m]) ** 2
            now = np.sqrt(now)
            if now > (1 + limit) * length[e]:
                length[e] = now / (1 + limit)
            elif now < (1 - limit) * length[e]:
                length[e] = now / (1 - limit)


@nb.njit(cache=True)
@no_type_check
def overstrained(x, edges, chosen, count, struts, length):
    """How many edges are longer or shorter than any sheet lets them be."""
    found = 0
    for n in range(count):
        e = chosen[n]
        if e >= struts and _miss(x, edges, length, e) > STRAIN * length[e]:
            found += 1
    return found


@nb.njit(cache=True)
@no_type_check
def relax(x, before, p, w, faces, edges, length, folds, rest, weight, haste, awake, lists, counts, least, spacing,
          edge_sweeps, damping, g, pull):  # fmt: skip
    """First half of a step: move on, bend and stretch back, refill. Returns what is missing of the least volume."""
    short = 0.0
    for n in range(counts[0]):
        v = lists[0, n]
        for m in range(3):
            p[v, m] = x[v, m] + damping * (x[v, m] - before[v, m])
            before[v, m] = x[v, m]
    _relax_folds(p, w, folds, lists[2], counts[2], rest, weight, haste, CAP * spacing, g)
    if least > 0:
        short = _refill(p, w, awake, faces, least, SWELL * spacing, pull)
    for _ in range(edge_sweeps):
        _relax_edges(p, w, edges, lists[1], counts[1], length)
    return short


@nb.njit(cache=True)
@no_type_check
def settle(x, p, w, edges, struts, length, strut_limit, folds, rest, weight, limit, softening, rate, angle, tool,
           is_plane, radius, here, lists, counts, cores, floor, friction, g, out):  # fmt: skip
    """Second half of a step: touch tool, contents and tray, yield, and stay there. Returns how much has moved [m²]."""
    _contacts(p, x, w, lists[0], counts[0], tool, is_plane, radius, here, cores, floor, friction, out)
    _yield_folds(p, folds, lists[2], counts[2], rest, weight, limit, softening, rate, angle, g)
    _yield_struts(p, edges, lists[1], counts[1], struts, length, strut_limit)
    moved = 0.0
    for n in range(counts[0]):
        v = lists[0, n]
        for m in range(3):
            moved += (p[v, m] - x[v, m]) ** 2
            x[v, m] = p[v, m]
    return moved
