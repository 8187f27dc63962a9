"""Draw the explorers of the lessons beforehand, for pages without a kernel.

    python tools/draw_explorers.py       (`make site` and `make slides` do it)

Below site/_build/html/explorers each has a folder with a picture for every setting that its class
calls `drawn`, and a file with the sentences. The folder is named after the explorer and all that
its pictures depend on, so that it is made again when something of that has changed, and only then.
`panel.js` shows it on the page, as in a notebook; `explorers.js` answers in place of a kernel.
"""

import hashlib
import html
import importlib
import io
import itertools
import json
import pkgutil
import re
import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.metadata import version
from modulefinder import ModuleFinder
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image

import mflib.explore
from mflib.explore.base import Explorer

ROOT = Path(__file__).parents[1]
EXPLORE = ROOT / "mflib/explore"
DRAWN = ROOT / "site/_build/html/explorers"
for module in pkgutil.iter_modules(mflib.explore.__path__):
    importlib.import_module(f"mflib.explore.{module.name}")
EXPLORERS = {explorer.__name__: explorer for explorer in Explorer.__subclasses__()}
LARGEST = 30 * 1024  # bytes of a picture
QUALITIES = (60, 40, 20, 10, 5, 1, 0)  # of a picture that is larger when it is exact
NOTE = "Here the controls step through {} drawn settings; in a notebook every value is possible."
PANEL = """<div class="mflib-explorer" data-folder="../explorers/{folder}" data-prevent-swipe>
<img src="../explorers/{folder}/{start}.webp" alt="{alt}" width="{width}" height="{height}">
<p>{sentence}</p>
<script type="application/json">{index}</script>
</div>"""


def shown(source: str) -> type | None:
    """Return the explorer that a cell shows, if any."""
    found = re.search(r"\b(\w+Explorer)\(\)\.show\(\)", source)
    return found and EXPLORERS[found[1]]


def picture(pixels: np.ndarray) -> bytes:
    """Return an RGBA image as WebP: exact in 64 colours, or as sharp as `LARGEST` allows."""
    image = Image.fromarray(pixels).convert("RGB")
    few = image.quantize(64, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).convert("RGB")
    exact = [(few, {"lossless": True, "quality": effort, "method": 2}) for effort in (20, 50)]
    for source, options in [*exact, *((image, {"quality": quality}) for quality in QUALITIES)]:
        file = io.BytesIO()
        source.save(file, "webp", **options)
        if file.tell() <= LARGEST:
            break
    return file.getvalue()


def key(explorer: type) -> str:
    """Return a hash of what the pictures depend on: sources, data and libraries."""
    finder = ModuleFinder([str(ROOT)])
    finder.run_script(importlib.import_module(explorer.__module__).__file__)
    sources = {module.__file__ for module in finder.modules.values()} - {None}
    digest = hashlib.sha256()
    for file in sorted([*map(Path, sources), *(ROOT / "data").iterdir(), Path(__file__)]):
        digest.update(file.read_bytes())
    for library in ("numpy", "scipy", "scikit-learn", "matplotlib", "pillow"):
        digest.update(version(library).encode())
    return digest.hexdigest()[:12]


def draw(explorer: type) -> Path:
    """Draw an explorer in all settings, unless that is done, and return its folder."""
    folder = DRAWN / f"{explorer.__name__}-{key(explorer)}"
    if (folder / "index.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    drawn, its, words = explorer.drawn(), explorer(), {}
    its.raise_errors = True
    for places in itertools.product(*(range(len(values)) for values in drawn.values())):
        its.set(**{name: drawn[name][i] for name, i in zip(drawn, places, strict=True)})
        name = "-".join(map(str, places))
        words[name] = [its.state, its.message]
        (folder / f"{name}.webp").write_bytes(picture(np.asarray(its.figure.canvas.buffer_rgba())))
    spec = explorer.describe() | {"late": "The picture is on its way"}
    for name, control in spec["controls"].items():
        control["options" if "options" in control else "values"] = drawn[name]
    index = {"spec": spec, "words": words, "note": NOTE.format(len(words))}
    text = json.dumps(index, ensure_ascii=False)
    (folder / "index.json").write_text(text, encoding="utf-8")  # last: now it is complete
    return folder


@cache
def draw_all() -> dict[type, Path]:
    """Draw the explorers of all lessons, several at a time, and return their folders."""
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    cells = [cell for path in notebooks for cell in nbformat.read(path, as_version=4).cells]
    explorers = dict.fromkeys(filter(None, [shown(cell.source) for cell in cells]))
    with ProcessPoolExecutor() as pool:
        folders = dict(zip(explorers, pool.map(draw, explorers), strict=True))
    for outdated in set(DRAWN.iterdir()) - set(folders.values()):
        shutil.rmtree(outdated)
    return folders


def panel(explorer: type) -> str:
    """Return an explorer as HTML for a page one folder below the root of the site."""
    folder = draw_all()[explorer]
    index = (folder / "index.json").read_text(encoding="utf-8")
    content, drawn = json.loads(index), explorer.drawn()
    start = "-".join(str(drawn[name].index(value)) for name, value in explorer.start().items())
    spec, sentence = content["spec"], "{}. {}".format(*content["words"][start])
    return PANEL.format(
        folder=folder.name,
        start=start,
        alt=html.escape(f"{spec['alt']} {sentence}"),
        width=spec["width"],
        height=spec["height"],
        sentence=html.escape(f"{sentence}."),
        index=index.replace("</", "<\\/"),
    )


def write_front_end(folder: Path) -> None:
    """Write the script and the style that all panels of a page share."""
    script = (EXPLORE / "panel.js").read_text(encoding="utf-8")
    script = script.replace("export default", "const panel =")
    script += (ROOT / "site/explorers.js").read_text(encoding="utf-8")
    # In a function, so that no name of it is the page's; no module, which a file may not load.
    (folder / "explorers.js").write_text(f"(() => {{\n{script}}})()\n", encoding="utf-8")
    shutil.copy(EXPLORE / "panel.css", folder)


if __name__ == "__main__":
    draw_all()
