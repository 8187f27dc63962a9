"""What every explorer is made of.

An explorer is a subclass of `Explorer` whose docstring names its lesson, with three parts and
nothing else:

* `controls`, a dictionary from setting names to `Slider` or `Choice`;
* `compute(**settings)`, a pure function that returns a result with `state` (one word or two) and
  `message` (a sentence);
* `draw(fig)` and `update(result)`, which make the artists once and then set their data.

Artists that change are made with `animated=True`: everything else is drawn once and kept as a
background, so that a new picture costs a few milliseconds. An axis may follow the data, too: it is
animated and has no label, and `follow` or `place` moves it; rarely, as it takes its time. A text
that is animated is one line in one colour, and drawn as an outline. A legend is made from these
artists, by their `label`; where several look alike, the first of them has it.

`panel.js` draws the controls, the picture and the sentence on the page. Behind it stands a kernel,
through `Panel`, which draws what one more move the same way will ask for while the reader looks, so
that steps and play wait for no computation. On a page without a kernel, pictures that
tools/draw_explorers.py drew stand in for it.
"""

import asyncio
import base64
import math
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import matplotlib as mpl
import numpy as np
import traitlets
from IPython import get_ipython
from IPython.display import display
from matplotlib.artist import Artist, setp
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.textpath import TextPath
from matplotlib.ticker import NullLocator
from matplotlib.transforms import Affine2D

from mflib.plotting import PIXELS_PER_INCH, SHARPNESS, STYLE, picture_bundle, to_png

PAUSE = 0.05  # seconds that the page has for its answer before the next one is drawn


def even(low: float, high: float, step: float) -> tuple[float, ...]:
    """Return the values from `low` to `high` in steps of `step`, whole if these are whole.

    >>> even(0, 1, 0.25)
    (0.0, 0.25, 0.5, 0.75, 1.0)
    >>> even(1, 4, 1)
    (1, 2, 3, 4)
    """
    values = [low + i * step for i in range(round((high - low) / step) + 1)]
    whole = isinstance(step, int)
    # Without rounding, 0.1 + 0.2 would show as 0.30000000000000004.
    return tuple(values if whole else (round(float(value), 6) for value in values))


def log(low: float, high: float) -> tuple[float, ...]:
    """Return round values from `low` to `high`, each 1 or 2 % above the one before.

    >>> log(0.198, 0.21)
    (0.198, 0.2, 0.205, 0.21)
    """
    leading = [*range(100, 200, 2), *range(200, 500, 5), *range(500, 1000, 10)]
    decades = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    values = [float(f"{digits}e{decade - 2}") for decade in decades for digits in leading]
    return tuple(value for value in values if low <= value <= high)


@dataclass(frozen=True)
class Slider:
    """A number: one of `values` by the slider, any between the first and the last by its box."""

    label: str
    values: tuple[float, ...]
    start: float

    def describe(self) -> dict[str, Any]:
        """Return what the page must know."""
        whole = all(isinstance(value, int) for value in self.values)
        return {"label": self.label, "values": self.values, "whole": whole}


@dataclass(frozen=True)
class Choice:
    """One of a few named options."""

    label: str
    values: tuple[str, ...]
    start: str

    def describe(self) -> dict[str, Any]:
        """Return what the page must know."""
        return {"label": self.label, "options": self.values}


class Panel(anywidget.AnyWidget):
    """An explorer on a page: `panel.js` sends settings, and all the rest is the answer.

    The settings come as a message and not as a trait, which would be echoed to the page, and held
    back while one is under way. The answers are traits, so that a page that is loaded again, or a
    second view, has them.
    """

    _esm = Path(__file__).with_name("panel.js")
    _css = Path(__file__).with_name("panel.css")
    spec = traitlets.Dict().tag(sync=True)
    settings = traitlets.Dict().tag(sync=True)
    words = traitlets.List().tag(sync=True)  # state and message
    picture = traitlets.Unicode().tag(sync=True)  # a data URL: bytes would be shown 10 ms later
    turn = traitlets.Int().tag(sync=True)  # counts the answers


class Explorer:
    """Base of all explorers; see the top of this module for what a subclass defines."""

    controls: ClassVar[Mapping[str, Slider | Choice]] = {}
    size: ClassVar[tuple[float, float]] = (10.6, 3.6)  # of the picture, inches
    alt: ClassVar[str] = ""  # what the picture shows, for readers who cannot see it
    sharpness: ClassVar[float | None] = None  # picture pixels per page pixel; None: as the screen
    lines: ClassVar[int] = 2  # of the longest sentence
    play: ClassVar[str] = ""  # the setting that a play button runs through
    grid: ClassVar[Mapping[str, Sequence]] = {}  # what is drawn for a page without a kernel
    raise_errors: ClassVar[bool] = False  # tests set it; in the page an error is told in words
    _of_cell: ClassVar[dict[str, tuple[str, list["Explorer"]]]] = {}  # the last run of each cell

    def __init__(self):
        self._panel = self._timer = None
        self._ahead = {}  # what is drawn already of settings that may come
        self._make_figure()
        self.set(**self.start())

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

    @classmethod
    def start(cls) -> dict[str, Any]:
        """Return the settings at the start."""
        return {name: control.start for name, control in cls.controls.items()}

    @classmethod
    def describe(cls) -> dict[str, Any]:
        """Return what `panel.js` must know of this explorer, once."""
        return {
            "name": cls.__name__,
            "alt": cls.alt,
            "controls": {name: control.describe() for name, control in cls.controls.items()},
            "start": cls.start(),
            "play": cls.play,
            "lines": cls.lines,
            "width": round(cls.size[0] * PIXELS_PER_INCH),
            "height": round(cls.size[1] * PIXELS_PER_INCH),
            "late": "The kernel is busy; if it was stopped, run this cell again",
        }

    @classmethod
    def drawn(cls) -> dict[str, list]:
        """Return the values of each control of which a page without a kernel has pictures."""
        return {
            name: [
                value
                for value in control.values
                if value == control.start or value in cls.grid.get(name, ())
            ]
            for name, control in cls.controls.items()
        }

    def set(self, **settings) -> None:
        """Move controls, as a learner would; the picture and the words follow."""
        kinds = {name: type(control.start) for name, control in self.controls.items()}
        self.settings = getattr(self, "settings", {}) | {
            name: kinds[name](value) for name, value in settings.items()
        }
        try:
            ready = self._ahead.pop(tuple(self.settings.values()), None)
            self.result, self.picture = ready or self.render(**self.settings)
            self.state, self.message = self.result.state, in_print(self.result.message)
        except Exception as error:  # the page would show nothing of it
            if self.raise_errors:
                raise
            self.state, self.message = "Error", f"{type(error).__name__}: {error}"
        if self._panel is not None:
            with self._panel.hold_sync():  # all in one message
                self._answer()

    def render(self, **settings) -> tuple[Any, bytes]:
        """Return the result for these settings, and its picture as PNG."""
        result = self.compute(**settings)
        self.update(result)
        canvas, renderer = self.figure.canvas, self.figure.canvas.get_renderer()
        limits = [tuple(axis.get_view_interval()) for axis in self._axes]
        if limits != self._limits:
            self._limits = limits
            canvas.restore_region(self._still)
            for axis in self._axes:
                _draw_axis(axis, renderer)
            self._background = canvas.copy_from_bbox(self.figure.bbox)
        canvas.restore_region(self._background)
        for artist in self._moving:
            draw = _draw_text if isinstance(artist, Text) else type(artist).draw
            draw(artist, renderer)
        return result, quick_png(np.asarray(canvas.buffer_rgba()))

    def still(self) -> tuple[bytes, str]:
        """Return the picture in a small file, and its sentence."""
        return to_png(self.figure), f"{self.state}. {self.message}"

    def show(self) -> None:
        """Show the explorer in the page; a file keeps its picture and its words."""
        self._close_the_last_run_of_this_cell()
        if self._panel is None:
            self._panel = Panel(spec=self.describe())
            self._answer()
            self._panel.on_msg(self._hear)
        else:
            self.set()  # the figure shows perhaps what may come
        png, sentence = self.still()
        data, metadata = picture_bundle(png, self.figure, f"{self.alt} {sentence}")
        view, view_metadata = self._panel._repr_mimebundle_()
        display(view | data, metadata=view_metadata | metadata, raw=True)

    def close(self) -> None:
        """Take the explorer from the page, and give its memory back."""
        if self._timer is not None:
            self._timer.cancel()
        if self._panel is not None:
            self._panel.close()
        self.__dict__.clear()

    def sharpen(self, sharpness: float) -> None:
        """Draw from now on for a screen with this many pixels to one of the page, 1 to 1.5."""
        dpi = PIXELS_PER_INCH * (self.sharpness or min(max(sharpness, 1), SHARPNESS))
        if self.figure.dpi != dpi:
            self.figure.dpi = dpi
            self._ahead.clear()
            moving = [artist for artist in self._moving if artist.get_visible()]
            setp(moving, visible=False)  # an axis would draw its name, even one that is animated
            self._draw_what_stands_still()
            setp(moving, visible=True)

    def _hear(self, _panel, message, _buffers):
        before = self.settings
        self.sharpen(message["sharpness"])
        self.set(**message["settings"])
        if self._timer is not None:
            self._timer.cancel()
        with suppress(RuntimeError):  # where no event loop runs
            self._timer = asyncio.get_running_loop().call_later(PAUSE, self._draw_ahead, before)

    def _draw_ahead(self, before):
        """Draw what one more move the same way will ask for, while the reader looks."""
        self._ahead.clear()
        moved = [name for name, value in self.settings.items() if value != before[name]]
        if len(moved) != 1:
            return
        (name,) = moved
        values, last, now = self.controls[name].values, before[name], self.settings[name]
        if not {last, now} <= {*values}:
            return  # typed
        at = values.index(now)
        onwards = values[at + 1 :] if values.index(last) < at else values[:at][::-1]
        for value in onwards[:1]:
            settings = self.settings | {name: value}
            with suppress(Exception):  # it is told when it is asked for
                self._ahead[tuple(settings.values())] = self.render(**settings)

    def _answer(self):
        png = base64.b64encode(self.picture).decode()
        self._panel.settings, self._panel.picture = self.settings, f"data:image/png;base64,{png}"
        self._panel.words = [self.state, self.message]
        self._panel.turn += 1

    def _close_the_last_run_of_this_cell(self):
        """Each figure takes 8 MB, which a cell that is run again would never give back."""
        request = getattr(get_ipython(), "get_parent", dict)()
        cell = request.get("metadata", {}).get("cellId")
        if cell is None:
            return
        run = request["header"]["msg_id"]
        last_run, explorers = self._of_cell.get(cell, (run, []))
        if last_run != run:
            for explorer in explorers:
                if explorer is not self:
                    explorer.close()
            explorers = []
        self._of_cell[cell] = (run, [*explorers, self])

    def _make_figure(self):
        with mpl.style.context(["default", STYLE]):  # whatever style the reader has set
            dpi = PIXELS_PER_INCH * (self.sharpness or SHARPNESS)
            self.figure = Figure(figsize=self.size, dpi=dpi)
            FigureCanvasAgg(self.figure)
            self.draw(self.figure)
        moving = self.figure.findobj(lambda artist: artist.get_animated())
        self._axes = [artist for artist in moving if isinstance(artist, Axis)]
        others = [artist for artist in moving if artist not in self._axes]
        self._moving = sorted(others, key=lambda artist: artist.zorder)
        self._draw_what_stands_still()
        self.figure.set_layout_engine("none")  # nothing may shift when the data change

    def _draw_what_stands_still(self):
        self.figure.canvas.draw()
        self._still = self.figure.canvas.copy_from_bbox(self.figure.bbox)
        self._limits = None


@lru_cache(maxsize=1000)
def _outline(text, size):
    """Return a text as a path, in points, and its left and right ends."""
    path = TextPath((0, 0), text, size=size)
    x = path.vertices[path.codes != path.CLOSEPOLY, 0]  # `get_extents` takes 40 ms
    return path, x.min(), x.max()


def _draw_text(text, renderer):
    """Draw a text as an outline: in a tenth of the time of `Text.draw`."""
    if not (text.get_visible() and text.get_text()):
        return
    path, left, right = _outline(text.get_text(), text.get_fontsize())
    low, high = text.get_fontsize() * np.array([-0.21, 0.76])  # of the letters p and l
    x = {"left": left, "center": (left + right) / 2, "right": right}[text.get_ha()]
    y = {"bottom": low, "baseline": 0, "top": high}.get(text.get_va(), high / 2)
    gc, points = renderer.new_gc(), renderer.points_to_pixels(1)
    gc.set_linewidth(0)
    place = text.get_transform().transform(text.get_position())
    move = Affine2D().translate(-x, -y).rotate_deg(text.get_rotation()).scale(points)
    renderer.draw_path(gc, path, move.translate(*place), mpl.colors.to_rgba(text.get_color()))


def _draw_axis(axis, renderer):
    """Draw an axis as `Axis.draw` does, all its lines at once: in a fifth of the time."""
    for text in axis.get_ticklabels():
        _draw_text(text, renderer)
    first, places = axis.get_major_ticks()[0], axis.get_majorticklocs()
    for line, across in ((first.gridline, [0, 1, np.nan]), (first.tick1line, [0])):
        every = Line2D([], [])
        every.update_from(line)
        data = np.tile(across, len(places)), np.repeat(places, len(across))
        every.set_data(data[::-1] if axis.axis_name == "x" else data)
        every.draw(renderer)


def follow(axis: Axis, low: float, high: float) -> None:
    """Move a logarithmic axis, which must be animated, to new limits, with round ticks.

    Its limits leave a margin and are rounded outwards, so that it rarely moves: to 1, 2 or 5 times
    a power of ten, or to the powers of ten that are ticks.
    """
    margin = max(1.05, (high / low) ** 0.05)
    low, high = low / margin, high * margin
    stride = math.ceil(math.log10(high / low) / 6)  # decades from tick to tick
    first = math.floor(math.log10(low) / stride) * stride
    last = math.ceil(math.log10(high) / stride) * stride
    leading = (1, 2, 5) if high / low < 200 else (1,)
    exponents = range(first, last + 1, stride)
    ticks = np.array([float(f"{digit}e{e}") for e in exponents for digit in leading])
    low, high = ticks[ticks <= low].max(), ticks[ticks >= high].min()
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    place(axis, low, high, ticks)


def place(axis: Axis, low: float, high: float, ticks: Sequence[float]) -> None:
    """Move an animated axis to new limits, with these ticks and no others."""
    if tuple(axis.get_view_interval()) != (low, high):
        axis.axes.set(**{f"{axis.axis_name}lim": (low, high)})
        axis.set_ticks(ticks, [short_number(tick) for tick in ticks])
        axis.set_minor_locator(NullLocator())


def short_number(value: float) -> str:
    """Return a round number for an axis.

    >>> short_number(0.02), short_number(-1e7)
    ('0.02', '−10⁷')
    """
    text = f"{value:g}" if 1e-3 <= abs(value) < 1e4 or not value else f"{value:.0e}"
    return in_print(text).replace("1 · 10", "10")


def in_print(text: str) -> str:
    """Return a sentence as a book prints it: no "1.1e+02", no "-3", no "λ_max".

    >>> in_print("from -3 to 1.1e+02, not 2e-09; 2/λ_max")
    'from −3 to 110, not 2 · 10⁻⁹; 2/λₘₐₓ'
    """

    def plain(match):
        digits, exponent = match[1], int(match[2])
        if -5 < exponent < 5:
            return f"{float(match[0]):.{max(0, len(digits) - 2 - exponent)}f}"
        return f"{digits} · 10{str(exponent).translate(_RAISED)}"

    text = re.sub(r"\b(\d(?:\.\d+)?)e([+-]?\d+)\b", plain, text.replace("_max", "ₘₐₓ"))
    return re.sub(r"(?<![\w)])-(?=[\d.])", "−", text)


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Pixels(Artist):
    """An image of RGBA bytes, a pixel a number: to resample it would take longer than all else."""

    def __init__(self):
        super().__init__()
        self.set_animated(True)

    def set_pixels(self, pixels):
        """Set the image, (rows, columns, 4)."""
        self._pixels = pixels

    def set_corner(self, corner):
        """Set the place of its lower left corner, in pixels from the left and from below."""
        self._corner = corner

    def draw(self, renderer):
        """Copy the image into the picture."""
        if self._pixels.size:
            renderer.draw_image(renderer.new_gc(), *self._corner, self._pixels[::-1])


def coloured(values: np.ndarray, name: str, low: float, high: float) -> np.ndarray:
    """Return an image as RGBA bytes in the colours of a map, so few that it is sent fast."""
    return _colours(name)((values - low) / (high - low), bytes=True)


@lru_cache  # Matplotlib would make a new map each time
def _colours(name):
    return mpl.colormaps[name].resampled(65)  # one of them in the middle


def quick_png(pixels: np.ndarray) -> bytes:
    """Return an RGBA image (rows, columns, 4) as PNG.

    Its rows are not filtered and barely compressed: a picture of curves takes 8 ms in place of the
    20 ms of Pillow, which must choose a filter for every row.
    """
    rows, columns, channels = pixels.shape
    scanlines = np.zeros((rows, 1 + channels * columns), np.uint8)  # each begins with its filter, 0
    scanlines[:, 1:] = pixels.reshape(rows, -1)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 6, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(scanlines, 1), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks.items()
    )
