"""What is downloaded once, from a pinned address and with a pinned checksum, and kept."""

import os.path
from hashlib import sha256
from io import BytesIO

import numpy as np
from scipy.io import loadmat
from sklearn.utils import Bunch

from mflib.datasets._download import RemoteFile, cache_folder, download, read_archive, read_folder


def fetch_movielens_100k() -> Bunch:
    """Download MovieLens 100K, once: 100,000 ratings of films from 1997 and 1998 (lesson 5).

    An unpacked folder `ml-100k` in the cache is as good as the archive: it needs the files u.data
    and u.item. The terms of use forbid to pass the data on and to earn money with them.

    Returns
    -------
    Bunch
        pairs : (100000, 2) array of int
            Person and film of each rating, counted from 0, in the random order of the file u.data.
        ratings : (100000,) array
            1, 2, 3, 4 or 5.
        folds : list of 5 pairs of arrays of int
            The official folds u1 to u5: which ratings are for training, and which for testing.
            Empty if an unpacked folder does not have them all.
        titles : list of 1682 str
        genres : (1682, 19) array of bool
            Which film belongs to which genre.
        genre_names : list of 19 str
        DESCR : str
            Where the data come from, and what may be done with them.

    Raises
    ------
    ConnectionError
        If it was not downloaded before and there is no network.
    OSError
        If what arrives, or lies in the folder, is not the expected file, or if the cache cannot be
        read or written.

    References
    ----------
    F. M. Harper and J. A. Konstan, The MovieLens datasets: history and context, ACM Transactions on
    Interactive Intelligent Systems 5(4), 2015, article 19. https://doi.org/10.1145/2827872

    Examples
    --------
    >>> movielens = fetch_movielens_100k()  # doctest: +SKIP
    >>> movielens.pairs.shape, movielens.titles[0]  # doctest: +SKIP
    ((100000, 2), 'Toy Story (1995)')
    """
    splits = [f"u{fold}.{part}" for fold in range(1, 6) for part in ("base", "test")]
    table, films, *tables = _movielens_members(["u.data", "u.item"], splits)
    pairs, ratings = _movielens_ratings(table)
    rows = np.empty(pairs.max(axis=0) + 1, dtype=int)  # of the table, by person and film
    rows[tuple(pairs.T)] = np.arange(len(pairs))
    parts = [np.sort(rows[tuple(_movielens_ratings(table)[0].T)]) for table in tables]
    fields = [line.split("|") for line in films.decode("latin-1").strip().split("\n")]
    return Bunch(
        pairs=pairs,
        ratings=ratings,
        folds=list(zip(parts[::2], parts[1::2], strict=True)),
        titles=[title for _, title, *_ in fields],
        genres=np.array([field[-len(MOVIELENS_GENRES) :] for field in fields]) == "1",
        genre_names=list(MOVIELENS_GENRES),
        DESCR=MOVIELENS_DESCRIPTION,
    )


def _movielens_members(needed, optional):
    """Return the contents of the files, from the unpacked folder or from the archive."""
    folder = cache_folder() / "ml-100k"
    if not os.path.isfile(folder / "u.data"):  # which a forbidden folder does not stop
        names = [f"ml-100k/{name}" for name in needed + optional]
        return read_archive(download(MOVIELENS), names)
    table, films, *splits = read_folder(MOVIELENS.title, folder, needed, optional)
    if sha256(table).hexdigest() != MOVIELENS_RATINGS_SHA256:
        raise OSError(f"u.data in the folder {folder.name} is not the published file; remove both")
    if {line.count(b"|") for line in films.strip().split(b"\n")} != {len(MOVIELENS_GENRES) + 4}:
        raise OSError(f"u.item in the folder {folder.name} is not the published file; remove both")
    return table, films, *splits


MOVIELENS = RemoteFile(
    title="MovieLens 100K",
    name="ml-100k.zip",
    url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
    sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
)
MOVIELENS_RATINGS_SHA256 = "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"
MOVIELENS_GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance"),
    *("Sci-Fi", "Thriller", "War", "Western"),
)
MOVIELENS_DESCRIPTION = """MovieLens 100K: 100,000 ratings by 943 people of 1,682 films.

- Source: GroupLens Research, University of Minnesota, https://grouplens.org/datasets/movielens/100k/
- Licence: the README of the archive. The data may be used for research, with acknowledgement; they
  may not be passed on, nor used to earn money, without permission. None of it ships with us.
"""


def _movielens_ratings(table):
    """Return pairs (n, 2), counted from 0, and ratings (n,) of lines `person film rating time`."""
    columns = np.loadtxt(BytesIO(table), dtype=int, usecols=(0, 1, 2), ndmin=2)
    return columns[:, :2] - 1, columns[:, 2].astype(float)


def fetch_hangzhou_metro() -> Bunch:
    """Download the passengers of the metro in Hangzhou, once: 25 days in January 2019 (lesson 6).

    Published: 80 stations, without names; the 25 days from 1 to 25 January 2019; the time from 6:00
    to 24:00, outside of which the metro does not run. Inferred: that the days stand in order. The
    data agree, since the mornings with the smallest share of a day's passengers are those of New
    Year and of the three weekends.

    Returns
    -------
    Bunch
        counts : (25, 80, 108) array
            Passengers who entered, by day, station and interval of ten minutes. No gap is marked as
            such: where nobody was counted stands 0.
        weekdays : (25,) array of int
            0 for Monday, ..., 6 for Sunday; the first day is a Tuesday (1).
        dates : (25,) array of datetime64
            1 to 25 January 2019.
        hours : (108,) array
            The middle of each interval, in hours after midnight, from 6:00 to 24:00.
        DESCR : str
            Where the data come from, and what is known of their licence.

    Raises
    ------
    ConnectionError
        If it was not downloaded before and there is no network.
    OSError
        If what arrives is not the expected file, or if the cache cannot be read or written.

    References
    ----------
    Hangzhou metro passenger flow data set, https://doi.org/10.5281/zenodo.3145404, made from the
    records of a contest (https://tianchi.aliyun.com/competition/entrance/231708/information), as
    kept in the repository https://github.com/xinychen/transdim.

    Examples
    --------
    >>> metro = fetch_hangzhou_metro()  # doctest: +SKIP
    >>> metro.counts.shape  # doctest: +SKIP
    (25, 80, 108)
    """
    tensor = loadmat(download(HANGZHOU))["tensor"]
    dates = np.arange("2019-01-01", "2019-01-26", dtype="datetime64[D]")
    return Bunch(
        counts=np.ascontiguousarray(tensor.swapaxes(0, 1), dtype=float),
        weekdays=(np.arange(dates.size) + 1) % 7,
        dates=dates,
        hours=6 + (np.arange(108) + 0.5) / 6,
        DESCR=HANGZHOU_DESCRIPTION,
    )


HANGZHOU = RemoteFile(
    title="The Hangzhou metro data",
    name="hangzhou_tensor.mat",
    url="https://raw.githubusercontent.com/xinychen/transdim/99a31275f12504f59b0c3d3debd50fea92b2e973/datasets/Hangzhou-data-set/tensor.mat",
    sha256="55891c7e102a8352f3c8022f79bc588ae77a68625a565d79ed8aaadbf8e9202d",
)
HANGZHOU_DESCRIPTION = """Passengers who entered the metro of Hangzhou, China.

80 stations, 25 days (1 to 25 January 2019), 108 intervals of ten minutes from 6:00 to 24:00.

- Source: Hangzhou metro passenger flow data set, https://doi.org/10.5281/zenodo.3145404, from the
  records of https://tianchi.aliyun.com/competition/entrance/231708/information
- Downloaded from: https://github.com/xinychen/transdim (datasets/Hangzhou-data-set/tensor.mat)
- Licence: the file names none. The repository is under the MIT licence, others cite the data set as
  under CC BY 4.0, and we have not seen the terms of the contest. None of it ships with the course.
"""
