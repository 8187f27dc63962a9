"""Explorers on a page without a kernel, driven by keyboard beside their Python classes."""

import statistics

from draw_explorers import shown
from jlab import ExplorerPage
from playwright.sync_api import expect

from mflib.explore.base import Choice, Explorer

# Milliseconds from a key press to the frame that paints the picture, which the sentence follows.
TIME_KEYS = """panel => {
    window.times = []
    let pressed = 0
    panel.addEventListener('keydown', () => { pressed = performance.now() }, true)
    const paint = (since) => requestAnimationFrame(() => times.push(performance.now() - since))
    const note = () => { if (pressed) paint(pressed); pressed = 0 }
    new MutationObserver(note).observe(panel.querySelector('[role=status]'), {attributes: true})
}"""


def explorers_in(cells) -> list[type[Explorer]]:
    """Return the explorers that cells show, in order."""
    return [shown(cell.source) for cell in cells if shown(cell.source)]


class PagePanel(ExplorerPage):
    """A panel on a page, which plays what an explorer drew."""

    def __init__(self, page, panel, explorer_type):
        super().__init__(page, panel)
        self.explorer_type = explorer_type
        self.start, self.drawn = explorer_type.start(), explorer_type.drawn()

    def control(self, name):
        """Return the element that takes the keys of a setting."""
        control = self.explorer_type.controls[name]
        role = "combobox" if isinstance(control, Choice) else "slider"
        return self.panel.get_by_role(role, name=control.label, exact=True)

    def neighbours(self) -> int:
        """Return how many pictures are one key press from the start."""
        places = [(values.index(self.start[name]), values) for name, values in self.drawn.items()]
        return sum((place > 0) + (place < len(values) - 1) for place, values in places)

    def moves(self):
        """Move each control to both ends; yield the explorer in Python that shows the same."""
        explorer = self.explorer_type()
        self.wait_for(self.start)
        for name, values in self.drawn.items():
            if len(values) == 1:
                expect(self.control(name)).to_be_disabled()
                continue
            for key, value in (("Home", values[0]), ("End", values[-1])):
                self.control(name).press(key)
                explorer.set(**self.start | {name: value})
                self.wait_for(explorer.settings)
                assert self.sentence() == f"{explorer.state}. {explorer.message}."
                yield explorer
            self.button("Reset").click()
            self.wait_for(self.start)

    def key_times(self) -> float:
        """Return the median of the milliseconds that a key press takes."""
        self.panel.evaluate(TIME_KEYS)
        for name, values in self.drawn.items():
            place = values.index(self.start[name])
            keys = ["ArrowRight"] * min(3, len(values) - 1 - place)
            for key in keys + ["ArrowLeft"] * len(keys):
                place += 1 if key == "ArrowRight" else -1
                self.control(name).press(key)
                self.wait_for({name: values[place]})
        return statistics.median(self.page.evaluate("() => times"))


def panels(page, cells) -> list[PagePanel]:
    """Return the panels of a page made from these cells."""
    expected = explorers_in(cells)
    found = page.locator(".mflib-explorer")
    expect(found).to_have_count(len(expected))
    return [PagePanel(page, found.nth(i), cls) for i, cls in enumerate(expected)]
