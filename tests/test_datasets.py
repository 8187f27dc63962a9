import hashlib
import re
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from mflib import datasets
from mflib.datasets import data_path, load_import_graph

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
