"""The studio without a browser: controls, recipes of choices, presets, undo, the door, workers that are stopped."""

import socket
import threading
import time
from dataclasses import replace
from functools import partial
from http.cookiejar import CookieJar
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, build_opener

import numpy as np
import pytest
import yaml
from damageland.cli import studio
from damageland.generators.compose import compose, lay_product, make_product, strike
from damageland.generators.damage.table import DAMAGES
from damageland.generators.products.catalogue import FAMILIES
from damageland.generators.recipe import Plan, Recipe, make_plan
from damageland.generators.rest import RestRules
from damageland.generators.shoot import shoot
from damageland.sim.booth import BoothSpec
from damageland.sim.errors import DamagelandError
from damageland.sim.yamlfile import parse_mapping, read_yaml
from damageland.studio.choices import Choices, Step, load_preset, plan_of, recipe_of, save_preset, save_recipe
from damageland.studio.controls import Control, changed, controls_of, parse_text, show_text, value_at
from damageland.studio.gate import Gate, judge
from damageland.studio.history import History
from damageland.studio.keeper import Keeper, wait_for
from damageland.studio.stages import Kept, look
from damageland.studio.told import Checked, Ended, Facts, Failed, Pictures, Shape, Told
from pydantic import ValidationError

CONFIGS = {
    **{name: damage.config for name, damage in DAMAGES.items()},
    **{name: config for name, (config, _) in FAMILIES.items()},
    "rest": RestRules,
}
BOOTH = BoothSpec.model_validate(
    {
        "name": "tiny",
        "cameras": [
            {"name": "front", "width": 48, "height": 40, "hfov_deg": 30, "azimuth_deg": 0, "elevation_deg": 20,
             "distance_mm": 330, "aim_mm": 40, "depth": {}}
        ],
    }
)  # fmt: skip


def leaves(controls: tuple[Control, ...]) -> list[Control]:
    return [leaf for c in controls for leaf in (leaves(c.inside) if c.shape == "group" else [c])]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_field_is_a_control_that_can_be_set(name: str):
    """Every field has one; its default lies within its ends, and goes through the widget's form back to itself."""
    model = CONFIGS[name]
    controls = controls_of(model)
    assert list(model.model_fields) == [control.path[0] for control in controls]
    required = {k: "meshes" for k, field in model.model_fields.items() if field.is_required()}
    sound = model.model_validate(required)
    for control in leaves(controls):
        assert value_at({}, control) == control.default
        if control.shape == "text":
            assert show_text(parse_text(control, show_text(control.default))) == show_text(control.default)
            continue
        values = control.default if isinstance(control.default, tuple) else (control.default,)
        if control.shape not in ("switch", "choice"):
            assert control.low <= min(values) <= max(values) <= control.high and control.step > 0
            assert control.step <= (control.high - control.low)
    for control in controls:  # the default as a person would set it changes nothing
        if control.shape not in ("text", "group"):
            plain = list(control.default) if isinstance(control.default, tuple) else control.default
            assert sound == model.model_validate({**required, **changed({}, control.path, plain)})


def test_bounds_help_and_units_come_from_the_field():
    """Bounds are the field's own, those of a range's check too; the help is its description; the name has the unit."""
    crush = {control.path[0]: control for control in controls_of(DAMAGES["crush"].config)}
    assert (crush["push_share"].high, crush["push_share"].label) == (0.6, "push share")
    assert crush["push_mm"].label == "push [mm]"
    assert DAMAGES["crush"].config.model_fields["push_mm"].description == crush["push_mm"].help
    assert tuple(c.path[1] for c in crush["box_sites"].inside) == (
        "corner",
        "edge",
        "face",
        "rim",
        "side",
        "top",
        "dome",
    )
    bottle = {control.path[0]: control for control in controls_of(FAMILIES["pet_bottle"][0])}
    assert (bottle["slenderness"].low, bottle["slenderness"].high) == (3.5, 8)


def test_saved_recipe_says_what_was_chosen(tmp_path: Path):
    """The file reads back as the recipe of the page; damages come in causal order, and mappings stay whole."""
    steps = (
        Step(generator="scuff", strength=0.1 + 0.2, config={"forms": {"dirt": 0.0}}),
        Step(generator="crush", config=changed({}, ("round_sites", "rim"), 1.0)),
    )
    choices = Choices(steps=steps, number=3, edition=2, damage_draw=7)
    path = save_recipe(tmp_path, "both", recipe_of(choices), {"a.png": "0" * 64})
    recipe = read_yaml(path, Recipe)
    assert recipe_of(choices) == recipe
    assert recipe.damages[0].generator == "crush" and recipe.damages[0].then[0].generator == "scuff"
    assert recipe.damages[0].config["round_sites"] == {"side": 0.6, "rim": 1.0, "top": 0.18}
    with pytest.raises(DamagelandError, match="one already"):
        save_recipe(tmp_path, "both", recipe, {})
    for name in ("../out", "a/b", "", "UP", ".x"):
        with pytest.raises(DamagelandError, match="lower-case"):
            save_recipe(tmp_path, name, recipe, {})
    assert [p.name for p in tmp_path.iterdir()] == ["both.yaml"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 0}, "version 0.*reads version 1"),
        ({"family": "vase"}, "vase.*expected one of"),
        ({"steps": [{"generator": "melt"}]}, "melt.*expected one of"),
        ({"family": "folding_carton", "family_config": {"long_mm": [10, 200]}}, "rising range within 30"),
        ({"steps": [{"generator": "crush", "config": {"pusch_mm": 3}}]}, "did you mean 'push_mm'"),
        ({"steps": [{"generator": "crush", "config": {"bar_radius_mm": [25, 2]}}]}, r"bar radius \[mm\].*upside down"),
        ({"nmber": 3}, "did you mean 'number'"),
    ],
)
def test_bad_preset_is_refused(tmp_path: Path, changes: dict, message: str):
    """Another version, names that are gone and ranges upside down are one clear error."""
    path = save_preset(tmp_path, "old", Choices())
    path.write_text(yaml.safe_dump(Choices().model_dump(mode="json") | changes))
    with pytest.raises(DamagelandError, match=f"(?s){message}"):
        load_preset(tmp_path, "old")
    with pytest.raises(DamagelandError, match="lower-case"):
        load_preset(tmp_path, "../old")


def test_undo_takes_back_a_drag_at_once():
    """Quick changes of one control are one step; another control or a pause begins a new one."""
    history = History(Choices())
    for k in range(1, 5):
        history.push(Choices(seed=k), "seed", 0.1 * k)
    history.push(Choices(seed=4, number=2), "number", 0.5)
    history.push(Choices(seed=5, number=2), "seed", 0.6)
    history.push(Choices(seed=6, number=2), "seed", 9.0)
    back = []
    while history.back():
        back.append((history.now.seed, history.now.number))
    assert back == [(5, 2), (4, 2), (4, 0), (0, 0)]


def test_door_opens_with_the_token_alone():
    """Link and cookie open; anything else is refused, near misses too."""
    assert judge("GET / HTTP/1.1\r\nCookie: a=1; damageland=secret\r\n\r\n", "secret") is None
    assert "303" in str(judge("GET /?token=secret HTTP/1.1\r\n\r\n", "secret"))
    for head in (
        "GET / HTTP/1.1\r\n\r\n",
        "GET /?token=secre HTTP/1.1\r\n\r\n",
        "GET /?token= HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nCookie: xdamageland=secret\r\n\r\n",
        "GET / HTTP/1.1\r\nX-Cookie: damageland=secret\r\n\r\n",
        "nonsense",
    ):
        assert "403" in str(judge(head, "secret"))


@pytest.mark.parametrize(
    ("head", "enters"),
    [
        ("Host: localhost:8080", True),
        ("Host: 127.0.0.1:8080\r\nOrigin: http://127.0.0.1:8080", True),
        ("Host: [::1]:8080\r\nOrigin: http://[::1]:8080", True),
        ("Host: 127.0.0.1:8080\r\nOrigin: http://evil.example", False),
        ("Host: evil.example:8080\r\nOrigin: http://evil.example:8080", False),
        ("Origin: http://127.0.0.1:8080", False),
        ("X: y", False),
    ],
)
def test_pages_of_other_sites_stay_out(head: str, enters: bool):
    """On loopback no token is asked for, but neither another site's page nor a name that leads here gets in."""
    answer = judge(f"GET / HTTP/1.1\r\n{head}\r\n\r\n", None)
    assert enters == (answer is None)


def test_mistakes_on_the_command_line_start_nothing(tmp_path: Path):
    """A port in use, a folder that is a file and a preset that is not there are one clear error each."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(DamagelandError, match=r"cannot listen there.*another --port"):
            studio(tmp_path / "new", port=taken.getsockname()[1])
    (tmp_path / "file").touch()
    with pytest.raises(DamagelandError, match="is a file"):
        studio(tmp_path / "file")
    with pytest.raises(DamagelandError, match="no such preset"):
        studio(tmp_path / "new", preset="gone")


def test_gate_passes_bytes_on(tmp_path: Path):
    """With the token a request reaches what is behind, its cookie does after that; without it, nothing is reached."""
    (tmp_path / "index.html").write_text("inside")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as inner:
        threading.Thread(target=inner.serve_forever, daemon=True).start()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        gate = Gate("127.0.0.1", port, inner.server_address[1], "secret")
        opener = build_opener(HTTPCookieProcessor(CookieJar()))
        with pytest.raises(HTTPError, match="403"):
            opener.open(f"http://127.0.0.1:{port}/")
        assert b"inside" == opener.open(gate.url).read() == opener.open(f"http://127.0.0.1:{port}/").read()
        gate.close()
        inner.shutdown()


def tiny(choices: Choices, **held: int) -> Plan:
    recipe = recipe_of(choices)
    return make_plan(recipe.model_copy(update={"held": recipe.held.model_copy(update=held)}), BOOTH)


def test_stages_show_the_captures_of_the_recipe():
    """What is told last are the captures of `shoot`, twin included, whatever is kept from another damage before."""
    kept, heard = Kept(), list[Told]()
    for strength in (0.9, 0.4):
        heard.clear()
        choices = Choices(steps=(Step(generator="hole", strength=strength),), texture_px=256, samples=1)
        look(tiny(choices), kept, heard.append, lambda key, twin: kept.twins.update({key: twin}))
    assert [Facts, Shape, Shape, Pictures, Pictures, Checked] == [type(told) for told in heard]
    plan = tiny(choices)
    query, twin = shoot(plan, compose(plan, 0))
    shot = heard[4].shots[0]
    assert (query.views[0].rgb == shot.rgb).all() and (twin.views[0].rgb == shot.twin).all()
    assert len(heard[5].hashes) == 8 and dict(query.damages[0].visible_fraction) == heard[5].visible[0]
    assert [query.damages[0].severity] == [struck.severity for struck in heard[0].struck]
    rough, fine = heard[1:3]
    assert len(fine.pieces[0].faces) > len(rough.pieces[0].faces) and rough.pieces[0].damaged.any()


def test_held_draws_stay_while_others_move():
    """Another held draw moves what it names and nothing else, whatever the unit; without a hold, units differ."""
    choices = Choices(steps=(Step(generator="hole"),), texture_px=256)
    plan = tiny(choices)
    made = make_product(plan, 0)
    sound = lay_product(plan, 0, made)
    site = strike(plan, sound).outcomes[0].site
    assert not np.array_equal(site, strike(tiny(choices, damage=5), sound).outcomes[0].site)
    turned = lay_product(tiny(choices, pose=5), 0, made)
    assert not np.array_equal(sound.T_world_item, turned.T_world_item)
    assert np.array_equal(site, strike(tiny(choices, pose=5), turned).outcomes[0].site)
    many = replace(plan, recipe=plan.recipe.model_copy(update={"captures": 3}))
    third = lay_product(many, 2, made)
    assert (sound.T_world_item == third.T_world_item).all()
    assert np.array_equal(site, strike(many, third).outcomes[0].site)
    free = replace(
        many, recipe=many.recipe.model_copy(update={"held": many.recipe.held.model_copy(update={"pose": None})})
    )
    assert not np.array_equal(sound.T_world_item, lay_product(free, 2, made).T_world_item)
    with pytest.raises(DamagelandError, match=r"held: product 4.*tin has 1"):
        parse_mapping(plan.recipe.model_dump() | {"held": {"product": 4}}, Recipe, "r")
    with pytest.raises(ValidationError):
        Choices(number=-1)


def test_newer_move_stops_an_older_one(tmp_path: Path):
    """A solve that is asked for and overtaken is never heard of; the newer one is, and the worker ends when told to."""
    keeper, old, new = Keeper(), list[Told](), list[Told]()
    slow = Choices(steps=(Step(generator="hole", strength=1.0),), texture_px=256, samples=64)
    quick = Choices(steps=(), texture_px=256, samples=1)
    keeper.ask((plan_of(slow, tmp_path),), old.append)
    end = time.monotonic() + 60
    while not old and time.monotonic() < end:
        time.sleep(0.01)  # it is at work: the solver is done, the pictures would take long
    keeper.ask((tiny(quick),), new.append)
    assert wait_for(new, Ended, 60)
    assert isinstance(old[0], Facts) and not any(isinstance(told, Ended | Failed | Checked) for told in old)
    assert isinstance(new[-1], Ended)
    keeper.close()
    assert not keeper._process.is_alive()
