import gzip
import hashlib
import re
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from mflib import datasets
from mflib.datasets import (
    data_path,
    load_documentation_counts,
    load_import_graph,
    make_swimmer,
    make_tune,
)

DATA = Path(__file__).resolve().parents[1] / "data"
FILES = sorted(path.name for path in DATA.glob("[!.]*") if path.name != "README.md")
SECTIONS = {
    section.partition("\n")[0]: section
    for section in (DATA / "README.md").read_text(encoding="utf-8").split("\n## ")[1:]
}


@pytest.fixture(scope="module")
def graph():
    return load_import_graph()


def linked(graph, importer, imported):
    return graph.links[graph.names.index(importer), graph.names.index(imported)] == 1


def test_the_readme_has_one_section_per_file():
    assert FILES
    assert list(SECTIONS) == FILES


@pytest.mark.parametrize("name", FILES)
def test_the_readme_gives_source_licence_size_and_checksum(name):
    content, section = (DATA / name).read_bytes(), SECTIONS[name]
    assert f"- Size: {len(content):,} bytes\n" in section
    assert f"- SHA-256: `{hashlib.sha256(content).hexdigest()}`\n" in section
    assert re.search(r"^- Source: \S", section, re.MULTILINE)
    assert re.search(r"^- Licence: \S", section, re.MULTILINE)


def test_data_path_finds_every_file():
    assert [data_path(name) for name in FILES] == [DATA / name for name in FILES]


@pytest.mark.parametrize("name", ["imports.csv", "", "../pyproject.toml"])
def test_data_path_refuses_an_unknown_name_in_one_sentence(name):
    message = (
        rf"^mflib has no data file '{re.escape(name)}'; it has [^\n]*python_imports\.csv[^\n]*$"
    )
    with pytest.raises(FileNotFoundError, match=message):
        data_path(name)


def installed(folder):
    """Return the module `datasets` as it stands in a package without a checkout around it."""
    folder.mkdir()
    shutil.copy(datasets.__file__, folder)
    spec = spec_from_file_location("installed_datasets", folder / "datasets.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_data_path_finds_the_data_inside_an_installed_package(tmp_path, graph):
    module = installed(tmp_path / "mflib")
    shutil.copytree(DATA, tmp_path / "mflib" / "data")
    assert module.data_path(FILES[0]) == tmp_path.resolve() / "mflib" / "data" / FILES[0]
    assert module.load_import_graph().names == graph.names


def test_data_path_says_that_the_data_are_missing(tmp_path):
    module = installed(tmp_path / "mflib")
    with pytest.raises(FileNotFoundError, match=r"^the data of mflib are missing; [^\n]+$"):
        module.data_path(FILES[0])


def test_the_graph_is_a_float_matrix_of_zeros_and_ones(graph):
    assert isinstance(graph.links, sparse.csr_array)
    assert graph.links.dtype == np.float64
    assert graph.links.shape == (len(graph.names), len(graph.names))
    assert np.all(graph.links.data == 1)


def test_the_graph_has_no_self_loops_and_no_module_without_links(graph):
    assert not graph.links.diagonal().any()
    assert np.all(graph.links.sum(axis=0) + graph.links.sum(axis=1) > 0)


def test_the_names_are_strings_sorted_and_unique(graph):
    assert all(type(name) is str for name in graph.names)
    assert graph.names == sorted(set(graph.names))


def test_the_graph_holds_the_lines_of_the_file(graph):
    lines = (DATA / "python_imports.csv").read_bytes().decode().split("\n")
    assert lines[0] == "importer,imported"
    assert lines[-1] == ""
    rows, columns = graph.links.nonzero()
    pairs = sorted((graph.names[i], graph.names[j]) for i, j in zip(rows, columns, strict=True))
    assert lines[1:-1] == [",".join(pair) for pair in pairs]


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("json", "re"),
        ("random", "math"),
        ("csv", "_csv"),
        ("abc", "_py_abc"),
        ("antigravity", "webbrowser"),
    ],
)
def test_links_run_from_the_importer_to_the_imported(graph, importer, imported):
    assert linked(graph, importer, imported)
    assert not linked(graph, imported, importer)


def test_modules_can_import_each_other(graph):
    assert linked(graph, "random", "statistics")
    assert linked(graph, "statistics", "random")


def test_modules_in_c_import_nothing(graph):
    imports = dict(zip(graph.names, graph.links.sum(axis=1), strict=True))
    assert [imports[name] for name in ("sys", "builtins", "itertools", "_io")] == [0, 0, 0, 0]


def test_tests_and_build_files_are_left_out(graph):
    assert {"test", "idlelib", "lib2to3", "turtledemo"}.isdisjoint(graph.names)
    assert not [name for name in graph.names if re.search(r"[^a-zA-Z0-9_]|sysconfigdata", name)]


def test_the_description_tells_the_size_of_the_graph(graph):
    assert SECTIONS["python_imports.csv"] == graph.DESCR
    assert f"{len(graph.names)} modules and {graph.links.nnz:,} links" in graph.DESCR


@pytest.fixture(scope="module")
def pages():
    return load_documentation_counts()


def test_the_counts_are_whole_numbers_in_a_float_matrix(pages):
    assert isinstance(pages.counts, sparse.csr_array)
    assert pages.counts.dtype == np.float64
    assert pages.counts.shape == (len(pages.names), len(pages.words))
    assert np.all(pages.counts.data >= 1)
    assert np.all(pages.counts.data % 1 == 0)


def test_the_counts_hold_the_lines_of_the_file(pages):
    content = gzip.decompress((DATA / "documentation_counts.csv.gz").read_bytes()).decode()
    lines = content.split("\n")
    assert lines[0] == "page,word,count"
    assert lines[-1] == ""
    counts = pages.counts.sorted_indices().tocoo()
    rows = [
        f"{pages.names[i]},{pages.words[j]},{count:.0f}"
        for i, j, count in zip(counts.row, counts.col, counts.data, strict=True)
    ]
    assert lines[1:-1] == rows


def test_pages_and_words_are_strings_sorted_and_unique(pages):
    for names in (pages.names, pages.words):
        assert all(type(name) is str for name in names)
        assert names == sorted(set(names))


def test_a_word_is_three_letters_long_and_stands_on_some_but_not_most_pages(pages):
    assert all(re.fullmatch("[a-z]{3,}", word) for word in pages.words)
    n_pages = (pages.counts > 0).sum(axis=0)
    assert n_pages.min() >= 5
    assert n_pages.max() <= 0.3 * len(pages.names)
    assert {"the", "and", "with", "module", "function"}.isdisjoint(pages.words)


@pytest.mark.parametrize(
    ("page", "word"),
    [("datetime", "utc"), ("ssl", "certificate"), ("curses", "cursor"), ("unittest", "test")],
)
def test_a_word_stands_most_often_on_its_own_page(pages, page, word):
    column = pages.counts[:, [pages.words.index(word)]].toarray()
    assert pages.names[column.argmax()] == page


def test_the_description_tells_the_size_of_the_counts(pages):
    text = " ".join(pages.DESCR.split())
    assert f"{len(pages.names)} pages, {len(pages.words):,} words" in text
    assert f"{pages.counts.nnz:,} counts" in text


@pytest.mark.parametrize(("torso", "n_parts"), [(True, 17), (False, 16)])
def test_every_swimmer_is_the_sum_of_its_parts(torso, n_parts):
    swimmer = make_swimmer(torso=torso)
    assert swimmer.images.shape == (256, 1024)
    assert swimmer.weights.shape == (256, n_parts)
    assert swimmer.parts.shape == (n_parts, 1024)
    assert len(set(swimmer.names)) == n_parts
    np.testing.assert_array_equal(swimmer.images, swimmer.weights @ swimmer.parts)
    assert set(np.unique(swimmer.images)) == {0, 1}


def test_the_swimmers_are_all_combinations_of_four_limbs_in_four_positions():
    swimmer = make_swimmer(torso=False)
    assert np.unique(swimmer.images, axis=0).shape == (256, 1024)
    assert np.all(swimmer.weights.reshape(256, 4, 4).sum(axis=2) == 1)
    assert np.all(swimmer.weights.sum(axis=0) == 64)


def test_the_parts_of_the_swimmer_share_no_pixel_and_lie_inside_the_picture():
    swimmer = make_swimmer()
    pixels = swimmer.parts @ swimmer.parts.T
    np.testing.assert_array_equal(pixels, np.diag([28] + [6] * 16))
    frame = swimmer.parts.reshape(-1, *swimmer.shape).sum(axis=0)
    assert frame[1:-1, 1:-1].sum() == frame.sum()


def test_the_swimmer_is_its_own_mirror_image():
    frame = make_swimmer().images.sum(axis=0).reshape(32, 32)
    np.testing.assert_array_equal(frame, frame[:, ::-1])
    np.testing.assert_array_equal(frame, frame[::-1])


def test_the_torso_can_be_painted_on_the_left_arms():
    swimmer, limbs = make_swimmer(), make_swimmer(torso=False)
    arms = np.array([name.startswith("left arm") for name in limbs.names])
    painted = limbs.parts + arms[:, np.newaxis] * swimmer.parts[0]
    np.testing.assert_array_equal(limbs.weights @ painted, swimmer.images)


def test_the_notes_add_up_to_the_tune_but_for_a_little_noise():
    tune = make_tune(random_state=0)
    notes = tune.sources.sum(axis=0)
    noise = tune.sound - notes
    assert np.abs(tune.sound).max() == pytest.approx(0.9)
    assert noise.std() / notes.std() == pytest.approx(0.01, rel=0.02)
    assert abs(np.corrcoef(noise, notes)[0, 1]) < 0.02


def test_a_note_sounds_when_the_score_says_and_only_then():
    tune = make_tune(random_state=1)
    time = np.arange(tune.sound.size) / tune.rate
    sounding = np.zeros(tune.sources.shape, dtype=bool)
    for note, start, duration, _ in tune.score:
        sounding[note] |= (time >= start - 1e-9) & (time < start + duration)
    assert not tune.sources[~sounding].any()
    assert np.mean(tune.sources[sounding] != 0) > 0.99
    assert {note for note, *_ in tune.score} == set(range(len(tune.notes)))


def test_the_notes_of_the_tune_have_the_frequencies_they_claim():
    tune = make_tune(random_state=2)
    spectra = np.abs(np.fft.rfft(tune.sources, axis=1))
    loudest = spectra.argmax(axis=1) * tune.rate / tune.sound.size
    np.testing.assert_allclose(loudest, tune.frequencies, atol=2)
    assert tune.frequencies[tune.notes.index("A4")] == 440
    assert tune.frequencies[tune.notes.index("C4")] == pytest.approx(261.626, abs=1e-3)


def test_the_tune_of_a_seed_is_always_the_same():
    first, again, other = (make_tune(random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.sound, again.sound)
    np.testing.assert_array_equal(first.sources, again.sources)
    assert not np.allclose(first.sound, other.sound)
    again.score.clear()
    assert make_tune(random_state=0).score == first.score
