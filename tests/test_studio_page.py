"""The studio in a browser: sliders, shapes, pictures and measures; what is saved renders the same bytes."""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from damageland.evaluate.folder import read_folder
from damageland.generators.recipe import read_plan
from damageland.generators.shoot import render_shard
from damageland.studio.choices import Choices, Step, save_preset

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true", reason="no Chromium here: install it, `.ci/run` does"
)
SMALL = {
    "name": "small",
    "walls": [{"azimuth_deg": 0, "distance_mm": 300}],
    "lights": [{"azimuth_deg": 30, "elevation_deg": 50, "distance_mm": 600, "size_mm": 200, "radiance": 12}],
    "cameras": [
        {"name": "front", "width": 96, "height": 72, "hfov_deg": 30, "azimuth_deg": 0, "elevation_deg": 20,
         "distance_mm": 330, "aim_mm": 40, "depth": {}},
        {"name": "top", "width": 64, "height": 64, "hfov_deg": 30, "azimuth_deg": 90, "elevation_deg": 70,
         "distance_mm": 330, "aim_mm": 40},
    ],
}  # fmt: skip
WAIT_MS = 60_000


@dataclass(frozen=True)
class Site:
    """A running studio."""

    url: str
    folder: Path
    browser: object

    @cached_property
    def first(self):
        """A page that all tests share: opening one takes seconds."""
        return self.open()

    def open(self):
        """A page in a browser of its own."""
        page = self.browser.new_context(viewport={"width": 1000, "height": 640}).new_page()
        visit(page, self.url)
        return page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("studio")
    (folder / "booths").mkdir()
    (folder / "booths" / "small.yaml").write_text(yaml.safe_dump(SMALL))
    start = Choices(steps=(Step(generator="hole", strength=0.3),), booth="booths/small.yaml", texture_px=256, samples=1)
    save_preset(folder, "start", start)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "damageland.cli", "studio", str(folder), "--port", str(port), "--preset", "start"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = re.search(r"http://\S+", server.stdout.readline())
        assert url is not None and CHROMIUM is not None
        with playwright.sync_playwright() as player:
            flags = ["--no-sandbox", "--enable-unsafe-swiftshader"]
            with player.chromium.launch(executable_path=CHROMIUM, args=flags) as browser:
                yield Site(url[0], folder, browser)
    finally:
        server.terminate()
        server.wait(10)


def visit(page, url: str) -> None:
    """Open the studio in a page, and wait until all is shown."""
    page.goto(url)
    page.add_style_tag(content=".mantine-Notifications-root { display: none }")  # a word on software WebGL hides tabs
    settled(page)


def settled(page, move: int = 1) -> None:
    """Wait until all of a move is shown."""
    page.get_by_text(re.compile(rf"Move {move}: .* all \d+ ms")).wait_for(timeout=WAIT_MS)


def row(page, label: str):
    """The row of the control with this label, the first if there are several."""
    return page.locator(
        f"xpath=(//label[normalize-space()='{label}'])[1]/ancestor::*[.//*[@role='slider'] or .//input][1]"
    )


def seen(page) -> tuple[str, str, bytes]:
    """Pictures, measures and the 3D view, as they are on the page."""
    page.get_by_role("tab", name="Measures").click()
    facts = page.locator("table").first.inner_text()
    page.get_by_role("tab", name="Pictures").click()
    picture = page.locator("img[src^='blob'], img[src^='data:image/jpeg']").first.evaluate(
        "async e => (await (await fetch(e.src)).blob()).size + e.src.slice(-80)"
    )
    return picture, facts, page.locator("canvas").first.screenshot()


def move(page, label: str, value: str) -> None:
    """Type a value beside a slider."""
    box = row(page, label).locator("input:not([type=hidden])").last
    box.fill(value)
    box.press("Enter")


def value(page, label: str) -> str:
    """What stands beside a slider."""
    return row(page, label).locator("input:not([type=hidden])").last.input_value()


def test_page_shows_what_the_saved_recipe_renders(site: Site, tmp_path: Path):
    """A slider changes mesh, pictures and measures; undo goes back; the recipe renders the same truth, to the byte."""
    page = site.first
    before = seen(page)
    row(page, "strength").get_by_role("slider").first.press("End")
    settled(page, 2)
    after = seen(page)
    assert all(a != b for a, b in zip(before, after, strict=True))
    page.get_by_role("tab", name="Keep").click()
    move(page, "file name", "mine")
    page.get_by_role("button", name="Save recipe").click()
    page.get_by_text("Saved").wait_for(timeout=WAIT_MS)
    render_shard(read_plan(site.folder / "mine.yaml"), 0, tmp_path)
    with tarfile.open(tmp_path / "shard-000000.tar") as tar:
        made = {m.name: hashlib.sha256(tar.extractfile(m).read()).hexdigest() for m in tar if m.name.endswith(".png")}
    text = (site.folder / "mine.yaml").read_text()
    assert made == {name: digest for digest, name in re.findall(r"#   ([0-9a-f]{64})  (\S+)", text)}
    assert len(made) == 14  # two captures: depth, item, part and damage of one camera, all but depth of the other
    page.get_by_role("tab", name="Measures").click()
    assert all(f"{name} {digest[:16]}" in page.inner_text("body") for name, digest in made.items())
    page.get_by_role("tab", name="Pictures").click()
    page.get_by_role("button", name="Undo").click()
    settled(page, 3)
    assert before[1] == seen(page)[1]


def draw_a_region(page, photo: Path) -> None:
    """Upload a photograph and click the corners of a region round its middle."""
    page.get_by_role("tab", name="Annotate").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Photograph …").last.click()
    chooser.value.set_files(photo)
    page.get_by_text("No region").wait_for(timeout=WAIT_MS)
    page.wait_for_timeout(1000)  # the camera goes there
    canvas = page.locator("canvas").first.bounding_box()
    x, y = canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2
    for k, (right, down) in enumerate(((-30, -20), (30, -20), (30, 20), (-30, 20))):
        page.mouse.click(x + right, y + down)
        page.get_by_text(f"Outline of {k + 1} corners").wait_for(timeout=WAIT_MS)
    page.get_by_role("button", name="Close polygon").click()
    page.get_by_text("polygon of 4").wait_for(timeout=WAIT_MS)
    page.get_by_role("button", name="Save drawing").click()
    page.get_by_text("Saved in").wait_for(timeout=WAIT_MS)


def test_browsers_are_apart_and_may_leave(site: Site, tmp_path: Path):
    """Each has its own state; one that leaves in mid-render harms none and finds its work again; drawings read back."""
    first, second = site.first, site.open()
    first.get_by_role("tab", name="Damage").click()
    move(second, "strength", "0.9")
    second.get_by_text("Move 2").wait_for(timeout=WAIT_MS)
    second.goto("about:blank")  # the browser leaves while the worker renders
    kept = (site.folder / "presets" / "start.yaml").read_text()
    (site.folder / "presets" / "old.yaml").write_text(kept.replace("version: 1", "version: 0"))
    assert value(first, "strength") == "0.3"
    move(first, "strength", "0.5")
    settled(first, 4)
    visit(second, site.url)
    assert [value(page, "strength") for page in (first, second)] == ["0.5", "0.9"]
    second.get_by_role("tab", name="Keep").click()
    row(second, "kept").locator("input:not([type=hidden])").click()
    second.get_by_role("option", name="old").click()
    second.get_by_role("button", name="Load preset").click()
    second.get_by_text("preset of version 0").wait_for(timeout=WAIT_MS)
    assert value(second, "strength") == "0.9"
    photo = tmp_path / "Tin 1.png"
    cv2.imwrite(str(photo), np.full((60, 80, 3), 128, np.uint8))
    draw_a_region(second, photo)
    (capture,) = read_folder(site.folder / "annotations" / "me")
    rows, columns = np.nonzero(capture.views[0].damage)
    assert (capture.capture_id, capture.defect, tuple(capture.defect_types)) == ("tin-1", True, ("deformation",))
    assert pytest.approx((rows.mean(), columns.mean()), abs=1.5) == (30, 40)
    assert pytest.approx(np.ptp(columns) / np.ptp(rows), abs=0.25) == 1.5
