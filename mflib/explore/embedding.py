"""Which films are alike, and does a map in two dimensions show it? (lesson 5)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from matplotlib.artist import setp
from sklearn.utils import Bunch

from mflib.completion import ALS
from mflib.datasets import make_film_club
from mflib.explore.base import Choice, Explorer, Slider, even
from mflib.plotting import DATA, ERROR, MODEL, OTHER, PREDICTION, QUIET

FILMS = 120
RANK = 4
MOST_NEIGHBOURS = 6
PLANES = ("principal 1 and 2", "principal 1 and 3", "factors 1 and 2", "factors 3 and 4")
LIMIT = 1.6  # of the coordinates in the picture
LETTERS = 12.5  # their size in points


@dataclass(frozen=True)
class FilmMap:
    """Films in a plane, one of them with its nearest neighbours.

    `points` (120, 2) are coordinates of the films' factors on the named `axes`, `share` the share
    of their variance that the plane keeps, `neighbours` and `cosines` those of `film`, nearest
    first, and `nearest` as many films that stand nearest to it on the map.
    """

    points: np.ndarray
    axes: tuple[str, str]
    share: float
    film: int
    neighbours: np.ndarray
    cosines: np.ndarray
    nearest: np.ndarray
    state: str
    message: str


@lru_cache(maxsize=1)
def fitted_club() -> tuple[Bunch, ALS]:
    """Return the film club and the model of its ratings."""
    club = make_film_club(random_state=0)
    model = ALS(RANK, regularization=0.05, max_iter=30, random_state=0)
    return club, model.fit(club.pairs, club.ratings)


@lru_cache
def plane_axes(plane: str) -> tuple[np.ndarray, tuple[str, str]]:
    """Return two orthonormal axes in the space of the factors, shape (4, 2), and their names."""
    V = fitted_club()[1].V_
    kind, *numbers = plane.replace(" and", "").split()
    axes = np.eye(RANK)
    if kind == "principal":  # directions of largest variance
        _, _, directions = np.linalg.svd(V - V.mean(axis=0))
        axes = directions.T * np.sign(directions.sum(axis=1))  # one of the two signs, for good
    name = {"principal": "principal axis", "factors": "factor"}[kind]
    first, second = (f"{name} {number}" for number in numbers)
    return axes[:, [int(number) - 1 for number in numbers]], (first, second)


def map_films(plane: str, film: int, n_neighbours: int) -> FilmMap:
    """Map all films to a plane, and find the neighbours of one.

    Parameters
    ----------
    plane : one of PLANES
    film : int
        Its number, 1 to 120.
    n_neighbours : int
        1 to 6. They are those of largest cosine between factors, in all four dimensions.
    """
    club, model = fitted_club()
    directions, axes = plane_axes(plane)
    points = model.V_ @ directions
    share = points.var(axis=0).sum() / model.V_.var(axis=0).sum()
    neighbours, cosines = model.similar(film - 1, n_neighbours)
    distances = np.linalg.norm(points - points[film - 1], axis=1)
    distances[film - 1] = np.inf
    nearest = np.argsort(distances, kind="stable")[:n_neighbours]
    found = len(set(neighbours) & set(nearest))
    same = np.sum((club.genres[neighbours] & club.genres[film - 1]).any(axis=1))
    near = ", ".join(
        f"{club.titles[j]} ({c:.2f})" for j, c in zip(neighbours, cosines, strict=True)
    )
    message = (
        f"“{club.titles[film - 1]}” ({genres_in_words(film - 1)}) is nearest, by cosine, to "
        f"{near}. The plane shows {share:.0%} of the variance; {found} of {n_neighbours} are "
        "nearest on the map, too"
    )
    return FilmMap(
        points=points,
        axes=axes,
        share=float(share),
        film=film - 1,
        neighbours=neighbours,
        cosines=cosines,
        nearest=nearest,
        state=f"{same} of {n_neighbours} share{'s' if same == 1 else ''} a genre",
        message=message,
    )


def genres_in_words(film: int) -> str:
    """Return the genres of a film, counted from 0."""
    club, _ = fitted_club()
    names = np.array(club.genre_names)[club.genres[film]]
    return " and ".join(names)


class EmbeddingExplorer(Explorer):
    """Choose a film, see its neighbours, and turn the map (lesson 5)."""

    controls = {
        "plane": Choice("Plane", PLANES, PLANES[0]),
        "film": Slider("Film", even(1, FILMS, 1), 25),
        "n_neighbours": Slider("Neighbours", even(1, MOST_NEIGHBOURS, 1), 4),
    }
    size = (10.6, 3.8)
    lines = 4
    grid = {"plane": PLANES, "film": range(1, FILMS + 1, 4), "n_neighbours": (1, 4)}
    alt = (
        "Map of 120 films by two coordinates of their factors, marked by genre. Lines lead from "
        "the chosen film and its nearest neighbours to their titles on the right."
    )
    compute = staticmethod(map_films)

    def draw(self, fig):
        """Make the marks of each genre, and the labels with their lines."""
        ax, self._list = fig.subplots(1, 2, width_ratios=[1.1, 1])
        ax.set(title="Films by their factors; two marks: two genres")
        ax.set(xlabel=" ", ylabel=" ")  # keeps the space for the names of the axes
        self._names = [ax.xaxis.label, ax.yaxis.label]
        setp(self._names, animated=True)
        ax.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        ax.set_aspect("equal")  # distances count
        ax.axhline(0, color=QUIET, lw=0.8)
        ax.axvline(0, color=QUIET, lw=0.8)
        self._list.set_axis_off()
        club, _ = fitted_club()
        marks = (("o", MODEL), ("x", ERROR), ("^", OTHER), ("+", PREDICTION))
        self._genres = [
            ax.plot([], [], marker, color=color, mfc="none", mew=1.5, label=name, animated=True)[0]
            for (marker, color), name in zip(marks, club.genre_names, strict=True)
        ]
        fig.legend(loc="outside lower center", ncols=4)
        lines = {"color": DATA, "clip_on": False, "in_layout": False, "animated": True}
        (self._leaders,) = ax.plot([], [], lw=0.7, **lines)
        (self._near,) = ax.plot([], [], "o", ms=9, mfc="none", mew=1, **lines)
        (self._chosen,) = ax.plot([], [], "o", ms=13, mfc="none", mew=2.5, **lines)
        columns = ((0.13, "right"), (0.15, "left"))  # of cosines and of titles
        text = {"va": "center", "fontsize": LETTERS, "animated": True}
        self._labels = [
            [self._list.text(x, 0, "", ha=ha, **text) for x, ha in columns]
            for _ in range(MOST_NEIGHBOURS + 1)
        ]

    def update(self, result):
        """Move the marks, and label the film and its neighbours."""
        genres = fitted_club()[0].genres
        for mark, members in zip(self._genres, genres.T, strict=True):
            mark.set_data(*result.points[members].T)
        for label, name in zip(self._names, result.axes, strict=True):
            label.set_text(name)
        self._chosen.set_data(*result.points[[result.film]].T)
        self._near.set_data(*result.points[result.neighbours].T)
        labels = {result.film: "chosen"}
        for film, cosine in zip(result.neighbours, result.cosines, strict=True):
            labels[int(film)] = f"{cosine:.2f}"
        self._write(result.points, labels)

    def _write(self, points, labels):
        """Write the labels in a column, in the order of the points' heights, so that none meet."""
        club, _ = fitted_club()
        map_axes = self._leaders.axes
        lines = []
        films = sorted(labels, key=lambda film: points[film, 1])
        heights = (np.arange(len(films)) + 0.5) / len(films)
        for label, film, height in zip(self._labels, films, heights, strict=False):
            color = MODEL if labels[film] == "chosen" else DATA
            for part, text in zip(label, (labels[film], club.titles[film]), strict=True):
                part.set(y=height, text=text, color=color)
            x, y = self._list.transAxes.transform((0, height))
            lines += [points[film], map_axes.transData.inverted().transform((x, y)), [np.nan] * 2]
        for label in self._labels[len(films) :]:
            setp(label, text="")
        self._leaders.set_data(*np.transpose(lines))
