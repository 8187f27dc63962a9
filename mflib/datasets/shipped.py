"""What ships with the course or with scikit-learn: see data/README.md, file by file."""

import csv
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.datasets import load_sample_image
from sklearn.utils import Bunch

from mflib import _validation as check


def load_cluster_times() -> Bunch:
    """Load what a step of alternating least squares took on one machine, on several engines.

    They were measured once, by `benchmarks/cluster.py` (lesson 7).

    Returns
    -------
    Bunch
        engine : (n,) array of str
            "laptop", "laptop, compiled", "disk", "Spark, 1 worker" or "Spark, 2 workers".
        ratings : (n,) array
            How many.
        start_up, first, step : (n,) arrays
            CPU seconds of all processes: until the engine answers; from then to the end of the
            first step; and for each further one.
        busiest, driver : (n,) arrays
            CPU seconds of the busiest worker in a step, and of Spark's driver.
        elapsed : (n,) array
            Seconds that a step took.
        travel_V, travel_U : (n,) arrays
            Bytes that the blocks of a half step for U read of V, and those of one for V of U.
        megabytes : (n,) array
            Memory, above that of a process that does nothing.
        DESCR : str
            When and where, and the licence.

    Examples
    --------
    >>> times = load_cluster_times()
    >>> print(times.ratings[times.engine == "disk"].max())
    10000000.0
    """
    path = data_path("cluster_times.csv")
    lines = csv.reader(path.read_text(encoding="utf-8").splitlines())
    names, *rows = lines
    engines, *numbers = zip(*rows, strict=True)
    columns = dict(zip(names[1:], np.array(numbers, float), strict=True))
    return Bunch(engine=np.array(engines), **columns, DESCR=_description(path.name))


def load_documentation_counts() -> Bunch:
    """Load how often which word stands on the pages about Python's library (lesson 3).

    Returns
    -------
    Bunch
        counts : (m, n) scipy.sparse.csr_array of float
            `counts[i, j]` says how often word j stands on page i.
        names : list of m str
            The pages, in alphabetical order; nearly all are named after their module.
        words : list of n str
            The words, in alphabetical order.
        DESCR : str
            Where the data come from, how pages and words were chosen, and the licence.

    Examples
    --------
    >>> pages = load_documentation_counts()
    >>> pages.counts.shape
    (265, 1500)
    >>> threading, lock = pages.names.index("threading"), pages.words.index("lock")
    >>> print(pages.counts[threading, lock])
    81.0
    """
    path = data_path("documentation_counts.csv.gz")
    table = np.loadtxt(path, dtype=str, delimiter=",", skiprows=1, encoding="utf-8")
    names, pages = np.unique(table[:, 0], return_inverse=True)
    words, columns = np.unique(table[:, 1], return_inverse=True)
    counts = sparse.csr_array(
        (table[:, 2].astype(float), (pages, columns)), shape=(names.size, words.size)
    )
    return Bunch(
        counts=counts, names=names.tolist(), words=words.tolist(), DESCR=_description(path.name)
    )


def load_fertility() -> Bunch:
    """Load the children per woman by country and year, with the gaps of the record (lessons 5, 6).

    The total fertility rate: how many children a woman would have if at each age she had as many as
    the women of that age have in this year.

    Returns
    -------
    Bunch
        rates : (m, n) array
            Children per woman; NaN where there is no number.
        countries : list of m str
            Countries and territories, in alphabetical order, as they were named in 2013.
        codes : list of m str
            Their codes, three letters each.
        years : (n,) array of int
            1960 to 2011.
        DESCR : str
            Where the data come from, what was left out, and the licence.

    Examples
    --------
    >>> fertility = load_fertility()
    >>> fertility.rates.shape
    (206, 52)
    >>> korea = fertility.rates[fertility.codes.index("KOR")]
    >>> print(korea[0], "in", fertility.years[0], "and", korea[-1], "in", fertility.years[-1])
    6.155 in 1960 and 1.244 in 2011
    """
    path = data_path("fertility.csv")
    table = np.loadtxt(path, dtype=str, delimiter=",", quotechar='"', encoding="utf-8")
    cells = table[1:, 2:]
    return Bunch(
        rates=np.where(cells == "", "nan", cells).astype(float),
        countries=table[1:, 0].tolist(),
        codes=table[1:, 1].tolist(),
        years=table[0, 2:].astype(int),
        DESCR=_description(path.name),
    )


def load_import_graph() -> Bunch:
    """Load the import graph of Python's standard library (lesson 1).

    Returns
    -------
    Bunch
        names : list of n str
            The modules, in alphabetical order. A package counts as one module.
        links : (n, n) scipy.sparse.csr_array of float
            `links[i, j]` is 1 if module i imports module j, else 0. The diagonal is 0.
        DESCR : str
            Where the data come from, and their licence.

    Examples
    --------
    >>> graph = load_import_graph()
    >>> graph.links.shape
    (290, 290)
    >>> json, re = graph.names.index("json"), graph.names.index("re")
    >>> print(graph.links[json, re], graph.links[re, json])  # json imports re
    1.0 0.0
    """
    path = data_path("python_imports.csv")
    pairs = np.loadtxt(path, dtype=str, delimiter=",", skiprows=1, encoding="utf-8")
    names = np.unique(pairs)
    importers, imported = np.searchsorted(names, pairs).T
    links = sparse.csr_array(
        (np.ones(len(pairs)), (importers, imported)), shape=(names.size, names.size)
    )
    return Bunch(names=names.tolist(), links=links, DESCR=_description(path.name))


def load_photograph(name: str = "temple") -> np.ndarray:
    """Load a photograph in grey, at half its size (lesson 2).

    The two sample images of scikit-learn, "china.jpg" and "flower.jpg": each pixel is the mean of
    2×2 pixels and of the three colours.

    Parameters
    ----------
    name : {"temple", "flower"}

    Returns
    -------
    (213, 320) array
        Brightness, 0 (black) to 1 (white).

    Examples
    --------
    >>> load_photograph("flower").shape
    (213, 320)
    """
    files = {"temple": "china.jpg", "flower": "flower.jpg"}
    grey = load_sample_image(files[check.choice(name, files, "name")])[:426].mean(axis=2) / 255
    return grey.reshape(213, 2, 320, 2).mean(axis=(1, 3))


def data_path(name: str) -> Path:
    """Return the path of a file that ships: in mflib/data of a wheel, in ../data of a checkout.

    Parameters
    ----------
    name : str
        The name of the file, without a folder.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no data at all.

    Examples
    --------
    >>> data_path("python_imports.csv").name
    'python_imports.csv'
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "data", package.parent / "data"):
        if (folder / "README.md").is_file():
            break
    else:
        raise FileNotFoundError("the data of mflib are missing; install mflib again")
    known = sorted(path.name for path in folder.iterdir() if path.is_file())
    if name not in known:
        raise FileNotFoundError(f"mflib has no data file {name!r}; it has {', '.join(known)}")
    return folder / name


def _description(name: str) -> str:
    """Return the section on one file in data/README.md."""
    sections = data_path("README.md").read_text(encoding="utf-8").split("\n## ")
    return next(section for section in sections if section.startswith(f"{name}\n"))
