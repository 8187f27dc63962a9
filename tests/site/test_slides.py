"""The slides (`make slides`): every one fits, every formula is typeset, the keys walk through."""

import nbformat
import pytest
from lesson_minutes import taught
from panels import panels
from test_site import HTML, NOTEBOOKS

DECKS = HTML / "slides"
SHOW = "panel => Reveal.slide(...Object.values(Reveal.getIndices(panel.closest('section'))))"
PLACE = "() => [Reveal.getIndices().h, Reveal.getIndices().v]"
SECTIONS = """() => [...document.querySelectorAll('.slides > section')].flatMap(
    (column, h) => [...column.querySelectorAll(':scope > section')].map((_, v) => [h, v]))"""


@pytest.fixture
def deck(browser, request):
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    faults = []
    page.on("requestfailed", lambda r: faults.append(r.url))
    page.route(lambda url: not url.startswith(("file:", "data:", "blob:")), lambda r: r.abort())
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.goto((DECKS / f"{request.param.stem}.html").as_uri())
    page.wait_for_function("() => window.MathJax?.startup?.promise && window.Reveal?.isReady()")
    page.evaluate("async () => { await MathJax.startup.promise }")
    yield page
    page.close()
    assert faults == []


every_deck = pytest.mark.parametrize("deck", NOTEBOOKS, ids=lambda path: path.stem, indirect=True)


@every_deck
def test_no_slide_overflows_and_every_formula_is_typeset(deck):
    assert deck.locator("mjx-merror").count() == 0
    for h, v in deck.evaluate(SECTIONS):
        deck.evaluate("([h, v]) => Reveal.slide(h, v, 99)", [h, v])
        width, height, text = deck.evaluate(
            "() => (s => [s.scrollWidth, s.scrollHeight, s.innerText])(Reveal.getCurrentSlide())"
        )
        assert width <= 1280, text
        assert height <= 720, text
        assert "$" not in text, text


@every_deck
def test_the_arrow_keys_walk_to_the_end(deck):
    places = len(deck.evaluate(SECTIONS)) + deck.locator(".fragment").count()
    for _ in range(places):
        deck.keyboard.press("Space")
    assert deck.evaluate("() => Reveal.isLastSlide()")
    deck.keyboard.press("ArrowLeft")
    assert not deck.evaluate("() => Reveal.isLastSlide()")


@every_deck
def test_every_explorer_moves_and_its_keys_turn_no_slide(deck):
    (path,) = (path for path in NOTEBOOKS if path.stem in deck.url)
    for panel in panels(deck, taught(nbformat.read(path, as_version=4))):
        panel.panel.evaluate(SHOW)
        place = deck.evaluate(PLACE)
        for _ in panel.moves():
            deck.keyboard.press("ArrowRight")
            deck.keyboard.press("ArrowLeft")
            assert deck.evaluate(PLACE) == place
        deck.keyboard.press("Escape")
        deck.keyboard.press("ArrowLeft")
        assert deck.evaluate(PLACE) != place
