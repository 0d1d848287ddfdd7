"""The arithmetic of the preview that numpy does slowly: many short vectors, compiled.

No kernel calls another: numba's cache would not notice that it has changed. They take and give single precision.
"""

import math
from typing import no_type_check

import numba as nb
import numpy as np

ONE, HALF, ZERO = np.float32(1), np.float32(0.5), np.float32(0)
TINY = np.float32(1e-12)
PI = np.float32(math.pi)
LEAST_FACING = np.float32(0.1)
"""Cosine to a lamp below which gloss grows no more."""


@nb.njit(cache=True)
@no_type_check  # numba compiles these as they are: no checks may be wrapped around them in tests
def unit(vectors):
    """Vectors of length 1 [n, 3]."""
    out = np.empty_like(vectors)
    for i in range(len(vectors)):
        x, y, z = vectors[i, 0], vectors[i, 1], vectors[i, 2]
        length = max(math.sqrt(x * x + y * y + z * z), TINY)
        out[i, 0], out[i, 1], out[i, 2] = x / length, y / length, z / length
    return out


@nb.njit(cache=True)
@no_type_check
def step_on(shifts, pixel, step):
    """Draws [n] that belong to pixels, moved on by a share of one."""
    out = np.empty(len(pixel), np.float32)
    for i in range(len(pixel)):
        value = shifts[pixel[i]] + step
        out[i] = value if value < ONE else value - ONE
    return out


@nb.njit(cache=True)
@no_type_check
def towards_lamp(at, normal, u, v, T, width, height):
    """From points to random places of a lamp [n, 3], and how much of its radiance arrives as irradiance there [n]."""
    to, form = np.empty_like(at), np.empty(len(at), np.float32)
    area = width * height
    for i in range(len(at)):
        a, b = (u[i] - HALF) * width, (v[i] - HALF) * height
        x = T[0, 3] + a * T[0, 0] + b * T[0, 1] - at[i, 0]
        y = T[1, 3] + a * T[1, 0] + b * T[1, 1] - at[i, 1]
        z = T[2, 3] + a * T[2, 0] + b * T[2, 1] - at[i, 2]
        squared = x * x + y * y + z * z
        length = math.sqrt(squared)
        facing = max((x * normal[i, 0] + y * normal[i, 1] + z * normal[i, 2]) / length, ZERO)
        leaving = max((x * T[0, 2] + y * T[1, 2] + z * T[2, 2]) / length, ZERO)
        to[i, 0], to[i, 1], to[i, 2] = x, y, z
        form[i] = facing * leaving * area / squared
    return to, form


@nb.njit(cache=True)
@no_type_check
def add_lamp(matt, gloss, to, form, arrives, normal, view, roughness, radiance, sharp, brightest):
    """Add a lamp's irradiance over pi, and its gloss before Fresnel on what is rougher than ``sharp`` (GGX)."""
    tints = arrives.shape[1]
    for i in range(len(to)):
        if form[i] <= ZERO:
            continue
        x, y, z = to[i, 0], to[i, 1], to[i, 2]
        length = math.sqrt(x * x + y * y + z * z)
        x, y, z = x / length, y / length, z / length
        shine = ZERO
        if roughness[i] > sharp:
            facing = max(x * normal[i, 0] + y * normal[i, 1] + z * normal[i, 2], LEAST_FACING)
            x, y, z = x + view[i, 0], y + view[i, 1], z + view[i, 2]
            length = max(math.sqrt(x * x + y * y + z * z), TINY)
            along = (x * normal[i, 0] + y * normal[i, 1] + z * normal[i, 2]) / length
            along = min(max(along, ZERO), ONE)
            alpha2 = roughness[i] * roughness[i] * roughness[i] * roughness[i]
            spread = along * along * (alpha2 - ONE) + ONE
            shine = form[i] * alpha2 / (PI * spread * spread) / (4 * facing)
        for c in range(3):
            light = arrives[i, c if tints == 3 else 0] * radiance[c]
            matt[i, c] += form[i] * light / PI
            gloss[i, c] += min(shine * light, brightest)


@nb.njit(cache=True)
@no_type_check
def mirror(normal, view, roughness, u, turn):
    """Reflections about one GGX half vector each [n, 3], and the cosine to it [n] (Walter et al., 2007)."""
    out, cosine = np.empty_like(view), np.empty(len(view), np.float32)
    for i in range(len(view)):
        nx, ny, nz = normal[i, 0], normal[i, 1], normal[i, 2]
        tangent = roughness[i] * roughness[i] * math.sqrt(u[i] / max(ONE - u[i], np.float32(1e-6)))
        if abs(nz) < np.float32(0.9):  # across the normal: with z, else with x
            ax, ay, az = -ny, nx, ZERO
        else:
            ax, ay, az = ZERO, -nz, ny
        length = max(math.sqrt(ax * ax + ay * ay + az * az), TINY)
        ax, ay, az = ax / length, ay / length, az / length
        bx, by, bz = ny * az - nz * ay, nz * ax - nx * az, nx * ay - ny * ax
        c, s = tangent * math.cos(turn[i]), tangent * math.sin(turn[i])
        hx, hy, hz = nx + c * ax + s * bx, ny + c * ay + s * by, nz + c * az + s * bz
        length = max(math.sqrt(hx * hx + hy * hy + hz * hz), TINY)
        hx, hy, hz = hx / length, hy / length, hz / length
        along = view[i, 0] * hx + view[i, 1] * hy + view[i, 2] * hz
        along = min(max(along, ZERO), ONE)
        x, y, z = 2 * along * hx - view[i, 0], 2 * along * hy - view[i, 1], 2 * along * hz - view[i, 2]
        below = min(x * nx + y * ny + z * nz, ZERO)
        out[i, 0], out[i, 1], out[i, 2] = x - 2 * below * nx, y - 2 * below * ny, z - 2 * below * nz
        cosine[i] = along
    return out, cosine


@nb.njit(cache=True)
@no_type_check
def surroundings(direction, moments):
    """Light from nine harmonics [9, 3] of the surroundings along directions [n, 3], none below 0."""
    out = np.empty_like(direction)
    for i in range(len(direction)):
        x, y, z = direction[i, 0], direction[i, 1], direction[i, 2]
        for c in range(3):
            value = np.float32(0.282095) * moments[0, c]
            value += np.float32(0.488603) * (y * moments[1, c] + z * moments[2, c] + x * moments[3, c])
            value += np.float32(1.092548) * (x * y * moments[4, c] + y * z * moments[5, c] + x * z * moments[7, c])
            value += np.float32(0.315392) * (3 * z * z - ONE) * moments[6, c]
            value += np.float32(0.546274) * (x * x - y * y) * moments[8, c]
            out[i, c] = max(value, ZERO)
    return out
