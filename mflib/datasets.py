"""The data of the lessons, in three families of functions.

    load_*     reads what ships with the course or with scikit-learn
    make_*     generates data with a known ground truth, from a seed
    fetch_*    downloads once and keeps a copy

So far there is no `fetch_*`. What ships is described in data/README.md, file by file: its source,
how it was made, its licence and its checksum.
"""

from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.datasets import load_sample_image
from sklearn.utils import Bunch, check_random_state

__all__ = [
    "load_documentation_counts",
    "load_import_graph",
    "load_photograph",
    "make_swimmer",
    "make_tune",
]


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
    if name not in files:
        raise ValueError(f"name is {name!r}; there are {', '.join(files)}")
    grey = load_sample_image(files[name])[:426].mean(axis=2) / 255
    return grey.reshape(213, 2, 320, 2).mean(axis=(1, 3))


def make_swimmer(*, torso: bool = True) -> Bunch:
    """Draw the Swimmer: 256 pictures of a body with four limbs in four positions each (lesson 3).

    Every picture is a sum of parts, `images = weights @ parts`, and no two parts share a pixel.
    Without the torso this is the only non-negative factorization with 16 parts, up to their order
    and their scale: each part has pixels of its own, and the limbs move independently in all
    combinations. With the torso it is not. Every picture shows exactly one left arm, so the torso
    may be painted on all four left arms instead, whole or in part; 16 parts then do for 17.

    Parameters
    ----------
    torso : bool
        Whether to draw the torso. If not, there are only the 16 limbs.

    Returns
    -------
    Bunch
        images : (256, 1024) array
            One picture a row, 32×32 pixels read row by row, 0 or 1.
        parts : (17, 1024) array, or (16, 1024) without torso
            The parts: the torso first, then the four positions of each limb.
        weights : (256, 17) array, or (256, 16) without torso
            1 where a picture shows a part, else 0.
        names : list of str
            What each part is, such as "left arm 2".
        shape : tuple
            (32, 32), to draw a row: `images[0].reshape(shape)`.

    References
    ----------
    After Donoho & Stodden, "When does non-negative matrix factorization give a correct
    decomposition into parts?", NIPS 2003, section 3. The drawing here is our own.

    Examples
    --------
    >>> swimmer = make_swimmer()
    >>> print((swimmer.images == swimmer.weights @ swimmer.parts).all())
    True
    >>> swimmer.names[:3]
    ['torso', 'left arm 1', 'left arm 2']
    """
    size, n_positions, reach = 32, 4, np.arange(1, 7)
    names, parts = ["torso"], np.zeros((17, size, size))
    parts[0, 9:23, 15:17] = 1
    joints = {
        "left arm": (9, 15),
        "right arm": (9, 16),
        "left leg": (22, 15),
        "right leg": (22, 16),
    }
    for limb, (row, column) in joints.items():
        away = (1 if row > size / 2 else -1, 1 if column == 16 else -1)  # from the middle
        for position, (down, right) in enumerate([(1, 0), (1, 1), (0, 1), (-1, 1)], start=1):
            rows = row + away[0] * down * reach
            columns = column + away[1] * right * reach
            parts[len(names), rows, columns] = 1
            names.append(f"{limb} {position}")
    chosen = np.indices((n_positions,) * 4).reshape(4, -1).T
    limbs = np.eye(n_positions)[chosen].reshape(len(chosen), -1)
    weights = np.column_stack([np.ones(len(chosen)), limbs])
    first = 0 if torso else 1
    weights, parts, names = weights[:, first:], parts[first:].reshape(-1, size**2), names[first:]
    return Bunch(
        images=weights @ parts, parts=parts, weights=weights, names=names, shape=(size, size)
    )


def make_tune(*, random_state=None) -> Bunch:
    """Synthesise a little tune of five notes, first one by one, then in chords (lesson 3).

    No recording: a note is a sum of harmonics, the h-th of strength h^-1.2, which start at random
    phases, swell in 30 ms and decay together. The notes differ in loudness by up to 21 dB: C, E and
    G sound loud, D and A soft. White noise lies 40 dB below the sound.

    Parameters
    ----------
    random_state : int, RandomState or None
        Where the phases and the noise come from.

    Returns
    -------
    Bunch
        sound : (n_samples,) array
            The sum of the sources and the noise; its largest value is 0.9 or -0.9.
        rate : int
            Samples per second.
        sources : (5, n_samples) array
            What each note contributes to the sound.
        notes : list of 5 str
            The names of the notes, from the lowest.
        frequencies : (5,) array
            Their fundamental frequencies in Hz.
        score : list of (note, start, duration, loudness)
            The number of the note, when it begins and how long it sounds, in seconds.

    Examples
    --------
    >>> tune = make_tune(random_state=0)
    >>> print(tune.notes, tune.frequencies.round())
    ['C4', 'D4', 'E4', 'G4', 'A4'] [262. 294. 330. 392. 440.]
    >>> print(tune.sound.size / tune.rate, "seconds")
    5.0 seconds
    """
    rng = check_random_state(random_state)
    semitones = {"C4": -9, "D4": -7, "E4": -5, "G4": -2, "A4": 0}  # from A4, which has 440 Hz
    frequencies = 440 * 2 ** (np.array(list(semitones.values())) / 12)
    sources = np.zeros((len(semitones), 5 * TUNE_RATE))
    for note, start, duration, loudness in TUNE_SCORE:
        first = round(start * TUNE_RATE)
        sound = loudness * _note(frequencies[note], duration, TUNE_RATE, rng)
        sources[note, first : first + sound.size] += sound
    clean = sources.sum(axis=0)
    sound = clean + 0.01 * clean.std() * rng.standard_normal(clean.size)
    scale = 0.9 / np.abs(sound).max()
    return Bunch(
        sound=scale * sound,
        rate=TUNE_RATE,
        sources=scale * sources,
        notes=list(semitones),
        frequencies=frequencies,
        score=TUNE_SCORE.copy(),
    )


TUNE_RATE = 8000
TUNE_SCORE = [
    (0, 0.0, 0.9, 1.0),
    (2, 0.4, 0.9, 0.8),
    (3, 0.8, 0.9, 0.6),
    (4, 1.2, 0.8, 0.15),
    (1, 1.6, 0.9, 0.09),
    (0, 2.1, 0.9, 1.0),
    (3, 2.1, 0.9, 0.5),
    (4, 2.5, 0.8, 0.12),
    (1, 2.9, 0.7, 0.09),
    (3, 2.9, 0.7, 0.6),
    (0, 3.5, 1.4, 1.0),
    (2, 3.5, 1.4, 0.7),
    (3, 3.6, 1.3, 0.5),
]


def _note(frequency, duration, rate, rng):
    """Return one note as it sounds at loudness 1."""
    time = np.arange(round(duration * rate)) / rate
    harmonics = np.arange(1, 0.45 * rate // frequency + 1)[:, np.newaxis]
    phases = rng.uniform(0, 2 * np.pi, harmonics.shape)
    waves = np.sin(2 * np.pi * harmonics * frequency * time + phases)
    swell_and_end = np.clip(np.minimum(time / 0.03, (duration - time) / 0.05), 0, 1)
    envelope = np.sin(np.pi / 2 * swell_and_end) ** 2 * np.exp(-2.5 * time)
    return envelope * (harmonics**-1.2 * waves).sum(axis=0)


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
    here = Path(__file__).resolve().parent
    for folder in (here / "data", here.parent / "data"):
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
