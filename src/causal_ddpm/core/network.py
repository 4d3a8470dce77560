r"""Who is whose neighbour, and how much of a unit's neighbourhood is treated.

A network of n units is a matrix W >= 0 without a diagonal: W_ij says how much unit j matters for
unit i. With d the treatments,

    N(i) = {j : W_ij > 0},        share_i = sum_j W_ij d_j / sum_j W_ij        (the exposure of i)

For an error of unit i, others count that can be reached by a few links, in either direction:

    K_ij = 1 if j is at most b links from i, or i itself                       (reach of b)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, eye_array, issparse
from scipy.spatial import cKDTree

from causal_ddpm.core.data import frame_with
from causal_ddpm.core.errors import DataError

Array = NDArray[np.float64]
Metric = Literal["euclidean", "kilometres"]

EARTH_RADIUS = 6371.0
"""Kilometres."""
MOST_PAIRS = 50_000_000
"""Pairs of units that may count for each other."""


@dataclass(frozen=True, eq=False)
class Network:
    """Neighbours of n units; made by one of its constructors.

    Parameters
    ----------
    weights : sparse array, shape (n, n)
        W, without a diagonal and without negative entries; row i holds the neighbours of unit i.
    made : str
        How, in words.
    """

    weights: csr_array
    made: str

    # -- constructors ----------------------------------------------------------------------
    @classmethod
    def of(cls, weights: Any) -> Self:
        """From a matrix of weights, dense or sparse, shape (n, n); its diagonal is dropped.

        Raises
        ------
        DataError
            If it is not square, or has entries that are negative or not finite.
        """
        given = weights if issparse(weights) else np.asarray(weights, dtype=float)
        if given.ndim != 2 or given.shape[0] != given.shape[1]:
            raise DataError(
                f"the matrix of weights has shape {given.shape}", "one row and one column a unit"
            )
        return cls(_clean(csr_array(given, dtype=float)), "a matrix of weights")

    @classmethod
    def from_edges(
        cls,
        edges: Any,
        source: str,
        target: str,
        units: ArrayLike,
        weight: str | None = None,
        directed: bool = False,
    ) -> Self:
        """From a frame of links between units.

        Parameters
        ----------
        edges : frame
            One row a link; a link that is listed twice counts twice.
        source, target : str
            Columns of unit names: the target's treatment matters for the source.
        units : array_like, shape (n,)
            Names of the units, in the order of the rows of the data.
        weight : str, optional
            Column of link weights; 1 by default.
        directed : bool
            False lets every link count both ways.

        Raises
        ------
        DataError
            If a unit is listed twice, or a link names an unknown unit.
        """
        frame = frame_with(edges, [source, target, *([weight] if weight else [])])
        names = np.asarray(units)
        place = {name: i for i, name in enumerate(names.tolist())}
        if len(place) < len(names):
            raise DataError("a unit is listed twice", "one row a unit", column="units")
        ends = [_places(frame[column].to_list(), place, column) for column in (source, target)]
        w = np.ones(len(frame)) if weight is None else frame[weight].to_numpy().astype(float)
        made = csr_array((w, tuple(ends)), shape=(len(names), len(names)))
        return cls(_clean(made if directed else made + made.T), "a list of links")

    @classmethod
    def within(cls, coordinates: ArrayLike, radius: float, metric: Metric = "euclidean") -> Self:
        """Units nearer than a distance to each other.

        Parameters
        ----------
        coordinates : array_like, shape (n, k)
            Positions; longitude and latitude in degrees for kilometres.
        radius : float
            In units of the coordinates, or in kilometres along the surface.
        metric : {"euclidean", "kilometres"}

        Raises
        ------
        DataError
            For a position that is missing or off the globe, a radius that is not positive, or
            more pairs than can be handled.
        """
        if not (np.isfinite(radius) and radius > 0):
            raise DataError(f"the radius is {radius}", "a positive distance")
        points, chord = _points(coordinates, metric), _chord(float(radius), metric)
        tree = cKDTree(points)
        _check_pairs(int(tree.count_neighbors(tree, chord)), "Take a smaller radius.")
        pairs = tree.query_pairs(chord, output_type="ndarray")
        n, ones = len(points), np.ones(len(pairs))
        half = csr_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(n, n))
        unit = " km" if metric == "kilometres" else ""
        return cls(_clean(half + half.T), f"units within {radius:g}{unit} of each other")

    @classmethod
    def nearest(cls, coordinates: ArrayLike, k: int, metric: Metric = "euclidean") -> Self:
        """The k nearest units of each; arguments as in :meth:`within`.

        Raises
        ------
        DataError
            For a position that is missing, or k below one or not below the number of units.
        """
        points = _points(coordinates, metric)
        n = len(points)
        if not 1 <= k < n:
            raise DataError(f"k is {k}", f"a whole number from 1 to {n - 1}")
        found = cKDTree(points).query(points, k + 1)[1]
        others = np.array([row[row != i][:k] for i, row in enumerate(found)])
        rows = np.repeat(np.arange(n), k)
        made = csr_array((np.ones(n * k), (rows, others.ravel())), shape=(n, n))
        return cls(_clean(made), f"the {k} nearest units of each")

    # -- reading ---------------------------------------------------------------------------
    @property
    def n(self) -> int:
        """Number of units."""
        return int(self.weights.shape[0])

    @property
    def degree(self) -> NDArray[np.int64]:
        """Number of neighbours of each unit, shape (n,)."""
        return np.asarray(np.diff(self.weights.indptr).astype(np.int64))

    def share(self, values: ArrayLike) -> Array:
        """Weighted mean among a unit's neighbours, NaN without any; (n,) or (n, p).

        Missing values are left out of the mean.
        """
        z = np.asarray(values, dtype=float)
        seen = np.isfinite(z)
        total = self.weights @ np.where(seen, z, 0.0)
        mass = self.weights @ seen.astype(float)
        return np.asarray(np.divide(total, mass, out=np.full_like(total, np.nan), where=mass > 0))

    def reach(self, links: int) -> csr_array:
        """K for b = ``links``, a symmetric matrix of zeros and ones with ones on the diagonal.

        Raises
        ------
        DataError
            If ``links`` is below 0, or more pairs count than can be handled.
        """
        if links < 0:
            raise DataError(f"reach is {links} links", "a whole number from 0 upwards")
        step = _ones(self.weights + self.weights.T + eye_array(self.n, format="csr"))
        within = csr_array(eye_array(self.n, format="csr"))
        for _ in range(links):
            within = _ones(within @ step)
            _check_pairs(within.nnz, "Take a smaller reach, or a sparser network.")
        return within

    def rows(self, kept: NDArray[np.int64]) -> Network:
        """The network among some of the units."""
        return Network(csr_array(self.weights[kept][:, kept]), self.made)


def _clean(weights: csr_array) -> csr_array:
    """Weights without diagonal and zeros, checked."""
    if not np.isfinite(weights.data).all() or (weights.data < 0).any():
        raise DataError("a link has a weight that is negative or not finite", "weights above zero")
    weights = csr_array(weights)
    weights.setdiag(0.0)
    weights.eliminate_zeros()
    weights.sort_indices()
    _check_pairs(weights.nnz, "Take a sparser network.")
    return weights


def _ones(matrix: Any) -> csr_array:
    found = csr_array(matrix)
    found.data = np.ones_like(found.data)
    return found


def _check_pairs(found: int, hint: str) -> None:
    if found > MOST_PAIRS:
        raise DataError(
            f"{found} pairs of units count for each other", f"at most {MOST_PAIRS}", hint
        )


def _places(names: Sequence[Any], place: dict[Any, int], column: str) -> NDArray[np.int64]:
    unknown = [name for name in names if name not in place]
    if unknown:
        raise DataError(
            f"{len(unknown)} links name a unit that the data do not have, such as {unknown[0]!r}",
            "names of units", "Drop those links, or pass the units they belong to.", column=column,
        )  # fmt: skip
    return np.array([place[name] for name in names], dtype=np.int64)


def _points(coordinates: ArrayLike, metric: Metric) -> Array:
    """Positions in a space whose straight lines order distances, shape (n, k)."""
    z = np.asarray(coordinates, dtype=float)
    if z.ndim != 2 or not np.isfinite(z).all():
        raise DataError(
            f"the coordinates have shape {z.shape}, or some are missing",
            "one row of finite numbers a unit",
        )
    if metric == "euclidean":
        return z
    if metric != "kilometres":
        raise DataError(f"the metric is {metric!r}", "'euclidean' or 'kilometres'")
    if z.shape[1] != 2 or (np.abs(z) > [180.0, 90.0]).any():
        raise DataError(
            "a position is not on the globe", "longitude (-180 to 180) and latitude (-90 to 90)",
            "Longitude comes first.",
        )  # fmt: skip
    longitude, latitude = np.radians(z).T
    flat = np.cos(latitude)
    return np.column_stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)])


def _chord(radius: float, metric: Metric) -> float:
    """Straight distance on the unit sphere that belongs to an arc, or the radius itself."""
    if metric == "euclidean":
        return radius
    return 2.0 * float(np.sin(min(radius / (2 * EARTH_RADIUS), np.pi / 2)))
