"""From controls to the widgets of a page."""

from collections.abc import Callable
from typing import Any

import viser

from ..sim.errors import DamagelandError
from .controls import Control, parse_text, show_text, value_at

Path = tuple[str | int, ...]
Change = Callable[[Path, Any], None]
"""Called with a control's path and its new value."""
Refuse = Callable[[str], None]


def add_controls(
    gui: viser.GuiApi, controls: tuple[Control, ...], config: dict[str, Any], change: Change, refuse: Refuse
) -> None:
    """Add a widget for each control to the container that is open."""
    for control in controls:
        if control.shape == "group":
            with gui.add_folder(control.label, expand_by_default=False):
                add_controls(gui, control.inside, config, change, refuse)
        else:
            add_control(gui, control, value_at(config, control), change, refuse)


def add_control(gui: viser.GuiApi, control: Control, value: Any, change: Change, refuse: Refuse) -> None:
    """Add one widget that reports what a person does to it; what the program sets is not reported."""
    handle, read = _widget(gui, control, value)

    @handle.on_update
    def _(event: viser.GuiEvent) -> None:
        if event.client is None:
            return
        try:
            change(control.path, read(handle.value))
        except DamagelandError as error:
            refuse(str(error))


def _widget(gui: viser.GuiApi, control: Control, value: Any) -> tuple[Any, Callable[[Any], Any]]:
    hint = control.help or None
    if control.shape == "switch":
        return gui.add_checkbox(control.label, bool(value), hint=hint), bool
    if control.shape == "choice":
        return gui.add_dropdown(control.label, control.choices, initial_value=value, hint=hint), str
    if control.shape in ("number", "whole"):
        kind: Callable[[Any], Any] = int if control.shape == "whole" else float
        low, high = min(control.low, value), max(control.high, value)
        return gui.add_slider(control.label, kind(low), kind(high), kind(control.step), kind(value), hint=hint), kind
    if control.shape == "box":
        low, high = int(min(control.low, value)), int(max(control.high, value))
        return gui.add_number(control.label, int(value), min=low, max=high, step=1, hint=hint), int
    if control.shape in ("range", "whole_range"):
        kind = int if control.shape == "whole_range" else float
        low, high = min(control.low, *value), max(control.high, *value)
        ends = tuple(sorted(kind(v) for v in value))  # the slider keeps them in order; a file may have them reversed
        slider = gui.add_multi_slider(control.label, kind(low), kind(high), kind(control.step), ends, hint=hint)
        return slider, lambda pair: [kind(v) for v in pair]
    return gui.add_text(control.label, show_text(value), hint=hint), lambda text: parse_text(control, text)
