"""The 3D view of one browser: the item, its twin on demand, what is gone, the tool, the cameras."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
import viser
import viser.transforms as vtf
from jaxtyping import Float

from .told import Aim, Piece, Shape, ToolSeen

RED, BLUE, STEEL = (225, 40, 40), (90, 130, 230), (120, 125, 135)
FRUSTUM = 0.12
"""Length of a drawn field of view over the camera's way to the tray."""


@dataclass(frozen=True)
class Shown:
    """What the 3D view is asked to show."""

    twin: bool = False
    damage: bool = True
    """Whether the damaged region is tinted."""
    cameras: bool = True
    tool: bool = True


class View3D:
    """Draws shapes into a browser's scene; what was there before goes."""

    def __init__(self, scene: viser.SceneApi):
        self._scene, self._names, self._shape, self.shown = scene, set[str](), None, Shown()
        scene.set_up_direction("+z")
        scene.configure_default_lights(True, cast_shadow=False)
        scene.add_grid("/tray", 0.6, 0.6, cell_size=0.05, section_size=0.1)

    def show(self, shape: Shape) -> None:
        """Draw a shape."""
        self._shape: Shape | None = shape
        self.redraw()

    def ask(self, shown: Shown) -> None:
        """Change what is shown."""
        self.shown = shown
        self.redraw()

    def redraw(self) -> None:
        """Draw the last shape as it is asked for now."""
        shape = self._shape
        if shape is None:
            return
        names = {self._solid(f"/item/{k}", piece) for k, piece in enumerate(shape.pieces)}
        if self.shown.damage:
            names |= {self._ghost(f"/gone/{k}", piece, RED) for k, piece in enumerate(shape.gone)}
        if self.shown.twin:
            names |= {self._ghost(f"/twin/{k}", piece, BLUE) for k, piece in enumerate(shape.twin)}
        if self.shown.cameras:
            names |= {self._frustum(aim) for aim in shape.aims}
        if self.shown.tool and shape.tool is not None:
            names.add(self._tool(shape.tool))
        for name in self._names - names:
            self._scene.remove_by_name(name)
        self._names = names

    def hide(self) -> None:
        """Take all away, until the next shape or redraw."""
        for name in self._names:
            self._scene.remove_by_name(name)
        self._names = set()

    def _solid(self, name: str, piece: Piece) -> str:
        colours = piece.colours.astype(np.float64)
        if self.shown.damage:
            colours[piece.damaged] = 0.45 * colours[piece.damaged] + 0.55 * np.array(RED)
        if piece.opacity < 1:
            mean = tuple(int(v) for v in colours.mean(axis=0))
            self._scene.add_mesh_simple(
                name, piece.vertices, piece.faces, color=(mean[0], mean[1], mean[2]), opacity=piece.opacity,
                side="double", cast_shadow=False, receive_shadow=False,
            )  # fmt: skip
            return name
        mesh = trimesh.Trimesh(piece.vertices, piece.faces, vertex_colors=colours.astype(np.uint8), process=False)
        self._scene.add_mesh_trimesh(name, mesh, cast_shadow=False, receive_shadow=False)
        return name

    def _ghost(self, name: str, piece: Piece, colour: tuple[int, int, int]) -> str:
        self._scene.add_mesh_simple(
            name, piece.vertices, piece.faces, color=colour, opacity=0.35, side="double", cast_shadow=False
        )
        return name

    def _frustum(self, aim: Aim) -> str:
        T = aim.T_world_cam
        far = float(np.linalg.norm(T[:3, 3]))
        name = f"/cameras/{aim.name}"
        self._scene.add_camera_frustum(
            name, aim.vertical_rad, aim.aspect, scale=FRUSTUM * far, color=STEEL, thickness=0.001,
            wxyz=vtf.SO3.from_matrix(T[:3, :3]).wxyz, position=T[:3, 3], cast_shadow=False,
        )  # fmt: skip
        return name

    def _tool(self, tool: ToolSeen) -> str:
        turn = _from_z(tool.axis)
        if tool.kind == "plane":  # a disc before the place that it pushed
            mesh = trimesh.creation.cylinder(tool.radius_m, height=0.001)
        else:
            mesh = trimesh.creation.capsule(height=max(tool.length_m, 1e-4), radius=tool.radius_m)
            mesh.apply_translation([0, 0, -tool.length_m / 2])
        self._scene.add_mesh_simple(
            "/tool", np.asarray(mesh.vertices), np.asarray(mesh.faces), color=STEEL, opacity=0.4, side="double",
            wxyz=vtf.SO3.from_matrix(turn).wxyz, position=tool.at, cast_shadow=False,
        )  # fmt: skip
        return "/tool"


def _from_z(axis: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """A rotation that takes z to an axis."""
    helper = np.eye(3)[int(np.abs(axis).argmin())]
    x = np.cross(helper, axis)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(axis, x), axis], axis=1)


def middle_of(pieces: Sequence[Piece]) -> Float[np.ndarray, "3"]:
    """Middle of what lies there, to look at."""
    if not pieces:
        return np.zeros(3)
    low = np.min([p.vertices.min(axis=0) for p in pieces], axis=0)
    high = np.max([p.vertices.max(axis=0) for p in pieces], axis=0)
    return (low + high) / 2.0
