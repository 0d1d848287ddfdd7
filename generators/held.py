"""Draws that a recipe holds: the same in all its queries, so that what is left to vary can be seen alone.

Each draw of a unit comes from a stream named by the unit's index. A held draw takes the index that the recipe says
instead; all other streams stay as they are.
"""

from pydantic import BaseModel, ConfigDict, Field


class Held(BaseModel):
    """Draws that are the same in all queries, each named by a number; without its key, every query draws its own.

    Twins of one recipe that differs in nothing but a damage's setting are thus compared with common random numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    product: int | None = Field(default=None, ge=0, description="number of the product within its family")
    edition: int | None = Field(default=None, ge=0, description="edition of the product")
    look: int | None = Field(default=None, ge=0, description="the piece: its small flaws, what else lies on the tray")
    pose: int | None = Field(default=None, ge=0, description="how it comes to rest")
    booth: int | None = Field(default=None, ge=0, description="cameras, lamps and surfaces")
    damage: int | None = Field(default=None, ge=0, description="which damage strikes, where and how; not how hard")


def held_or(held: int | None, own: int) -> int:
    """The index whose draws a unit takes."""
    return own if held is None else held
