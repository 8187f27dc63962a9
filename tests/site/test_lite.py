"""The experimental JupyterLite (`make lite`): what can be seen without compiled wheels."""

import ast
import json
import statistics
import sys
import time
import tomllib
from hashlib import sha256

import nbformat
import pytest
from jlab import Notebook
from jupyterlite_pyodide_kernel.constants import PYODIDE_CDN_URL, PYODIDE_VERSION
from make_lite import BUILT, ROOT, closure
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from playwright.sync_api import expect

import mflib

PYODIDE = BUILT / "static/pyodide"
LOCK = json.loads((PYODIDE / "pyodide-lock.json").read_text(encoding="utf-8"))
PACKAGES = LOCK["packages"]
COMPILED = {"contourpy", "kiwisolver", "matplotlib", "numpy", "pillow", "scikit-learn", "scipy"}
RUN = """async code => {
    const { shell, commands } = window.jupyterapp, notebook = shell.currentWidget.content
    notebook.activeCellIndex = notebook.widgets.findIndex(cell => cell.model.type === 'code')
    notebook.activeCell.model.sharedModel.setSource(code)
    await commands.execute('notebook:run-cell') }"""
# The slider tells Python its value, and Python tells it to a widget made as the explorers are.
ROUND_TRIP = '''
import anywidget, ipywidgets, traitlets

class Answer(anywidget.AnyWidget):
    value = traitlets.Int().tag(sync=True)
    _esm = """export default { render({ model, el }) {
        const say = () => { el.textContent = `Python has ${model.get("value")}.` }
        model.on("change:value", say)
        say()
    } }"""

slider, answer = ipywidgets.IntSlider(), Answer()
slider.observe(lambda change: answer.set_trait("value", change["new"]), "value")
display(slider, answer)
'''


class LiteNotebook(Notebook):
    """A notebook open in JupyterLite, and what its page asks of other sites."""

    def __init__(self, page, address, path):
        self.page, self.outside = page, []
        self.inside = (address, "data:", "blob:")
        page.context.on("request", self.note)
        page.goto(f"{address}/lite/lab/index.html?path={path}")
        self._wait(180_000)

    def note(self, request):
        if not request.url.startswith(self.inside):
            self.outside.append(request.url)

    def run(self, code):
        """Run code in the first cell, and return its outputs."""
        self.page.evaluate(RUN, code)
        return self.outputs()


@pytest.fixture(scope="module")
def started(browser, address):
    start = time.monotonic()
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    notebook = LiteNotebook(page, address, "00_start_here.ipynb")
    notebook.seconds = time.monotonic() - start
    yield notebook
    page.close()


def test_every_notebook_is_there_as_a_learner_gets_it():
    folders = ROOT / "notebooks", BUILT / "files"
    there, here = ({p.relative_to(f) for p in f.rglob("*.ipynb")} for f in folders)
    assert here == there
    for path in here:
        original, copy = (nbformat.read(folder / path, as_version=4).cells for folder in folders)
        assert [cell.source for cell in copy] == [cell.source for cell in original]
        assert all(not cell.get("outputs") for cell in copy)


def test_the_build_is_light_and_has_no_source_maps():
    files = [path for path in BUILT.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 50_000_000
    assert [path for path in files if path.suffix == ".map"] == []


def test_only_compiled_wheels_come_from_outside_the_site():
    assert f'"{PYODIDE_VERSION}"' in (PYODIDE / "pyodide.mjs").read_text(encoding="utf-8")
    outside = set()
    for name in closure(PACKAGES, "micropip", "jedi", "mflib"):
        file, checksum = PACKAGES[name]["file_name"], PACKAGES[name]["sha256"]
        if file.startswith(f"{PYODIDE_CDN_URL}/"):
            outside.add(name)
        else:
            assert sha256((PYODIDE / file).read_bytes()).hexdigest() == checksum
    assert outside == COMPILED


def test_importing_mflib_brings_every_import_in_a_version_that_pyproject_allows():
    code = [path.read_text(encoding="utf-8") for path in (ROOT / "mflib").rglob("*.py")]
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        code += [cell.source for cell in cells if cell.cell_type == "code"]
    nodes = [node for text in code for node in ast.walk(ast.parse(text))]
    modules = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    brought = closure(PACKAGES, "mflib")
    known = {module for name in brought for module in PACKAGES[name]["imports"]}
    unknown = {module.partition(".")[0] for module in modules} - known - sys.stdlib_module_names
    assert unknown == {"numba", "pyspark"}  # the lessons go on without them

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert SpecifierSet(project["requires-python"]).contains(LOCK["info"]["python"])
    for requirement in map(Requirement, project["dependencies"]):
        assert requirement.specifier.contains(PACKAGES[requirement.name]["version"]), requirement


def test_the_kernel_starts_from_the_site_alone(started, capsys):
    (answer,) = started.run("import sys\nprint(sys.platform, 6 * 7)")
    assert answer["text"] == "emscripten 42\n"
    assert started.outside == []
    with capsys.disabled():
        print(f"\nJupyterLite's kernel was there after {started.seconds:.0f} s", end="")


def test_a_slider_tells_python_and_python_answers(started, capsys):
    started.run(ROUND_TRIP)
    slider = started.page.get_by_role("slider")
    answer = started.page.locator(".jp-OutputArea").get_by_text("Python has")
    times = []
    for value in range(1, 11):
        start = time.monotonic()
        slider.press("ArrowRight")
        expect(answer).to_have_text(f"Python has {value}.")
        times.append(1000 * (time.monotonic() - start))
    assert started.outside == []
    with capsys.disabled():
        print(f"\na slider's round trip: {statistics.median(times):.0f} ms", end="")


def test_mflib_is_imported_and_asks_for_the_compiled_wheels_alone(started):
    """They do not come here, so that no lesson is seen to run: the home page says so."""
    (answer,) = started.run("import mflib\nprint(mflib.__version__)")
    assert answer["text"] == f"{mflib.__version__}\n"
    assert set(started.outside) == {PACKAGES[name]["file_name"] for name in COMPILED}
