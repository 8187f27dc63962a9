"""The data of the lessons, in three families of functions.

    load_*     reads what ships with the course or with scikit-learn
    make_*     generates data with a known ground truth, from a seed
    fetch_*    downloads once and keeps a copy

What ships is described in data/README.md, file by file: its source, how it was made, its licence
and its checksum. A download has a pinned address and checksum; it is kept in the folder that the
environment variable MFLIB_DATA names, or else in the user's cache. One sentence
says what is wrong where there is neither a copy nor a network, where the server refuses or breaks
off (ConnectionError), where another file arrives, and where the folder cannot be used (OSError).
"""

from mflib.datasets.downloaded import fetch_hangzhou_metro, fetch_movielens_100k
from mflib.datasets.generated import (
    make_faces,
    make_film_club,
    make_metro,
    make_parking,
    make_swimmer,
    make_traffic,
    make_tune,
)
from mflib.datasets.shipped import (
    load_cluster_times,
    load_documentation_counts,
    load_fertility,
    load_import_graph,
    load_photograph,
)

__all__ = [
    "fetch_hangzhou_metro",
    "fetch_movielens_100k",
    "load_cluster_times",
    "load_documentation_counts",
    "load_fertility",
    "load_import_graph",
    "load_photograph",
    "make_faces",
    "make_film_club",
    "make_metro",
    "make_parking",
    "make_swimmer",
    "make_traffic",
    "make_tune",
]
