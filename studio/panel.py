"""The controls of a page: products, damages, booth, and what is kept; those of configs are read off the configs."""

from typing import TYPE_CHECKING, Any

import viser

from ..generators.damage.table import DAMAGES
from ..generators.products.catalogue import FAMILIES
from ..generators.rest import RestRules
from ..sim.errors import DamagelandError
from .choices import Choices, Step, booth_names, load_preset, preset_names, save_preset
from .controls import Control, changed, controls_of
from .view import Shown
from .widgets import add_control, add_controls

if TYPE_CHECKING:
    from .page import Page

OWN = {control.path[0]: control for control in (*controls_of(Choices), *controls_of(Step))}
"""Controls of what the studio itself asks for, read off the same way."""
DRAWS = ("seed", "damage_draw", "look_draw", "pose_draw", "booth_draw")


class Panel:
    """The controls of one browser. They are made from what is chosen, and made anew when another config comes up."""

    def __init__(self, gui: viser.GuiApi, page: "Page"):
        self._gui, self._page = gui, page
        self._built: list[Any] = []
        tabs = gui.add_tab_group()
        self._tabs = {name: tabs.add_tab(name) for name in ("Damage", "Product", "Booth", "Keep")}
        self._undo = gui.add_button("Undo")
        self._undo.on_click(lambda event: page.undo())
        with self._tabs["Keep"]:
            self._keeping()
        self.rebuild()

    # -- Made anew

    def rebuild(self) -> None:
        """Make the controls of what is chosen."""
        for handle in self._built:
            handle.remove()
        self._built = []
        choices = self._page.choices
        for name, build in (("Damage", self._damage), ("Product", self._product), ("Booth", self._booth)):
            with self._tabs[name]:
                holder = self._gui.add_folder(None)
                self._built.append(holder)
                with holder:
                    build(choices)

    def _own(self, choices: Choices, *names: str) -> None:
        """Controls of the studio's own fields."""
        for name in names:
            self._add(OWN[name], getattr(choices, name), lambda path, value: {path[0]: value})

    def _add(self, control: Control, value: Any, field: Any) -> None:
        def change(path: tuple[str | int, ...], new: Any) -> None:
            self._page.choose(self._page.set(**field(path, new)), str(path[0]))

        add_control(self._gui, control, value, change, self._page.refuse)

    def _damage(self, choices: Choices) -> None:
        on = {step.generator for step in choices.steps}
        with self._gui.add_folder("What happened"):
            for name in DAMAGES:
                box = self._gui.add_checkbox(name, name in on, hint=_first_line(DAMAGES[name].config.__doc__))
                box.on_update(lambda event, name=name, box=box: self._toggle(event, name, box.value))
        self._own(choices, "damage_draw", "seed")
        for step in choices.steps:
            with self._gui.add_folder(step.generator):
                self._step(step)

    def _toggle(self, event: viser.GuiEvent, name: str, on: bool) -> None:
        if event.client is None:
            return

        def change(choices: Choices) -> Choices:
            steps = [step for step in choices.steps if step.generator != name]
            steps += [Step(generator=name)] if on else []
            order = list(DAMAGES)
            steps.sort(key=lambda step: order.index(step.generator))
            return choices.model_copy(update={"steps": tuple(steps)})

        self._page.choose(change, f"toggle {name}", rebuild=True)

    def _step(self, step: Step) -> None:
        name = step.generator

        def replace_step(path: tuple[str | int, ...], value: Any, *, own: bool = False) -> None:
            def change(choices: Choices) -> Choices:
                old = next(s for s in choices.steps if s.generator == name)
                new = old.model_dump()
                new = new | {path[0]: value} if own else new | {"config": changed(new["config"], path, value)}
                steps = tuple(Step.model_validate(new) if s.generator == name else s for s in choices.steps)
                return choices.model_copy(update={"steps": steps})

            self._page.choose(change, f"{name} {path}")

        add_control(
            self._gui, OWN["strength"], step.strength, lambda p, v: replace_step(p, v, own=True), self._page.refuse
        )
        controls = controls_of(DAMAGES[name].config)
        add_controls(self._gui, controls, step.config, replace_step, self._page.refuse)

    def _product(self, choices: Choices) -> None:
        family = self._gui.add_dropdown(
            "family", tuple(FAMILIES), initial_value=choices.family, hint=OWN["family"].help
        )

        @family.on_update
        def _(event: viser.GuiEvent) -> None:
            if event.client is not None:
                self._page.choose(self._page.set(family=family.value, family_config={}), "family", rebuild=True)

        self._own(choices, "number", "edition", "look_draw", "texture_px")
        with self._gui.add_folder(f"{choices.family.replace('_', ' ')}: shape and materials"):
            self._mapping("family_config", controls_of(FAMILIES[choices.family][0]), choices.family_config)

    def _mapping(self, name: str, controls: tuple[Control, ...], config: dict[str, Any]) -> None:
        def change(path: tuple[str | int, ...], value: Any) -> None:
            self._page.choose(
                lambda choices: choices.model_copy(update={name: changed(getattr(choices, name), path, value)}),
                f"{name} {path}",
            )

        add_controls(self._gui, controls, config, change, self._page.refuse)

    def _booth(self, choices: Choices) -> None:
        names = booth_names(self._page.folder)
        shown = names if choices.booth in names else (*names, choices.booth)
        booth = self._gui.add_dropdown("booth", shown, initial_value=choices.booth, hint=OWN["booth"].help)

        @booth.on_update
        def _(event: viser.GuiEvent) -> None:
            if event.client is not None:
                self._page.choose(self._page.set(booth=booth.value), "booth")

        self._own(choices, "booth_draw", "pose_draw", "samples")
        with self._gui.add_folder("How it comes to rest"):
            self._mapping("rest", controls_of(RestRules), choices.rest)
        self._view_options()

    def _view_options(self) -> None:
        shown = self._page.view.shown if hasattr(self._page, "view") else Shown()
        with self._gui.add_folder("3D view"):
            boxes = {
                "damage": self._gui.add_checkbox("damaged region", shown.damage),
                "twin": self._gui.add_checkbox("twin", shown.twin),
                "cameras": self._gui.add_checkbox("cameras", shown.cameras),
                "tool": self._gui.add_checkbox("tool", shown.tool),
            }
        for box in boxes.values():
            box.on_update(lambda event: self._page.show_3d(Shown(**{k: b.value for k, b in boxes.items()})))

    # -- Kept

    def _keeping(self) -> None:
        gui, page = self._gui, self._page
        with gui.add_folder("Recipe"):
            name = gui.add_text("file name", "look", hint="lower-case letters, digits and '-'")
            gui.add_button("Save recipe").on_click(lambda event: page.save(name.value))
        with gui.add_folder("Presets"):
            preset = gui.add_text("name", "mine", hint="the same name again replaces it")
            known = gui.add_dropdown("kept", preset_names(page.folder) or ("none",))
            gui.add_button("Keep as preset").on_click(lambda event: self._keep(preset.value, known))
            gui.add_button("Load preset").on_click(lambda event: self._load(known.value))

    def _keep(self, name: str, known: viser.GuiDropdownHandle) -> None:
        try:
            path = save_preset(self._page.folder, name, self._page.choices)
        except DamagelandError as error:
            self._page.refuse(str(error))
            return
        known.options = preset_names(self._page.folder)
        known.value = name
        self._page.status.content = f"Kept as **{path}**."

    def _load(self, name: str) -> None:
        try:
            loaded = load_preset(self._page.folder, name)
        except DamagelandError as error:
            self._page.refuse(str(error))
            return
        self._page.choose(lambda choices: loaded, f"preset {name}", rebuild=True)


def _first_line(text: str | None) -> str | None:
    return (text or "").strip().partition("\n")[0] or None
