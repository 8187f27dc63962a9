"""Committed notebooks are executed, normalised, small, and readable without running them."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from lesson_minutes import in_class
from nbclient import NotebookClient
from run_notebooks import keep_what_is_stored, normalise

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks/solutions").glob("*.ipynb"))
every = pytest.mark.parametrize("path", LESSONS + SOLUTIONS, ids=lambda path: path.stem)


def cells(path, kind):
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def test_every_lesson_has_solutions():
    assert [path.name for path in LESSONS[1:]] == [path.name for path in SOLUTIONS]


@every
def test_executed_from_top_to_bottom_without_errors_or_warnings(path):
    code = cells(path, "code")
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"
        assert sum(output.output_type == "stream" for output in cell.outputs) <= 1


def test_cells_without_their_real_data_keep_what_is_stored():
    def notebook(*texts):
        new_cell, new_output = nbformat.v4.new_code_cell, nbformat.v4.new_output
        outputs = [
            [new_output("stream", name="stdout", text=text)] if text else [] for text in texts
        ]
        tags = ({"tags": ["real-data"]},) * (len(texts) - 1)
        cells = [
            new_cell("fit()", id=f"cell-{i}", metadata=metadata, outputs=output)
            for i, (metadata, output) in enumerate(zip((*tags, {}), outputs, strict=True))
        ]
        return nbformat.v4.new_notebook(cells=cells)

    run = notebook("0.91\n", "Skipped: no network.\n", "Skipped: no network.\n", "Skipped\n")
    lacking = keep_what_is_stored(run, notebook("0.90\n", "0.92\n", "", "0.93\n"))
    assert lacking == ["cell-1", "cell-2"]
    assert [cell.outputs[0].text for cell in run.cells] == [
        *("0.91\n", "0.92\n", "Skipped: no network.\n", "Skipped\n"),
    ]


@every
def test_normalised(path):
    text = path.read_text(encoding="utf-8")
    assert normalise(nbformat.reads(text, as_version=4)) == text, "run `make notebooks`"


@every
def test_nothing_is_drawn_without_a_seed(path):
    """Where that is NumPy's global generator, the kernel tells (below)."""
    assert not any("default_rng()" in cell.source for cell in cells(path, "code"))


def test_the_kernel_tells_of_a_cell_that_draws_without_a_seed():
    imports, draw = "import numpy as np\nimport mflib.eigen", "np.random.default_rng(0).normal()"
    no_names = "assert not {'sys', '_watch'} & set(globals())"
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(f"{source};")
            for source in (imports, draw, "mflib.eigen.power_iteration([[2]])", "1", no_names)
        ]
    )
    NotebookClient(notebook).execute()
    told = [[output.text for output in cell.outputs] for cell in notebook.cells]
    sentence = "This cell draws random numbers without a seed.\n"
    assert told == [[], [], [sentence], [], []]


@every
def test_small_and_without_paths_of_a_machine(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    assert not re.search(r"/(home|root|Users|tmp|work)/|[A-Z]:\\\\", text)


@every
def test_every_picture_has_alt_text(path):
    for cell in cells(path, "code"):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert len(output.metadata["image/png"]["alt"]) > 20
                assert output.data["text/plain"].startswith(output.metadata["image/png"]["alt"])


@every
def test_every_code_cell_follows_a_sentence(path):
    """A few may follow another code cell directly; none may open a notebook."""
    notebook = nbformat.read(path, as_version=4)
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds[0] == "markdown"
    assert sum(a == b == "code" for a, b in zip(kinds, kinds[1:], strict=False)) <= 2


@every
def test_every_formula_typesets_everywhere(path):
    """Dollar signs only: other ways to write mathematics fail on GitHub or on the built site."""
    for cell in cells(path, "markdown"):
        text = re.sub(r"`[^`]*`", "", cell.source)
        assert not re.search(r"\\newcommand|\\def\\|\\\(|\\\[", text)
        assert text.count("$$") % 2 == 0
        outside = re.sub(r"\$\$.*?\$\$", "", text, flags=re.S)
        assert "\\begin{" not in re.sub(r"\$[^$]*\$", "", outside)
        assert outside.count("$") % 2 == 0


@every
def test_links_between_files_lead_somewhere(path):
    for cell in cells(path, "markdown"):
        for target in re.findall(r"\]\(([^)#:]+)\)", cell.source):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_answer_is_folded_and_closed(path):
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    assert text.count("<details>") == text.count("</details>") == text.count("<summary>")
    questions = re.findall(r"\*\*Question (\d+)\.\*\*", text)
    assert questions == [str(i + 1) for i in range(len(questions))]
    assert text.count("<details>") >= len(questions) > 0


@pytest.mark.parametrize("path", LESSONS[1:], ids=lambda path: path.stem)
def test_the_head_says_how_long_the_lesson_takes(path):
    assert f"In class it takes about {in_class(path)} minutes." in cells(path, "markdown")[0].source


@every
def test_a_prose_cell_ends_where_a_heading_or_an_answer_makes_a_break(path):
    for cell in cells(path, "markdown"):
        assert not re.search(r"(?m)(?<!\A)^#{1,4} ", cell.source[1:]), cell.id
        assert not re.search(r"</details>\s*[^<\s]", cell.source), cell.id


def test_the_gradients_written_out_in_lesson_6_agree_with_differences():
    sources = [cell.source for path in LESSONS for cell in cells(path, "code")]
    (source,) = (text for text in sources if "def program_gradients" in text)
    exec(source, names := {"np": np})

    def loss(W, H, T):
        rule = [W[t] - W[t - 1] @ T - W[t - 2] @ T @ T for t in range(2, 5)]
        return 0.7 * np.mean((W @ H - past) ** 2) + 0.3 * np.mean(np.square(rule))

    rng = np.random.default_rng(0)
    past, *factors = map(rng.standard_normal, ((5, 4, 3), (5, 4, 2), (2, 3), (2, 2)))
    for place, gradient in enumerate(names["program_gradients"](*factors, past)):
        nudges = [np.zeros(factor.shape) for factor in factors]
        nudges[place] += 1e-5 * rng.standard_normal(gradient.shape)
        up, down = (loss(*map(move, factors, nudges)) for move in (np.add, np.subtract))
        assert np.sum(gradient * nudges[place]) == pytest.approx((up - down) / 2, rel=1e-6)
