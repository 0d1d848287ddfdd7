"""Calibration captures: the ChArUco board, the pictures of it, and its corners in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .errors import DamagelandError
from .yamlfile import read_yaml

FEWEST_CORNERS = 6
"""A picture with fewer corners says too little about its pose."""
FLATTEST = 0.05
"""Corners whose second extent is a smaller share of the first count as lying on a line."""
PICTURES = (".png", ".jpg", ".jpeg")
DICTIONARIES = tuple(sorted(name for name in dir(cv2.aruco) if name.startswith("DICT_")))


class BoardSpec(BaseModel):
    """A printed ChArUco board, and how it was used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    squares: tuple[int, int] = Field(description="columns and rows of squares")
    square_mm: float = Field(gt=0, description="side of a square, as measured on the print")
    marker_mm: float = Field(gt=0, description="side of a marker")
    dictionary: str = Field(default="DICT_5X5_100", description="OpenCV's name of the markers' dictionary")
    flat: str = Field(
        description="name (without suffix) of the pictures in which the board lies face up in the middle of the tray, "
        "its first row of squares away from azimuth 0: it makes the world's frame"
    )
    thickness_mm: float = Field(default=0.0, ge=0, le=100, description="of the board: its face lies so high there")
    lenses: dict[str, Literal["brown_conrady", "fisheye"]] = Field(
        default={}, description="model of a camera's lens by its name; brown_conrady where nothing is said"
    )
    grey: float = Field(default=0.18, gt=0, lt=1, description="reflectance of the grey card")

    @field_validator("dictionary")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in DICTIONARIES:
            raise ValueError(f"expected one of {', '.join(DICTIONARIES)}")
        return value

    @model_validator(mode="after")
    def _fits(self) -> "BoardSpec":
        if min(self.squares) < 3:
            raise ValueError(f"squares {list(self.squares)}: expected at least 3 columns and 3 rows")
        if self.marker_mm >= self.square_mm:
            raise ValueError(f"marker_mm {self.marker_mm:g} does not fit into square_mm {self.square_mm:g}")
        return self


@dataclass(frozen=True)
class Sight:
    """The board as one camera saw it at one moment."""

    moment: str
    points: Float[np.ndarray, "n 3"]
    """Corners in the board's frame [m]: x along its columns, y down its rows, z into it."""
    pixels: Float[np.ndarray, "n 2"]
    """Pixel centres at +0.5."""


@dataclass(frozen=True)
class Sights:
    """All that one camera saw of the board."""

    camera: str
    size: tuple[int, int]
    """Width and height."""
    views: tuple[Sight, ...]
    rejected: Mapping[str, str]
    """Pictures that cannot be used, and why."""


def read_board(path: Path) -> BoardSpec:
    """Read a board's YAML."""
    return read_yaml(path, BoardSpec)


def charuco(board: BoardSpec) -> cv2.aruco.CharucoBoard:
    """The board as OpenCV knows it, in metres."""
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
    return cv2.aruco.CharucoBoard(board.squares, board.square_mm / 1000, board.marker_mm / 1000, dictionary)


def flat_pose(board: BoardSpec) -> Float[np.ndarray, "4 4"]:
    """``T_world_board`` of the board that lies flat in the middle of the tray, face up."""
    T = np.diag([1.0, -1.0, -1.0, 1.0])
    width, height = (count * board.square_mm / 1000 for count in board.squares)
    T[:3, 3] = -width / 2, height / 2, board.thickness_mm / 1000
    return T


def camera_folders(folder: Path) -> dict[str, Path]:
    """Folders of pictures by camera, in the order of their names."""
    if not folder.is_dir():
        raise DamagelandError(f"{folder}: no such folder. Expected one folder of pictures for each camera in it.")
    found = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and pictures(path)}
    if not found:
        raise DamagelandError(f"{folder}: holds no folder with pictures ({', '.join(PICTURES)}), one for each camera.")
    return found


def pictures(folder: Path) -> list[Path]:
    """Pictures in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)


def read_picture(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture as sRGB."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise DamagelandError(f"{path}: is not a readable picture. Take it out, or save it again as PNG or JPEG.")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def same_size(paths: list[Path], known: tuple[int, int] | None = None) -> list[UInt8[np.ndarray, "h w 3"]]:
    """Read pictures of one camera, all of one size."""
    out = []
    for path in paths:
        picture = read_picture(path)
        size = (picture.shape[1], picture.shape[0])
        if known is not None and size != known:
            raise DamagelandError(
                f"{path}: is {size[0]}x{size[1]} pixels, but the other pictures of this camera are "
                f"{known[0]}x{known[1]}. One calibration holds for one size: take out what was cropped or scaled"
            )
        known = size
        out.append(picture)
    return out


def find_sights(camera: str, folder: Path, board: BoardSpec) -> Sights:
    """Find the board in all pictures of a camera."""
    pattern = charuco(board)
    detector, corners = cv2.aruco.CharucoDetector(pattern), np.asarray(pattern.getChessboardCorners(), np.float64)
    paths = pictures(folder)
    shots = same_size(paths)
    views, rejected = [], {}
    for path, picture in zip(paths, shots, strict=True):
        found, ids, _, _ = detector.detectBoard(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
        count = 0 if ids is None else len(ids)
        if count < FEWEST_CORNERS:
            rejected[path.name] = f"{count} corners found, fewer than {FEWEST_CORNERS}"
            continue
        points = corners[np.asarray(ids, np.int64).ravel()]
        extent = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
        if extent[1] < FLATTEST * extent[0]:
            rejected[path.name] = "the corners found lie on one line"
            continue
        views.append(Sight(path.stem, points, np.asarray(found, np.float64).reshape(-1, 2) + 0.5))
    return Sights(camera, (shots[0].shape[1], shots[0].shape[0]), tuple(views), rejected)
