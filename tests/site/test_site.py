"""The built site (`make site`) in a browser that is allowed nothing outside it.

Run by `make check-site`, not by `make test`: these tests need the built pages.
"""

import gzip
import io
import json
import math
import re
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import numpy as np
import pytest
from draw_explorers import DRAWN, LARGEST, picture, shown
from panels import explorers_in, panels
from PIL import Image
from playwright.sync_api import expect

ROOT = Path(__file__).parents[2]
HTML = ROOT / "site/_build/html"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LESSONS = [f"notebooks/{path.stem}.html" for path in NOTEBOOKS]
PAGES = ["index.html", "teaching.html", "glossary.html", "accessibility.html", *LESSONS]
AXE = ROOT / "site/_build/vendored/axe-core.js"

each_lesson = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

# Thousands of words of code have a dozen colours: of each, one is enough for axe.
ONE_OF_EACH_COLOUR = """() => {
    const words = [...document.querySelectorAll('pre span')].filter(word => word.checkVisibility())
    const kind = word => word.className + ' in ' + word.closest('[class*=highlight-]').className
    const kept = new Map(words.map(word => [kind(word), word]))
    for (const word of words) if (kept.get(kind(word)) !== word) word.replaceWith(word.textContent)
}"""
SERIOUS = """async () => (await axe.run({ preload: false })).violations
    .filter(found => ['serious', 'critical'].includes(found.impact))
    .flatMap(found => found.nodes.map(node => `${found.id}: ${node.html.slice(0, 200)}`))"""
LOADED = "[location.href, ...performance.getEntriesByType('resource').map(its => its.name)]"


def sent(file):
    """Return the bytes that a web server sends, which compresses text."""
    content = file.read_bytes()
    text = file.suffix in {".html", ".js", ".css"}
    return len(gzip.compress(content) if text else content)


def cells_of(path):
    return nbformat.read(path, as_version=4).cells


@pytest.fixture
def visit(browser, address):
    """Return a function that opens a page, to which nothing outside the site is there."""
    pages, asked, faults = [], [], []

    def open_page(path, width=1280, height=800, scripts=True):
        size = {"width": width, "height": height}
        page = browser.new_page(viewport=size, java_script_enabled=scripts)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{address}/{path}")
        if scripts:
            page.wait_for_function("() => !window.MathJax || MathJax.startup?.promise")
            page.evaluate("async () => { if (window.MathJax) await MathJax.startup.promise }")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert faults == []


@pytest.mark.parametrize("path", PAGES)
def test_on_a_phone_formulas_are_typeset_and_no_page_is_wider(visit, path):
    page = visit(path, 390, 844)
    assert page.locator("mjx-merror").count() == 0
    raw = page.locator("span.math, div.math").filter(has_not=page.locator("mjx-container"))
    assert raw.count() == 0
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_no_serious_fault(visit, path):
    page = visit(path)
    page.evaluate(ONE_OF_EACH_COLOUR)
    page.add_style_tag(content="* { transition: none !important }")  # no colour on its way
    page.add_script_tag(path=AXE)
    for scheme in ("light", "dark"):
        page.evaluate("scheme => { document.documentElement.dataset.theme = scheme }", scheme)
        assert page.evaluate(SERIOUS) == []


@each_lesson
def test_every_picture_has_the_notebooks_alternative_text(visit, path):
    stored = [
        output.metadata["image/png"]["alt"]
        for cell in cells_of(path)
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {}) and not shown(cell.source)
    ]
    page = visit(f"notebooks/{path.stem}.html", scripts=False)
    images = page.locator(".cell_output img:not(.mflib-explorer *)")
    assert images.evaluate_all("images => images.map(image => image.alt)") == stored


@each_lesson
def test_every_explorer_moves_to_both_ends_and_says_what_its_class_says(visit, path):
    for panel in panels(visit(f"notebooks/{path.stem}.html"), cells_of(path)):
        node = panel.status.element_handle()
        for explorer in panel.moves():
            file = io.BytesIO(picture(np.asarray(explorer.figure.canvas.buffer_rgba())))
            drawn = np.asarray(Image.open(file).convert("RGB"), float)
            assert np.abs(panel.pixels() - drawn).mean() < 0.1
        assert node.evaluate("(node, now) => node === now", panel.status.element_handle())
        count = math.prod(map(len, panel.drawn.values()))
        expect(panel.panel).to_contain_text(f"step through {count} drawn settings")


@each_lesson
def test_a_picture_follows_its_key_at_once(visit, path, capsys):
    for panel in panels(visit(f"notebooks/{path.stem}.html"), cells_of(path)):
        median = panel.key_times()
        with capsys.disabled():
            print(f"\n{panel.name()}: {median:.0f} ms from key to picture", end="")
        assert median < 100  # 20 where nothing else runs


def test_a_typed_number_goes_to_the_drawn_value_nearest(visit):
    path = NOTEBOOKS[4]
    panel = panels(visit(f"notebooks/{path.stem}.html"), cells_of(path))[0]
    label = "Learning rate η"
    panel.type(label, "0,32")
    panel.wait_for({"learning_rate": 0.3})
    expect(panel.box(label)).to_have_value("0.3")
    panel.type(label, "7")
    panel.says("“7” is no number")


def test_play_runs_through_what_is_drawn(visit):
    path = NOTEBOOKS[4]
    page = visit(f"notebooks/{path.stem}.html")
    panel = panels(page, cells_of(path))[0]
    panel.button("Step").click()
    panel.wait_for({"step": 20})
    panel.button("Play").click()
    panel.wait_for({"step": 40})
    expect(panel.button("Play")).to_be_visible()
    panel.button("Play").click()
    panel.wait_for({"step": 0})
    panel.button("Pause").click()


def test_a_picture_that_does_not_come_is_told_and_asked_for_again(browser, address):
    page = browser.new_page()
    page.goto(f"{address}/notebooks/{NOTEBOOKS[1].stem}.html")
    (panel,) = panels(page, cells_of(NOTEBOOKS[1]))
    page.route("**/*.webp", lambda route: route.abort())
    panel.press("Step", "End")
    panel.says("The picture did not come")
    assert panel.settings() == panel.start
    expect(panel.box("Step")).to_have_value("2")
    page.unroute("**/*.webp")
    panel.press("Step", "End")
    panel.wait_for({"step": 30})
    panel.says("^Converged")
    page.close()


@each_lesson
def test_without_javascript_the_picture_of_the_start_and_its_sentence_stand_there(visit, path):
    page = visit(f"notebooks/{path.stem}.html", scripts=False)
    stills = page.locator(".mflib-explorer")
    for i, cls in enumerate(explorers_in(cells_of(path))):
        its, still = cls(), stills.nth(i)
        picture, sentence = still.locator("img"), still.locator("p")
        expect(sentence).to_have_text(f"{its.state}. {its.message}.")
        expect(sentence).to_be_visible()
        expect(picture).to_have_attribute("alt", f"{cls.alt} {its.state}. {its.message}")
        picture.scroll_into_view_if_needed()
        size = picture.bounding_box()
        assert size["width"] > 500
        assert size["width"] / size["height"] == pytest.approx(cls.size[0] / cls.size[1], rel=0.02)


@each_lesson
def test_a_page_loads_little_before_the_first_move(visit, path, capsys):
    page = visit(f"notebooks/{path.stem}.html")
    ahead = sum(1 + panel.neighbours() for panel in panels(page, cells_of(path)))
    page.wait_for_function(f"{LOADED}.filter(url => url.endsWith('.webp')).length >= {ahead}")
    files = {HTML / urlsplit(url).path[1:] for url in page.evaluate(LOADED)}
    loaded = sum(map(sent, filter(Path.is_file, files)))
    with capsys.disabled():
        print(f"\n{path.stem}: {loaded / 1e6:.2f} MB before the first move", end="")
    assert loaded < 3_000_000


def test_every_move_is_light_and_so_is_the_whole_site():
    pictures = [file.stat().st_size for file in DRAWN.rglob("*.webp")]
    assert max(pictures) <= LARGEST
    files = [f for f in HTML.rglob("*") if f.is_file() and not f.is_relative_to(HTML / "lite")]
    assert sum(file.stat().st_size for file in files) < 120_000_000


@pytest.mark.parametrize("path", LESSONS[1:])
def test_the_output_after_a_question_is_folded_until_asked_for(visit, path):
    page = visit(path, scripts=False)
    hidden = page.locator(".tag_hide-output details.below-input")
    assert hidden.count() >= 3
    output = hidden.first.locator(".cell_output")
    assert not output.is_visible()
    hidden.first.locator("summary").press("Enter")
    assert output.is_visible()


@pytest.mark.parametrize("words", ["Rayleigh quotient", "divergence", "cold start"])
def test_search_finds_what_the_lessons_say(visit, words):
    page = visit(f"search.html?q={words.replace(' ', '+')}")
    page.wait_for_selector("#search-results li", timeout=15_000)


def test_every_link_inside_the_site_leads_somewhere(visit, address):
    for path in PAGES:
        page = visit(path, scripts=False)
        for target in page.locator("a[href]").evaluate_all("links => links.map(a => a.href)"):
            if target.startswith(address):
                file = HTML / re.sub(r"[#?].*", "", target.removeprefix(address)).lstrip("/")
                assert file.exists(), (path, target)


def test_the_cleared_notebook_has_no_outputs():
    for file in (HTML / "_downloads").rglob("*.ipynb"):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert all(c["outputs"] == [] for c in code) or all(c["execution_count"] for c in code)
