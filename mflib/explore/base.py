"""What every explorer is made of.

An explorer is a subclass of `Explorer` whose docstring names its lesson, with three parts and
nothing else:

* `controls`, a dictionary from setting names to `Slider`, `LogSlider` or `Choice`;
* `compute(**settings)`, a pure function that returns a result with `state` (one word or two) and
  `message` (a sentence);
* `draw(fig)` and `update(result)`, which make the artists once and then set their data.

Artists that change are made with `animated=True`: everything else is drawn once and kept as a
background, so that a new picture costs a few milliseconds. A legend is made from these artists, by
their `label`; where several look alike, the first of them has it.
"""

import html
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

import ipywidgets as widgets
import matplotlib as mpl
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mflib.plotting import PIXELS_PER_INCH, SHARPNESS, STYLE, picture_bundle, to_png

_LABEL = {"description_width": "initial"}
# Room for two lines, so that the picture stays where it is when a sentence grows.
_STATUS_STYLE = "font-size: 1.15em; line-height: 1.4; min-height: 2.8em"


@dataclass(frozen=True)
class Slider:
    """A number from `low` to `high` in steps of `step`; whole numbers if `step` is one."""

    label: str
    low: float
    high: float
    step: float
    start: float

    def build(self) -> tuple[widgets.Widget, widgets.Widget]:
        """Return the widget that holds the value, and the row that shows it."""
        whole = isinstance(self.step, int)
        box_type = widgets.BoundedIntText if whole else widgets.BoundedFloatText
        slider_type = widgets.IntSlider if whole else widgets.FloatSlider
        limits = {"min": self.low, "max": self.high, "step": self.step, "value": self.start}
        box = box_type(description=self.label, **limits)
        slider = slider_type(readout=False, **limits)
        digits = -Decimal(str(self.step)).as_tuple().exponent
        # Without rounding, 0.1 + 0.2 would show as 0.30000000000000004.
        widgets.link(
            (slider, "value"), (box, "value"), [lambda v: v if whole else round(v, digits), _same]
        )
        return box, _row(box, slider)


@dataclass(frozen=True)
class LogSlider:
    """A positive number from `low` to `high`, moved by factors of 10^0.01 = 1.023.

    `start` must be such a step, to three digits; another start would move when the page opens.
    """

    label: str
    low: float
    high: float
    start: float

    def build(self) -> tuple[widgets.Widget, widgets.Widget]:
        """Return the widget that holds the value, and the row that shows it."""
        box = widgets.BoundedFloatText(
            description=self.label, min=self.low, max=self.high, value=self.start, step=None
        )
        slider = widgets.FloatLogSlider(
            readout=False,
            min=math.log10(self.low),
            max=math.log10(self.high),
            step=0.01,
            value=self.start,
        )
        widgets.link((slider, "value"), (box, "value"), [self._shown, _same])
        return box, _row(box, slider)

    def _shown(self, value):
        """Round to three digits, within the limits."""
        return min(max(float(f"{value:.3g}"), self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """One of a few named options."""

    label: str
    options: tuple[str, ...]
    start: str

    def build(self) -> tuple[widgets.Widget, widgets.Widget]:
        """Return the widget that holds the value, and the row that shows it."""
        box = widgets.Dropdown(description=self.label, options=self.options, value=self.start)
        return box, _row(box)


class Explorer:
    """Base of all explorers; see the top of this module for what a subclass defines."""

    controls: ClassVar[Mapping[str, Slider | LogSlider | Choice]] = {}
    size: ClassVar[tuple[float, float]] = (9.0, 4.0)  # of the picture, inches
    sharpness: ClassVar[float] = SHARPNESS  # picture pixels per page pixel; less is faster
    alt: ClassVar[str] = ""  # what the picture shows, for readers who cannot see it
    raise_errors: ClassVar[bool] = False  # tests set it; in the page an error is told in words

    def __init__(self):
        self._make_figure()
        built = {name: control.build() for name, control in self.controls.items()}
        self._values = {name: value for name, (value, _) in built.items()}
        self._reset = widgets.Button(description="Reset", layout=widgets.Layout(width="90px"))
        self._status = widgets.HTML()
        rows = widgets.Box(
            [row for _, row in built.values()] + [self._reset],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center"),
        )
        self._panel = widgets.VBox([rows, self._status])
        self._panel.add_class("mflib-explorer")
        self._handle = None
        for value in self._values.values():
            value.observe(self._changed, "value")
        self._reset.on_click(self._start_again)
        self._refresh()

    # What a subclass defines

    @staticmethod
    def compute(**settings) -> Any:
        """Return the result for these settings: anything with a `state` and a `message`."""
        raise NotImplementedError

    def draw(self, fig: Figure) -> None:
        """Make all artists, those that change with `animated=True`."""
        raise NotImplementedError

    def update(self, result: Any) -> None:
        """Set the data of the animated artists."""
        raise NotImplementedError

    # What every explorer does

    @property
    def settings(self) -> dict[str, Any]:
        """The present value of each control."""
        return {name: value.value for name, value in self._values.items()}

    def set(self, **settings) -> None:
        """Move controls, as a learner would."""
        for name, value in settings.items():
            self._values[name].value = value

    def render(self, **settings) -> bytes:
        """Return the picture for these settings as PNG, and keep the result in `self.result`."""
        self.result = self.compute(**settings)
        self.update(self.result)
        canvas = self.figure.canvas
        canvas.restore_region(self._background)
        for artist in self._moving:
            artist.axes.draw_artist(artist)
        return to_png(self.figure, fast=True)

    def show(self) -> None:
        """Show the controls and the picture in the page."""
        controls = self._panel._repr_mimebundle_()
        names = ", ".join(control.label for control in self.controls.values())
        controls["text/plain"] = f"Controls, when the notebook runs: {names}."
        display(controls, raw=True)
        data, metadata = self._bundle(to_png(self.figure))
        self._handle = display(data, metadata=metadata, raw=True, display_id=True)

    def _make_figure(self):
        with mpl.rc_context(STYLE):
            self.figure = Figure(figsize=self.size, dpi=PIXELS_PER_INCH * self.sharpness)
            canvas = FigureCanvasAgg(self.figure)
            self.draw(self.figure)
        canvas.draw()
        self.figure.set_layout_engine("none")  # nothing may shift when the data change
        self._background = canvas.copy_from_bbox(self.figure.bbox)
        moving = self.figure.findobj(lambda artist: artist.get_animated())
        self._moving = sorted(moving, key=lambda artist: artist.zorder)

    def _refresh(self):
        """Draw the present settings and tell the state in words."""
        self._png = self.render(**self.settings)
        if self._handle is not None:
            data, metadata = self._bundle(self._png)
            self._handle.update(data, metadata=metadata, raw=True)
        # Last: a reader who sees new words finds the new picture already there.
        self._say(self.result.state, self.result.message)

    def _say(self, state, message):
        self.state, self.message = state, message
        settings = html.escape(json.dumps(self.settings))
        self._status.value = (
            f'<div role="status" aria-live="polite" style="{_STATUS_STYLE}" '
            f'data-explorer="{type(self).__name__}" data-settings="{settings}">'
            f"<b>{html.escape(state)}.</b> {html.escape(message)}</div>"
        )

    def _changed(self, _change):
        try:
            self._refresh()
        except Exception as error:  # the page would show nothing of it
            if self.raise_errors:
                raise
            self._say("Error", f"{type(error).__name__}: {error}")

    def _start_again(self, _button):
        for value in self._values.values():  # one redraw for all controls
            value.unobserve(self._changed, "value")
        self.set(**{name: control.start for name, control in self.controls.items()})
        for value in self._values.values():
            value.observe(self._changed, "value")
        self._changed(None)

    def _bundle(self, png):
        words = f"{self.alt} {self.result.state}. {self.result.message}"
        return picture_bundle(png, self.figure, words)


def _same(value):
    return value


def _row(box, *sliders):
    """Lay out one control. The box carries the accessible name, which sliders cannot have."""
    box.style = _LABEL
    box.layout.width = "190px"
    for slider in sliders:
        slider.layout.width = "210px"
    row = widgets.HBox([box, *sliders], layout=widgets.Layout(margin="0 24px 0 0"))
    row.add_class("mflib-control")
    return row
