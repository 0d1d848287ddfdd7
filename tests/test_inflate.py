"""The solver that fills bags: volume, inextensible film, floor, contents, and that it repeats to the bit."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from damageland.generators.inflate import Blob, Filling, Film, edge_strain, inflate
from damageland.generators.mesh import enclosed_volume
from damageland.generators.products.bag import Bag, Cut, film_of, sew
from damageland.generators.products.film import start_shape, teabag_volume

PILLOW = Cut(0.14, 0.2, 0.0, 0.012, 0.012)
MAILER = Cut(0.2, 0.28, 0.008, 0.006, 0.0)
POUCH = Cut(0.13, 0.21, 0.007, 0.01, 0.0, gusset=0.036)


def sewn(cut: Cut, *, spacing: float = 0.007, standing: bool = False) -> tuple[Bag, Film]:
    """A bag and its film."""
    bag = sew(cut, spacing)
    return bag, film_of(bag, bending=0.1, standing=standing)


def filled(
    cut: Cut, filling: Filling, *, volume: float, standing: bool = False, sweeps: int = 600, calm: int = 160
) -> tuple[Film, np.ndarray]:
    """A bag that came to rest."""
    bag, film = sewn(cut, standing=standing)
    return film, inflate(start_shape(bag, volume, standing=standing), film, filling, sweeps=sweeps, calm=calm)


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8])
def test_volume_is_reached(share: float):
    """A pillow encloses what it was asked to, within 2 %."""
    volume = share * teabag_volume(PILLOW.width, PILLOW.height - 0.024)
    film, points = filled(PILLOW, Filling(volume_m3=volume), volume=volume, calm=12)
    assert enclosed_volume(points, film.faces) == pytest.approx(volume, rel=0.02)


@pytest.mark.parametrize(
    ("cut", "volume", "standing"), [(PILLOW, 4.5e-4, False), (MAILER, 6e-4, False), (POUCH, 4e-4, True)]
)
def test_film_does_not_stretch(cut: Cut, volume: float, standing: bool):
    """Of a filled bag's edges, 98 of 100 keep their length within 2 %."""
    filling = Filling(volume_m3=volume, weight_m=2e-5, floor_m=0.0)
    film, points = filled(cut, filling, volume=volume, standing=standing)
    low, high = np.percentile(edge_strain(points, film.lengths_of, film.faces), [1, 99])
    assert low > -0.02 and high < 0.02


def test_nothing_acts_nothing_moves():
    """A flat bag without pressure, weight or contents stays exactly as it was sewn."""
    _, film = sewn(MAILER)
    flat = film.lengths_of
    out = inflate(flat, replace(film, pairs=np.zeros((0, 2), int)), Filling(), sweeps=50)
    np.testing.assert_allclose(out, flat, atol=1e-15)


def test_floor_holds():
    """Nothing sinks through the floor, and a lying bag is flat below where it bears."""
    volume = 0.6 * teabag_volume(PILLOW.width, PILLOW.height - 0.024)
    film, points = filled(PILLOW, Filling(volume_m3=volume, weight_m=2e-5, floor_m=0.0), volume=volume)
    assert points[:, 2].min() >= 0.0
    free, lifted = filled(PILLOW, Filling(volume_m3=volume), volume=volume)
    bearing = (points[:, 2] < 5e-4).mean()
    assert bearing > (lifted[:, 2] < lifted[:, 2].min() + 5e-4).mean() + 0.02
    assert film.faces.shape == free.faces.shape


@pytest.mark.parametrize("thick", [0.006, 0.03])
def test_contents_are_not_crossed(thick: float):
    """No vertex of the film lies in the item; the front stays above it and the back below, however thin it is."""
    half = np.array([0.06, 0.09, thick / 2])
    blob = Blob(np.array([0.0, 0.0, thick / 2 + 0.001]), half, 0.002, 0.1)
    filling = Filling(volume_m3=1.5 * float(8 * np.prod(half)), weight_m=4e-5, floor_m=0.0, blobs=(blob,))
    bag, film = sewn(MAILER)
    points = inflate(start_shape(bag, 4e-4, standing=False), film, filling, sweeps=300)
    c, s = np.cos(0.1), np.sin(0.1)
    local = (points - blob.middle) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    away = local - np.clip(local, -(half - 0.002), half - 0.002)
    assert np.linalg.norm(away, axis=1).min() >= 0.002
    over = (np.abs(local[:, :2]) < half[:2] - 0.004).all(axis=1)
    front = np.zeros(len(points), bool)
    front[bag.node[bag.front[1:-1, 1:-1]]] = True
    assert (local[front & over, 2] > 0).all() and (local[~front & over, 2] < 0).all()


def test_layers_do_not_cross():
    """The front stays above the back everywhere."""
    film, points = filled(MAILER, Filling(volume_m3=2e-4, weight_m=4e-5, floor_m=0.0), volume=2e-4)
    assert (points[film.pairs[:, 0], 2] - points[film.pairs[:, 1], 2]).min() > 0


def fingerprint() -> str:
    """SHA-256 of a filled pouch."""
    volume = 4e-4
    filling = Filling(volume_m3=volume, weight_m=2e-5, floor_m=0.0)
    _, points = filled(POUCH, filling, volume=volume, standing=True, sweeps=120)
    return hashlib.sha256(points.tobytes()).hexdigest()


def test_filling_repeats_in_a_fresh_process():
    """Another process comes to the same bytes."""
    folder = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {folder!r}); import test_inflate; print(test_inflate.fingerprint())"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.strip() == fingerprint()
