"""What a learner writes is never lost, and what nobody wrote in follows the course."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_copies import MANIFEST, restore, sources, update

ROOT = Path(__file__).parents[1]
NAMES = ["00_start.ipynb", "01_first.ipynb", "solutions/01_first.ipynb"]


def notebook(*cells):
    made = [nbformat.v4.new_markdown_cell("# A question", id="cell-0")]
    for number, source in enumerate(cells, start=1):
        outputs = [nbformat.v4.new_output("stream", text="the answer\n")]
        made.append(
            nbformat.v4.new_code_cell(
                source, id=f"cell-{number}", execution_count=number, outputs=outputs
            )
        )
    return nbformat.v4.new_notebook(cells=made)


def save(path, new):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new, path)


def load(path):
    return nbformat.read(path, as_version=4)


def change(path, source, cell=1):
    """Write in one cell, as a learner or an author does."""
    new = load(path)
    new.cells[cell].source = source
    save(path, new)


def run(path):
    """Give every cell an output and a number, and an empty cell at the end, as JupyterLab does."""
    new = load(path)
    for number, cell in enumerate(new.cells):
        if cell.cell_type == "code":
            cell.execution_count = number
            cell.outputs = [nbformat.v4.new_output("stream", text="of my own\n")]
            cell.metadata["scrolled"] = True
    new.cells.append(nbformat.v4.new_code_cell(""))
    save(path, new)


def outputs(path):
    return [cell.outputs for cell in load(path).cells if cell.cell_type == "code"]


@pytest.fixture
def course(tmp_path):
    """Return the folders of a small course: its originals, and copies handed out yesterday."""
    originals, copies = tmp_path / "notebooks", tmp_path / "my_course"
    for name in NAMES:
        save(originals / name, notebook("first = 1", "second = 2"))
    assert update(originals, copies) == ["Files written to my_course: 3"]
    return originals, copies


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_fresh_copy_has_every_cell_and_no_output(course):
    for name in NAMES:
        original, copy = (load(folder / name) for folder in course)
        assert [cell.source for cell in copy.cells] == [cell.source for cell in original.cells]
        assert [cell.id for cell in copy.cells] == [cell.id for cell in original.cells]
        code = [cell for cell in copy.cells if cell.cell_type == "code"]
        assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
        nbformat.validate(copy)


def test_nothing_is_written_or_said_when_nothing_has_changed(course):
    before = contents(course[1])
    assert update(*course) == []
    assert contents(course[1]) == before


def test_the_originals_are_never_written_to(course):
    originals, copies = course
    before = contents(originals)
    change(copies / NAMES[0], "mine")
    update(*course)
    restore(*course, "00")
    assert contents(originals) == before


def test_an_edited_copy_stays_as_it_is(course):
    copy = course[1] / NAMES[1]
    change(copy, "mine = 1")
    before = copy.read_bytes()
    assert update(*course) == []
    assert copy.read_bytes() == before


def test_an_edited_copy_whose_original_changes_stays_and_is_named(course):
    originals, copies = course
    change(copies / NAMES[1], "mine = 1")
    change(originals / NAMES[1], "better = 1")
    before = (copies / NAMES[1]).read_bytes()
    for _ in range(2):  # it is true the next day, too
        (line,) = update(*course)
        assert line == f"{NAMES[1]} has changed in the course; yours is edited and left alone"
        assert (copies / NAMES[1]).read_bytes() == before


def test_a_copy_that_was_only_run_is_not_edited(course):
    originals, copies = course
    run(copies / NAMES[1])
    assert update(*course) == []
    assert outputs(copies / NAMES[1])[0][0].text == "of my own\n"  # nothing new, so they stay
    change(originals / NAMES[1], "better = 1")
    assert update(*course) == ["Files written to my_course: 1"]
    assert load(copies / NAMES[1]).cells[1].source == "better = 1"
    assert outputs(copies / NAMES[1]) == [[], []]


def test_what_is_written_into_a_run_copy_is_kept(course):
    originals, copies = course
    run(copies / NAMES[1])
    change(copies / NAMES[1], "my_answer = 42", cell=-1)  # in the empty cell at the end
    change(originals / NAMES[1], "better = 1")
    assert len(update(*course)) == 1
    assert load(copies / NAMES[1]).cells[-1].source == "my_answer = 42"


def test_new_and_changed_lessons_come_into_copies_that_were_not_edited(course):
    originals, copies = course
    save(originals / "02_second.ipynb", notebook("third = 3"))
    change(originals / NAMES[2], "better = 1")
    assert update(*course) == ["Files written to my_course: 2"]
    assert load(copies / "02_second.ipynb").cells[1].source == "third = 3"
    assert load(copies / NAMES[2]).cells[1].source == "better = 1"


def test_a_folded_cell_is_a_change_of_the_course_and_no_edit_of_the_learner(course):
    originals, copies = course
    new = load(originals / NAMES[1])
    new.cells[1].metadata["tags"] = ["hide-input"]
    save(originals / NAMES[1], new)
    assert update(*course) == ["Files written to my_course: 1"]
    assert load(copies / NAMES[1]).cells[1].metadata.tags == ["hide-input"]
    new = load(copies / NAMES[1])
    new.cells[1].metadata["collapsed"] = True
    save(copies / NAMES[1], new)
    change(originals / NAMES[1], "better = 1")
    assert update(*course) == ["Files written to my_course: 1"]


def test_a_copy_that_somebody_threw_away_comes_back(course):
    (course[1] / NAMES[1]).unlink()
    assert update(*course) == ["Files written to my_course: 1"]
    assert outputs(course[1] / NAMES[1]) == [[], []]


def test_what_left_the_course_leaves_the_copies_unless_it_is_edited(course):
    originals, copies = course
    change(copies / NAMES[1], "mine")
    run(copies / NAMES[2])
    for name in NAMES[1:]:
        (originals / name).unlink()
    assert update(*course) == [
        f"{NAMES[1]} is no longer in the course; yours is edited and left alone"
    ]
    assert load(copies / NAMES[1]).cells[1].source == "mine"
    assert not (copies / NAMES[2]).exists()
    assert update(*course) == []


def test_without_its_list_a_copy_that_differs_counts_as_edited(course):
    originals, copies = course
    for damage in (None, "", "{"):
        manifest = copies / MANIFEST
        manifest.unlink() if damage is None else manifest.write_text(damage)
        change(originals / NAMES[1], f"better = {damage!r}")
        before = (copies / NAMES[1]).read_bytes()
        assert len(update(*course)) == 1
        assert (copies / NAMES[1]).read_bytes() == before
        assert NAMES[0] in json.loads(
            manifest.read_text()
        )  # the same as in the course: known again


def test_a_damaged_copy_is_left_alone(course):
    copy = course[1] / NAMES[1]
    copy.write_bytes(copy.read_bytes()[:-20] + b"\xff my only answer")
    before = copy.read_bytes()
    change(course[0] / NAMES[1], "better")
    assert len(update(*course)) == 1
    assert copy.read_bytes() == before


def test_a_picture_is_handed_out_as_it_is(course):
    originals, copies = course
    picture = b"\x89PNG\r\n\x1a\n\x00\xff"
    (originals / "images").mkdir()
    (originals / "images/a.png").write_bytes(picture)
    (originals / ".ipynb_checkpoints").mkdir()
    (originals / ".ipynb_checkpoints/00_start-checkpoint.ipynb").write_text("old")
    assert update(*course) == ["Files written to my_course: 1"]
    assert (copies / "images/a.png").read_bytes() == picture


def test_a_restored_lesson_is_new_and_the_edited_one_is_kept(course):
    originals, copies = course
    copy = copies / NAMES[1]
    for number in (1, 2):
        change(copy, f"mine = {number}")
        change(originals / NAMES[1], f"better = {number}")
        (line,) = restore(*course, "01")
        kept = copies / f"01_first.mine-{number}.ipynb"
        assert line == f"01_first.ipynb is as in the course; what you wrote is in {kept.name}"
        assert load(kept).cells[1].source == f"mine = {number}"
        assert load(copy).cells[1].source == f"better = {number}"
        assert outputs(copy) == [[], []]
    assert update(*course) == []


def test_a_lesson_that_was_not_edited_is_restored_without_a_second_copy(course):
    copy = course[1] / NAMES[1]
    run(copy)
    before = len(contents(course[1]))
    assert restore(*course, "1") == ["01_first.ipynb is as in the course"]
    assert outputs(copy) == [[], []]
    assert len(contents(course[1])) == before


def test_a_solution_can_be_restored_too(course):
    assert restore(*course, "solutions/01") == [f"{NAMES[2]} is as in the course"]


@pytest.mark.parametrize("lesson", ["", "7", "x"])
def test_a_lesson_that_does_not_exist_is_told_in_one_sentence(course, lesson):
    message = rf"^No lesson is called '{lesson}'; there are 00, 01, solutions/01$"
    with pytest.raises(SystemExit, match=message):
        restore(*course, lesson)


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(text, max_size=4), st.lists(text, max_size=4))
def test_two_notebooks_say_the_same_if_their_cells_do(one, other):
    said = [[source for source in cells if source.strip()] for cells in (one, other)]
    sums = [sources(nbformat.writes(notebook(*cells)).encode()) for cells in (one, other)]
    assert (sums[0] == sums[1]) == (said[0] == said[1])


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Return a folder with the real course and its copies, made by the command itself."""
    folder = tmp_path_factory.mktemp("course with spaces")
    for name in ("notebooks", "tools", "data"):
        shutil.copytree(ROOT / name, folder / name)
    command = [sys.executable, folder / "tools/make_copies.py"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/")
    assert re.fullmatch(r"Files written to my_course: \d+\n", done.stdout)
    return folder


def test_the_links_of_every_copy_lead_somewhere(real):
    found = 0
    for path in (real / "my_course").rglob("*.ipynb"):
        for cell in load(path).cells:
            targets = re.findall(r"\]\(([^)#:\s]+)[^)]*\)|src=\"([^\":]+)\"", cell.source)
            for target in filter(None, sum(map(list, targets), [])):
                assert (path.parent / target).exists(), target
                found += 1
    assert found > 10


def test_no_copy_holds_an_output(real):
    originals = sorted((real / "notebooks").rglob("*.ipynb"))
    copies = sorted((real / "my_course").rglob("*.ipynb"))
    assert [path.name for path in copies] == [path.name for path in originals]
    for path in copies:
        assert "image/png" not in path.read_text(encoding="utf-8")
        assert not any(outputs(path))


def test_the_command_restores_and_refuses(real):
    command = [sys.executable, real / "tools/make_copies.py", "--restore"]
    done = subprocess.run([*command, "03"], check=True, capture_output=True, text=True)
    assert done.stdout == "03_nmf_losses_as_likelihoods.ipynb is as in the course\n"
    for wrong in ([], ["99"]):
        done = subprocess.run([*command, *wrong], capture_output=True, text=True)
        assert done.returncode == 1
        assert re.fullmatch(r"No lesson is called '\d*'; there are 00, [^\n]+\n", done.stderr)


def test_what_a_learner_writes_is_no_business_of_git_ruff_and_pytest():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert "my_course/" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert "my_course" in project["ruff"]["extend-exclude"]
    tested = project["pytest"]["ini_options"]["testpaths"]
    assert not any("my_course".startswith(path.split("/")[0]) for path in tested)
