"""What a worker tells a page while it works: plain arrays and numbers, the most urgent first."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from ..sim.capture import Severity


@dataclass(frozen=True)
class Piece:
    """A mesh to look at, in the world frame."""

    name: str
    vertices: Float[np.ndarray, "v 3"]
    """Metres."""
    faces: Int[np.ndarray, "f 3"]
    colours: UInt8[np.ndarray, "v 3"]
    """sRGB."""
    damaged: Bool[np.ndarray, " v"]
    """Whether a face at this vertex bears a label."""
    opacity: float = 1.0


@dataclass(frozen=True)
class Aim:
    """A camera of the booth: where it stands and how wide it sees."""

    name: str
    T_world_cam: Float[np.ndarray, "4 4"]
    vertical_rad: float
    aspect: float
    """Width over height."""


@dataclass(frozen=True)
class ToolSeen:
    """What a generator says of its tool, in the world frame."""

    kind: str
    """plane or bar."""
    at: Float[np.ndarray, "3"]
    """Metres."""
    axis: Float[np.ndarray, "3"]
    """Unit normal of a plane, direction of a bar."""
    radius_m: float
    length_m: float


@dataclass(frozen=True)
class Shape:
    """The item as it is now."""

    pieces: tuple[Piece, ...]
    twin: tuple[Piece, ...]
    gone: tuple[Piece, ...]
    aims: tuple[Aim, ...]
    tool: ToolSeen | None
    fine: bool
    """Whether these are the very meshes that are photographed, or the sheets before they are finished."""


@dataclass(frozen=True)
class Struck:
    """A damage with what was measured on it."""

    generator: str
    kind: str
    measures: Mapping[str, float]
    severity: Severity
    because: str
    """The rule that fired."""
    parameters: Mapping[str, object]


@dataclass(frozen=True)
class Facts:
    """What is known as soon as the solvers are done."""

    product: str
    """Title, family, material."""
    struck: tuple[Struck, ...]
    resampled: int
    rejected: tuple[str, ...]
    set_back: int


@dataclass(frozen=True)
class Shot:
    """What one camera shows."""

    camera: str
    rgb: UInt8[np.ndarray, "h w 3"]
    twin: UInt8[np.ndarray, "h w 3"] | None
    depth: UInt8[np.ndarray, "h w 3"]
    """Tinted: near is warm; black is no return."""
    depth_mm: Float[np.ndarray, "h w"]
    """As it is; 0 is no return."""
    masks: UInt8[np.ndarray, "h w 3"]
    """The item in blue, damage in red."""


@dataclass(frozen=True)
class Pictures:
    """What all cameras show."""

    shots: tuple[Shot, ...]
    fine: bool
    """Whether these are the captures, or a coarse glance."""


@dataclass(frozen=True)
class Checked:
    """What the finished captures say."""

    visible: tuple[Mapping[str, float], ...]
    """Of each damage, the share of its area that each camera sees."""
    defect: bool
    hashes: Mapping[str, str]
    """SHA-256 of each truth image's file, by its name in the shard."""
    health: tuple[str, ...]
    """One line per part of the item."""


@dataclass(frozen=True)
class Cell:
    """One picture of a contact sheet."""

    number: int
    rgb: UInt8[np.ndarray, "h w 3"]
    caption: str


@dataclass(frozen=True)
class Failed:
    """It could not be done; the text says why."""

    text: str


@dataclass(frozen=True)
class Ended:
    """All of a job has been told."""


Told = Shape | Facts | Pictures | Checked | Cell | Failed | Ended
