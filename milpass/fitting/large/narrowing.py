"""Which cells can hold a boundary of the best clustering.

In an optimum a boundary is the midpoint of the means on its two sides.  Moved to one of the two ends of its
cell (n values, span d) it costs at most n d D / 2, D the distance of the two means: a value moved costs 2 D
times its distance from the boundary, and these sum to n d / 4 at most above the boundary or below it.  D is
bounded by counting: values within D / 4 of the boundary lie at least D / 4 from their mean.
"""

from __future__ import annotations

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from milpass.fitting.large.cells import Cells
from milpass.fitting.tables.clustering import Clustering, Sweeper, cluster
from milpass.fitting.tables.distribution import Distribution

# Places at which D is bounded; the steps of distances tried, from twice the whole range, and their ratio.
POSTS = 1 << 11
STEPS = 1 << 9
RATIO = 0.96
# What rounding may do to the total of a path, relative to it.
ROUNDING = 1e-13
# What is added to a cost that bounds distances, relative to it: more than rounding can take off.
MARGIN = 1e-7
# How much more than the price one cluster may seem to save, before cells are too coarse to tell.
BLURRED = 2.0


@frozen(eq=False)
class Told:
    """Cells, the price of a cluster as far as it is known, and what one cluster more saves at most."""

    cells: Cells
    price: float | None = None
    saving: float = np.inf

    @property
    def settled(self) -> Cells:
        """The cells that are not live."""
        return self.cells.only(~self.cells.live)


def narrowed(told: Told, k: int) -> tuple[Told, NDArray[np.bool_]]:
    """The cells, those no longer live in which no best clustering into k has a boundary, and each's `live`.

    Neighbours that have no boundary between them either are made one.
    """
    cells = told.cells
    if cells.size <= k:
        return told, cells.live
    # all its boundaries are at ends of cells, so that no optimum costs more
    best = cluster(cells.distribution, k, told.price)
    paths = Paths.of(cells, best, k)
    cells = _with_reaches(cells, best.cost + float(np.sum(cells.scatters)))
    if np.isfinite(told.saving):
        return _told(cells, told.saving, paths)
    saving = _saving(cells, paths)
    if saving > BLURRED * best.price:  # finer cells tell it better, as long as all of them are live
        return Told(_with_reaches(cells, 2 * saving), best.price), cells.live
    return _told(cells, saving, paths)


def _told(cells: Cells, saving: float, paths: Paths) -> tuple[Told, NDArray[np.bool_]]:
    """The cells narrowed, now that it is known what one cluster more saves at most."""
    cells = _with_reaches(cells, 2 * saving)
    more, tolerance = paths.through(cells.risks)
    open_ends = more <= tolerance
    live = cells.live & (open_ends[:-1] | open_ends[1:])
    open_ends[:-1] |= live
    open_ends[1:] |= live
    return Told(evolve(cells, live=live).joined(open_ends), paths.best.price, saving), live


def _saving(cells: Cells, paths: Paths) -> float:
    """What one cluster more than k saves at most, where all cells but single values are live.

    The best clustering into k + 1 costs no more than that into k, so what is known of its means holds, too.
    """
    more, tolerance = paths.through(cells.risks)
    return paths.best.price + float(tolerance - more[-1])


@frozen(eq=False)
class Paths:
    """The best clusterings up to each end of a cell and from there on, each at the price of `best`."""

    forward: Sweeper
    backward: Sweeper
    best: Clustering
    k: int

    @classmethod
    def of(cls, cells: Cells, best: Clustering, k: int) -> Paths:
        """Those of cells whose best clustering into k is known."""
        forward = Sweeper(cells.distribution, exact=best.exact)
        mirrored = Distribution(-cells.means[::-1], cells.counts[::-1].copy())
        return cls(forward, Sweeper(mirrored, exact=best.exact), best, k)

    def through(self, risks: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """How much more than `best` clusterings cost at least that have a boundary near each end of a cell.

        The prices of their clusters are included, what rounding takes off them is not: that is the tolerance.
        """
        price = self.best.price
        discounts, at_ends = _discounts(risks, self.k, price)
        one = self.forward.least(price, discounts)
        two = self.backward.least(price, discounts[::-1].copy())[:, ::-1]
        costs = one[0] + two[0] + discounts - self.best.cost
        noise = 0.0 if self.best.exact else 4 * self.k * self.forward.noise
        rounding = noise + ROUNDING * (self.best.cost + self.k * price)
        return costs + price * (one[1] + two[1] - self.k), at_ends + rounding


def _with_reaches(cells: Cells, cost: float) -> Cells:
    """The cells, with what `cost` tells of the distance of means."""
    reaches = cells.reaches.copy()
    reaches[cells.live] = np.minimum(reaches[cells.live], _reaches(cells, cost))
    return evolve(cells, reaches=reaches)


def _discounts(risks: NDArray[np.float64], k: int, price: float) -> tuple[NDArray[np.float64], float]:
    """What boundaries moved to each end of a cell may have cost, [n + 1], and to the first and the last.

    Several moved to one end leave clusters without values, which saves their prices: only what a move costs
    beyond the price counts more than once.
    """
    beyond = np.maximum(risks - price, 0.0)
    once = risks + (k - 1) * beyond
    discounts = np.zeros(risks.size + 1)
    discounts[1:-1] = np.maximum(once[:-1], once[1:])
    return discounts, k * float(beyond[0] + beyond[-1])


def _reaches(cells: Cells, cost: float) -> NDArray[np.float64]:
    """The distance of two means on either side of a boundary in each live cell, at most.

    Where N values lie within r of the boundary and N r**2 is more than the cost, the means are less than 4 r
    apart: each of the values would lie r or more from the nearer one.  For the cost stands also twice what
    one cluster more saves: N r**2 is less than two clusters save that are cut r from their boundary, each
    into two.  A boundary d from there has the same values within r + d.
    """
    posts = cells.means[np.arange(0, cells.size, -(-cells.size // POSTS))]
    radii = _radii(cells, posts, cost)
    lows, highs = cells.lows[cells.live], cells.highs[cells.live]
    after = np.minimum(np.searchsorted(posts, lows), posts.size - 1)
    before = np.maximum(after - 1, 0)
    from_before = radii[before] + np.maximum(np.abs(highs - posts[before]), np.abs(lows - posts[before]))
    from_after = radii[after] + np.maximum(np.abs(highs - posts[after]), np.abs(lows - posts[after]))
    means: NDArray[np.float64] = 4 * np.minimum(from_before, from_after)
    means = np.minimum(means, cells.highs[-1] - cells.lows[0])
    return means


def _radii(cells: Cells, posts: NDArray[np.float64], cost: float) -> NDArray[np.float64]:
    """A distance from each post, so great that its square times the values within is more than the cost."""
    below = np.concatenate([[0.0], np.cumsum(cells.counts)])
    grid: NDArray[np.float64] = 2 * (cells.highs[-1] - cells.lows[0]) * RATIO ** np.arange(STEPS)
    least = np.zeros(posts.size, np.int64)
    step = STEPS // 2
    while step:
        radii = grid[least + step]
        first = np.searchsorted(cells.lows, posts - radii)
        last = np.searchsorted(cells.highs, posts + radii, side="right")
        enough = (last > first) & ((below[last] - below[first]) * radii**2 > cost * (1 + MARGIN))
        least += np.where(enough, step, 0)
        step //= 2
    found: NDArray[np.float64] = grid[least]
    return found
