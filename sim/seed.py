"""All randomness flows from (recipe seed, index, purpose), so that no draw depends on the order of the work."""

import zlib

import numpy as np


def generator_for(seed: int, index: int, purpose: str) -> np.random.Generator:
    """Return the generator of one purpose of one sample, e.g. ``generator_for(7, 12, "pose")``.

    Two purposes never share a stream: a change in how many numbers the pose draws leaves the damage as it was.
    """
    return np.random.default_rng([seed, index, zlib.crc32(purpose.encode())])
