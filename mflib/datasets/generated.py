"""What is generated from a seed, with its ground truth. Nothing here is real.

The same seed gives the same data on every machine, up to the rounding of the last digits: nothing
depends on an order that a processor may choose for itself.
"""

import math

import numpy as np
from scipy.linalg import block_diag
from scipy.signal import lfilter
from scipy.spatial.distance import cdist
from scipy.special import ndtr
from scipy.stats import ortho_group
from sklearn.utils import Bunch, check_random_state

from mflib import _validation as check

LARGEST_TABLE = 2**31  # entries, 16 GB: beyond, a slip of the finger is likelier than a wish


def _sizes(smallest=1, **sizes):
    """Return sizes as whole numbers, refusing those of a table that nobody can have meant."""
    whole = [check.count(size, name, smallest=smallest) for name, size in sizes.items()]
    if math.prod(whole) > LARGEST_TABLE:
        shape = ", ".join(f"{name} is {size}" for name, size in sizes.items())
        raise ValueError(f"{shape}; a smaller table is needed")
    return whole


def _moderate(value, name):
    """Return a number whose products with the data stay far from overflow."""
    if abs(value) > 1e100:
        raise ValueError(f"{name} is {value}; a smaller number is needed")
    return value


def make_faces(n_faces: int = 400, *, random_state=None) -> Bunch:
    """Draw faces put together from parts, as for an identity sketch (lesson 3).

    Nobody looks like this. A face has one part of each of six kinds (hair, outline, brows, eyes,
    nose, mouth), each drawn at random from three, with as much ink as chance gives it:
    `images = weights @ parts`. Every part has pixels of its own.

    Parameters
    ----------
    n_faces : int
    random_state : int, RandomState or None

    Returns
    -------
    Bunch
        images : (n_faces, 1600) array
            One picture a row, 40×40 pixels read row by row; 0 is white, 1 is ink.
        parts : (18, 1600) array
            The parts, kind by kind; at most 1.
        weights : (n_faces, 18) array
            Between ½ and 1 where a face has a part, else 0.
        names : list of str
            What each part is, such as "smile".
        kinds : list of str
            The kind of each part, such as "mouth".
        shape : tuple
            (40, 40), to draw a row: `images[0].reshape(shape)`.

    Examples
    --------
    >>> faces = make_faces(100, random_state=0)
    >>> faces.images.shape, faces.names[-3:]
    ((100, 1600), ['smile', 'pout', 'open mouth'])
    """
    (n_faces,) = _sizes(n_faces=n_faces)
    rng = check_random_state(random_state)
    size, n_kinds = 40, len(FACE_PARTS)
    chosen = rng.randint(3, size=(n_faces, n_kinds))
    ink = rng.uniform(0.5, 1, (n_faces, n_kinds))
    names = [name for kind in FACE_PARTS.values() for name in kind]
    arcs = [arcs for kind in FACE_PARTS.values() for arcs in kind.values()]
    weights = (ink[:, :, np.newaxis] * np.eye(3)[chosen]).reshape(n_faces, -1)
    parts = np.array([_inked(part, size) for part in arcs])
    return Bunch(
        images=weights @ parts,
        parts=parts,
        weights=weights,
        names=names,
        kinds=[kind for kind in FACE_PARTS for _ in range(3)],
        shape=(size, size),
    )


# Arcs of ellipses: centre, half axes, and from where to where in degrees, clockwise from the right.
# The picture reaches from -1 to 1, downwards; what is not in the middle is there on both sides.
FACE_PARTS = {
    "hair": {
        "bun": [(0, -0.9, 0.16, 0.1, 0, 360), (0, -0.3, 0.55, 0.48, 200, 340)],
        "long hair": [(0, 0, 0.86, 0.86, 140, 400)],
        "curls": [
            (x, y, 0.13, 0.12, 0, 360) for x, y in ((0.0, -0.8), (0.3, -0.74), (0.57, -0.57))
        ],
    },
    "outline": {
        "narrow face": [(0, 0.14, 0.46, 0.8, 0, 360)],
        "round face": [(0, 0.12, 0.7, 0.68, 0, 360)],
        "square face": [(0, 0.05, 0.6, 0.55, 180, 360), (0, 0.05, 0.6, 0.9, 0, 180)],
    },
    "brows": {
        "raised brows": [(0.27, -0.24, 0.16, 0.14, 200, 340)],
        "flat brows": [(0.27, -0.2, 0.17, 0.0, 0, 180)],
        "frown": [(0.36, -0.14, 0.27, 0.16, 185, 270)],
    },
    "eyes": {
        "round eyes": [(0.25, 0.02, 0.05, 0.05, 0, 360)],
        "closed eyes": [(0.25, 0.1, 0.13, 0.03, 0, 180)],
        "glasses": [(0.25, 0.05, 0.2, 0.18, 0, 360), (0, 0.05, 0.05, 0, 0, 180)],
    },
    "nose": {
        "long nose": [(0, 0.27, 0, 0.16, 90, 270)],
        "button nose": [(0, 0.39, 0.07, 0.05, 0, 360)],
        "broad nose": [(0, 0.38, 0.15, 0.08, 0, 180)],
    },
    "mouth": {
        "smile": [(0, 0.55, 0.26, 0.16, 0, 180)],
        "pout": [(0, 0.77, 0.22, 0.1, 180, 360)],
        "open mouth": [(0, 0.61, 0.11, 0.1, 0, 360)],
    },
}


def _inked(arcs, size):
    """Draw arcs with a soft pen and return the picture as a row."""
    arcs = [*arcs, *((-arc[0], *arc[1:]) for arc in arcs if arc[0])]
    points = []
    for x, y, width, height, start, end in arcs:
        angle = np.radians(np.linspace(start, end, 120))
        points.append(np.column_stack([x + width * np.cos(angle), y + height * np.sin(angle)]))
    pixels = (np.indices((size, size)).reshape(2, -1).T[:, ::-1] + 0.5) * 2 / size - 1
    distance = cdist(pixels, np.concatenate(points)).min(axis=1)
    return np.clip(1.4 - distance * size / 2, 0, 1)


def make_film_club(
    n_people: int = 300,
    n_films: int = 120,
    n_ratings: int = 6000,
    *,
    liking: float = 0.7,
    random_state=None,
) -> Bunch:
    """Generate the ratings of a film club whose tastes are known (lesson 5).

    Nothing here is real. Person i thinks of film j

        sᵢⱼ = μ + bᵢ + cⱼ + uᵢ · vⱼ

    with a bias bᵢ of the person and cⱼ of the film, the person's taste uᵢ for each genre, and the
    film's share vⱼ in each genre, 0 for all but one or two. A rating is sᵢⱼ plus normal noise of
    standard deviation ½, rounded to a whole number and kept between 1 and 5.

    Ratings are not missing at random. A few films are famous and most are not (a long tail: the
    p-th most famous film has weight p^-0.8), a few people rate a lot, and people see what they
    will like: the weight of a pair grows by exp(liking · (cⱼ + uᵢ · vⱼ)). Pairs are drawn by their
    weight, each at most once. Somebody may have rated nothing.

    Parameters
    ----------
    n_people, n_films, n_ratings : int
        943, 1682 and 100,000 are the sizes of MovieLens 100K.
    liking : float
        How much people choose what they will like. With 0 the ratings that are missing say nothing
        about taste. It changes neither people nor films nor `truth`.
    random_state : int, RandomState or None
        Where everything random comes from.

    Returns
    -------
    Bunch
        pairs : (n_ratings, 2) array of int
            Person and film of each rating, in random order. No pair occurs twice.
        ratings : (n_ratings,) array
            Each 1, 2, 3, 4 or 5.
        titles : list of n_films str
            Invented, each once.
        genres : (n_films, 4) array of bool
            Which film belongs to which genre.
        genre_names : list of 4 str
        truth : (n_people, n_films) array
            The expected rating of every pair: the mean over the noise, after rounding.
        mean, row_biases, column_biases, U, V : float and arrays
            μ, b (n_people,), c (n_films,), the tastes (n_people, 4) and the shares (n_films, 4).

    Raises
    ------
    ValueError
        If there are more ratings than pairs, or a size is not a positive whole number.

    Examples
    --------
    >>> club = make_film_club(random_state=0)
    >>> club.pairs.shape, club.truth.shape
    ((6000, 2), (300, 120))
    >>> print(club.ratings.mean().round(1), club.truth.mean().round(1))  # we see what we like
    3.8 3.2
    """
    n_people, n_films = _sizes(n_people=n_people, n_films=n_films)
    n_ratings = check.count(n_ratings, "n_ratings", largest=n_people * n_films)
    liking = _moderate(check.number(liking, "liking"), "liking")
    rng = check_random_state(random_state)
    titles, genres = _film_titles_and_genres(n_films, rng)
    mean, noise = 3.2, 0.5
    row_biases = 0.4 * rng.standard_normal(n_people)
    column_biases = 0.4 * rng.standard_normal(n_films)
    U = 0.9 * rng.standard_normal((n_people, len(FILM_TITLES)))
    V = genres * rng.uniform(0.6, 1.4, genres.shape)
    attraction = column_biases + U @ V.T
    pairs = _watched(liking * attraction, n_ratings, rng)
    scores = mean + row_biases[:, np.newaxis] + attraction
    opinions = scores[pairs[:, 0], pairs[:, 1]] + noise * rng.standard_normal(n_ratings)
    return Bunch(
        pairs=pairs,
        ratings=np.clip(np.rint(opinions), 1, 5),
        titles=titles,
        genres=genres,
        genre_names=list(FILM_TITLES),
        # A rating is 1 plus how many of 1 to 4 it exceeds, and it exceeds g if s + noise > g + 1/2.
        truth=1 + sum(ndtr((scores - grade - 0.5) / noise) for grade in (1, 2, 3, 4)),
        mean=mean,
        row_biases=row_biases,
        column_biases=column_biases,
        U=U,
        V=V,
    )


FILM_TITLES = {
    "comedy": ["Two {}s and a Teapot", "My Cousin's {}", "Carry That {} Upstairs", "Goose and {}"],
    "crime": ["Who Framed the {}?", "Murder by {}", "The {} Left No Trace", "Alibi for a {}"],
    "romance": ["Love and the {}", "Letters to My {}", "A Waltz for the {}", "The {} in April"],
    "science fiction": ["{}s from Orbit", "Planet of the {}", "The {} Awakes", "{} 3000"],
}
FILM_HEROES = [
    *["Eigenvector", "Residual", "Gradient", "Singular Value", "Null Space", "Diagonal", "Pivot"],
    *["Outer Product", "Saddle Point", "Lagrangian", "Left Inverse", "Rounding Error", "Kernel"],
    *["Permutation", "Projection", "Subspace", "Rotation", "Norm", "Lemma", "Determinant"],
]


def _film_titles_and_genres(n_films, rng):
    """Return a title for each film and the table (n_films, 4) of its one or two genres."""
    genres = np.zeros((n_films, len(FILM_TITLES)), dtype=bool)
    main, second = rng.randint(len(FILM_TITLES), size=(2, n_films))
    genres[np.arange(n_films), main] = True
    genres[np.arange(n_films), np.where(rng.uniform(size=n_films) < 0.4, second, main)] = True
    titles = np.empty(n_films, dtype=object)
    for number, patterns in enumerate(FILM_TITLES.values()):
        known = rng.permutation([text.format(hero) for text in patterns for hero in FILM_HEROES])
        films = np.flatnonzero(main == number)
        for count, film in enumerate(films):  # when the titles run out come the sequels
            part, which = divmod(count, known.size)
            titles[film] = f"{known[which]} {part + 1}" if part else str(known[which])
    return titles.tolist(), genres


def _watched(log_weights, n_ratings, rng):
    """Return the pairs (n_ratings, 2) that got a rating, in random order.

    Taking the largest of log weight + Gumbel noise is drawing by weight without putting back
    (Yellott, "The relationship between Luce's choice axiom, ...", 1977).
    """
    n_people, n_films = log_weights.shape
    activity = 0.7 * rng.standard_normal((n_people, 1))
    fame = -0.8 * np.log(rng.permutation(n_films) + 1)
    keys = log_weights + activity + fame + rng.gumbel(size=log_weights.shape)
    # A partition leaves the chosen in an order that depends on the processor.
    drawn = np.sort(np.argpartition(keys, -n_ratings, axis=None)[-n_ratings:])
    return np.column_stack(np.divmod(rng.permutation(drawn), n_films))


def make_metro(
    n_steps: int = 70,
    n_stations: int = 20,
    n_intervals: int = 36,
    *,
    season: bool = True,
    innovation: float = 0.05,
    noise: float = 1.0,
    random_state=None,
) -> Bunch:
    """Generate a table of metro passengers for every day, from a known transition (lesson 6).

    Nothing here is real. With the weekday d(t) = t mod 7, Monday first,

        Xₜ = Wₜ H + noise,   Wₜ = P_d(t) + Zₜ,   Zₜ₊₁ = Zₜ T + innovations

    Three parts of the day are the rows of H: the morning rush, the hours between, the evening rush.
    A state Wₜ holds the passengers of each station at the height of each of them; P is what is
    usual on the weekday. The eigenvalues of T are 0.9 and 0.8 exp(±2πi/5): a deviation Zₜ fades
    (half-life 6.6 days), and it swings with a period of 5 days while it fades faster (half-life 3.1
    days). T is a rotation of that block form and so a normal matrix.

    With `season=False`, P is 0 and the tables are deviations, of either sign. If `innovation` and
    `noise` are 0 as well, Xₜ = Z₀ Tᵗ H exactly.

    Parameters
    ----------
    n_steps, n_stations, n_intervals : int
        How many days, and the shape of a table, each at least 3. The intervals divide the time from
        6:00 to 24:00.
    season : bool
        Whether weekdays differ: whether there is a P.
    innovation : float
        Standard deviation of the daily innovations, as a share of the size of the station. They
        keep all states moving for ever, so that T can be estimated the better the longer one looks.
    noise : float
        With 1 an entry y of Wₜ H gets normal noise of variance |y|, as if passengers came
        independently of each other; other values multiply its standard deviation.
    random_state : int, RandomState or None
        Where everything random comes from.

    Returns
    -------
    Bunch
        counts : (n_steps, n_stations, n_intervals) array
            The tables Xₜ. They are not rounded.
        expected : array of the same shape
            Wₜ H, the tables without the noise.
        weekdays : (n_steps,) array of int
            0 for Monday, ..., 6 for Sunday.
        hours : (n_intervals,) array
            The middle of each interval, in hours after midnight.
        W : (n_steps, n_stations, 3) array
            The states.
        H : (3, n_intervals) array
            The parts of the day, not negative, at most 1.
        T : (3, 3) array
            The transition.
        weekday_profile : (7, n_stations, 3) array
            P. The deviations are `W - weekday_profile[weekdays]`.

    Raises
    ------
    ValueError
        If a size is not a whole number of at least 3, or `innovation` or `noise` is negative.

    Examples
    --------
    >>> metro = make_metro(random_state=0)
    >>> metro.counts.shape
    (70, 20, 36)
    >>> deviations = metro.W - metro.weekday_profile[metro.weekdays]
    >>> innovations = deviations[1:] - deviations[:-1] @ metro.T
    >>> print(innovations.std() < deviations.std() / 2)
    True
    """
    n_steps, n_stations, n_intervals = _sizes(
        3, n_steps=n_steps, n_stations=n_stations, n_intervals=n_intervals
    )
    check.flag(season, "season")
    innovation = _moderate(check.non_negative(innovation, "innovation"), "innovation")
    noise = _moderate(check.non_negative(noise, "noise"), "noise")
    rng = check_random_state(random_state)
    hours = 6 + 18 * (np.arange(n_intervals) + 0.5) / n_intervals
    H = np.exp(-0.5 * ((hours - [[8], [13], [18]]) / [[1.2], [3.5], [2.2]]) ** 2)
    station_sizes = 100 * np.exp(0.6 * rng.standard_normal((n_stations, 1)))
    profile = season * station_sizes * _weekday_profile(n_stations, rng)
    T = _metro_transition(rng)
    weekdays = np.arange(n_steps) % 7
    W = profile[weekdays] + station_sizes * _deviations(n_steps, n_stations, T, innovation, rng)
    expected = W @ H
    spread = noise * np.sqrt(np.abs(expected))
    return Bunch(
        counts=expected + spread * rng.standard_normal(expected.shape),
        expected=expected,
        weekdays=weekdays,
        hours=hours,
        W=W,
        H=H,
        T=T,
        weekday_profile=profile,
    )


def _weekday_profile(n_stations, rng):
    """Return the usual states (7, n_stations, 3) of stations of size 1."""
    working_day, saturday, sunday = [1.2, 0.6, 1.0], [0.6, 0.9, 0.8], [0.5, 0.8, 0.6]
    rhythm = np.array([working_day] * 5 + [saturday, sunday])
    rhythm[4] += [0, 0.1, 0.2]  # people leave work early on Friday, and go out
    homes_and_offices = rng.uniform(0.6, 1.4, (n_stations, 3))
    return rhythm[:, np.newaxis] * homes_and_offices


def _metro_transition(rng):
    """Return T (3, 3) with the eigenvalues 0.9 and 0.8 exp(±2πi/5), in a random rotation."""
    angle = 2 * np.pi / 5
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    Q = ortho_group.rvs(3, random_state=rng)
    return Q.T @ block_diag(0.9, 0.8 * turn) @ Q


def _deviations(n_steps, n_stations, T, innovation, rng):
    """Return Z (n_steps, n_stations, 3) for stations of size 1."""
    Z = np.empty((n_steps, n_stations, 3))
    Z[0] = 0.1 * rng.standard_normal((n_stations, 3))
    for t in range(1, n_steps):
        Z[t] = Z[t - 1] @ T + innovation * rng.standard_normal((n_stations, 3))
    return Z


def make_parking(
    n_steps: int = 42,
    n_parks: int = 8,
    n_intervals: int = 36,
    *,
    shared: float = 0.0,
    memory: float = 0.95,
    random_state=None,
) -> Bunch:
    """Generate a table of parked cars for every day, with or without a common basis (lesson 6).

    Nothing here is real. With the weekday d(t) = t mod 7, Monday first, and the capacity cᵢ of car
    park i, an entry is

        Xₜ = P_d(t) + Zₜ,   Zₜ = 0.1 c (√s · Cₜ H + √(1 − s) · Oₜ)

    where P is what is usual on the weekday. The deviations Zₜ have two parts. Two courses of a day
    are the rows of H, the same for all; Cₜ (m, 2) says how much of them each car park has. Oₜ
    (m, n) is every entry's own. All numbers of Cₜ and Oₜ go on as cₜ₊₁ = memory · cₜ + innovation,
    independently, with mean 0 and variance 1. So the deviations of an entry look alike for every
    share s, and one thing differs: whether they have rank 2 or no low rank at all.

    Parameters
    ----------
    n_steps, n_parks, n_intervals : int
        How many days, and the shape of a table. The intervals divide the time from 8:00 to 17:00.
    shared : float
        s, from 0 to 1: the share of the variance of the deviations that the courses carry.
    memory : float
        From 0 to less than 1: how much of a deviation is left a day later. With 0 yesterday says
        nothing about today.
    random_state : int, RandomState or None
        Where everything random comes from.

    Returns
    -------
    Bunch
        counts : (n_steps, n_parks, n_intervals) array
            The tables Xₜ. They are neither rounded nor kept between empty and full.
        best : array of the same shape
            The best forecast of each table from the day before, by one who knows all rules:
            P_d(t) + memory · Zₜ₋₁, and for the first day P.
        weekdays : (n_steps,) array of int
            0 for Monday, ..., 6 for Sunday.
        hours : (n_intervals,) array
            The middle of each interval, in hours after midnight.
        capacities : (n_parks,) array
            c.
        H : (2, n_intervals) array
            The courses, a morning and an afternoon, with columns of length 1.
        weekday_profile : (7, n_parks, n_intervals) array
            P. The deviations are `counts - weekday_profile[weekdays]`.

    Raises
    ------
    ValueError
        If a size is not a positive whole number, or `shared` or `memory` is out of its range.

    Examples
    --------
    >>> parking = make_parking(random_state=0)
    >>> parking.counts.shape
    (42, 8, 36)
    >>> deviations = parking.counts - parking.weekday_profile[parking.weekdays]
    >>> print(np.std(parking.counts - parking.best) < np.std(deviations) / 2)
    True
    """
    n_steps, n_parks, n_intervals = _sizes(
        n_steps=n_steps, n_parks=n_parks, n_intervals=n_intervals
    )
    shared, memory = check.share(shared, "shared"), check.share(memory, "memory")
    if memory == 1:
        raise ValueError("memory is 1; less than 1 is needed, or deviations grow for ever")
    rng = check_random_state(random_state)
    hours = 8 + 9 * (np.arange(n_intervals) + 0.5) / n_intervals
    capacities = 800 * np.exp(0.5 * rng.standard_normal(n_parks))
    peaks = rng.uniform(12, 14, (n_parks, 1))
    usual = rng.uniform(0.7, 1.3, (n_parks, 1)) * np.exp(-0.5 * ((hours - peaks) / 3) ** 2)
    rhythm = np.array([0.6, 0.6, 0.62, 0.62, 0.7, 0.8, 0.4])
    profile = rhythm[:, np.newaxis, np.newaxis] * capacities[:, np.newaxis] * usual
    angles = np.linspace(0, np.pi / 2, n_intervals)
    H = np.array([np.cos(angles), np.sin(angles)])
    common = _fading((n_steps, n_parks, 2), memory, rng) @ H
    own = _fading((n_steps, n_parks, n_intervals), memory, rng)
    deviations = math.sqrt(shared) * common + math.sqrt(1 - shared) * own
    deviations *= 0.1 * capacities[:, np.newaxis]
    weekdays = np.arange(n_steps) % 7
    best = profile[weekdays]
    best[1:] += memory * deviations[:-1]
    return Bunch(
        counts=profile[weekdays] + deviations,
        best=best,
        weekdays=weekdays,
        hours=hours,
        capacities=capacities,
        H=H,
        weekday_profile=profile,
    )


def _fading(shape, memory, rng):
    """Return numbers of variance 1 that keep the share `memory` from one step to the next."""
    shocks = rng.standard_normal(shape)
    shocks[1:] *= math.sqrt(1 - memory**2)
    return lfilter([1.0], [1.0, -memory], shocks, axis=0)


def make_swimmer(*, torso: bool = True) -> Bunch:
    """Draw the Swimmer: 256 pictures of a body with four limbs in four positions each (lesson 3).

    Every picture is a sum of parts, `images = weights @ parts`, and no two parts share a pixel.
    Without the torso this is the only non-negative factorization with 16 parts, up to their order
    and their scale: each part has pixels of its own, no pixel is lit in every picture, and each of
    the four limbs takes at least three positions, in all combinations. With the torso it is not.
    Every picture shows exactly one left arm, so the torso may be painted on all four left arms
    instead, whole or in part; 16 parts then do for 17. With two positions of two limbs the four
    pairs of them do as well as the four parts.

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
    check.flag(torso, "torso")
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


def make_traffic(
    n_sensors: int = 323, n_days: int = 61, interval: int = 5, *, random_state=None
) -> Bunch:
    """Generate the speeds of cars past the sensors of a road network (lesson 4).

    Synthetic. Each sensor has its speed of free flow and its own share in the two rush hours, which
    differ from day to day and nearly vanish at weekends; slow disturbances that neighbours share
    and noise come on top. Speeds are about 55 ± 8 miles per hour.

    Parameters
    ----------
    n_sensors : int
    n_days : int
        The first day is a Monday.
    interval : int
        Minutes between measurements; a divisor of 1440.
    random_state : int, RandomState or None

    Returns
    -------
    Bunch
        speeds : (n_sensors, n_days · 1440 / interval) array
            Miles per hour.
        times : (n_days · 1440 / interval,) array
            Hours since the first midnight.

    Examples
    --------
    >>> make_traffic(20, 2, 60, random_state=0).speeds.shape
    (20, 48)
    """
    n_minutes = 1440 * check.count(n_days, "n_days")
    if 1440 % check.count(interval, "interval"):
        raise ValueError(f"interval is {interval!r}; a divisor of 1440 minutes is needed")
    n_sensors, n_times = _sizes(n_sensors=n_sensors, n_times=n_minutes // int(interval))
    rng = check_random_state(random_state)
    times = np.arange(n_times) * int(interval) / 60
    day, hour = np.divmod(times, 24)
    day = day.astype(int)
    intensity = rng.uniform(0.7, 1.2, (2, n_days)) * np.where(np.arange(n_days) % 7 < 5, 1, 0.15)
    rush = np.exp(-(((hour - np.array([[7.75], [17.25]])) / np.array([[1.2], [1.6]])) ** 2))
    depth = 36 * rng.beta(1.2, 1.6, (n_sensors, 2))
    free_flow = rng.normal(57.5, 4, (n_sensors, 1))
    # Disturbances: a smooth walk in time for each of some places, felt by the sensors around it.
    n_places = max(1, n_sensors // 8)
    distance = np.arange(n_sensors)[:, None] - np.linspace(0, n_sensors - 1, n_places)
    nearby = np.exp(-((distance / 6) ** 2))
    memory = np.exp(-interval / 60)  # an hour
    shocks = rng.normal(0, 3 * np.sqrt(1 - memory**2), (n_places, times.size))
    disturbances = lfilter([1.0], [1.0, -memory], shocks)
    speeds = free_flow - depth @ (rush * intensity[:, day]) + nearby @ disturbances
    speeds += rng.normal(0, 4, speeds.shape)
    return Bunch(speeds=np.maximum(speeds, 3), times=times)


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
