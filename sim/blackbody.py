"""The colour of a glowing body, for lamps and white balances that are given in kelvin."""

import numpy as np
from jaxtyping import Float

COOLEST, HOTTEST = 1700.0, 25000.0
XYZ_TO_RGB = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.969266, 1.8760108, 0.041556], [0.0556434, -0.2040259, 1.0572252]]
)
"""Linear sRGB, white at D65 (IEC 61966-2-1)."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def blackbody(kelvin: float) -> Float[np.ndarray, "3"]:
    """Linear sRGB of luminance 1.

    The Planckian locus by the cubics of Kang, Moon, Hong, Lee, Cho and Kim, "Design of Advanced Color Temperature
    Control System for HDTV Applications" (2002), good from 1667 to 25000 K.
    """
    t = 1e3 / kelvin
    if kelvin < 4000:
        x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.17991
    else:
        x = -3.0258469 * t**3 + 2.1070379 * t**2 + 0.2226347 * t + 0.24039
    if kelvin < 2222:
        y = -1.1063814 * x**3 - 1.3481102 * x**2 + 2.18555832 * x - 0.20219683
    elif kelvin < 4000:
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        y = 3.081758 * x**3 - 5.8733867 * x**2 + 3.75112997 * x - 0.37001483
    rgb = np.maximum(XYZ_TO_RGB @ np.array([x / y, 1.0, (1 - x - y) / y]), 0.01)  # deep red lies outside of sRGB
    return rgb / float(LUMINANCE @ rgb)
