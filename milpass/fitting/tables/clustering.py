"""The best clustering of a distribution into k intervals, with its proof.

For a price paid for each cluster one sweep finds the best clustering with any number of them; their number
falls as the price rises.  A clustering with k clusters that is best at some price is the best of all with k
(Lagrange duality), so each result carries a lower bound that proves it.  Source: Aggarwal, Schieber,
Tokuyama, "Finding a minimum-weight k-link path in graphs with the concave Monge property" (1994).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import count
from threading import local
from typing import NamedTuple

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from milpass import kernels
from milpass.fitting.tables.distribution import Distribution

# Rounding in the sums of squares, relative to the cost, above which the sums are taken in double-double.
TOLERATED_NOISE = 1e-10
# The gap to the proven bound, relative to the cost, at which fewer than k clusters are as good as k.
PROVEN = 1e-13
# Guesses by interpolation before prices are taken from the line through two solutions.
GUESSES = 8
# Quantiles by which a density is told.
QUANTILES = 96
# Numbers of clusters on either side of k between which no price is guessed any more.
NEAR = 3
# Rows of as many numbers as there are values that a sweep works on, and numbers that a thread keeps for them.
ROWS = 11
KEPT = ROWS << 16


class Clustering(NamedTuple):
    """Intervals `edges[i]:edges[i + 1]` of the distinct values, their means, and the squared error.

    No clustering of as many intervals costs less than `bound`, which equals `cost` up to rounding: `price`
    for each cluster proves it, `guess` is what that was first taken for.  `exact` tells whether it took sums
    in double-double, `way` how it was found (see `milpass.fitting.fitted.WAYS`).
    """

    edges: NDArray[np.int64]
    means: NDArray[np.float64]
    cost: float
    bound: float
    price: float = 0.0
    exact: bool = False
    way: str = "values"
    guess: float = 0.0


@frozen(eq=False)
class _Path:
    """The best clustering when each cluster costs `price`; `cost` is its squared error alone."""

    price: float
    edges: NDArray[np.int64]
    cost: float

    @property
    def count(self) -> int:
        return self.edges.size - 1

    def gap(self, k: int) -> float:
        """What a clustering with k clusters could save at most: each one less costs `price`."""
        return (k - self.count) * self.price

    def is_as_good_as(self, k: int) -> bool:
        """Whether no clustering with k clusters is better."""
        if self.count < k:
            return self.cost <= 0 or self.gap(k) <= PROVEN * self.cost
        return self.count == k


class _Memory(local):
    """Memory that each thread keeps for its sweeps: new memory takes longer to come than a sweep."""

    def __init__(self) -> None:
        self._kept = np.empty(0)

    def rows(self, count: int, size: int) -> NDArray[np.float64]:
        """So many rows, which hold until they are asked for again; more than is kept are new each time."""
        if count * size > KEPT:
            return np.empty((count, size))
        if self._kept.size < count * size:
            self._kept = np.empty(count * size)
        return self._kept[: count * size].reshape(count, size)


_MEMORY = _Memory()


class Sweeper:
    """Sweeps one distribution at any price, with its sums and working memory, given or of its own."""

    def __init__(
        self, distribution: Distribution, *, exact: bool, memory: NDArray[np.float64] | None = None
    ) -> None:
        values, counts = distribution.values, distribution.counts
        if memory is None:
            memory = np.empty((ROWS, values.size + 1))
        self._best, self._undiscounted, self._sums = memory[:2], memory[2], memory[3 : 8 if exact else 6]
        self._previous = memory[8].view(np.int64)
        self._work = [row.view(np.int64) for row in memory[9:11]] if exact else [memory[9]]
        self._undiscounted[:] = 0.0
        self._values = values
        self._sweep: Callable[..., None] = kernels.exactly.sweep if exact else kernels.clustering.sweep
        if exact:
            kernels.exactly.accumulate(values, counts, int(np.searchsorted(values, 0.0)), self._sums)
        else:
            centre = float((values * counts).sum() / counts.sum())
            kernels.clustering.accumulate(values, counts, centre, self._sums)

    @property
    def spread(self) -> float:
        """The sum of squares that costs are differences of."""
        return float(self._sums[2, -1])

    @property
    def noise(self) -> float:
        """What rounding may do to a cost, where the sums are not exact."""
        return 4 * float(np.finfo(np.float64).eps) * self.spread

    def guess(self, k: int) -> float:
        """What the k-th cluster saves where there are many: I**3 / (6 k**3).

        I is the integral of the density to the power of 1/3, the density that between quantiles, the closer
        the nearer they are to an end; 0.0 where values lie too densely to have one.
        Source: Panter, Dite, "Quantization distortion in pulse-count modulation with nonuniform spacing"
        (1951).
        """
        below = self._sums[0, 1:] - self._sums[0, 0]
        places = np.searchsorted(below, _levels(int(below.size).bit_length()) * below[-1])
        places[-1] = below.size - 1
        marks, masses = self._values[places], below[places]
        widths = np.square(marks[1:] - marks[:-1]) * (masses[1:] - masses[:-1])
        return float(np.cbrt(widths).sum() ** 3 / (6 * k**3))

    def sweep(self, price: float) -> _Path:
        """The best clustering when each cluster costs `price`."""
        self.least(price, self._undiscounted)
        count = int(self._best[1, -1])
        edges = np.empty(count + 1, np.int64)
        kernels.intervals.trace(self._previous, edges)
        return _Path(price, edges, float(self._best[0, -1]))

    def least(self, price: float, discounts: NDArray[np.float64]) -> NDArray[np.float64]:
        """The cost and the number of clusters of the best clustering up to each position, [2, size + 1].

        `discounts` are taken off the cost at each position that an interval ends at.
        """
        self._sweep(self._sums, price, discounts, self._best, self._previous, *self._work)
        return self._best


def cluster(
    distribution: Distribution, k: int, price: float | None = None, *, rate: float = 1.0
) -> Clustering:
    """The clustering of least squared error into at most k intervals, k >= 2.

    The search begins at `price`, else at `rate` times what the density makes of it.
    """
    size = distribution.values.size
    if size <= k:
        return Clustering(np.arange(size + 1), distribution.values.copy(), 0.0, 0.0)
    memory = _MEMORY.rows(ROWS, size + 1)
    sweeper = Sweeper(distribution, exact=False, memory=memory)
    guess = price or sweeper.guess(k) or sweeper.spread / k**3
    found = _search(sweeper, k, guess * rate, noise=sweeper.noise)
    if found and sweeper.noise <= TOLERATED_NOISE * found.cost:
        return _measured(distribution, found, exact=False)._replace(guess=guess)
    sweeper = Sweeper(distribution, exact=True, memory=memory)
    found = _search(sweeper, k, found.price if found else guess, noise=0.0)
    assert found is not None
    return _measured(distribution, found, exact=True)._replace(guess=guess)


@cache
def _levels(bits: int) -> NDArray[np.float64]:
    """Shares of the mass at equal steps of their logit, as far as 2**bits values go."""
    reach = bits * np.log(2)
    levels: NDArray[np.float64] = 1 / (1 + np.exp(np.linspace(reach, -reach, QUANTILES)))
    return levels


class _Found(NamedTuple):
    """A clustering, the price at which it was found, and the bound that this price proves."""

    edges: NDArray[np.int64]
    price: float
    cost: float
    bound: float
    way: str


def _search(sweeper: Sweeper, k: int, price: float, *, noise: float) -> _Found | None:
    """Find the price at which k clusters are best, or join the two solutions on either side of k.

    None where prices would have to be below `noise`, so that rounding decides.
    """
    few: _Path | None = None
    many: _Path | None = None
    for attempt in count():
        if price < noise:
            return None
        path = sweeper.sweep(price)
        if path.is_as_good_as(k):
            return _Found(path.edges, price, path.cost, path.cost - path.gap(k), "price")
        if few and many and price == _line(few, many) and not few.count < path.count < many.count:
            return _spliced(few, many, k)
        if path.count < k:
            few = path if few is None or path.count >= few.count else few
        else:
            many = path if many is None or path.count <= many.count else many
        price = _next_price(few, many, k, attempt)
    raise AssertionError("unreachable")


def _next_price(few: _Path | None, many: _Path | None, k: int, attempt: int) -> float:
    """A price for k clusters: their number falls about as the price to the power of -1/3.

    Where all prices so far were on one side, they go further at each attempt.
    """
    least = 1 + 2.0**attempt / (2 * k)
    middle = k + 0.5  # a count stands for all prices up to that of one more
    if few is None:
        assert many is not None
        return many.price * max(((many.count + 0.5) / middle) ** 3, least)
    if many is None:
        return few.price * min(((few.count + 0.5) / middle) ** 3, 1 / least)
    if attempt >= GUESSES or many.count - few.count <= NEAR:
        return _line(few, many)
    share = np.log((many.count + 0.5) / middle) / np.log((many.count + 0.5) / (few.count + 0.5))
    ratio = few.price / many.price
    return float(many.price * ratio ** np.clip(share, 0.05, 0.95))


def _line(few: _Path, many: _Path) -> float:
    """The price at which two clusterings are equally good: one between them is better, or none is."""
    return (few.cost - many.cost) / (many.count - few.count)


def _spliced(few: _Path, many: _Path, k: int) -> _Found:
    """Join two solutions best at one price where an edge of the first spans one of the second.

    Where the paths cross, the Monge property lets them change partners at no cost; of the two paths that
    result one has k clusters (Aggarwal, Schieber, Tokuyama 1994, lemma 2).
    """
    surplus = many.count - k
    behind = few.edges <= many.edges[surplus : surplus + few.edges.size]
    crossing = int(np.flatnonzero(behind[:-1] & ~behind[1:])[0])
    edges = np.concatenate([few.edges[: crossing + 1], many.edges[crossing + surplus + 1 :]])
    price = _line(few, many)
    cost = few.cost - price * (k - few.count)
    return _Found(edges, price, cost, cost, "spliced")


def _measured(distribution: Distribution, found: _Found, *, exact: bool) -> Clustering:
    """The means and the cost, summed anew from differences so that neither loses digits."""
    means, total = np.empty(found.edges.size - 1), np.empty(1)
    kernels.intervals.measure(distribution.values, distribution.counts, found.edges, means, total)
    cost = float(total[0])
    return Clustering(found.edges, means, cost, min(found.bound, cost), found.price, exact, found.way)
