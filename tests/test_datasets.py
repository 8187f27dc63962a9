import csv
import errno
import gzip
import hashlib
import inspect
import io
import os
import re
import shutil
import socket
import tempfile
import tomllib
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from scipy import sparse
from scipy.io import savemat
from sklearn.model_selection import PredefinedSplit

import mflib
from mflib import datasets, sequential
from mflib.datasets import (
    downloaded,
    fetch_hangzhou_metro,
    fetch_movielens_100k,
    load_documentation_counts,
    load_fertility,
    load_import_graph,
    load_photograph,
    make_faces,
    make_film_club,
    make_metro,
    make_parking,
    make_swimmer,
    make_traffic,
    make_tune,
    shipped,
)
from mflib.datasets._download import cache_folder
from mflib.datasets.shipped import data_path

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


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Let `data_path` stand in a package without a checkout around it; return its folder."""
    path = Path(shipped.__file__).relative_to(Path(mflib.__file__).parents[1])
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / path))
    return tmp_path.resolve()


def test_data_path_finds_the_data_where_a_wheel_has_them(installed, graph):
    project = tomllib.loads((DATA.parent / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["only-include"] == ["mflib", "data"]
    folder = installed / wheel["sources"]["data"]
    shutil.copytree(DATA, folder)
    assert [data_path(name) for name in FILES] == [folder / name for name in FILES]
    assert load_import_graph().names == graph.names


def test_data_path_says_that_the_data_are_missing(installed):
    with pytest.raises(FileNotFoundError, match=r"^the data of mflib are missing; [^\n]+$"):
        data_path(FILES[0])


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


def test_two_groups_of_two_parts_can_be_replaced_by_their_pairs():
    swimmer = make_swimmer(torso=False)
    two_of_each = swimmer.weights[:, 2::4].sum(axis=1) + swimmer.weights[:, 3::4].sum(axis=1) == 4
    weights = swimmer.weights[two_of_each]
    arms = swimmer.parts[[[2], [3]]] + swimmer.parts[[[6, 7]]]  # left arm 3 or 4 with right 3 or 4
    pairs = (weights[:, [[2], [3]]] * weights[:, [[6, 7]]]).reshape(-1, 4)
    legs = [10, 11, 14, 15]
    again = pairs @ arms.reshape(4, -1) + weights[:, legs] @ swimmer.parts[legs]
    np.testing.assert_array_equal(again, swimmer.images[two_of_each])


def test_a_face_has_one_part_of_each_kind_and_each_part_pixels_of_its_own():
    faces = make_faces(50, random_state=0)
    np.testing.assert_array_equal(faces.images, faces.weights @ faces.parts)
    used = faces.weights.reshape(50, 6, 3) > 0
    np.testing.assert_array_equal(used.sum(axis=2), 1)
    assert faces.weights[faces.weights > 0].min() >= 0.5
    assert 0 <= faces.parts.min() < faces.parts.max() == 1
    alone = np.count_nonzero(faces.parts, axis=0) == 1
    assert np.all(faces.parts[:, alone].any(axis=1))
    assert len(set(faces.names)) == len(faces.kinds) == 18


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


def test_a_photograph_is_grey_at_half_its_size():
    temple, flower = load_photograph(), load_photograph("flower")
    assert temple.shape == flower.shape == (213, 320)
    assert 0 <= min(temple.min(), flower.min()) <= max(temple.max(), flower.max()) <= 1
    assert not np.allclose(temple, flower)
    with pytest.raises(ValueError, match=r"^name is 'cat'; use one of 'temple', 'flower'$"):
        load_photograph("cat")


@pytest.fixture(scope="module")
def fertility():
    return load_fertility()


def test_the_rates_hold_the_cells_of_the_file(fertility):
    with (DATA / "fertility.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["country", "code", *map(str, fertility.years)]
    assert [row[:2] for row in rows] == [
        list(names) for names in zip(fertility.countries, fertility.codes, strict=True)
    ]
    cells = [["" if np.isnan(rate) else f"{rate:g}" for rate in row] for row in fertility.rates]
    assert cells == [row[2:] for row in rows]


def test_the_rates_have_gaps_but_no_empty_country_or_year(fertility):
    known = ~np.isnan(fertility.rates)
    assert known.any(axis=1).all()
    assert known.any(axis=0).all()
    assert 0.5 < fertility.rates[known].min() < fertility.rates[known].max() < 10
    text = " ".join(fertility.DESCR.split())
    assert f"{len(fertility.countries)} countries and territories" in text
    assert f"{(~known).sum()} gaps" in text
    complete = known.all(axis=1).sum()
    assert f"in {len(known) - complete} countries; {complete} are complete" in text


def test_the_countries_are_no_groups_and_stand_in_alphabetical_order(fertility):
    assert fertility.countries == sorted(set(fertility.countries))
    assert len(set(fertility.codes)) == len(fertility.codes)
    assert {"CAA", "LCN", "OED", "OSS", "PSS", "WLD"}.isdisjoint(fertility.codes)
    assert fertility.countries[fertility.codes.index("KOR")] == "Korea, Rep."


@pytest.fixture(scope="module")
def club():
    return make_film_club(random_state=0)


def test_nobody_rates_a_film_twice(club):
    assert club.pairs.shape == (6000, 2)
    assert np.unique(club.pairs, axis=0).shape == (6000, 2)
    assert np.all((club.pairs >= 0) & (club.pairs < club.truth.shape))
    assert set(club.ratings) == {1, 2, 3, 4, 5}


def test_the_ratings_stand_in_random_order():
    pairs = make_film_club(100, 50, 5000, random_state=0).pairs
    order = np.corrcoef(np.arange(5000), pairs.T)[0, 1:]
    assert np.abs(order).max() < 4 / np.sqrt(5000)


def test_the_film_club_can_rate_everything():
    club = make_film_club(5, 4, 20, random_state=0)
    assert sorted(map(tuple, club.pairs)) == [(i, j) for i in range(5) for j in range(4)]


@pytest.mark.parametrize("seed", range(3))
def test_the_truth_is_what_a_rating_is_on_average(seed):
    club = make_film_club(400, 300, 400 * 300, random_state=seed)  # nothing is missing
    ratings = np.zeros(club.truth.shape)
    ratings[tuple(club.pairs.T)] = club.ratings
    errors = ratings - club.truth
    for low in np.arange(1, 5, 0.5):
        chosen = errors[(club.truth >= low) & (club.truth < low + 0.5)]
        assert abs(chosen.mean()) < 5 * chosen.std() / np.sqrt(chosen.size)


def test_the_truth_follows_from_biases_tastes_and_genres(club):
    score = club.mean + club.row_biases[:, np.newaxis] + club.column_biases + club.U @ club.V.T
    order = np.argsort(score, axis=None)
    assert np.all(np.diff(club.truth.ravel()[order]) >= 0)
    assert club.truth.min() >= 1
    assert club.truth.max() <= 5
    middle = np.abs(score - 3) < 1  # far from both ends rounding changes little
    np.testing.assert_allclose(club.truth[middle], score[middle], atol=0.05)


def test_a_film_belongs_to_its_one_or_two_genres(club):
    np.testing.assert_array_equal(club.V > 0, club.genres)
    assert set(club.genres.sum(axis=1)) == {1, 2}
    assert club.genres.shape == (len(club.titles), len(club.genre_names))


@pytest.mark.parametrize("n_films", [1, 120, 1682])
def test_every_film_has_a_title_of_its_own(n_films):
    titles = make_film_club(20, n_films, 20, random_state=1).titles
    assert all(type(title) is str for title in titles)
    assert len(set(titles)) == n_films


def test_ratings_are_missing_not_at_random_unless_told_so():
    for seed in range(3):
        seen = [make_film_club(liking=liking, random_state=seed) for liking in (0, 0.7, 1.4)]
        truth = seen[0].truth
        np.testing.assert_array_equal(truth, seen[2].truth)
        means = [club.ratings.mean() for club in seen]
        assert abs(means[0] - truth.mean()) < 0.15
        assert means[0] + 0.3 < means[1] < means[2] - 0.1


def test_a_few_films_get_most_ratings():
    counts = np.sort(np.bincount(make_film_club(random_state=2).pairs[:, 1], minlength=120))[::-1]
    assert counts[:12].sum() > 0.25 * counts.sum()
    assert counts[0] > 5 * np.median(counts)


def test_the_ratings_of_a_seed_are_the_same_on_every_machine(club):
    assert club.pairs[:5].tolist() == [[296, 13], [158, 73], [181, 92], [16, 22], [298, 13]]
    assert club.ratings[:5].tolist() == [5, 5, 4, 4, 3]
    place = 1 + np.arange(6000)  # so that the sums see the order, too
    assert place @ club.pairs @ [120, 1] == 318025626306
    assert place @ club.ratings == 67804392


def test_the_order_of_the_pairs_is_none_that_a_partition_leaves(monkeypatch):
    """How `argpartition` arranges the chosen is free, and differs between processors."""
    first = make_film_club(random_state=0)
    partition = np.argpartition

    def otherwise(keys, kth, axis=-1):
        found = partition(keys, kth, axis)
        found[kth:] = found[kth:][::-1]
        return found

    monkeypatch.setattr(np, "argpartition", otherwise)
    again = make_film_club(random_state=0)
    np.testing.assert_array_equal(again.pairs, first.pairs)
    np.testing.assert_array_equal(again.ratings, first.ratings)


@pytest.mark.parametrize(
    ("make", "name", "expected"),
    [
        (make_faces, "weights", [0.8147306135, 0.0, 0.0, 37.31045506]),
        (make_metro, "counts", [106.67684, 105.3011851, -1.601330427, 35259.86754]),
        (make_parking, "counts", [191.1099901, 174.5007672, 97.81697475, 91469.38208]),
        (make_traffic, "speeds", [51.49441318, 60.50099908, 45.782675, 132942.3095]),
        (make_tune, "sound", [0.002015693586, -0.0007440154434, 0.0009255111689, 26.45098959]),
    ],
)
def test_the_numbers_of_a_seed_are_the_same_on_every_machine(make, name, expected):
    values = make(random_state=0)[name].ravel()
    found = [*values[[0, values.size // 2, -1]], np.linalg.norm(values)]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("make", [make_faces, make_film_club, make_metro, make_parking])
def test_what_is_made_depends_on_the_seed_alone(make):
    first, again, other = (make(random_state=seed) for seed in (0, 0, 1))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    key = {make_faces: "images", make_film_club: "ratings"}.get(make, "counts")
    assert not np.array_equal(first[key], other[key])


WRONG = {
    make_faces: ["n_faces", "random_state"],
    make_film_club: ["n_people", "n_films", "n_ratings", "liking", "random_state"],
    make_metro: [
        *("n_steps", "n_stations", "n_intervals", "season", "innovation", "noise", "random_state")
    ],
    make_parking: ["n_steps", "n_parks", "n_intervals", "shared", "memory", "random_state"],
    make_swimmer: ["torso"],
    make_traffic: ["n_sensors", "n_days", "interval", "random_state"],
    make_tune: ["random_state"],
    load_photograph: ["name"],
}


def test_every_parameter_is_tried():
    for name, function in inspect.getmembers(datasets, inspect.isfunction):
        assert list(inspect.signature(function).parameters) == WRONG.get(function, []), name


@pytest.mark.parametrize("value", ["1", "", np.inf, -np.inf, np.nan, 1j, [1, 2], {}, len], ids=repr)
@pytest.mark.parametrize(
    ("function", "parameter"),
    [pair for function, names in WRONG.items() for pair in product([function], names)],
)
def test_an_argument_of_the_wrong_kind_is_refused_in_one_sentence(function, parameter, value):
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        function(**{parameter: value})
    if parameter != "random_state":  # scikit-learn's sentence
        assert str(caught.value).startswith(parameter)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((3, 4, 13), "^n_ratings is 13; at most 12 is needed$"),
        ((0, 4, 1), "^n_people is 0; "),
        ((3, 2.5, 1), "^n_films is 2.5; "),
        ((10**6, 10**6, 1), "^n_people is 1000000, n_films is 1000000; a smaller table is needed$"),
    ],
)
def test_the_film_club_refuses_sizes_in_one_sentence(sizes, message):
    with pytest.raises(ValueError, match=message):
        make_film_club(*sizes)


def test_exact_tables_follow_the_formula():
    metro = make_metro(12, 5, 9, season=False, innovation=0, noise=0, random_state=0)
    power = np.eye(3)
    for table, state in zip(metro.counts, metro.W, strict=True):
        np.testing.assert_allclose(state, metro.W[0] @ power, atol=1e-12)
        np.testing.assert_allclose(table, metro.W[0] @ power @ metro.H, atol=1e-11)
        power = power @ metro.T
    assert np.linalg.matrix_rank(metro.W[0]) == np.linalg.matrix_rank(metro.H) == 3
    assert not metro.weekday_profile.any()


@pytest.mark.parametrize("seed", range(5))
def test_the_transition_has_a_real_mode_and_a_pair_that_swings_in_five_days(seed):
    T = make_metro(random_state=seed).T
    pair = 0.8 * np.exp(2j * np.pi / 5 * np.array([-1, 1]))
    values = np.linalg.eigvals(T)
    np.testing.assert_allclose(np.sort_complex(values), np.sort_complex([0.9, *pair]), atol=1e-12)
    np.testing.assert_allclose(T @ T.T, T.T @ T, atol=1e-12)


def deviations(metro):
    return metro.W - metro.weekday_profile[metro.weekdays]


def test_the_innovations_are_a_share_of_the_station_and_know_nothing_of_the_state():
    quiet, busy = (make_metro(2000, 4, 3, innovation=share, random_state=3) for share in (0, 0.05))
    np.testing.assert_array_equal(quiet.W[0], busy.W[0])
    Z = deviations(busy)
    innovations = Z[1:] - Z[:-1] @ busy.T
    scale = innovations.std(axis=0) / 0.05
    np.testing.assert_allclose(scale, scale[:, :1].repeat(3, axis=1), rtol=0.1)
    size = busy.weekday_profile.mean(axis=(0, 2))
    assert np.all((scale.mean(axis=1) > 0.7 * size) & (scale.mean(axis=1) < 2 * size))
    before, after = Z[:-1] / scale, innovations / scale
    together = np.einsum("tik,til->kl", before, after) / before[..., 0].size
    assert np.abs(together).max() < 5 * 0.05 * before.std() / np.sqrt(before[..., 0].size)


def test_the_transition_can_be_estimated_from_the_states():
    errors = []
    for n_steps in (30, 3000):
        metro = make_metro(n_steps, 10, 3, random_state=4)
        Z = deviations(metro)
        before, after = Z[:-1].reshape(-1, 3), Z[1:].reshape(-1, 3)
        estimate = np.linalg.lstsq(before, after, rcond=None)[0]
        errors.append(np.abs(estimate - metro.T).max())
    assert errors[1] < 0.02 < errors[0] < 0.3


def test_the_noise_is_that_of_counting():
    metro = make_metro(400, noise=1.0, random_state=5)
    scaled = (metro.counts - metro.expected) / np.sqrt(np.abs(metro.expected))
    np.testing.assert_allclose(metro.expected, metro.W @ metro.H)
    np.testing.assert_allclose([scaled.mean(), scaled.std()], [0, 1], atol=0.01)
    assert np.mean(metro.counts < 0) < 0.01


def test_the_weekdays_differ_and_begin_on_monday():
    metro = make_metro(15, random_state=6)
    np.testing.assert_array_equal(metro.weekdays, [0, 1, 2, 3, 4, 5, 6] * 2 + [0])
    rush = metro.weekday_profile[:, :, 0]
    assert np.all(rush[5:] < 0.6 * rush[:5].min(axis=0))
    assert metro.H.min() >= 0
    assert metro.H.max() <= 1
    np.testing.assert_allclose(metro.hours[[0, -1]], [6.25, 23.75])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_stations": 2}, "^n_stations is 2; at least 3 is needed$"),
        ({"noise": -1}, "^noise is -1; at least 0 is needed$"),
        ({"innovation": np.nan}, "^innovation is nan; a finite real number is needed$"),
    ],
)
def test_the_metro_refuses_what_it_cannot_make_in_one_sentence(wrong, message):
    with pytest.raises(ValueError, match=message):
        make_metro(**wrong)


def standard_deviations(parking):
    """Return the deviations from the weekday as shares of a tenth of the capacity."""
    deviations = parking.counts - parking.weekday_profile[parking.weekdays]
    return deviations / (0.1 * parking.capacities[:, np.newaxis])


@pytest.mark.parametrize("shared", [0, 0.3, 1])
@pytest.mark.parametrize("memory", [0, 0.7])
def test_deviations_in_a_car_park_look_alike_for_every_share_of_common_courses(shared, memory):
    Z = standard_deviations(make_parking(3000, 3, 4, shared=shared, memory=memory, random_state=1))
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=0.2)
    np.testing.assert_allclose(Z.var(axis=0), 1, atol=0.2)
    np.testing.assert_allclose((Z[1:] * Z[:-1]).mean(axis=0), memory, atol=0.2)


@pytest.mark.parametrize("shared", [0, 0.3, 1])
def test_the_courses_carry_their_share_of_the_variance(shared):
    parking = make_parking(2000, 5, 20, shared=shared, random_state=2)
    Z = standard_deviations(parking).reshape(-1, 20)
    energies = np.linalg.svd(Z, compute_uv=False) ** 2
    np.testing.assert_allclose(
        energies[:2].sum() / energies.sum(), shared + (1 - shared) * 2 / 20, atol=0.05
    )
    np.testing.assert_allclose((parking.H**2).sum(axis=0), 1)
    assert (np.linalg.matrix_rank(Z) == 2) == (shared == 1)


def test_no_forecast_from_the_day_before_beats_the_best_one():
    parking = make_parking(2000, 3, 4, memory=0.8, random_state=3)
    Z, shocks = standard_deviations(parking), parking.counts - parking.best
    shocks = shocks / (0.1 * parking.capacities[:, np.newaxis])
    np.testing.assert_allclose(shocks[1:].std(), np.sqrt(1 - 0.8**2), rtol=0.03)
    assert abs((shocks[1:] * Z[:-1]).mean()) < 0.03
    np.testing.assert_allclose(parking.best[0], parking.weekday_profile[0])


@pytest.mark.parametrize("shared", [0, 1])
def test_few_courses_forecast_better_where_deviations_share_them_and_worse_where_not(shared):
    parking = make_parking(shared=shared, random_state=0).counts
    lags = (1, 7, 8)
    simple = sequential.rolling_forecast(sequential.ScalarAutoregression(lags), parking, 28).rmse
    for rank in (6, 36):
        model = sequential.TwoStageMF(rank, lags=lags)
        error = sequential.rolling_forecast(model, parking, 28).rmse
        assert (error < 0.95 * simple) if shared else (error > 1.02 * simple)


def test_the_car_parks_fill_from_monday_to_saturday():
    parking = make_parking(9, random_state=4)
    np.testing.assert_array_equal(parking.weekdays, [0, 1, 2, 3, 4, 5, 6, 0, 1])
    totals = parking.weekday_profile.sum(axis=(1, 2))
    assert totals.argmax() == 5
    assert totals.argmin() == 6
    np.testing.assert_allclose(parking.hours[[0, -1]], [8.125, 16.875])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_parks": 0}, "^n_parks is 0; at least 1 is needed$"),
        ({"shared": 1.5}, "^shared is 1.5; a number from 0 to 1 is needed$"),
        ({"memory": 1}, "^memory is 1; less than 1 is needed"),
    ],
)
def test_the_parking_refuses_what_it_cannot_make_in_one_sentence(wrong, message):
    with pytest.raises(ValueError, match=message):
        make_parking(**wrong)


FILMS = ["Zweite Ernte (1901)|01-Jan-1901||", "Élan|||http://localhost/", "Null Set (1902)|||"]
MEMBERS = {
    "ml-100k/u.data": "2\t3\t4\t9\n1\t1\t5\t9\n1\t2\t1\t9\n2\t1\t3\t9\n1\t3\t2\t9\n",
    "ml-100k/u.item": "".join(f"{i}|{film}|0|1|{i % 2}\n" for i, film in enumerate(FILMS, start=1)),
}
for fold, line in enumerate(sorted(MEMBERS["ml-100k/u.data"].splitlines(keepends=True)), start=1):
    MEMBERS[f"ml-100k/u{fold}.test"] = line
    others = MEMBERS["ml-100k/u.data"].replace(line, "").splitlines(keepends=True)
    MEMBERS[f"ml-100k/u{fold}.base"] = "".join(sorted(others))


def zipped(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text.encode("latin-1"))
    return content.getvalue()


class Server(ThreadingHTTPServer):
    """Serves one file, or refuses if there is none, and counts how often it was asked.

    Of its file, the last `held_back` bytes never arrive.
    """

    content, n_requests, refusal, held_back = None, 0, 404, 0


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.n_requests += 1
        if self.server.content is None:
            self.send_error(self.server.refusal)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content) + self.server.held_back))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """Let both fetchers ask a server of our own, and keep what comes in an empty cache."""
    monkeypatch.setenv("MFLIB_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for name in ("MOVIELENS", "HANGZHOU"):
            url = f"http://127.0.0.1:{server.server_port}/{name}"
            monkeypatch.setattr(downloaded, name, getattr(downloaded, name)._replace(url=url))
        monkeypatch.setattr(downloaded, "MOVIELENS_GENRES", ("unknown", "Farce", "Opera"))
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def offer(server, monkeypatch):
    """Return a function that puts a file on the server and makes its checksum the expected one."""

    def put(name, content):
        server.content = content
        sha256 = hashlib.sha256(content).hexdigest()
        monkeypatch.setattr(downloaded, name, getattr(downloaded, name)._replace(sha256=sha256))

    return put


def written(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_movielens_is_read_from_its_archive(offer):
    offer("MOVIELENS", zipped(MEMBERS))
    movielens = fetch_movielens_100k()
    np.testing.assert_array_equal(movielens.pairs, [[1, 2], [0, 0], [0, 1], [1, 0], [0, 2]])
    np.testing.assert_array_equal(movielens.ratings, [4, 5, 1, 3, 2])
    assert movielens.titles == ["Zweite Ernte (1901)", "Élan", "Null Set (1902)"]
    assert movielens.genre_names == ["unknown", "Farce", "Opera"]
    np.testing.assert_array_equal(movielens.genres, np.array([[0, 1, 1], [0, 1, 0], [0, 1, 1]]) > 0)
    assert "may not be passed on" in " ".join(movielens.DESCR.split())


def test_the_folds_of_movielens_are_positions_in_its_ratings(offer):
    offer("MOVIELENS", zipped(MEMBERS))
    movielens = fetch_movielens_100k()
    lines = MEMBERS["ml-100k/u.data"].splitlines()
    tests = np.empty(len(lines))
    for fold, (train, test) in enumerate(movielens.folds):
        for part, name in ((train, "base"), (test, "test")):
            expected = MEMBERS[f"ml-100k/u{fold + 1}.{name}"].splitlines()
            assert sorted(lines[row] for row in part) == expected
        tests[test] = fold
    for ours, theirs in zip(movielens.folds, PredefinedSplit(tests).split(), strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_a_second_fetch_needs_no_network(offer, server, tmp_path, capsys):
    offer("MOVIELENS", zipped(MEMBERS))
    first = fetch_movielens_100k()
    assert "100%" in capsys.readouterr().err  # the progress bar
    server.content = None
    np.testing.assert_array_equal(fetch_movielens_100k().pairs, first.pairs)
    assert server.n_requests == 1
    assert written(tmp_path) == ["cache/ml-100k.zip"]


def test_a_damaged_copy_is_downloaded_again(offer, server, tmp_path):
    offer("MOVIELENS", zipped(MEMBERS))
    fetch_movielens_100k()
    (tmp_path / "cache" / "ml-100k.zip").write_bytes(b"damaged")
    assert fetch_movielens_100k().titles[1] == "Élan"
    assert server.n_requests == 2


@pytest.mark.parametrize("fetch", [fetch_movielens_100k, fetch_hangzhou_metro])
def test_a_corrupted_download_is_thrown_away_with_one_sentence(server, tmp_path, fetch):
    server.content = zipped(MEMBERS)  # whose checksum is not the pinned one
    message = r"^[^\n]+ could not be downloaded from 127\.0\.0\.1:\d+: [^\n]+ SHA-256 [^\n]+$"
    with pytest.raises(OSError, match=message):
        fetch()
    assert written(tmp_path) == []


@pytest.fixture(params=["MOVIELENS", "HANGZHOU"])
def fetch(request):
    """Return each of the two fetchers, which begins its sentences with the title of its data."""
    fetchers = {"MOVIELENS": fetch_movielens_100k, "HANGZHOU": fetch_hangzhou_metro}

    def call_and_catch(kind):
        with pytest.raises(kind) as caught:
            fetchers[request.param]()
        sentence, title = str(caught.value), getattr(downloaded, request.param).title
        assert type(caught.value) is kind
        assert sentence.startswith(f"{title} could not be ")
        return sentence.removeprefix(f"{title} could not be ")

    return call_and_catch


@pytest.mark.parametrize(("status", "words"), [(403, "403 Forbidden"), (404, "404 Not Found")])
def test_a_refusal_is_told_with_its_number(server, fetch, status, words):
    server.refusal = status
    sentence = fetch(ConnectionError)
    assert sentence == f"downloaded from 127.0.0.1:{server.server_port}: it answered {words}"


def test_a_download_that_breaks_off_is_no_missing_connection(server, fetch, tmp_path):
    server.content, server.held_back = b"the beginning of", 100
    sentence = fetch(ConnectionError)
    assert sentence == (
        f"downloaded from 127.0.0.1:{server.server_port}: the download broke off, "
        "and what had arrived was thrown away; try again"
    )
    assert written(tmp_path) == []


def test_a_server_that_hangs_up_breaks_off(server, fetch, monkeypatch):
    monkeypatch.setattr(Answer, "do_GET", lambda self: None)
    assert "the download broke off" in fetch(ConnectionError)


def test_a_server_that_speaks_no_tls_is_no_missing_connection(server, fetch, monkeypatch):
    for name in ("MOVIELENS", "HANGZHOU"):
        file = getattr(downloaded, name)
        monkeypatch.setattr(
            downloaded, name, file._replace(url=file.url.replace("http:", "https:"))
        )
    assert fetch(ConnectionError).endswith(": its certificate is not accepted here")


def test_only_a_missing_network_is_no_connection(server, fetch, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    for name in ("MOVIELENS", "HANGZHOU"):
        file = getattr(downloaded, name)._replace(url=f"http://{address}/{name}")
        monkeypatch.setattr(downloaded, name, file)
    assert fetch(ConnectionError) == f"downloaded from {address}: there is no connection"


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_cache_that_is_no_folder_is_named_with_the_variable(
    server, fetch, monkeypatch, tmp_path, place
):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MFLIB_DATA", str(tmp_path / place))
    check_cache_sentence(fetch, tmp_path / place)


@pytest.mark.parametrize("forbidden", ["makedirs", "mkstemp", "read"])
def test_a_forbidden_cache_is_named_with_the_variable(
    server, fetch, monkeypatch, tmp_path, forbidden
):
    """Root may write everywhere, so the system's answer is put into its mouth."""

    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/cache/tmp8x3k")

    folder = tmp_path / "cache"
    if forbidden == "makedirs":
        monkeypatch.setattr(os, "makedirs", refuse)
    elif forbidden == "mkstemp":
        folder.mkdir()
        monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    else:
        folder.mkdir()
        monkeypatch.setattr(Path, "exists", refuse)
    check_cache_sentence(fetch, folder)


def check_cache_sentence(fetch, folder):
    sentence = fetch(OSError)
    reason = sentence.partition("(")[2].partition(")")[0]
    assert re.fullmatch(r"[A-Z][a-z ]+", reason)  # the system's own, and no file's name
    assert sentence == (
        f"read from, or kept in, the folder {folder} ({reason}); "
        "name another one in the variable MFLIB_DATA"
    )


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder_is_named_with_the_variable(server, fetch, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o500)
    check_cache_sentence(fetch, folder)


def test_a_missing_folder_is_made(offer, monkeypatch, tmp_path):
    monkeypatch.setenv("MFLIB_DATA", str(tmp_path / "one/in/another"))
    offer("MOVIELENS", zipped(MEMBERS))
    assert fetch_movielens_100k().titles[1] == "Élan"
    assert written(tmp_path) == ["one/in/another/ml-100k.zip"]


def test_a_home_that_nobody_has_is_told_in_one_sentence(monkeypatch):
    monkeypatch.setenv("MFLIB_DATA", "~nobody-here/mflib")
    with pytest.raises(
        OSError, match=r"^MFLIB_DATA is '~nobody-here/mflib'; nobody here has [^\n]+$"
    ):
        fetch_movielens_100k()


def test_an_archive_that_escapes_its_folder_writes_nothing(offer, tmp_path):
    escaping = {"../escaped.txt": "x", "/escaped.txt": "x", "ml-100k/../../escaped.txt": "x"}
    offer("MOVIELENS", zipped(escaping | MEMBERS))
    assert fetch_movielens_100k().titles[0] == "Zweite Ernte (1901)"
    assert written(tmp_path) == ["cache/ml-100k.zip"]


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_a_member_that_is_missing_or_elsewhere_is_told_in_one_sentence(offer, tmp_path, name):
    members = dict(MEMBERS)
    members[f"../{name}"] = members.pop(name)
    offer("MOVIELENS", zipped(members))
    message = rf"^ml-100k\.zip is not the expected archive: [^\n]*'{re.escape(name)}'[^\n]*$"
    with pytest.raises(OSError, match=message):
        fetch_movielens_100k()
    assert written(tmp_path) == ["cache/ml-100k.zip"]


def test_what_is_no_archive_is_told_in_one_sentence(offer):
    offer("MOVIELENS", b"no archive")
    with pytest.raises(OSError, match=r"^ml-100k\.zip is not the expected archive: [^\n]+$"):
        fetch_movielens_100k()


@pytest.fixture
def unpack(server, monkeypatch, tmp_path):
    """Return a function that writes members to the cache, unpacked, and pins those ratings."""

    def write(members):
        folder = tmp_path / "cache" / "ml-100k"
        folder.mkdir(parents=True)
        for name, text in members.items():
            (folder / name.removeprefix("ml-100k/")).write_bytes(text.encode("latin-1"))
        checksum = hashlib.sha256(MEMBERS["ml-100k/u.data"].encode("latin-1")).hexdigest()
        monkeypatch.setattr(downloaded, "MOVIELENS_RATINGS_SHA256", checksum)

    return write


def test_an_unpacked_folder_is_as_good_as_the_archive(offer, unpack, server):
    offer("MOVIELENS", zipped(MEMBERS))
    from_archive = fetch_movielens_100k()
    unpack(MEMBERS)
    server.content = None
    assert str(fetch_movielens_100k()) == str(from_archive)
    assert server.n_requests == 1


def test_an_unpacked_folder_needs_no_folds(unpack):
    unpack({name: MEMBERS[name] for name in ("ml-100k/u.data", "ml-100k/u.item")})
    movielens = fetch_movielens_100k()
    assert movielens.folds == []
    assert movielens.titles[1] == "Élan"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ml-100k/u.data": "1\t1\t5\t0\n"}, "u.data in the folder ml-100k is not the published"),
        ({"ml-100k/u.item": "1|One|0\n"}, "u.item in the folder ml-100k is not the published"),
        ({"ml-100k/u.item": None}, "u.item is missing in the folder ml-100k"),
    ],
)
def test_a_folder_that_holds_something_else_is_refused(unpack, changed, message):
    members = MEMBERS | changed
    unpack({name: text for name, text in members.items() if text is not None})
    with pytest.raises(OSError, match=message):
        fetch_movielens_100k()


def test_a_folder_that_cannot_be_read_is_named_with_the_variable(unpack, monkeypatch, tmp_path):
    unpack(MEMBERS)

    def refuse(*args):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(OSError, match=r"^MovieLens 100K could [^\n]+; [^\n]+ MFLIB_DATA$"):
        fetch_movielens_100k()


def test_the_cache_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("MFLIB_DATA", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MFLIB_DATA")
    assert cache_folder().name.lower() == "mflib"


def test_the_tables_of_hangzhou_come_day_by_day(offer):
    tensor = np.random.RandomState(0).randint(3000, size=(80, 25, 108)).astype(np.uint16)
    content = io.BytesIO()
    savemat(content, {"tensor": tensor})
    offer("HANGZHOU", content.getvalue())
    metro = fetch_hangzhou_metro()
    assert metro.counts.dtype == np.float64
    assert metro.counts.shape == (25, 80, 108)
    assert metro.counts[3, 7, 50] == tensor[7, 3, 50]
    np.testing.assert_array_equal(metro.counts.sum(axis=(1, 2)), tensor.sum(axis=(0, 2)))


def test_the_days_of_hangzhou_are_those_of_its_calendar(offer):
    content = io.BytesIO()
    savemat(content, {"tensor": np.zeros((80, 25, 108), dtype=np.uint16)})
    offer("HANGZHOU", content.getvalue())
    metro = fetch_hangzhou_metro()
    assert [date.weekday() for date in metro.dates.tolist()] == metro.weekdays.tolist()
    assert [str(metro.dates[day]) for day in (0, -1)] == ["2019-01-01", "2019-01-25"]
    np.testing.assert_allclose(np.diff(metro.hours), 1 / 6)
    np.testing.assert_allclose(metro.hours[[0, -1]], [6 + 1 / 12, 24 - 1 / 12])


def test_the_real_hangzhou_travels_least_on_holiday_mornings():
    file = cache_folder() / downloaded.HANGZHOU.name
    if not file.is_file():
        pytest.skip("the Hangzhou metro data are not in the cache")
    metro = fetch_hangzhou_metro()
    assert metro.counts.min() == 0
    assert metro.counts.max() == 3334
    morning = metro.counts[:, :, (metro.hours > 7) & (metro.hours < 9)].sum(axis=(1, 2))
    holidays = np.argsort(morning / metro.counts.sum(axis=(1, 2)))[:7]
    assert sorted(holidays) == [0, *np.flatnonzero(metro.weekdays >= 5)]


def test_the_times_of_the_cluster_are_those_of_the_file():
    times = datasets.load_cluster_times()
    lines = data_path("cluster_times.csv").read_text(encoding="utf-8").splitlines()
    assert len(times.engine) == len(lines) - 1
    assert set(lines[0].split(",")) | {"DESCR"} == set(times)
    assert (times.busiest <= times.step * 1.001).all()
    assert (times.elapsed > 0).all()
    spark = np.char.startswith(times.engine, "Spark")
    assert (times.driver[spark] > 0).all()
    assert (times.step >= 0.99 * (times.driver + times.busiest)).all()
    assert (times.travel_U[spark] > times.travel_V[spark]).all()  # five people to a film
    assert not times.travel_U[~spark].any()
    assert "CPU seconds" in times.DESCR
